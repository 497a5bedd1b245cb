"""A support agent made of two fine-tuned models: what each of them reads, a conversation with them, and a window for it.

The agent reads a summary of what was said, the facts of the order and the latest turns, and writes the next turn. The other model
brings the summary up to date. Knows their prompts and the screen. Knows nothing of how the models are trained.

    turns = SupportFormat().table(conversations)        # a row for each agent turn: what both models read and write
    chat = SupportChat(client, agent=..., summarizer=..., facts={"Order number": "PR-1"})
    chat.say("where is it?")
    chat_window(chat)
"""

import html
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai
import pandas as pd

from helpers.errors import FormatError
from helpers.formatting import PromptFormat
from helpers.widgets import has_front_end

NAMES = {"customer": "Customer", "agent": "Agent"}
BEGINNING = "The conversation begins."  # the summary of nothing

_ASKED = ("What is the {name}?", "can you give me the {name}", "I need the {name}, please.", "hi, what does it say under {name}?",
          "Just one thing: the {name}?", "Please remind me of the {name}.", "And the {name} is?")
_TOLD = ("The {name} is: {value}.", "It says: {value}.", "Of course: {value}.", "That is {value}.", "Here it is: {value}.")

Turn = Mapping[str, Any]  # speaker, text; of an agent's turn in the data also summary: of what was said before it


@dataclass(frozen=True, slots=True)
class SupportFormat:
    """The prompts of both models. `keep` is how many of the latest turns the agent reads: the summary stands for the others."""

    keep: int = 3

    # The agent's prompt ends in "Agent:" and not in a separator, because what follows is one more line of the dialogue.
    agent = PromptFormat(separator="", stop="\n")
    summary = PromptFormat(separator="\n\nSummary:", stop="\n")

    def agent_text(self, summary: str, facts: Mapping[str, str], turns: Sequence[Turn]) -> str:
        """What the agent reads before it answers the last of `turns`."""
        information = "; ".join(f"{name}: {value}" for name, value in facts.items())
        return (f"Summary: {summary}\n\nSpecific information: {information}\n\n###\n\n"
                f"{dialogue(turns[-self.keep:])}\n{NAMES['agent']}:")

    def summary_text(self, before: str, turns: Sequence[Turn]) -> str:
        """What the summary model reads: the summary before, and the turns since."""
        return f"Before: {before}\n{dialogue(turns)}"

    def table(self, conversations: pd.DataFrame, *, id: str = "id", turns: str = "turns", facts: str = "facts") -> pd.DataFrame:
        """A row for each agent turn, from the columns named: what each model reads and writes, the facts, and what was said.

        Raises FormatError naming the conversation whose turns do not alternate, or lack a text or a summary.
        """
        rows = []
        for name, said, known in zip(conversations[id], conversations[turns], conversations[facts], strict=True):
            _check(name, said)
            before, since = BEGINNING, 0
            for place in range(1, len(said), 2):
                answer, so_far = said[place], said[:place]
                rows.append({"id": name, "turn": place // 2 + 1,
                             "agent_text": self.agent_text(answer["summary"], known, so_far), "reply": answer["text"],
                             "summary_text": self.summary_text(before, said[since:place]), "summary": answer["summary"],
                             "facts": known, "said": dialogue(so_far)})
                before, since = answer["summary"], place
        return pd.DataFrame(rows)


def dialogue(turns: Sequence[Turn]) -> str:
    """The turns, one a line. Line breaks within a turn become spaces: a new line is the sign that a turn is over."""
    return "\n".join(f"{NAMES[turn['speaker']]}: {' '.join(turn['text'].split())}" for turn in turns)


