"""The playground in JupyterLab: pickers, dials, buttons, and a panel for each answer.

Knows the screen and a playground. Asks nothing itself.

    PlaygroundView(playground).box
"""

import html
from typing import TYPE_CHECKING, Any

import ipywidgets

from helpers.errors import FormatError
from helpers.widgets.answers import STYLE, Answer
from helpers.widgets.questions import Question
from helpers.widgets.said import in_words

if TYPE_CHECKING:
    from helpers.widgets.playground import Playground

NOTHING = "(nothing)"
PROBABILITIES = 5  # of the likeliest tokens in each place: the most that the hosted completions give
WIDE = {"description_width": "110px"}
INDENTED = {"margin": "2px 0 2px 118px"}  # below the fields, whose names stand on the left


class PlaygroundView:
    """The box and what is in it."""

    def __init__(self, playground: "Playground") -> None:
        self.playground = playground
        example = playground.example()
        self._make_pickers(example)
        self._make_dials(example)
        self.ask = _button("Ask", self._ask, icon="play", button_style="primary")
        self.stop = _button("Stop", playground.stop, icon="stop", disabled=True)
        self.note, self.code = ipywidgets.HTML(), ipywidgets.HTML()
        self.panels = [ipywidgets.HTML(), ipywidgets.HTML()]
        self.answers = ipywidgets.Box()
        self.answers.add_class("ftp-answers")
        wrapped = {"flex_flow": "row wrap", "overflow": "visible"}
        self.box = ipywidgets.VBox([
            ipywidgets.HTML(STYLE, layout={"display": "none"}),
            ipywidgets.HBox([self.model, self.beside, self.refresh], layout=wrapped),
            self.kind, self.system, self.prompt, ipywidgets.HTML(self._hint(), layout=INDENTED),
            ipywidgets.HBox([ipywidgets.VBox(column, layout={"margin": "0 16px 0 0", "overflow": "visible"})
                             for column in self.dials], layout=wrapped),
            ipywidgets.HBox([self.ask, self.stop, self.likely], layout={**wrapped, **INDENTED}), self.note, self.answers,
            self.code])
        self._say(playground.note)
        self._switch_kind()

    def draw(self, number: int, answer: Answer) -> None:
        """Show an answer as far as it has come. Called from the thread that reads it."""
        self.panels[number].value = answer.html()

    def rest(self) -> None:
        """All answers have ended."""
        self.ask.disabled, self.stop.disabled = False, True

    def close(self) -> None:
        for widget in _tree(self.box):
            widget.close()

    def questions(self) -> list[Question]:
        """What the dials say: one question, or the same to two models. Raises FormatError naming what cannot be asked."""
        text, style = self.prompt.value, self.playground.style
        if not self.model.value:
            raise FormatError("there is no model to ask: press Refresh once the API answers", field="model")
        if not text.strip():
            raise FormatError("the prompt is empty: write one", field="prompt")
        chat = self.kind.value == "chat"
        first = Question(
            model=self.model.value, prompt=style.prompt(text) if style and not chat else text, chat=chat,
            system=self.system.value.strip() if chat else "", temperature=self.temperature.value, top_p=self.top_p.value,
            max_tokens=self.max_tokens.value, stop=_stops(self.stops.value), frequency_penalty=self.frequency.value,
            presence_penalty=self.presence.value, seed=_seed(self.seed.value),
            probabilities=PROBABILITIES if self.likely.value else 0)
        fields = {name: getattr(first, name) for name in Question.__dataclass_fields__}
        models = [first.model] + [self.beside.value] * (self.beside.value not in (NOTHING, first.model))
        return [Question(**{**fields, "model": model}) for model in models]

    def _make_pickers(self, example: Question) -> None:
        layout = {"width": "420px", "max_width": "100%"}
        # With their options from the start: a page that was told of an empty picker goes on showing nothing as chosen.
        models, base = self.playground.models, self.playground.base
        self.model = ipywidgets.Dropdown(options=models, description="Model", layout=layout, style=WIDE)
        self.beside = ipywidgets.Dropdown(options=[NOTHING, *models], value=base if len(models) > 1 and base else NOTHING,
                                          description="Beside it", layout=layout, style=WIDE)
        self.refresh = _button("Refresh", self._refresh, icon="refresh", tooltip="Read the list of models anew")
        self.kind = ipywidgets.ToggleButtons(options=[("Completion", "text"), ("Chat", "chat")],
                                             tooltips=["the prompt as it stands", "the prompt as a user's message"],
                                             style={"button_width": "110px"}, layout=INDENTED)
        self.kind.observe(lambda _: self._switch_kind(), "value")
        self.system = ipywidgets.Text(description="System", placeholder="the system message; may stay empty",
                                      layout={"width": "98%"}, style=WIDE)
        self.prompt = ipywidgets.Textarea(self.playground.prompt, description="Prompt", placeholder="Write a prompt", rows=4,
                                          layout={"width": "98%"}, style=WIDE)

    def _make_dials(self, example: Question) -> None:
        self.temperature = _slider("Temperature", example.temperature, 0, 2)
        self.top_p = _slider("Top p", example.top_p, 0, 1)
        self.max_tokens = ipywidgets.BoundedIntText(example.max_tokens, min=1, max=4096, description="Max tokens", style=WIDE,
                                                    layout={"width": "200px"})
        self.frequency = _slider("Frequency pen.", 0, -2, 2)
        self.presence = _slider("Presence pen.", 0, -2, 2)
        self.seed = ipywidgets.Text(description="Seed", placeholder="any", style=WIDE, layout={"width": "200px"})
        self.stops = ipywidgets.Textarea("\n".join(stop.replace("\n", "\\n") for stop in example.stop), description="Stop at",
                                         placeholder="one a line; \\n is a line break", rows=3, style=WIDE,
                                         layout={"width": "300px"})
        self.likely = ipywidgets.Checkbox(True, description="Probabilities of the tokens", indent=False,
                                          layout={"width": "auto", "margin": "2px 0 0 16px"})
        self.dials = ([self.temperature, self.top_p, self.max_tokens], [self.frequency, self.presence, self.seed], [self.stops])

    def _hint(self) -> str:
        style = self.playground.style
        if style is None or not style.separator:
            return ""
        return f'<small>The separator {html.escape(repr(style.separator))} is written after the prompt of a completion.</small>'

    def _list_models(self) -> None:
        for picker, options in ((self.model, self.playground.models), (self.beside, [NOTHING, *self.playground.models])):
            chosen = picker.value
            if list(picker.options) != options:
                picker.options = options
            if chosen in options:
                picker.value = chosen
        self._say(self.playground.note)

    def _switch_kind(self) -> None:
        self.system.layout.display = "" if self.kind.value == "chat" else "none"

    def _refresh(self) -> None:
        self.playground.refresh()
        self._list_models()

    def _ask(self) -> None:
        try:
            questions = self.questions()
        except FormatError as error:
            self._say(in_words(error))
            return
        self._say("")
        self.ask.disabled, self.stop.disabled = True, False
        for panel, question in zip(self.panels, questions, strict=False):
            panel.value = Answer(question.model).html()
        self.answers.children = self.panels[:len(questions)]
        self.code.value = (f'<details class="ftp-code"><summary class="ftp-small">The same in Python</summary>'
                           f"<pre>{html.escape(questions[0].code())}</pre></details>")
        self.playground.ask(questions)

    def _say(self, text: str) -> None:
        self.note.value = f'<div class="ftp-error">{html.escape(text)}</div>' if text else ""


def _slider(name: str, value: float, low: float, high: float) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(value, min=low, max=high, step=0.05, description=name, readout_format=".2f", style=WIDE,
                                  layout={"width": "300px"})


def _button(name: str, act: Any, **options: Any) -> ipywidgets.Button:
    button = ipywidgets.Button(description=name, layout={"width": "auto"}, **options)
    button.on_click(lambda _: act())
    return button


def _stops(typed: str) -> tuple[str, ...]:
    """One a line, spaces at their edges included; a line break within one is written \\n."""
    return tuple(line.replace("\\n", "\n").replace("\\t", "\t") for line in typed.split("\n") if line)


def _seed(typed: str) -> int | None:
    if not typed.strip():
        return None
    try:
        return int(typed)
    except ValueError:
        raise FormatError(f"the seed is {typed!r}: give a whole number, or none", field="seed") from None


def _tree(widget: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    """A widget and all that is in it."""
    return [widget, *(part for child in getattr(widget, "children", ()) for part in _tree(child))]
