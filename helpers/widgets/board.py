"""Fine-tuning jobs side by side, while the kernel stays free: status, place in the queue, loss curve, events, a button to cancel.

Knows requests, widgets and the thread that keeps them up to date. How a job looks is in `cards.py`. All that is shown comes from
the API: after a restart of the kernel the same call shows the same jobs again.

    job_monitor(client, first.id, second.id)     # the last line of a cell
    job_monitor(client)                          # all jobs that have not ended; else the latest

`follow` waits for one job, this does not wait. Where nobody looks through a page it is text: how the jobs are just now.
"""

import html
import threading
from typing import Any

import openai

from helpers.jobs import FINISHED, cancel, new_events
from helpers.widgets.cards import STYLE, Card, page
from helpers.widgets.said import in_words
from helpers.widgets.where import has_front_end

POLL, LONGEST_POLL = 1.0, 15.0  # seconds between looks; the longer one where the API does not answer


def job_monitor(client: openai.OpenAI, *job_ids: str) -> "JobMonitor":
    """The jobs side by side; without ids, those that have not ended, or else the latest one.

    Raises what the client raises for an id that is not there, and ValueError where there is no job at all.
    """
    if not job_ids:
        newest_first = client.fine_tuning.jobs.list(limit=100).data
        unfinished = [job.id for job in reversed(newest_first) if job.status not in FINISHED]
        job_ids = tuple(unfinished or [job.id for job in newest_first[:1]])
    if not job_ids:
        raise ValueError("there is no fine-tuning job to show: create one first, client.fine_tuning.jobs.create(...)")
    return JobMonitor(client, job_ids)


class JobMonitor:
    """Shows itself where it is the last line of a cell. From then on a thread looks at the jobs until all have ended, `close`
    is called, or the kernel ends."""

    def __init__(self, client: openai.OpenAI, job_ids: tuple[str, ...]) -> None:
        self.client = client
        self.unanswered = self.refused = ""  # sentences: of the last look, of the last try to cancel
        self.cards = [Card(client.fine_tuning.jobs.retrieve(job_id)) for job_id in dict.fromkeys(job_ids)]
        self.closed = threading.Event()
        self.watching: threading.Thread | None = None
        self._news = threading.Event()  # something was done here: do not wait for the next look
        self._looking = threading.Lock()  # the thread's look and one from a cell
        self._view: _View | None = None
        self._displays: list[Any] = []
        self.look()

    @property
    def ended(self) -> bool:
        """Whether all jobs have ended."""
        return all(card.ended for card in self.cards)

    @property
    def note(self) -> str:
        """What went wrong, if anything did."""
        return " ".join(filter(None, (self.refused, self.unanswered)))

    def look(self) -> bool:
        """Ask the API once how the jobs are. False, with a sentence in `note`, where it does not answer."""
        with self._looking:
            try:
                for card in self.cards:
                    if not card.ended or not card.seen:
                        # The job before its events: when it is seen to have ended, its last events are there to be read.
                        job = self.client.fine_tuning.jobs.retrieve(card.job.id)
                        card.take(job, new_events(self.client, job.id, card.seen))
            except openai.APIError as error:
                self.unanswered = in_words(error)
                return False
            self.unanswered = ""
            return True

    def cancel(self, job_id: str) -> None:
        """Stop a job; where that is not possible, `note` says why."""
        try:
            cancel(self.client, job_id)
        except openai.APIError as error:
            self.refused = in_words(error)
        else:
            self.refused = ""
        self._news.set()

    def close(self) -> None:
        """Stop looking, and leave in the notebook what is seen now. The jobs go on."""
        self.closed.set()
        self._news.set()
        view, self._view = self._view, None
        if view is not None:
            for handle in self._displays:
                handle.update(self._left(), raw=True)
            view.close()

    def __repr__(self) -> str:
        if self._view is None and not self.closed.is_set():
            self.look()
        lines = [card.line() for card in self.cards] + [self.note] * bool(self.note)
        if not self.ended:
            lines.append("That is how it is now: show this again later, or wait with follow(client, job_id).")
        return "\n".join(lines)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if not has_front_end():
            print(self)
        elif self.ended or self.closed.is_set():
            display(self._left(), raw=True)
        else:
            self._view = self._view or _View(self)
            # The text goes along, for a page that is made of the notebook and has no kernel.
            bundle = {**self._view.box._repr_mimebundle_(), "text/plain": repr(self)}
            self._displays.append(display(bundle, raw=True, display_id=True))
            if self.watching is None:
                self.watching = threading.Thread(target=self._watch, name="job-monitor", daemon=True)
                self.watching.start()

    def _left(self) -> dict[str, str]:
        return {"text/html": page(self.cards), "text/plain": "\n".join(card.line() for card in self.cards)}

    def _watch(self) -> None:
        pause = POLL
        while not self.closed.is_set():
            pause = POLL if self.look() else min(2 * pause, LONGEST_POLL)
            if (view := self._view) is not None:
                view.show()
            if self.ended:
                self.close()
            self._news.wait(pause)
            self._news.clear()


class _View:
    """The widgets: a card for each job, a line for what went wrong."""

    def __init__(self, monitor: JobMonitor) -> None:
        import ipywidgets  # only here: text needs no widgets

        self.monitor = monitor
        self.rows = [(card, *(_html(ipywidgets) for _ in range(3)), _cancel_button(ipywidgets, monitor, card))
                     for card in monitor.cards]
        boxes = [ipywidgets.VBox([top, curve, button, told]) for _, top, curve, told, button in self.rows]
        for box in boxes:
            box.add_class("ftc-card")
        self.cards = ipywidgets.Box(boxes)
        self.cards.add_class("ftc-cards")
        self.note = _html(ipywidgets)
        self.box = ipywidgets.VBox([ipywidgets.HTML(STYLE, layout={"display": "none"}), self.cards, self.note])
        self.show()

    def show(self) -> None:
        """Draw what is new. Nothing is sent to the page where nothing has changed."""
        for card, top, curve, told, button in self.rows:
            top.value, told.value = card.top(), card.told()
            if not curve.value or card.is_curve_due():
                curve.value = card.curve()
            button.disabled = card.ended
        self.note.value = f'<div class="ftc-note">{html.escape(self.monitor.note)}</div>' if self.monitor.note else ""

    def close(self) -> None:
        for widget in (self.box, *self.box.children, *self.cards.children,
                       *(part for box in self.cards.children for part in box.children)):
            widget.close()


def _html(ipywidgets: Any) -> Any:
    part = ipywidgets.HTML(layout={"margin": "0"})
    part.add_class("ftc-part")
    return part


def _cancel_button(ipywidgets: Any, monitor: JobMonitor, card: Card) -> Any:
    button = ipywidgets.Button(description="Cancel this job", icon="stop", tooltip=f"Stop {card.job.id}",
                               layout={"width": "auto", "margin": "6px 0 0", "align_self": "flex-start"})

    def pressed(_: Any) -> None:
        button.disabled = True  # until the next look says how the job is
        monitor.cancel(card.job.id)
    button.on_click(pressed)
    return button
