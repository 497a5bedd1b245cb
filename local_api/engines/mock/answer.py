"""From tokens to pieces of text: whole UTF-8 characters, stop sequences cut out, tokens given out with their text.

Text that may yet turn out to be the beginning of a stop sequence is held back. Knows no probabilities or models.

    answer = Answer(stop=["END"])
    answer.add(b" yes E"); answer.take()  # (" yes ", ()): the E is held back
"""

from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Sequence

from local_api.engines.protocols import TokenLogprob


class Answer:
    """The text of one answer as it grows. `stopped` turns true when a stop sequence was met; nothing after it counts."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stop = [sequence for sequence in stop if sequence]
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._ready = ""
        self._held = ""
        self._decoded = self._given = 0  # characters
        self._tokens: deque[tuple[int, TokenLogprob]] = deque()  # with the character at which each begins

    def add(self, data: bytes, token: TokenLogprob | None = None) -> None:
        if token is not None:
            self._tokens.append((self._decoded, token))
        self._put(self._decoder.decode(data))

    def finish(self) -> None:
        """No more tokens: give out what was held back, a broken character as a replacement character."""
        if not self.stopped:
            self._put(self._decoder.decode(b"", final=True))
        if not self.stopped:
            self._ready, self._held = self._ready + self._held, ""

    def take(self) -> tuple[str, tuple[TokenLogprob, ...]]:
        """The text that became certain since the last call, with the tokens that begin in it."""
        text, self._ready = self._ready, ""
        self._given += len(text)
        tokens = []
        while self._tokens and self._tokens[0][0] < self._given:
            tokens.append(self._tokens.popleft()[1])
        return text, tuple(tokens)

    def _put(self, text: str) -> None:
        self._decoded += len(text)
        self._held += text
        places = [place for place in (self._held.find(sequence) for sequence in self._stop) if place >= 0]
        if places:
            self._ready += self._held[:min(places)]
            self._held, self.stopped = "", True
            return
        keep = max((_overlap(self._held, sequence) for sequence in self._stop), default=0)
        certain = len(self._held) - keep
        self._ready, self._held = self._ready + self._held[:certain], self._held[certain:]


def _overlap(text: str, sequence: str) -> int:
    """How many characters at the end of `text` begin `sequence`, without being all of it."""
    return next((n for n in range(min(len(text), len(sequence) - 1), 0, -1) if sequence.startswith(text[-n:])), 0)
