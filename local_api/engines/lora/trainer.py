"""Fine-tunes the base model with LoRA in a way that can be stopped at any moment and goes on from where it was.

It reads the examples, and hands tokens to `run`, which trains; so what is wrong with a file is said before PyTorch is loaded.

    for report in engine.trainer().train(spec): ...
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from local_api.engines.lora.adapters import PEFT_WEIGHTS
from local_api.engines.lora.base_models import CONTEXT_LENGTH, ModelFiles
from local_api.engines.lora.examples import Encoded, encode_all
from local_api.engines.lora.onednn import keep_prepared_products
from local_api.engines.lora.openmp import yielding_threads
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import EngineError, Report, TrainingSpec


@dataclass(frozen=True, slots=True)
class Settings:
    """What is not the job's owner's to choose. A run from an adapter takes depth, rank and alpha from that."""

    depth: int | None = 12  # layers from the top that get LoRA; None: all of them
    rank: int = 16
    alpha: float = 16.0
    save_every: float = 15.0  # seconds between states kept within an epoch: what a crash costs at most
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Tokens:
    """A run in tokens: a list of sequences for each example (of a preference two)."""

    training: list[list[Encoded]]
    validation: list[list[Encoded]]
    classes: list[list[Encoded]]


class LoraTrainer:
    """`Trainer` of the protocols."""

    def __init__(
        self,
        files: Callable[[str], ModelFiles],
        tokenizer: Callable[[str], LoraTokenizer],
        settings: Settings | None = None,
    ) -> None:
        self._files, self._tokenizer = files, tokenizer
        self._settings = settings or Settings()

    def train(self, spec: TrainingSpec) -> Iterator[Report]:
        """Called again with the same work_dir after a crash, it tells all earlier reports again, and then goes on."""
        files = self._files(spec.base_model)
        tokens = self._read(spec)
        _load_pytorch()
        from local_api.engines.lora.run import Run

        run = Run(spec, tokens, files, self._settings)
        yield from run.reports(fingerprint(spec, tokens, self._settings))

    def _read(self, spec: TrainingSpec) -> Tokens:
        if not spec.examples:
            raise EngineError("there are no examples to train on")
        tokenizer, weight = self._tokenizer(spec.base_model), spec.hyperparameters.prompt_loss_weight
        training, validation, classes = (
            encode_all(examples, tokenizer, limit=CONTEXT_LENGTH, prompt_loss_weight=weight)
            for examples in (spec.examples, spec.validation, spec.classes)
        )
        sequences = 2 if spec.method == "dpo" else 1
        for example, encoded in zip([*spec.examples, *spec.validation], [*training, *validation], strict=True):
            if len(encoded) != sequences:
                raise EngineError(f"line {example.line}: {type(example).__name__} does not go with the method {spec.method!r}")
        return Tokens(training, validation, classes)


def fingerprint(spec: TrainingSpec, tokens: Tokens, settings: Settings) -> str:
    """Equal for two runs only where everything that decides their numbers is."""
    digest = hashlib.sha256()
    shape = [settings.depth, settings.rank, settings.alpha]
    choices = [spec.base_model, asdict(spec.hyperparameters), spec.seed, spec.method, shape]
    digest.update(json.dumps(choices).encode())
    if spec.start_from is not None:
        digest.update((spec.start_from / PEFT_WEIGHTS).read_bytes())
    for examples in (tokens.training, tokens.validation):
        digest.update(json.dumps(_numbers(examples)).encode())
    return digest.hexdigest()


def _numbers(examples: Sequence[Sequence[Encoded]]) -> list[list[tuple[list[int], list[float]]]]:
    return [[(sequence.ids, sequence.weights) for sequence in example] for example in examples]


def _load_pytorch() -> None:
    keep_prepared_products()
    try:
        with yielding_threads():
            import torch  # noqa: F401 (only whether it is there)
        import transformers  # noqa: F401
    except ImportError as error:
        raise EngineError(f"training needs PyTorch and transformers: install the extra [local] ({error})") from error