def plain_questions(style: SupportFormat, orders: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """A row for each fact of each order, asked for by its name: fact (name and value), value, and text for the agent."""
    rows = []
    for facts in orders:
        for name, value in facts.items():
            asked = {"speaker": "customer", "text": f"Could you tell me this, please: {name.lower()}?"}
            text = style.agent_text(f"Customer asks for one thing: {name.lower()}.", facts, [asked])
            rows.append({"fact": {name: value}, "value": value, "text": text})
    return pd.DataFrame(rows)


def drills(style: SupportFormat, orders: Sequence[Mapping[str, str]], number: int, *, seed: int) -> pd.DataFrame:
    """`number` rows to practise copying with: a fact of an order, asked for by its name and told (agent_text, reply).

    The facts are drawn from all of `orders` without repetition; where there are fewer, all are taken. The wording is
    never that of `plain_questions`, so those can still measure.
    """
    chance = random.Random(seed)
    facts = [(order, name) for order in orders for name in order]
    rows = []
    for order, name in chance.sample(facts, min(number, len(facts))):
        turn = {"speaker": "customer", "text": chance.choice(_ASKED).format(name=name.lower())}
        reply = chance.choice(_TOLD).format(name=name.lower(), value=order[name].rstrip("."))
        rows.append({"agent_text": style.agent_text(BEGINNING, order, [turn]), "reply": reply})
    return pd.DataFrame(rows, columns=["agent_text", "reply"])


class SupportChat:
    """A conversation that goes on: it keeps the turns and the summary.

    Without a `summarizer` the last message of the customer stands for the summary.
    """

    def __init__(self, client: openai.OpenAI, *, agent: str, facts: Mapping[str, str], summarizer: str | None = None,
                 style: SupportFormat | None = None, max_tokens: int = 80) -> None:
        self.client, self.agent, self.summarizer, self.facts = client, agent, summarizer, dict(facts)
        self.style, self.max_tokens = style or SupportFormat(), max_tokens
        self.turns: list[dict[str, str]] = []
        self.summary = BEGINNING

    def say(self, text: str) -> str:
        """The agent's reply to the customer's `text`. If a request fails, nothing was said."""
        turns = [*self.turns, {"speaker": "customer", "text": text}]
        summary = f"Customer writes: {text}"
        if self.summarizer:
            since = turns[-2:]  # the agent's last turn, which no summary has seen, and the customer's new one
            summary = self._complete(self.summarizer, self.style.summary, self.style.summary_text(self.summary, since))
        reply = self._complete(self.agent, self.style.agent, self.style.agent_text(summary, self.facts, turns))
        self.turns, self.summary = [*turns, {"speaker": "agent", "text": reply}], summary
        return reply

    def transcript(self) -> str:
        """What was said so far, one turn a line."""
        return dialogue(self.turns)

    def _complete(self, model: str, style: PromptFormat, text: str) -> str:
        answer = self.client.completions.create(model=model, prompt=style.prompt(text), stop=style.stop_sequence,
                                                max_tokens=self.max_tokens, temperature=0)
        return style.parse(answer.choices[0].text)


def chat_window(chat: SupportChat) -> None:
    """A window to type in, where somebody looks at the notebook; elsewhere what was said so far, as text."""
    if has_front_end():
        ChatWidget(chat)
    else:
        print(chat.transcript() or "Nothing was said yet.")
        print('To go on without a window: chat.say("...")')


class ChatWidget:
    """The facts, the turns, a line to type in and a button. Enter sends, too."""

    def __init__(self, chat: SupportChat) -> None:
        import ipywidgets  # only here: text views need no widgets
        from IPython.display import display

        self.chat = chat
        self.turns = ipywidgets.HTML()
        self.text = ipywidgets.Text(placeholder="Write as the customer", layout={"width": "480px"})
        self.button = ipywidgets.Button(description="Send", button_style="primary")
        self.note = ipywidgets.HTML()
        self.button.on_click(lambda _: self.send())
        self.text.on_msg(lambda _, content, __: self.send() if content.get("event") == "submit" else None)
        self.box = ipywidgets.VBox([ipywidgets.HTML(_facts_html(chat.facts)), self.turns,
                                    ipywidgets.HBox([self.text, self.button]), self.note])
        self._show()
        display(self.box)

    def send(self) -> None:
        """Say what stands in the line. An error is shown below it, and the text stays there to be sent again."""
        said = self.text.value.strip()
        if not said or self.button.disabled:
            return
        self.button.disabled, self.note.value = True, "<i>The agent is writing …</i>"
        try:
            self.chat.say(said)
        except Exception as error:  # a widget's exceptions go to a log that nobody reads
            self.note.value = f"No answer: {html.escape(str(error))}"
        else:
            self.text.value, self.note.value = "", f"<small>Summary: {html.escape(self.chat.summary)}</small>"
        finally:
            self.button.disabled = False
        self._show()

    def _show(self) -> None:
        self.turns.value = "".join(f"<p><b>{NAMES[turn['speaker']]}:</b> {html.escape(turn['text'])}</p>"
                                   for turn in self.chat.turns)


def _facts_html(facts: Mapping[str, str]) -> str:
    cells = "".join(f"<tr><td>{html.escape(name)}&emsp;</td><td>{html.escape(value)}</td></tr>"
                    for name, value in facts.items())
    return f"<table>{cells}</table>"


def _check(name: object, turns: Sequence[Turn]) -> None:
    for place, turn in enumerate(turns):
        wanted, here = ("customer", "agent")[place % 2], f"conversation {name!r}, turn {place + 1}"
        if turn.get("speaker") != wanted:
            raise FormatError(f"{here}: expected the {wanted}, met {turn.get('speaker')!r}: customer and agent speak by turns; "
                              "join two turns of one speaker into one", field="speaker")
        for field in ("text", "summary") if wanted == "agent" else ("text",):
            if not isinstance(turn.get(field), str) or not turn[field].strip():
                raise FormatError(f"{here}: there is no {field}: write one", field=field)
