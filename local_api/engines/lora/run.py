"""One training run: the loop over epochs and batches, its reports and its checkpoints.

It puts the rooms together (`batches`, `network`, `objectives`, `state`, `export`) and knows no text. AdamW (0.9, 0.999)
without weight decay, a cosine schedule after 6 % of warm-up, gradients clipped at 1. Validation: one batch about four
times an epoch, all of it at each epoch's end; of more than 1,000 validation examples, 1,000 evenly spaced ones, so
that a large file does not cost more than training does.

    for report in Run(spec, tokens, files, Settings()).reports(fingerprint): ...
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import torch

from local_api.engines.lora.adapters import read_config
from local_api.engines.lora.base_models import ModelFiles
from local_api.engines.lora.batches import Part, collate, like_lengths, order, split
from local_api.engines.lora.classes import Chooser, last_answer
from local_api.engines.lora.dpo import Preferences
from local_api.engines.lora.examples import Encoded
from local_api.engines.lora.export import LoraShape, export, read_adapter
from local_api.engines.lora.network import Side, load
from local_api.engines.lora.objectives import Kept, Objective, Supervised
from local_api.engines.lora.state import RunState
from local_api.engines.lora.trainer import Settings, Tokens
from local_api.engines.lora.workers import THREADS
from local_api.engines.protocols import CheckpointReport, EngineError, Report, StepReport, TrainingSpec

MAX_VALIDATION = 1000  # examples
VALIDATIONS_PER_EPOCH = 4
B_RATIO = 8.0  # how much faster the matrix B of an adapter learns than A
_MAX_KEPT = 2 * 2**30  # bytes of the frozen layers' output: 1.9 million tokens of the default model


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as its parts, and what it adds to the elapsed tokens and examples."""

    parts: list[Part]
    tokens: int
    examples: int


