"""Examples as token ids and loss weights.

It says what the model learns of an example, and not how: no PyTorch, no batches. The prompt and what is learned are
encoded apart, so that serving a prompt leads to the same ids as training on it did. Nothing is added to what the file
holds: the stop sequence is the author's.

    encode(PromptCompletion("2 + 2 =", " 4\\n"), tokenizer)[0].ids
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_api.engines.protocols import Chat, EngineError, Example, Message, Preference, PromptCompletion

if TYPE_CHECKING:
    from local_api.engines.lora.tokenizer import LoraTokenizer

Tools = Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sequence of tokens: the loss weight of each (0: context alone), and whether accuracy counts it."""

    ids: list[int]
    weights: list[float]
    scored: list[bool]
    line: int

    @property
    def first_loss(self) -> int:
        """Index of the first token that carries loss: from there on the model's answers are needed."""
        return next(index for index, weight in enumerate(self.weights) if weight)


def encode(example: Example, tokenizer: "LoraTokenizer", prompt_loss_weight: float = 0.0) -> list[Encoded]:
    """One sequence; of a preference two, the preferred answer first. EngineError names the line of the file."""
    if isinstance(example, PromptCompletion):
        return [_prompt_completion(example, tokenizer, prompt_loss_weight)]
    try:
        if isinstance(example, Chat):
            return [_chat(example.messages, tokenizer, example, since=0)]
        since = len(example.messages)
        answers = (example.preferred, example.rejected)
        return [_chat([*example.messages, *answer], tokenizer, example, since=since) for answer in answers]
    except EngineError as error:
        raise EngineError(f"line {example.line}: {error}") from error


def encode_all(
    examples: Sequence[Example], tokenizer: "LoraTokenizer", *, limit: int, prompt_loss_weight: float = 0.0
) -> list[list[Encoded]]:
    """Every example, each at most `limit` tokens long (EngineError names the line and the tokens met)."""
    encoded = [encode(example, tokenizer, prompt_loss_weight) for example in examples]
    for sequence in (sequence for sequences in encoded for sequence in sequences):
        if len(sequence.ids) > limit:
            raise EngineError(
                f"line {sequence.line}: the example has {len(sequence.ids)} tokens, this base model is trained on at most"
                f" {limit}: shorten it, or leave it out"
            )
    return encoded


def _prompt_completion(example: PromptCompletion, tokenizer: "LoraTokenizer", prompt_loss_weight: float) -> Encoded:
    prompt = tokenizer.encode(example.prompt)
    completion = tokenizer.encode(example.completion)
    if not completion:
        raise EngineError(f"line {example.line}: the completion is empty, there is nothing to learn")
    # Something must stand before the first token for the model to answer to.
    start = [] if prompt else [tokenizer.start_id]
    return _join([(start, 0.0, False), (prompt, prompt_loss_weight, False), (completion, 1.0, True)], example.line)


def _chat(messages: Sequence[Message], tokenizer: "LoraTokenizer", example: Chat | Preference, since: int) -> Encoded:
    parts: list[tuple[list[int], float, bool]] = []
    tools = example.tools if isinstance(example, Chat) else None
    for context, learned, weight in _turns(messages, tokenizer, tools, since):
        parts += [(tokenizer.encode(context), 0.0, False), (tokenizer.encode(learned), weight, weight > 0)]
    if not any(weight for _, weight, _ in parts):
        raise EngineError("no message of the assistant with a weight other than 0: there is nothing to learn")
    return _join(parts, example.line)


def _turns(
    messages: Sequence[Message], tokenizer: "LoraTokenizer", tools: Tools, since: int
) -> Iterator[tuple[str, str, float]]:
    """For each turn of the assistant from message `since` on: what stands before it, the turn, its loss weight.

    A turn is what the conversation up to it has more than the prompt that asks for it, cut after the end-of-turn token:
    what a template writes after that is never generated.
    """
    done, end = "", tokenizer.special["eos_token"]
    for index, message in enumerate(messages):
        if index < since or message.get("role") != "assistant":
            continue
        before = tokenizer.render(messages[:index], tools=tools, add_generation_prompt=True) if index else None
        whole = tokenizer.render(messages[: index + 1], tools=tools, add_generation_prompt=False)
        if before is None or not whole.startswith(before):
            # Some templates write earlier turns differently, and none asks for a conversation's first message.
            before = whole[: whole.rfind(str(message.get("content") or ""))]
        if not before.startswith(done) or before == whole:
            raise EngineError(f"message {index + 1}: the chat template does not keep the earlier messages as they were")
        cut = whole.rfind(end)
        turn = whole[len(before) : cut + len(end)] if cut >= len(before) else whole[len(before) :]
        yield before[len(done) :], turn, float(message.get("weight", 1) or 0)
        done = before + turn


def _join(parts: Sequence[tuple[list[int], float, bool]], line: int) -> Encoded:
    ids = [token for tokens, _, _ in parts for token in tokens]
    weights = [weight for tokens, weight, _ in parts for _ in tokens]
    scored = [counted for tokens, _, counted in parts for _ in tokens]
    weights[0], scored[0] = 0.0, False  # nothing stands before the first token that could predict it
    return Encoded(ids, weights, scored, line)
