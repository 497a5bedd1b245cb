"""Serving: generated tokens per second of our generator, against llama.cpp called directly and transformers' `generate`.

Every contender lives in a process of its own with its own defaults, and answers the same new prompts with the same number of
tokens, in turn. "Direct" is xllamacpp's server object with the same model, slots and threads, and nothing of ours around it.

    python -m benchmarks.serving
"""

import asyncio
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from time import perf_counter
from typing import Any

import platformdirs

from benchmarks.report import in_turn, table
from helpers import dataset
from local_api.engines.lora import create
from local_api.engines.lora.generator import SLOTS, cores
from local_api.engines.protocols import GenerationRequest

ROUNDS = 5
SCENES = {"one stream": (1, 96), "16 at once": (16, 32)}  # requests, tokens each
ENDS = (0, 2)  # tokens that could end an answer, banned so that every answer has its full length
Answer = Callable[[list[list[int]], int], None]


@cache
def shuffled() -> list[str]:
    return dataset("triage")["text"].sample(frac=1, random_state=3).tolist()


def prompts(tokenizer: Any, number: int, count: int) -> list[list[int]]:
    """`count` messages that no earlier round had, so that nobody's cache of prompts helps."""
    texts = shuffled()
    return [tokenizer.encode(f"{texts[(number * count + place) % len(texts)]}\n\n###\n\n") for place in range(count)]


def ours(engine: Any, base: str) -> Answer:
    runner, generator = asyncio.Runner(), engine.generator()

    async def one(prompt: list[int], n_tokens: int) -> int:
        request = GenerationRequest(prompt, base, max_tokens=n_tokens, temperature=0.0, stream=True,
                                    logit_bias=dict.fromkeys(ENDS, -100.0))
        return sum([piece.n_tokens async for piece in generator.generate(request)])

    async def several(chosen: list[list[int]], n_tokens: int) -> list[int]:
        return await asyncio.gather(*(one(prompt, n_tokens) for prompt in chosen))

    def answer(chosen: list[list[int]], n_tokens: int) -> None:
        counts = runner.run(several(chosen, n_tokens))
        assert counts == [n_tokens] * len(chosen), counts
    return answer


def direct(engine: Any, base: str) -> Answer:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(engine._files(base).gguf)
    parameters.n_parallel, parameters.n_ctx, parameters.verbosity = SLOTS, SLOTS * 2048, -1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = cores()
    server = xllamacpp.Server(parameters)

    def one(prompt: list[int], n_tokens: int) -> None:
        server.handle_completions({"prompt": prompt, "n_predict": n_tokens, "temperature": 0, "stream": True,
                                   "logit_bias": [[token, False] for token in ENDS]}, lambda chunk: False)

    def answer(chosen: list[list[int]], n_tokens: int) -> None:
        with ThreadPoolExecutor(len(chosen)) as threads:
            list(threads.map(lambda prompt: one(prompt, n_tokens), chosen))
    return answer


def transformers_generate(engine: Any, base: str) -> Answer:
    """One batch, padded on the left; in bfloat16, which is the faster on processors that have it."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(engine._files(base).weights, dtype=torch.bfloat16)

    def answer(chosen: list[list[int]], n_tokens: int) -> None:
        width = max(map(len, chosen))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in chosen])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in chosen])
        model.generate(ids, attention_mask=mask, max_new_tokens=n_tokens, min_new_tokens=n_tokens, do_sample=False,
                       pad_token_id=0)
    return answer


CONTENDERS = {"llama.cpp, direct": direct, "ours": ours, "transformers generate": transformers_generate}


def work(name: str) -> None:
    """In a process of its own: for each line [round, requests, tokens] answer, and say how many seconds it took."""
    engine = create(platformdirs.user_cache_path("fine-tuning-cookbook"))
    base = engine.base_models()[0].id
    answer, tokenizer = CONTENDERS[name](engine, base), engine.tokenizer(base)
    answer(prompts(tokenizer, 0, 1), 2)
    for line in sys.stdin:
        number, count, n_tokens = json.loads(line)
        chosen = prompts(tokenizer, number, count)
        begun = perf_counter()
        answer(chosen, n_tokens)
        print(perf_counter() - begun, flush=True)
    os._exit(0)  # nothing is to be kept: neither threads nor models need a slow farewell


@contextmanager
def worker(name: str) -> Iterator[Callable[[int, int, int], float]]:
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "benchmarks.serving", name], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout

    def tokens_per_second(number: int, count: int, n_tokens: int) -> float:
        process.stdin.write(json.dumps([number, count, n_tokens]) + "\n")
        process.stdin.flush()
        return count * n_tokens / float(process.stdout.readline())
    try:
        yield tokens_per_second
    finally:
        process.stdin.close()
        process.wait()


def scene(workers: dict[str, Callable[[int, int, int], float]], count: int, n_tokens: int) -> dict[str, float]:
    numbers = dict.fromkeys(workers, 0)

    def once(name: str) -> float:
        numbers[name] += 1
        return workers[name](numbers[name], count, n_tokens)
    return in_turn({name: lambda name=name: once(name) for name in workers}, ROUNDS)


def main() -> None:
    if len(sys.argv) > 1:
        warnings.simplefilter("ignore")
        return work(sys.argv[1])
    rows = []
    names = list(CONTENDERS)
    with worker(names[0]) as first, worker(names[1]) as second, worker(names[2]) as third:
        workers = dict(zip(names, (first, second, third), strict=True))
        for title, (count, n_tokens) in SCENES.items():
            speed = scene(workers, count, n_tokens)
            rows += [[title, name, value, value / speed["llama.cpp, direct"]] for name, value in speed.items()]
    note = (f"Median of {ROUNDS} rounds in turn, every process with its own model; {SLOTS} slots, {cores()} threads."
            " Prompts are messages of data/triage.csv, new in each round; reading them counts.")
    print(table("Serving", ["scene", "by", "tokens/s", "of llama.cpp's own"], rows, note))
    return None


if __name__ == "__main__":
    main()
