"""Preparation: rows per second of `cookbook prepare-data`, against the tool of openai 0.28.1; tokens counted, against tiktoken.

Both tools read the same made JSONL file, check it, take every suggestion and write the result, each in a process of its own,
from its start to its end. Knows nothing of whether the results are the same: the old tool has fewer checks.

    python -m benchmarks.preparation [--rows N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import tiktoken

from benchmarks.report import in_turn, table
from helpers import dataset
from helpers.tokens import NEWEST, count_many, count_tokens

LEGACY = Path(__file__).parents[1] / ".venv" / "legacy-client"
COOKBOOK = [sys.executable, "-c", "from helpers.cli import main; main()", "prepare-data", "-q", "-f"]
OLD = "openai 0.28.1"
TOOLS = {OLD: [sys.executable, str(LEGACY / "bin" / "openai"), "tools", "fine_tunes.prepare_data", "-q", "-f"],
         "ours, --quick": [*COOKBOOK[:-1], "--quick", "-f"], "ours, every check": COOKBOOK}
SAMPLED = 0.1  # seconds between two looks at the memory of all processes
SEED = 11
WORDS = (6, 24), (4, 11)  # fewest and most of a prompt, and of a completion
REPEATED, ALIKE, EMPTY, PRIVATE = 0.01, 0.01, 0.001, 0.001  # shares of the rows
BLOCK = 50_000  # rows made at a time
TEXTS, PIECE, ROUNDS = 100_000, 1000, 3  # of the tokens


def make_file(path: Path, rows: int) -> None:
    """Prompt-completion rows of one or two sentences and no markers, in the words of our own data, with what real files have."""
    words = " ".join(dataset("triage")["text"]).split()
    random = np.random.default_rng(SEED)
    order = np.argsort(words, kind="stable")
    numbers = np.unique(words, return_inverse=True)[1]
    begins = np.searchsorted(numbers[order], np.arange(numbers.max() + 2))
    before: list[tuple[str, str]] = []
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, rows, BLOCK):
            size = min(BLOCK, rows - start)
            made = list(zip(*(texts(random, size, span, (words, numbers, order, begins)) for span in WORDS), strict=True))
            before = spoiled(random, made, before or made)
            file.writelines(json.dumps({"prompt": prompt, "completion": completion}, ensure_ascii=False) + "\n"
                            for prompt, completion in before)


def texts(random: np.random.Generator, size: int, span: tuple[int, int],
          walk: tuple[list[str], np.ndarray, np.ndarray, np.ndarray]) -> list[str]:
    """So many texts, each word one that follows the word before it somewhere in our data."""
    words, numbers, order, begins = walk
    place = random.integers(0, len(words), size)
    walked = [place]
    for _ in range(span[1]):
        following = numbers[(place + 1) % len(words)]
        place = order[begins[following] + random.integers(0, begins[following + 1] - begins[following])]
        walked.append(place)
    lengths = random.integers(span[0], span[1] + 1, size)
    return [" ".join([words[place] for place in row[:length]]) for row, length in
            zip(np.stack(walked, axis=1).tolist(), lengths.tolist(), strict=True)]


def spoiled(random: np.random.Generator, made: list[tuple[str, str]], before: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The rows with some of them said twice, nearly twice, empty, or with an address in them."""
    chance = random.random(len(made))
    others = random.integers(0, len(before), len(made)).tolist()
    for place in np.flatnonzero(chance < REPEATED + ALIKE + EMPTY + PRIVATE).tolist():
        (prompt, completion), (other, answer) = made[place], before[others[place]]
        if chance[place] < REPEATED:
            made[place] = other, answer
        elif chance[place] < REPEATED + ALIKE:
            made[place] = f"{other} please", completion
        elif chance[place] < REPEATED + ALIKE + EMPTY:
            made[place] = prompt, ""
        else:
            made[place] = f"{prompt} anna.{place}@mail.net", completion
    return made


