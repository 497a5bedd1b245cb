"""What an engine is: the types that the server, the worker and the engines share.

An engine trains (`Trainer`, in a child process), answers (`Generator`, in the server) and embeds (`Embedder`). This
module knows no HTTP, no database and no PyTorch; `engines/lora` and `engines/mock` implement it, and another
engine (a GPU box, a cluster, vLLM) is one more module beside them.

    engine = load_engine("mock", cache_dir)
    for report in engine.trainer().train(spec): ...
    async for piece in engine.generator().generate(request): ...
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Message = dict[str, Any]  # a chat message as on the wire: role, content, and where it applies weight, tool_calls, name
FinishReason = Literal["stop", "length"]


class EngineError(RuntimeError):
    """The engine cannot do what was asked; the message says why and what to do. Never a programming error."""


class AdapterError(EngineError, ValueError):
    """An adapter on disk is missing, corrupt, or was trained for another base model."""


class Stopped(EngineError):
    """Generation was abandoned because the generator was closed while a request was running."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model that an engine can start from."""

    id: str  # the name on the wire, e.g. "smollm2-135m-instruct"
    description: str  # one honest line for people
    context_length: int  # tokens, prompt and completion together
    max_training_tokens: int  # tokens of one training example


@dataclass(frozen=True, slots=True)
class PromptCompletion:
    """A row {"prompt", "completion"}. The loss is on the completion (and on the prompt by `prompt_loss_weight`)."""

    prompt: str
    completion: str
    line: int = 0  # line of the training file, from 1


@dataclass(frozen=True, slots=True)
class Chat:
    """A row {"messages": [...]}. The loss is on assistant messages whose `weight` is not 0."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Preference:
    """A preference row: `preferred` and `rejected` are the messages that answer `messages` (method "dpo")."""

    messages: Sequence[Message]
    preferred: Sequence[Message]
    rejected: Sequence[Message]
    line: int = 0


Example = PromptCompletion | Chat | Preference


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Resolved values: nothing is "auto" any more. Learning rate = 0.01 x learning_rate_multiplier."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    prompt_loss_weight: float = 0.0
    beta: float = 0.1  # method "dpo" alone


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """One training run. Same spec, same machine: same numbers.

    `work_dir` belongs to the engine for this run. It keeps what it needs there to go on after a crash: `train` called again
    with the same `work_dir` resumes from the last state it kept, and may report a step or a checkpoint again that it
    reported before the crash (with the same values); the caller drops repeats by step.
    """

    base_model: str
    examples: Sequence[Example]
    validation: Sequence[Example]
    hyperparameters: Hyperparameters
    seed: int
    work_dir: Path
    method: Literal["supervised", "dpo"] = "supervised"
    start_from: Path | None = None  # the adapter of a fine-tuned model to continue from
    # An example of each class, whose (last) answer stands for the class: asks for `class_probabilities`. Method "supervised".
    classes: Sequence[Example] = ()


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step, computed from the model's own predictions. Accuracies are shares in [0, 1], losses nats per token.

    `accuracy` counts tokens of the completion predicted right, `sequence_accuracy` examples whose completion tokens are all
    right. `valid_*` come from one batch of the validation file, on some steps; `full_valid_*` from all of it, at the end of
    an epoch.
    """

    step: int  # from 1
    total_steps: int
    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    train_sequence_accuracy: float
    elapsed_tokens: int  # tokens trained on so far (prompt and completion), counting each epoch
    elapsed_examples: int
    learning_rate: float
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    valid_sequence_accuracy: float | None = None
    full_valid_loss: float | None = None
    full_valid_accuracy: float | None = None
    full_valid_sequence_accuracy: float | None = None
    # At the end of an epoch, where the spec has classes: the validation examples classified (numbered from 0), and for each the
    # probabilities of the classes, in the order of the spec, given that the answer is one of them.
    classified: list[int] | None = None
    class_probabilities: list[list[float]] | None = None


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """An adapter on disk at the end of an epoch, ready to be served; `adapter` is a folder inside `work_dir`."""

    epoch: int
    step: int
    adapter: Path
    metrics: StepReport  # the last step of the epoch


