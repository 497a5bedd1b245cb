"""From what llama.cpp reports to the pieces of an answer: stop sequences, whole characters, log-probabilities.

llama.cpp's own stop sequences are not used: streamed, it never gives back the text that it held while a stop sequence could
still have come true. This module knows no llama.cpp, threads or requests: it is fed text and tokens in order.

    answer = Assembler(stop=("###",), token_bytes=tokenizer.token_bytes)
    answer.add(" Hello", reported=None, n_tokens=1)   # Piece(" Hello", n_tokens=1)
    answer.finish("length", n_tokens=1)
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from local_api.engines.protocols import FinishReason, Piece, TokenLogprob

# What the hosted service tells of a token that is too unlikely for a number; llama.cpp has the lowest number that there is.
UNLIKELY = -9999.0


class StopFilter:
    """Lets text through up to the first stop sequence, and holds back what may be the beginning of one."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.stopped = False
        self._stop = [sequence for sequence in stop if sequence]
        self._held = ""

    def add(self, text: str) -> str:
        """The text that is certain to be shown now."""
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for at in (text.find(sequence) for sequence in self._stop) if at >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, sequence) for sequence in self._stop), default=0)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back, when no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, sequence: str) -> int:
    """Length of the longest end of `text` that begins `sequence`, and is not all of it."""
    longest = min(len(text), len(sequence) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(sequence[:size])), 0)


class Assembler:
    """Makes pieces whose tokens are those of their text: a token waits until its text is certain to be shown."""

    def __init__(self, *, stop: Sequence[str], token_bytes: Callable[[int], bytes], top: int | None = None) -> None:
        """`top`: how many alternatives to tell, None for no log-probabilities."""
        self._filter = StopFilter(stop)
        self._token_bytes, self._top = token_bytes, top
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()  # byte position where the token begins, and the token
        self._generated = self._shown = 0  # bytes
        self._counted = 0  # tokens, in the pieces so far

    @property
    def stopped(self) -> bool:
        """A stop sequence has come: nothing more will be shown."""
        return self._filter.stopped

    def add(self, text: str, *, reported: Mapping[str, Any] | None, n_tokens: int) -> Piece:
        """`reported`: llama.cpp's entry about the token that ends `text`; `n_tokens`: generated so far in all.

        The piece's text may be empty. Of a character that takes several tokens llama.cpp tells only the last: that one
        stands for the whole character, with its own log-probability.
        """
        if self._top is not None and reported is not None:
            self._waiting.append((self._generated, told(reported, text.encode(), self._token_bytes, self._top)))
        self._generated += len(text.encode())
        return self._piece(self._filter.add(text), n_tokens)

    def finish(self, reason: FinishReason, *, n_tokens: int) -> Piece:
        """The last piece."""
        if self.stopped:
            self._waiting.clear()
            return self._piece("", n_tokens, "stop")
        piece = self._piece(self._filter.flush(), n_tokens, reason)
        rest = tuple(token for _, token in self._waiting)  # those that show nothing: the token that ends an answer
        self._waiting.clear()
        return replace(piece, tokens=piece.tokens + rest)

    def _piece(self, text: str, n_tokens: int, reason: FinishReason | None = None) -> Piece:
        self._shown += len(text.encode())
        tokens = []
        while self._waiting and self._waiting[0][0] < self._shown:
            tokens.append(self._waiting.popleft()[1])
        new, self._counted = n_tokens - self._counted, n_tokens
        return Piece(text, tuple(tokens), new, reason)


def told(entry: Mapping[str, Any], shown: bytes, token_bytes: Callable[[int], bytes], top: int) -> TokenLogprob:
    """llama.cpp's entry about a token, which adds the bytes `shown` to the text; one that adds none is told by its name."""
    others = [(token_bytes(other["id"]), max(other["logprob"], UNLIKELY)) for other in entry["top_logprobs"][:top]]
    name = (shown or token_bytes(entry["id"])).decode(errors="replace")
    return TokenLogprob(entry["id"], name, shown, max(entry["logprob"], UNLIKELY),
                        tuple((raw.decode(errors="replace"), raw, logprob) for raw, logprob in others))