def measured(command: list[str], path: Path) -> dict[str, float]:
    """A run of a tool on a file in a new folder: its seconds, those of all processors, its peak memory, the rows it wrote."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        file = Path(folder, path.name)
        file.hardlink_to(path)
        before, begun, peak = os.times(), time.perf_counter(), 0
        process = psutil.Popen([*command, str(file)], stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(
            LEGACY if str(LEGACY) in command[1] else Path(__file__).parents[1])})
        while process.poll() is None:
            peak = max(peak, memory(process))
            time.sleep(SAMPLED)
        seconds, after = time.perf_counter() - begun, os.times()
        assert process.returncode == 0, f"{command} ended with {process.returncode}"
        written = sum(count_lines(some) for some in Path(folder).glob("*_prepared*.jsonl"))
    assert written, f"{command} wrote nothing"
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": seconds, "processor": spent, "peak": peak, "written": written}


def memory(process: psutil.Process) -> int:
    """Bytes of a process and of those that it started."""
    try:
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def tools(rows: int) -> str:
    """The table of the tools on a file of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        make_file(path, rows)
        runs = {}
        for name, command in TOOLS.items():
            runs[name] = measured(command, path)
            print(name, runs[name], file=sys.stderr, flush=True)
        size = path.stat().st_size
    lines = [[name, rows / run["seconds"], runs[OLD]["seconds"] / run["seconds"], run["seconds"], run["processor"],
              run["peak"] / size, int(run["written"])] for name, run in runs.items()]
    columns = ["tool", "rows/s", "times the old", "seconds", "processor, s", "memory, times the file", "rows out"]
    return table("Preparation", columns, lines,
                 f"{rows:,} rows of JSONL, {size / 1e6:.0f} MB; one run each, process start and written file included. "
                 "Of the memory the peak of all processes together. --quick makes the old tool's checks alone; without it, all "
                 "checks are made and the tokens counted.")


def tokens() -> str:
    """The table of the ways to count tokens of short texts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        make_file(path, TEXTS)
        prompts = [json.loads(line)["prompt"] for line in path.read_text(encoding="utf-8").splitlines()]
    count_tokens("", "")  # loads the vocabulary, for tiktoken as well
    encoding, cores = tiktoken.get_encoding(NEWEST), os.cpu_count() or 1
    expected = one_by_one(prompts)
    pieces = [prompts[start : start + PIECE] for start in range(0, TEXTS, PIECE)]
    with ThreadPoolExecutor(cores) as threads, ProcessPoolExecutor(cores, initializer=partial(count_tokens, "", "")) as processes:
        ways: dict[str, Callable[[], list[int]]] = {
            "encode_ordinary, one thread": lambda: one_by_one(prompts),
            f"encode_ordinary, {cores} threads": lambda: joined(threads.map(one_by_one, pieces)),
            f"encode_ordinary, {cores} processes": lambda: joined(processes.map(one_by_one, pieces)),
            f"encode_ordinary_batch, {cores} threads": lambda: list(map(len, encoding.encode_ordinary_batch(
                prompts, num_threads=cores))),
            "ours": lambda: count_many(prompts, "").tolist()}
        for name, way in ways.items():  # and starts the processes
            assert way() == expected, name
        speed = in_turn({name: partial(per_second, way, sum(expected)) for name, way in ways.items()}, ROUNDS)
    own = max(speed["encode_ordinary, one thread"], speed[f"encode_ordinary_batch, {cores} threads"])
    best = max(value for name, value in speed.items() if name != "ours")
    lines = [[name, value / 1e6, value / own, value / best] for name, value in speed.items()]
    columns = ["way", "million tokens/s", "of tiktoken's fastest call", "of the fastest way around it"]
    note = (f"{TEXTS:,} prompts of {sum(expected) / TEXTS:.0f} tokens on the average, {NEWEST}; median of {ROUNDS} runs taken in "
            "turn. encode_ordinary and encode_ordinary_batch are tiktoken's own calls; threads and processes around "
            "encode_ordinary are the benchmark's.")
    return table("Counting tokens", columns, lines, note)


def one_by_one(texts: list[str]) -> list[int]:
    """As tiktoken counts, text by text."""
    encode = tiktoken.get_encoding(NEWEST).encode_ordinary
    return [len(encode(text)) for text in texts]


def joined(parts: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(parts))


def per_second(way: Callable[[], list[int]], number: int) -> float:
    begun = time.perf_counter()
    way()
    return number / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory of preparing data, against the tool of openai 0.28.1.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file (default: %(default)s)")
    options = parser.parse_args()
    print(tools(options.rows))
    print(tokens())


if __name__ == "__main__":
    main()
