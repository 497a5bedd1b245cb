"""A table as the checks see it: what they share is worked out once, and kept while it holds.

The checks compare rows by what they will be when all suggestions are taken (control characters gone, markers and the space
around a text aside): a row that a fix will make equal to another one counts as equal before. So no fix brings up a
finding of another kind. Knows nothing of findings.

    look = Look(table, Options())
    look.task                              # "classification"
    look.first                             # for each row, whether no row before it is the same
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np

from helpers.preparation.characters import CONTROL, SHOUTING, census, clean, is_loud
from helpers.preparation.endings import Style, style_of
from helpers.preparation.keys import LABEL_LENGTH, first_of, hashes, plain_label, utf8_size
from helpers.preparation.rules import without_extras
from helpers.preparation.table import Pairs, Row, Table
from helpers.tokens import count_many, count_row, count_tokens, first_token

TASKS = {"classification": "classification", "generation": "conditional generation", "open-ended": "open-ended generation",
         "chat": "conversation", "preference": "preference between two answers"}
CLASS_SHARE = 3  # classes are at most a third of the rows
MIXER = 0x9E3779B97F4A7C15 - 2**64  # odd, so that no two questions mix to the same; overflow is meant
ROOM = 8  # tokens that separator and stop sequence take, and some
MANY = 1000  # classes whose first tokens we still look at


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
        self._rows, self._of_rows = table.lines, dict[str, np.ndarray]()
        self.task = self._guess()
        self._of_rows.clear()  # of classification tasks, answers are compared as labels
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
        self._of_rows.clear()
        self.table.of_content.clear()

    def leave(self, kind: str) -> None:
        """The fix of a finding is not wanted: from now on, rows are compared as they are without it."""
        self.meant.add(kind)
        if kind.startswith(("capitals-", "prompt-beginning", "completion-beginning")):
            self._style = None
            self._of_rows.clear()
            self.table.of_content.clear()

    @cached_property
    def characters(self) -> list[dict[str, int]]:
        """How often each character occurs in the texts as they were read, for each field of the rows."""
        if self.pairs is not None:
            return [census(self.style.bodies(self.table.questions(), "prompt")),
                    census(self.style.bodies(self.table.answers(), "completion"))]
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
        if self.pairs is None or not any(is_loud(counts, SHOUTING / 10) for counts in self.characters):
            return []
        # By the rows that will be left, each once, so that dropping the others changes nothing; it takes a second look.
        keys = [hashes(map(str.lower, self._bodies(field))) for field in self.table.fields]
        mask = first_of(keys[0] * np.int64(MIXER) + keys[1], self.sound & (keys[1] != 0)).tolist()
        return [field for field in self.table.fields if is_loud(census(compress(self._bodies(field), mask)))]

    def questions(self) -> Iterator[str]:
        """What each row asks, as it will be when the suggestions are taken."""
        return self._canonical(self.table.questions(), "prompt")

    def answers(self) -> Iterator[str]:
        return self._canonical(self.table.answers(), "completion")

    def _canonical(self, texts: Iterator[str], field: str) -> Iterator[str]:
        bodies = self._written(texts, field)
        return map(str.lower, bodies) if field in self.shouting else bodies

    def _bodies(self, field: str) -> Iterator[str]:
        return self._written(self.table.questions() if field == "prompt" else self.table.answers(), field)

    def _written(self, texts: Iterator[str], field: str) -> Iterator[str]:
        texts = map(clean, texts) if self.has_controls else texts
        return map(str.strip, texts) if self.pairs is None else self.style.bodies(texts, field)

    @property
    def question_keys(self) -> np.ndarray:
        """A number for each row, equal where the questions are; 0 where there is none."""
        return self.content("question", lambda: hashes(self.questions()))

    @property
    def answer_keys(self) -> np.ndarray:
        """A number for each row, equal where the answers are; 0 where there is none."""
        return self.content("answer", lambda: hashes(self.answers()))

    @property
    def label_keys(self) -> np.ndarray:
        """As `answer_keys`, with answers that differ only in case, space or the full stop taken for one."""
        def make() -> np.ndarray:
            # Of answers that come often, one stands for all.
            first, which = np.unique(self.answer_keys, return_index=True, return_inverse=True)[1:]
            wanted = np.zeros(len(self.table), dtype=bool)
            wanted[first] = True
            labels = np.zeros(len(self.table), dtype=np.int64)
            labels[wanted] = hashes(map(plain_label, compress(self.answers(), wanted.tolist())))
            return labels[first[which]]

        return self.content("label", make)

    @property
    def identities(self) -> np.ndarray:
        """A number for each row, equal where nothing sets the rows apart."""
        if self.pairs is not None:
            answers = self.label_keys if self.task == "classification" else self.answer_keys
            return self.question_keys * np.int64(MIXER) + answers
        return self.content("identity", lambda: hashes(
            json.dumps(without_extras(self.table.cleaned(place, clean))[0], sort_keys=True) for place in range(len(self.table))))

    @property
    def sound(self) -> np.ndarray:
        """Whether each row has the fields that it needs, so that its texts can be looked at."""
        if self.pairs is None:
            return self.content("sound", lambda: np.array([error is None for error in self.table.errors()], dtype=bool))
        return self.content("sound", lambda: np.logical_and(*(
            np.array([value is not None for value in column], dtype=bool) for column in self.pairs.columns.values())))

    @property
    def answered(self) -> np.ndarray:
        """Whether each row has an answer to learn."""
        return self.sound & ((self.answer_keys != 0) | (self.table.kind != "completion"))

    @property
    def first(self) -> np.ndarray:
        """Whether no row before it is the same. Equal keys are equal rows: 64 bits do not collide by chance."""
        return self._while_rows_stay("first", lambda: first_of(self.identities, self.answered))

    @property
    def content_tokens(self) -> np.ndarray:
        """Tokens of each row that may be too long, with room for markers; 0 for the others, which fit for certain."""
        def make() -> np.ndarray:
            long = self._may_be_long() & self.sound
            counts = np.zeros(len(self.table), dtype=np.int64)
            if long.any():  # the tokenizer takes half a second to load
                counts[long] = self._count(long)
            return counts

        return self.content("tokens", make)

    def _may_be_long(self) -> np.ndarray:
        if self.pairs is None:
            # A conversation has tokens around its messages, and tools and answers that the question does not show.
            return np.ones(len(self.table), dtype=bool)
        # A token is at least one byte, and a character at most four.
        room = self.options.max_tokens - ROOM
        long = 4 * (np.fromiter(map(len, self.questions()), np.int64) + np.fromiter(map(len, self.answers()), np.int64)) > room
        if long.any():
            texts = (compress(some, long.tolist()) for some in (self.questions(), self.answers()))
            long[long] = sum(np.fromiter(map(utf8_size, some), np.int64) for some in texts) > room
        return long

    def _count(self, wanted: np.ndarray) -> np.ndarray:
        model = self.options.model
        if self.pairs is not None:
            texts = (list(compress(some, wanted.tolist())) for some in (self.questions(), self.answers()))
            return sum(count_many(some, model) for some in texts) + ROOM
        return np.array([tokens_of(row, model) for row in compress(self.table.rows(), wanted)], dtype=np.int64)

    @property
    def overlong(self) -> np.ndarray:
        """Whether each row has more tokens than the model takes."""
        return self.content_tokens > self.options.max_tokens

    @property
    def kept(self) -> np.ndarray:
        """The rows that are left when those without an answer, too long or said twice are dropped: statistics go by them."""
        return self._while_rows_stay("kept", lambda: self.answered & self.first & ~self.overlong)

    @property
    def labels(self) -> dict[str, int]:
        """The classes of a classification task with their examples, the largest first."""
        places = np.flatnonzero(self.kept)
        first, counts = np.unique(self.label_keys[places], return_index=True, return_counts=True)[1:]
        named = {self.answer(places[place]): int(count) for place, count in zip(first, counts, strict=True)}
        return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))

    def question(self, place: int) -> str:
        """The question of one row, as in `questions`."""
        return next(self._canonical(iter([self.table.question(int(place))]), "prompt"))

    def answer(self, place: int) -> str:
        """The answer of one row, as in `answers`."""
        return next(self._canonical(iter([self.table.answer(int(place))]), "completion"))

    @property
    def one_token(self) -> bool:
        """Whether the first token tells the classes apart: then an answer is one token long, and needs no stop sequence."""
        if self.task != "classification":
            return False
        labels = self.labels
        return len(labels) <= MANY and len({first_token(f" {label}", self.options.model) for label in labels}) == len(labels)

    def _while_rows_stay(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """An array that holds until a row goes, or rows are compared in another way."""
        if self._rows is not self.table.lines:
            self._rows, self._of_rows = self.table.lines, {}
        if name not in self._of_rows:
            self._of_rows[name] = make()
        return self._of_rows[name]

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
        if self._varied(kept):
            return "generation"
        places = np.unique(self.label_keys[kept], return_index=True)[1]
        longest = max((len(self.answer(place)) for place in np.flatnonzero(kept)[places]), default=0)
        return "classification" if longest <= LABEL_LENGTH else "generation"

    def _varied(self, kept: np.ndarray) -> bool:
        """Whether there are too many different answers for classes. Mostly the first third of the rows tells."""
        different, most = set(), int(kept.sum())
        for text in compress(self.answers(), first_of(self.answer_keys, kept).tolist()):
            different.add(hash(plain_label(text)))
            if len(different) * CLASS_SHARE > most:
                return True
        return False

    def _turns(self, kept: np.ndarray) -> float:
        """How many turns of the user a conversation has, on the average."""
        turns = [sum(message["role"] == "user" for message in row["messages"]) for row in compress(self.table.rows(), kept)]
        return sum(turns) / len(turns) if turns else 0


def tokens_of(row: Row, model: str) -> int:
    """Tokens of a row of messages; of one whose tools have a form unknown to the published rule, those of its JSON."""
    try:
        return count_row(row, model)
    except (KeyError, TypeError, AttributeError):
        return count_tokens(json.dumps(row, ensure_ascii=False), model)
