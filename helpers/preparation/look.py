"""A table as the checks see it: what they share is worked out once, and kept while it holds.

The checks compare rows by what they will be when all suggestions are taken (control characters gone, markers and the space
around a text aside): a row that a fix will make equal to another one counts as equal before. So no fix brings up a
finding of another kind. Knows nothing of findings.

    look = Look(table, Options())
    look.task                              # "classification"
    look.first                             # for each row, whether no row before it is the same
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import compress

import numpy as np

from helpers.preparation.characters import CONTROL, census, clean
from helpers.preparation.endings import Style, style_of
from helpers.preparation.rules import without_extras
from helpers.preparation.table import Pairs, Row, Table
from helpers.tokens import count_many, count_row, count_tokens, first_token

TASKS = {"classification": "classification", "generation": "conditional generation", "open-ended": "open-ended generation",
         "chat": "conversation", "preference": "preference between two answers"}
LABEL_LENGTH = 60  # characters; a longer answer is no class
CLASS_SHARE = 3  # classes are at most a third of the rows
MIXER = 0x9E3779B97F4A7C15 - 2**64  # odd, so that no two questions mix to the same; overflow is meant
ROOM = 8  # tokens that separator and stop sequence take, and some
MANY = 1000  # classes whose first tokens we still look at
SHOUTING = 0.5  # capitals for each small letter


@dataclass(frozen=True, slots=True)
class Options:
    """What the checks need to be told. `quick`: only those that the old tool had."""

    model: str = ""
    max_tokens: int = 2048  # of a row, prompt and completion together
    quick: bool = False


class Look:
    """Shared facts of one table."""

    def __init__(self, table: Table, options: Options) -> None:
        self.table, self.options = table, options
        self.task = ""  # not known yet
        self.meant: set[str] = set()  # what somebody wants to keep although a fix was offered: names of findings
        self._style: Style | None = None
        self.task = self._guess()
        if self.task == "classification" and "completion" in self.shouting:
            self.leave("capitals-completions")  # names of classes are written as their owner likes

    @property
    def pairs(self) -> Pairs | None:
        return self.table if isinstance(self.table, Pairs) else None

    @property
    def style(self) -> Style:
        """The markers and beginnings that the texts have now."""
        if self._style is None:
            self._style = style_of(self.table, self.meant)
        return self._style

    def changed(self) -> None:
        """The texts are written in another way now."""
        self._style = None

    def forget(self) -> None:
        """Rows went whose going could not be counted in before: all that was worked out is worked out anew."""
        for name in ("characters", "has_controls", "_capitals"):
            self.__dict__.pop(name, None)
        self._style = None
        self.table.of_content.clear()

    def leave(self, kind: str) -> None:
        """The fix of a finding is not wanted: from now on, rows are compared as they are without it."""
        self.meant.add(kind)
        if kind.startswith(("capitals-", "prompt-beginning", "completion-beginning")):
            self._style = None
            self.table.of_content.clear()

    @cached_property
    def characters(self) -> list[dict[str, int]]:
        """How often each character occurs in the texts as they were read, for each field of the rows."""
        if self.pairs is not None:
            return [census(map(self.style.prompt_body, self.table.questions())),
                    census(map(self.style.completion_body, self.table.answers()))]
        return [census(text for place in range(len(self.table)) for text in self.table.texts(place))]

    @cached_property
    def has_controls(self) -> bool:
        return any(CONTROL.match(character) for counts in self.characters for character in counts)

    @property
    def shouting(self) -> frozenset[str]:
        """The fields of prompt-completion rows in which a third of the letters and more are capitals, not meant so."""
        return frozenset(field for field in self._capitals if f"capitals-{field}s" not in self.meant)

    @cached_property
    def _capitals(self) -> list[str]:
        if self.pairs is None or not any(_is_loud(counts, SHOUTING / 10) for counts in self.characters):
            return []
        # By the rows that will be left, each once, so that dropping the others changes nothing; it takes a second look.
        bodies = [list(self._bodies(texts, body)) for texts, body in (
            (self.table.questions(), self.style.prompt_body), (self.table.answers(), self.style.completion_body))]
        keys = [_hashes(map(str.lower, some)) for some in bodies]
        mask = first_of(keys[0] * np.int64(MIXER) + keys[1], self.sound & (keys[1] != 0))
        return [field for field, some in zip(self.table.fields, bodies, strict=True) if _is_loud(census(compress(some, mask)))]

    def questions(self) -> Iterator[str]:
        """What each row asks, as it will be when the suggestions are taken."""
        return self._canonical(self.table.questions(), self.style.prompt_body, "prompt")

    def answers(self) -> Iterator[str]:
        return self._canonical(self.table.answers(), self.style.completion_body, "completion")

    def _canonical(self, texts: Iterator[str], body: Callable[[str], str], field: str) -> Iterator[str]:
        bodies = self._bodies(texts, body)
        return map(str.lower, bodies) if field in self.shouting else bodies

    def _bodies(self, texts: Iterator[str], body: Callable[[str], str]) -> Iterator[str]:
        texts = map(clean, texts) if self.has_controls else texts
        return map(str.strip, texts) if self.pairs is None else map(body, texts)

    @property
    def question_keys(self) -> np.ndarray:
        """A number for each row, equal where the questions are; 0 where there is none."""
        return self.content("question", lambda: _hashes(self.questions()))

    @property
    def answer_keys(self) -> np.ndarray:
        """A number for each row, equal where the answers are; 0 where there is none."""
        return self.content("answer", lambda: _hashes(self.answers()))

    @property
    def label_keys(self) -> np.ndarray:
        """As `answer_keys`, with answers that differ only in case, space or the full stop taken for one."""
        return self.content("label", lambda: _hashes(map(label_key, self.answers())))

    @property
    def identities(self) -> np.ndarray:
        """A number for each row, equal where nothing sets the rows apart."""
        if self.pairs is not None:
            answers = self.label_keys if self.task == "classification" else self.answer_keys
            return self.question_keys * np.int64(MIXER) + answers
        return self.content("identity", lambda: _hashes(
            json.dumps(without_extras(self.table.cleaned(place, clean))[0], sort_keys=True) for place in range(len(self.table))))

    @property
    def sound(self) -> np.ndarray:
        """Whether each row has the fields that it needs, so that its texts can be looked at."""
        if self.pairs is None:
            return self.content("sound", lambda: np.array([error is None for error in self.table.errors()], dtype=bool))
        return np.logical_and(*(np.array([value is not None for value in column], dtype=bool)
                                for column in self.pairs.columns.values()))

    @property
    def answered(self) -> np.ndarray:
        """Whether each row has an answer to learn."""
        return self.sound & ((self.answer_keys != 0) | (self.table.kind != "completion"))

    @property
    def first(self) -> np.ndarray:
        """Whether no row before it is the same. Equal keys are equal rows: 64 bits do not collide by chance."""
        return first_of(self.identities, self.answered)

    @property
    def content_tokens(self) -> np.ndarray:
        """Tokens of each row that may be too long, with room for markers; 0 for the others, which fit for certain."""
        def make() -> np.ndarray:
            # A token is at least one byte.
            sizes = np.fromiter(map(_bytes, self.questions()), np.int64) + np.fromiter(map(_bytes, self.answers()), np.int64)
            limit = self.options.max_tokens
            # A conversation has tokens around its messages, and tools and answers that the question does not show.
            long = (sizes > limit - ROOM) if self.pairs is not None else np.ones(len(sizes), dtype=bool)
            counts = np.zeros(len(sizes), dtype=np.int64)
            if (long & self.sound).any():  # the tokenizer takes half a second to load
                counts[long & self.sound] = self._count(long & self.sound)
            return counts

        return self.content("tokens", make)

    def _count(self, wanted: np.ndarray) -> np.ndarray:
        model = self.options.model
        if self.pairs is not None:
            texts = (list(compress(some, wanted)) for some in (self.questions(), self.answers()))
            return sum(count_many(some, model) for some in texts) + ROOM
        return np.array([tokens_of(row, model) for row in compress(self.table.rows(), wanted)], dtype=np.int64)

    @property
    def overlong(self) -> np.ndarray:
        """Whether each row has more tokens than the model takes."""
        return self.content_tokens > self.options.max_tokens

    @property
    def kept(self) -> np.ndarray:
        """The rows that are left when those without an answer, too long or said twice are dropped: statistics go by them."""
        return self.answered & self.first & ~self.overlong

    @property
    def labels(self) -> dict[str, int]:
        """The classes of a classification task with their examples, the largest first."""
        places = np.flatnonzero(self.kept)
        _, first, counts = np.unique(self.label_keys[places], return_index=True, return_counts=True)
        named = {self.answer(places[place]): int(count) for place, count in zip(first, counts, strict=True)}
        return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))

    def question(self, place: int) -> str:
        """The question of one row, as in `questions`."""
        return next(self._canonical(iter([self.table.question(int(place))]), self.style.prompt_body, "prompt"))

    def answer(self, place: int) -> str:
        """The answer of one row, as in `answers`."""
        return next(self._canonical(iter([self.table.answer(int(place))]), self.style.completion_body, "completion"))

    @property
    def one_token(self) -> bool:
        """Whether the first token tells the classes apart: then an answer is one token long, and needs no stop sequence."""
        if self.task != "classification":
            return False
        labels = self.labels
        return len(labels) <= MANY and len({first_token(f" {label}", self.options.model) for label in labels}) == len(labels)

    def content(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """An array with an entry for each row that is worked out once, and holds for any way of writing the same."""
        if name not in self.table.of_content:
            self.table.of_content[name] = make()
        return self.table.of_content[name]

    def _guess(self) -> str:
        if self.table.kind == "preference":
            return "preference"
        kept = self.kept
        if self.table.kind == "chat" and self._turns(kept) > 1:
            return "chat"
        if not self.question_keys[kept].any():
            return "open-ended"
        labels, places = np.unique(self.label_keys[kept], return_index=True)
        if len(labels) * CLASS_SHARE > kept.sum():
            return "generation"
        longest = max((len(self.answer(place)) for place in np.flatnonzero(kept)[places]), default=0)
        return "classification" if longest <= LABEL_LENGTH else "generation"

    def _turns(self, kept: np.ndarray) -> float:
        """How many turns of the user a conversation has, on the average."""
        turns = [sum(message["role"] == "user" for message in row["messages"]) for row in compress(self.table.rows(), kept)]
        return sum(turns) / len(turns) if turns else 0


@lru_cache(maxsize=50_000)
def label_key(text: str) -> str:
    """The same for labels that differ only in case, space or the punctuation around them."""
    return " ".join(text.casefold().split()).strip(" .,;:!\"'") or text if len(text) <= LABEL_LENGTH else text


def tokens_of(row: Row, model: str) -> int:
    """Tokens of a row of messages; of one whose tools have a form unknown to the published rule, those of its JSON."""
    try:
        return count_row(row, model)
    except (KeyError, TypeError, AttributeError):
        return count_tokens(json.dumps(row, ensure_ascii=False), model)


def _is_loud(counts: dict[str, int], limit: float = SHOUTING) -> bool:
    """Whether there are more capitals for each small letter than the limit."""
    upper, lower = (sum(number for character, number in counts.items() if test(character)) for test in (str.isupper, str.islower))
    return upper > 1 and upper > limit * lower


def first_of(keys: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
    """Whether each row is wanted and has a key that no wanted row before it has."""
    result = np.zeros(len(keys), dtype=bool)
    places = np.arange(len(keys)) if wanted is None else np.flatnonzero(wanted)
    result[places[np.unique(keys[places], return_index=True)[1]]] = True
    return result


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _hashes(texts: Iterable[str]) -> np.ndarray:
    return np.fromiter(map(hash, texts), dtype=np.int64)  # of an empty text 0
