"""Training: tokens per second over a whole three-epoch job, and the held-out accuracy, against transformers' Trainer with PEFT.

Both learn the department of the same 400 messages (data/triage.csv) with LoRA of rank 16, the same batches of 8, three epochs,
learning rate and precision; both adapters then answer all other messages with their likeliest token, through the same PEFT. The
peer is what anyone would write: LoRA on all linear layers, loss on the completion only. It takes more than half an hour on
two cores; with --quick only its speed is measured, on its first steps, and its accuracy left out.

    python -m benchmarks.training [--quick] [--seeds N]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import platformdirs

from benchmarks.report import table
from helpers import dataset, split
from local_api.engines.lora import create
from local_api.engines.lora.trainer import LoraTrainer, Settings
from local_api.engines.protocols import CheckpointReport, Hyperparameters, PromptCompletion, Tokenizer, TrainingSpec

EPOCHS, BATCH_SIZE, LEARNING_RATE, RANK = 3, 8, 1e-3, 16
PEER_STEPS, PEER_WARM = 14, 2  # of the peer's run with --quick, and those of them that are not timed
OURS = {"ours, top 12 layers": 12, "ours, all layers": None}
PEER = "transformers Trainer + PEFT"
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def examples() -> tuple[list[PromptCompletion], list[PromptCompletion], list[PromptCompletion]]:
    """400 to learn and 120 whose loss is told after each epoch, the departments in the same proportions; and all but the 400."""
    rest, held = split(dataset("triage"), test=120, stratify="department", seed=7)
    others, train = split(rest, test=400, stratify="department", seed=7)
    first, second, third = (
        [PromptCompletion(f"{row.text}\n\n###\n\n", f" {row.department}", line) for line, row in enumerate(frame.itertuples(), 1)]
        for frame in (train, held, pd.concat([held, others]))
    )
    return first, second, third


def ours(depth: int | None, seed: int) -> dict[str, Any]:
    """A whole job in this process, which was started for it: its start-up counts in `whole`, and as with the peer not here."""
    import local_api.engines.lora.run  # noqa: F401 (PyTorch and transformers)

    engine = create(platformdirs.user_cache_path("fine-tuning-cookbook"))
    base, (train, held, others) = engine.base_models()[0].id, examples()
    trainer = LoraTrainer(engine._files, engine.tokenizer, Settings(depth=depth))
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        spec = TrainingSpec(base, train, held, Hyperparameters(EPOCHS, BATCH_SIZE, LEARNING_RATE * 100), seed, Path(folder))
        last = [report for report in trainer.train(spec) if isinstance(report, CheckpointReport)][-1]
        seconds = time.perf_counter() - begun
        tokens = {"tokens": last.metrics.elapsed_tokens, "seconds": seconds}
        return tokens | held_out(lambda: loaded(engine._files(base).weights, last.adapter), engine.tokenizer(base), others)


def loaded(weights: Path, adapter: Path) -> Any:
    """An adapter of ours on its base model, by PEFT."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(weights, dtype=torch.bfloat16), adapter)


def peer(seed: int, steps: int) -> dict[str, Any]:
    """`steps`: how many to make; 0: the whole job, with its held-out accuracy."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments, set_seed

    engine = create(platformdirs.user_cache_path("fine-tuning-cookbook"))
    base, (train, held, others) = engine.base_models()[0].id, examples()
    tokenizer = engine.tokenizer(base)
    rows, questions = ([(tokenizer.encode(row.prompt), tokenizer.encode(row.completion)) for row in part]
                       for part in (train, held))
    begun = time.perf_counter()
    set_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(engine._files(base).weights, dtype=torch.bfloat16)
    lora = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=LINEAR, task_type="CAUSAL_LM")
    model = get_peft_model(model, lora)
    timer = Timer([*rows, *questions], len(rows))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=steps or -1, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH_SIZE, seed=seed,
            learning_rate=LEARNING_RATE, lr_scheduler_type="cosine", warmup_steps=0.06, bf16=True, save_strategy="no",
            use_cpu=not torch.accelerator.is_available(), logging_strategy="no", report_to=[], disable_tqdm=True,
            dataloader_pin_memory=False, per_device_eval_batch_size=BATCH_SIZE, prediction_loss_only=True,
            eval_strategy="no" if steps else "epoch",
        )
        train, held = list(range(len(rows))), list(range(len(rows), len(rows) + len(questions)))
        Trainer(model, arguments, train_dataset=train, eval_dataset=held, data_collator=timer).train()
    timed = timer.since(PEER_WARM) if steps else (timer.tokens, time.perf_counter() - begun)
    return {"tokens": timed[0], "seconds": timed[1]} | ({} if steps else held_out(lambda: model, tokenizer, others))


class Timer:
    """The peer's collator: pads on the right, masks the prompts, and notes when each batch to learn from was asked for."""

    def __init__(self, rows: list[tuple[list[int], list[int]]], to_learn: int) -> None:
        """`to_learn`: so many of the rows; those after them are held out."""
        self.rows, self.to_learn, self.asked = rows, to_learn, list[tuple[float, int]]()

    @property
    def tokens(self) -> int:
        return sum(count for _, count in self.asked)

    def since(self, batch: int) -> tuple[int, float]:
        """Tokens of the batches from `batch` to the last but one, and the seconds that they took."""
        return sum(count for _, count in self.asked[batch:-1]), self.asked[-1][0] - self.asked[batch][0]

    def __call__(self, indices: list[int]) -> dict[str, Any]:
        import torch

        chosen = [self.rows[index] for index in indices]
        width = max(len(prompt) + len(completion) for prompt, completion in chosen)
        if max(indices) < self.to_learn:
            self.asked.append((time.perf_counter(), sum(len(prompt) + len(completion) for prompt, completion in chosen)))
        ids, labels, mask = [], [], []
        for prompt, completion in chosen:
            pad = width - len(prompt) - len(completion)
            ids.append(prompt + completion + [0] * pad)
            labels.append([-100] * len(prompt) + completion + [-100] * pad)
            mask.append([1] * (width - pad) + [0] * pad)
        return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels), "attention_mask": torch.tensor(mask)}


