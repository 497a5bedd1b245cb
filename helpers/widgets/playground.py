"""A playground: a prompt, the base model and one's fine-tuned models, the dials of sampling, answers as they are written.

Knows requests, widgets and threads. What a request is stands in `questions.py`, how an answer looks in `answers.py`.

    playground(client)                                  # the last line of a cell
    playground(client, style=PromptFormat())            # prompts are given their separator, answers end at the stop sequence

Where nobody looks through a page, it is text: the models, and the same request in code.
"""

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import openai

from helpers.client import base_model
from helpers.errors import CookbookError
from helpers.formatting import PromptFormat
from helpers.widgets.answers import Answer
from helpers.widgets.questions import Question
from helpers.widgets.said import in_words
from helpers.widgets.where import has_front_end

REDRAW = 0.08  # seconds: the page is not sent a drawing for each token
EXAMPLE = "Write a prompt here."


def playground(client: openai.OpenAI, *, style: PromptFormat | None = None, prompt: str = "") -> "Playground":
    """A prompt with dials for all models that one can ask. `style` is how the prompts of the training file were written."""
    return Playground(client, style, prompt)


class Playground:
    """Shows itself where it is the last line of a cell."""

    def __init__(self, client: openai.OpenAI, style: PromptFormat | None, prompt: str) -> None:
        self.client, self.style, self.prompt = client, style, prompt
        self.base, self.fine_tuned = "", list[str]()  # names of models, the newest first
        self.note = ""
        self.answers: list[Answer] = []
        self.asking: threading.Thread | None = None
        self._stop = threading.Event()
        self._view: Any = None
        self._displays: list[Any] = []
        self.refresh()

    @property
    def models(self) -> list[str]:
        """All that can be asked, one's own models first."""
        return [*self.fine_tuned, *filter(None, [self.base])]

    def refresh(self) -> None:
        """Read the list of models anew; where that fails, `note` says why."""
        try:
            self.base = base_model(self.client)
            listed = sorted(self.client.models.list(), key=lambda model: -model.created)
            self.fine_tuned = [model.id for model in listed if model.id.startswith("ft:") or ":ft-" in model.id]
            self.note = ""
        except (openai.APIError, CookbookError) as error:
            self.note = in_words(error)

    def ask(self, questions: Sequence[Question]) -> None:
        """Ask several models at the same time, in the background. The answers grow in `answers`."""
        self._stop = threading.Event()
        self.answers = [Answer(question.model) for question in questions]
        self.asking = threading.Thread(target=self._ask, args=(questions, self._stop), name="playground", daemon=True)
        self.asking.start()

    def stop(self) -> None:
        """End the answers that are being written."""
        self._stop.set()

    def close(self) -> None:
        """Take the widget away, and leave in the notebook what was asked last, as text."""
        self.stop()
        view, self._view = self._view, None
        if view is not None:
            for handle in self._displays:
                handle.update({"text/plain": self._left()}, raw=True)
            view.close()

    def example(self) -> Question:
        """What to ask first: the newest model, with the prompt given."""
        stop = (self.style.stop_sequence,) if self.style and self.style.stop_sequence else ()
        prompt = self.style.prompt(self.prompt or EXAMPLE) if self.style else self.prompt or EXAMPLE
        return Question(model=(self.models or ["..."])[0], prompt=prompt, stop=stop)

    def __repr__(self) -> str:
        known = self.note or f"Models to ask: {', '.join(self.models)}."
        return f"{known}\nThe playground needs a page of JupyterLab. In code:\n\n{self.example().code()}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if not has_front_end():
            print(self)
            return
        from helpers.widgets.playground_view import PlaygroundView  # only here: text needs no widgets

        self._view = self._view or PlaygroundView(self)
        bundle = {**self._view.box._repr_mimebundle_(), "text/plain": repr(self)}
        self._displays.append(display(bundle, raw=True, display_id=True))

    def _ask(self, questions: Sequence[Question], stop: threading.Event) -> None:
        with ThreadPoolExecutor(len(questions)) as pool:
            for number, question in enumerate(questions):
                pool.submit(self._answer, number, question, self.answers[number], stop)
        if self._view is not None:
            self._view.rest()

    def _answer(self, number: int, question: Question, answer: Answer, stop: threading.Event) -> None:
        drawn = -math.inf  # the first piece is shown at once
        try:
            with closing(question.stream(self.client)) as pieces:
                for piece in pieces:
                    answer.take(piece)
                    if stop.is_set():
                        answer.finish = "stopped"
                        break
                    if time.monotonic() - drawn > REDRAW:
                        self._draw(number, answer)
                        drawn = time.monotonic()
            answer.finish = answer.finish or "stop"
        except Exception as error:  # nobody reads what a thread raises
            answer.error = in_words(error)
        self._draw(number, answer)

    def _draw(self, number: int, answer: Answer) -> None:
        if (view := self._view) is not None:
            view.draw(number, answer)

    def _left(self) -> str:
        return "\n".join(answer.plain() for answer in self.answers) or "Nothing was asked."