Report = StepReport | CheckpointReport


class Trainer(Protocol):
    """Fine-tunes. Runs in a process of its own, which may be killed at any moment."""

    def train(self, spec: TrainingSpec) -> Iterator[Report]:
        """Yield a report for each step, and a checkpoint after the last step of each epoch. The last checkpoint is the result.

        Raises EngineError with a message for the job's owner when it cannot train.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token and the alternatives at its place, best first. Logprobs are natural logarithms."""

    id: int
    token: str
    bytes: bytes
    logprob: float
    top: tuple[tuple[str, bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completion of one prompt. `n` and `best_of` are the server's business: it asks several times."""

    prompt: Sequence[int]  # token ids of the base model's tokenizer
    base_model: str
    adapter: Path | None = None  # None: the base model itself
    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: Sequence[str] = ()
    seed: int | None = None
    top_logprobs: int | None = None  # None: no logprobs; 0: those of the chosen tokens alone
    json_schema: Mapping[str, Any] | None = None  # constrain the answer to this JSON schema ({} = any JSON object)
    stream: bool = False  # pieces as they come; otherwise one piece is enough


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer. The last one, and only that, has a finish reason. Stop sequences never appear in `text`."""

    text: str
    tokens: tuple[TokenLogprob, ...] = ()  # empty unless logprobs were asked for
    n_tokens: int = 0  # tokens generated since the piece before, the stop sequence's and the end token included
    finish_reason: FinishReason | None = None


class Tokenizer(Protocol):
    """The base model's own tokenizer: the same ids in training and in serving."""

    def encode(self, text: str) -> list[int]:
        """Token ids of text; no special tokens are added; special tokens written out in `text` are encoded as such."""
        ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def render(self, messages: Sequence[Message], *, tools: Sequence[Mapping[str, Any]] | None = None,
               add_generation_prompt: bool = True) -> str:
        """The text that the model sees for a conversation (its chat template)."""
        ...

    def n_training_tokens(self, example: Example) -> int:
        """Tokens that one epoch over this example costs (of a preference, both answers with their prompt)."""
        ...


class Generator(Protocol):
    """Answers requests, many at once, each with its own adapter."""

    def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """Yield the answer. Closing the iterator frees the slot. Raises AdapterError for an adapter that cannot be served."""
        ...

    async def score(self, request: GenerationRequest) -> list[TokenLogprob]:
        """How likely the model finds the prompt itself: its tokens, each with its log-probability given those before it;
        that of the first is NaN. Of the request it looks at prompt, models and `top_logprobs` alone."""
        ...

    async def warm(self, adapter: Path | None = None) -> None:
        """Load what the next request needs, so that it does not wait."""
        ...

    def forget(self, adapter: Path) -> None:
        """The adapter's model was deleted: unload it."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class AtOnce(Protocol):
    """What a generator may have besides: answers that need no waiting."""

    def at_once(self, request: GenerationRequest) -> Piece | None:
        """The whole answer, the same as `generate` yields, if it is there in less time than it takes to wait for it.

        To the same request always the same: it may be remembered.
        """
        ...


class Embedder(Protocol):
    """Turns texts into vectors of unit length."""

    id: str  # the model's name on the wire
    dimensions: int
    max_tokens: int

    async def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """Vectors [len(texts), dimensions] and the number of tokens read. Longer texts than max_tokens raise EngineError."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids (input given as token arrays is in the numbering of this model's own tokenizer)."""
        ...


class Engine(Protocol):
    """What `load_engine` returns. Making one is cheap: models are loaded when first needed."""

    name: str
    version: str

    def base_models(self) -> Sequence[BaseModel]:
        """The default first."""
        ...

    def tokenizer(self, base_model: str) -> Tokenizer: ...

    def trainer(self) -> Trainer: ...

    def generator(self) -> Generator: ...

    def embedder(self) -> Embedder: ...