class Run:
    """Loads the model when made. `reports` may be iterated once."""

    def __init__(self, spec: TrainingSpec, tokens: Tokens, files: ModelFiles, settings: Settings) -> None:
        self._spec, self._settings, self._hub_name = spec, settings, files.hub_name
        self._config = read_config(files.weights)
        layers = self._config["num_hidden_layers"]
        start: dict[str, torch.Tensor] = {}
        if spec.start_from is not None:
            self._shape, start = read_adapter(spec.start_from)
        else:
            self._shape = LoraShape(settings.rank, settings.alpha, layers - min(settings.depth or layers, layers), layers)
        shape = self._shape
        self._network = load(files.weights, depth=layers - shape.first, rank=shape.rank, alpha=shape.alpha, seed=spec.seed)
        if start:
            self._network.set_weights(start)
        self._weights = self._network.weights()
        kept = Kept(self._network, min(_MAX_KEPT, psutil.virtual_memory().available // 4))
        self._objective: Objective = Supervised(self._network, kept)
        if spec.method == "dpo":
            self._objective = Preferences(self._network, kept, spec.hyperparameters.beta)
        self._training = self._batches("training", tokens.training, like_lengths(_lengths(tokens.training), self._batch_size))
        plan = self._validation_plan(tokens.validation)
        self._validation = self._batches("validation", tokens.validation, plan)
        self._chooser = self._choose(tokens, plan, kept) if tokens.classes else None
        self._per_epoch = len(self._training)
        self._total = self._per_epoch * spec.hyperparameters.n_epochs
        self._peak = 0.01 * spec.hyperparameters.learning_rate_multiplier
        # The fused one is a single call for each side; PyTorch has it for the processor and for GPUs.
        self._optimizer = torch.optim.AdamW(_groups(self._network.sides), lr=self._peak, weight_decay=0.0, fused=True)

    @property
    def _batch_size(self) -> int:
        return self._spec.hyperparameters.batch_size

    def reports(self, fingerprint: str) -> Iterator[Report]:
        """Reports of what was done before a crash, then of what is done now."""
        kept = RunState(self._spec.work_dir, fingerprint)
        self._objective.prepare([part for batch in [*self._training, *self._validation] for part in batch.parts])
        done = self._restore(kept)
        last: StepReport | None = None
        for last in kept.told(done):
            yield from self._again(last, done)
        saved = self._settings.clock()
        for step in range(done, self._total):
            last = self._step(step, last)
            kept.tell(last)
            yield last
            epoch_ends = last.step % self._per_epoch == 0
            checkpoint = self._checkpoint(last) if epoch_ends else None
            if epoch_ends or self._settings.clock() - saved > self._settings.save_every:
                self._save(kept, last.step)
                saved = self._settings.clock()
            if checkpoint:
                yield checkpoint

    def _again(self, report: StepReport, done: int) -> Iterator[Report]:
        """What was told before the crash. A checkpoint that was taken away since was heard of, but the last is written anew."""
        yield report
        if report.step % self._per_epoch == 0:
            if report.step == done:
                yield self._checkpoint(report)
            elif self._folder(report.step).exists():
                yield CheckpointReport(report.epoch, report.step, self._folder(report.step), report)

    def _step(self, step: int, last: StepReport | None) -> StepReport:
        """One optimiser step; `step` counts from 0, the report's from 1."""
        epoch, place = divmod(step, self._per_epoch)
        batch = self._training[order(self._per_epoch, seed=self._spec.seed, epoch=epoch)[place]]
        rate = self._rate(step + 1)
        self._optimizer.zero_grad()
        tally = self._objective.measure(batch.parts, train=True)
        if not math.isfinite(tally.mean_loss):
            raise EngineError(f"the loss at step {step + 1} is {tally.mean_loss}: use a smaller learning_rate_multiplier")
        torch.nn.utils.clip_grad_norm_([side.whole for side in self._network.sides], 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["ratio"]
        self._optimizer.step()
        self._network.follow()
        report = StepReport(
            step=step + 1,
            total_steps=self._total,
            epoch=epoch + 1,
            train_loss=tally.mean_loss,
            train_accuracy=tally.token_accuracy,
            train_sequence_accuracy=tally.sequence_accuracy,
            elapsed_tokens=(last.elapsed_tokens if last else 0) + batch.tokens,
            elapsed_examples=(last.elapsed_examples if last else 0) + batch.examples,
            learning_rate=rate,
        )
        return self._validated(report, place)

    def _validated(self, report: StepReport, place: int) -> StepReport:
        """With one batch of validation, some steps; and with all of it, at an epoch's last."""
        every = max(1, self._per_epoch // VALIDATIONS_PER_EPOCH)
        ends = place == self._per_epoch - 1
        if not self._validation or not (ends or (place + 1) % every == 0):
            return report
        one = self._validation[(report.step // every) % len(self._validation)]
        tally = self._objective.measure(one.parts, train=False)
        if self._chooser:
            self._chooser.forget()
        report = replace(
            report,
            valid_loss=tally.mean_loss,
            valid_accuracy=tally.token_accuracy,
            valid_sequence_accuracy=tally.sequence_accuracy,
        )
        if not ends:
            return report
        whole = self._objective.measure([part for batch in self._validation for part in batch.parts], train=False)
        classified, probabilities = self._chooser.probabilities() if self._chooser else (None, None)
        return replace(
            report,
            full_valid_loss=whole.mean_loss,
            full_valid_accuracy=whole.token_accuracy,
            full_valid_sequence_accuracy=whole.sequence_accuracy,
            classified=classified,
            class_probabilities=probabilities,
        )

    def _choose(self, tokens: Tokens, plan: Sequence[Sequence[int]], kept: Kept) -> Chooser:
        """What tells the classes of the validation examples, and sees what is measured."""
        answers = [example.ids[last_answer(example) :] for [example] in tokens.classes]
        chooser = Chooser(
            self._network,
            kept,
            answers=answers,
            examples={number: tokens.validation[number][0] for numbers in plan for number in numbers},
            batches=[(numbers, batch.parts) for numbers, batch in zip(plan, self._validation, strict=True)],
        )
        assert isinstance(self._objective, Supervised)
        self._objective.watch = chooser.see
        return chooser

    def _rate(self, step: int) -> float:
        """Up to the peak in the first 6 % of the steps (at least one), then down by a cosine that ends just above nothing."""
        warm = max(1, int(0.06 * self._total))
        if step <= warm:
            return self._peak * step / warm
        return self._peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (self._total - warm + 1)))

    def _batches(self, name: str, examples: Sequence[Sequence[Encoded]], plan: Sequence[Sequence[int]]) -> list[Batch]:
        batches = []
        for number, indices in enumerate(plan):
            rows = [row for index in indices for row in examples[index]]
            lengths = [len(row.ids) for row in rows]
            ranges = split(lengths, self._objective.at_once, least=THREADS)
            parts = [collate([rows[i] for i in part], (name, number, part.start)) for part in ranges]
            batches.append(Batch(parts, sum(lengths), len(indices)))
        return batches

    def _validation_plan(self, examples: Sequence[Sequence[Encoded]]) -> list[list[int]]:
        """Each batch is a sample of the file: of some lengths, and in each part of it of like ones, for little padding."""
        step = max(1, math.ceil(len(examples) / MAX_VALIDATION))
        chosen = range(0, len(examples), step)
        lengths = _lengths([examples[number] for number in chosen])
        parts = [[chosen[place] for place in part] for part in like_lengths(lengths, max(1, self._batch_size // THREADS))]
        random.Random(f"{self._spec.seed} validation").shuffle(parts)
        together = min(THREADS, self._batch_size)
        return [list(chain(*parts[start : start + together])) for start in range(0, len(parts), together)]

    def _folder(self, step: int) -> Path:
        return self._spec.work_dir / f"checkpoint-{step}"

    def _checkpoint(self, report: StepReport) -> CheckpointReport:
        folder = self._folder(report.step)
        export(self._weights, folder, shape=self._shape, config=self._config, base=self._hub_name)
        return CheckpointReport(report.epoch, report.step, folder, report)

    def _save(self, kept: RunState, step: int) -> None:
        tensors = {f"weight.{name}": weight.detach() for name, weight in self._weights.items()}
        for side in self._network.sides:
            state = self._optimizer.state[side.whole]
            tensors |= {f"mean.{side.name}": state["exp_avg"], f"square.{side.name}": state["exp_avg_sq"]}
        kept.save(step, {name: tensor.cpu() for name, tensor in tensors.items()})

    def _restore(self, kept: RunState) -> int:
        """Steps that were done before; the weights and the optimizer are then as they were after them."""
        step, tensors = kept.load()
        if not step:
            return 0
        self._network.set_weights({name: tensors[f"weight.{name}"] for name in self._weights})
        for side in self._network.sides:
            self._optimizer.state[side.whole] = {
                "step": torch.tensor(float(step)),
                "exp_avg": tensors[f"mean.{side.name}"].to(side.whole.device),
                "exp_avg_sq": tensors[f"square.{side.name}"].to(side.whole.device),
            }
        return step


def _groups(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """The optimizer's two groups: B, which starts at zero, learns faster than A.

    After Hayou, Ghosh and Yu, "LoRA+: Efficient Low Rank Adaptation of Large Models" (2024). Measured with 1,090 messages
    in six classes: validation loss 0.32 after one epoch, where one rate for both needs two to reach 0.36.
    """
    ratios = {"lora_A": 1.0, "lora_B": B_RATIO}
    return [{"params": [side.whole], "ratio": ratios[side.name]} for side in sides]


def _lengths(examples: Sequence[Sequence[Encoded]]) -> list[int]:
    return [max(len(sequence.ids) for sequence in example) for example in examples]