def held_out(load: Callable[[], Any], tokenizer: Tokenizer, rows: Sequence[PromptCompletion]) -> dict[str, float]:
    """`accuracy`: the share of rows whose likeliest next token is the right one; `answering`: the seconds that this took."""
    import torch

    begun = time.perf_counter()
    model = load().eval()
    with torch.inference_mode():
        right = [int(model(torch.tensor([tokenizer.encode(row.prompt)])).logits[0, -1].argmax())
                 == tokenizer.encode(row.completion)[0] for row in rows]
    return {"accuracy": sum(right) / len(right), "answering": time.perf_counter() - begun}


def measured(**what: Any) -> dict[str, Any]:
    """A run in a process of its own; `whole` is the time from its start to its end, without the answers for its accuracy."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "benchmarks.training", "--run", json.dumps(what)], stdout=subprocess.PIPE,
                          text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    print(what, result, file=sys.stderr, flush=True)
    return {**result, "whole": time.perf_counter() - begun - result.get("answering", 0.0)}


def rows(seeds: int, full: bool) -> Iterator[list[object]]:
    """The table, contender by contender, measured in turn seed by seed."""
    kept: dict[str, list[dict[str, Any]]] = {}
    for seed in range(seeds):
        for name, depth in OURS.items():
            kept.setdefault(name, []).append(measured(depth=depth, seed=seed))
        kept.setdefault(PEER, []).append(measured(peer=True, seed=seed, steps=0 if full else PEER_STEPS))
    speed = {name: sum(run["tokens"] for run in runs) / sum(run["seconds"] for run in runs) for name, runs in kept.items()}
    for name, runs in kept.items():
        accuracies = [run["accuracy"] for run in runs if "accuracy" in run]
        whole = sum(run["whole"] for run in runs) / len(runs) if accuracies else "not run"
        said = ", ".join(f"{accuracy:.1%}" for accuracy in accuracies) or "not run"
        yield [name, speed[name], speed[name] / speed[PEER], whole, said]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed and held-out accuracy against transformers' Trainer with PEFT.")
    parser.add_argument("--quick", action="store_true", help="of the peer only the first steps, without its accuracy")
    parser.add_argument("--seeds", type=int, default=2, help="repeat with so many seeds (default: %(default)s)")
    parser.add_argument("--run", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        warnings.simplefilter("ignore")
        what = options.run
        print(json.dumps(peer(what["seed"], what["steps"]) if what.get("peer") else ours(what["depth"], what["seed"])))
        return
    part = "its whole job" if not options.quick else f"steps {PEER_WARM + 1} to {PEER_STEPS - 1} of its first epoch"
    note = (f"400 messages, {EPOCHS} epochs, batch {BATCH_SIZE}, rank {RANK}, learning rate {LEARNING_RATE}; tokens/s from"
            f" loading the model to the last checkpoint, the held-out loss after each epoch included; for the peer over {part}."
            " The whole job has the start of its process; accuracy is measured after it, on all messages but the 400.")
    columns = ["trainer", "tokens/s", "times the peer", "whole job, s", "held-out accuracy, by seed"]
    print(table("Training", columns, list(rows(options.seeds, not options.quick)), note))


if __name__ == "__main__":
    main()
