"""A job as a card: HTML that takes the page's colours, light or dark, and the same in words.

Knows a job and its events. Knows nothing of requests, widgets and threads. The same HTML is shown while a job runs, in
widgets, and stays in the notebook when it has ended.

    card = Card(job)
    card.take(job, fresh_events)
    card.top(), card.curve(), card.told()   # HTML
    card.line()                             # "ftjob-1 (colours): running, step 14/40, loss 0.14, about 0:26 left"
"""

import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from helpers.jobs import FINISHED
from helpers.widgets.progress import Progress, clock

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

WAITING = ("validating_files", "queued")
DRAWINGS = 40  # of a curve in a job's life: each takes a tenth of a second of the machine that also trains

# The page's own colours, with those of a light page where there are none, as in a saved page.
COLOURS = {"running": "var(--jp-brand-color1, #1976d2)", "succeeded": "var(--jp-success-color1, #388e3c)",
           "failed": "var(--jp-error-color1, #d32f2f)", "cancelled": "var(--jp-warn-color1, #f57c00)",
           "paused": "var(--jp-warn-color1, #f57c00)"}
GREY = "var(--jp-ui-font-color3, #9e9e9e)"
INK = "#60616a"  # of axes and text in a curve: a colour that nothing else has, as that of the page takes its place

STYLE = """<style>
.ftc-cards { display: flex; flex-flow: row wrap; gap: 12px; align-items: stretch; padding: 4px 0 }
.ftc-card { box-sizing: border-box; width: 400px; padding: 12px 16px; border: 1px solid var(--jp-border-color2, #e0e0e0);
  border-radius: 6px; background: var(--jp-layout-color1, #fff); overflow: hidden }
.ftc-part, .ftc-part .widget-html-content { color: var(--jp-ui-font-color1, #212121); font-size: 13px; line-height: 1.5;
  margin: 0 }
.ftc-head { display: flex; justify-content: space-between; gap: 8px; font-weight: 600 }
.ftc-head span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.ftc-status { white-space: nowrap }
.ftc-status i { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 6px }
.ftc-small { color: var(--jp-ui-font-color2, #616161); font-size: 12px; overflow-wrap: anywhere }
.ftc-bar { height: 6px; border-radius: 3px; margin: 8px 0 6px; background: var(--jp-layout-color3, #e0e0e0); overflow: hidden }
.ftc-bar div { height: 100%; transition: width .4s }
.ftc-curve { min-height: 176px }
.ftc-curve svg { display: block; width: 100%; height: auto }
.ftc-told { height: 96px; overflow-y: auto; border-top: 1px solid var(--jp-border-color2, #e0e0e0); padding-top: 6px;
  margin-top: 6px }
.ftc-told div { display: flex; gap: 8px; overflow-wrap: anywhere }
.ftc-told span { flex: none; width: 40px; text-align: right; font-variant-numeric: tabular-nums }
.ftc-note { color: var(--jp-error-color1, #d32f2f) }
.ftc-note:empty { display: none }
</style>"""


@dataclass
class Card:
    """One job as it was last seen."""

    job: "FineTuningJob"
    progress: Progress = field(default_factory=Progress)
    messages: list[tuple[int, str]] = field(default_factory=list)  # Unix time, text; oldest first
    seen: set[str] = field(default_factory=set)  # ids of events
    drawn: int = 0  # the step at which the curve was drawn last

    @property
    def ended(self) -> bool:
        return self.job.status in FINISHED

    def take(self, job: "FineTuningJob", fresh: Sequence["FineTuningJobEvent"]) -> None:
        """The job as it is now, and what it has told since."""
        self.job = job
        self.progress.know(job)
        for event in fresh:
            self.seen.add(event.id)
            if not self.progress.add(event):
                self.messages.append((event.created_at, event.message))

    def is_curve_due(self) -> bool:
        """Whether enough has happened for the curve to be drawn anew."""
        progress = self.progress
        behind = progress.step - self.drawn
        return len(progress.steps) > 1 and behind > (0 if self.ended else progress.total // DRAWINGS)

    def line(self) -> str:
        """The job in words."""
        name = f"{self.job.id} ({_suffix(self.job)})" if _suffix(self.job) else self.job.id
        return f"{name}: " + ", ".join([self.job.status.replace("_", " "), *filter(None, [self._now()])])

    def top(self) -> str:
        """Name, status, bar and the latest step, as HTML."""
        job, progress = self.job, self.progress
        colour = COLOURS.get(job.status, GREY)
        share = 100 if job.status == "succeeded" else math.floor(100 * progress.step / progress.total) if progress.total else 0
        model = f"{job.model} → {job.fine_tuned_model}" if job.fine_tuned_model else f"from {job.model}"
        return (f'<div class="ftc-head"><span>{_safe(_suffix(job) or "Fine-tuning job")}</span><span class="ftc-status">'
                f'<i style="background: {colour}"></i>{_safe(job.status.replace("_", " "))}</span></div>'
                f'<div class="ftc-small">{_safe(job.id)}<br>{_safe(model)}</div>'
                '<div class="ftc-bar" role="progressbar" aria-label="share of the steps done" aria-valuemin="0" '
                f'aria-valuemax="100" aria-valuenow="{share}"><div style="width: {share}%; background: {colour}"></div></div>'
                f"<div>{_safe(self._now()) or '&nbsp;'}</div>")

    def curve(self) -> str:
        """The loss curve as SVG in the page's colours; empty while there are fewer than two steps."""
        self.drawn = self.progress.step
        if len(self.progress.steps) < 2:
            return '<div class="ftc-curve"></div>'
        return f'<div class="ftc-curve" role="img" aria-label="{_safe(self.progress.summary())}">{_svg(self.progress)}</div>'

    def told(self) -> str:
        """The messages, the newest first, each with the minutes and seconds since the first one."""
        start = self.messages[0][0] if self.messages else 0
        rows = "".join(f"<div><span>{clock(at - start)}</span>{_safe(text)}</div>" for at, text in reversed(self.messages))
        return f'<div class="ftc-told ftc-small" tabindex="0" aria-label="events">{rows}</div>'

    def _now(self) -> str:
        job, progress = self.job, self.progress
        if job.status in WAITING:
            return _place(getattr(job, "queue_position", None))
        if job.status == "failed":
            return job.error.message if job.error else "no reason given"
        if not job.fine_tuned_model:
            return progress.line(going=job.status == "running") if progress.step else ""
        took = f" in {clock(job.finished_at - job.created_at)}" if job.finished_at else ""
        return f"{progress.step} steps{took}, model {job.fine_tuned_model}"


def page(cards: Sequence[Card]) -> str:
    """All cards as one piece of HTML, for the notebook that is left."""
    shown = "".join(f'<div class="ftc-card ftc-part">{card.top()}{card.curve()}{card.told()}</div>' for card in cards)
    return f'{STYLE}<div class="ftc-cards">{shown}</div>'


def _place(ahead: int | None) -> str:
    """Where in the queue; hosted providers do not say."""
    if ahead is None:
        return ""
    return "next in the queue" if ahead == 0 else f"{ahead} {'job' if ahead == 1 else 'jobs'} before it in the queue"


def _svg(progress: Progress) -> str:
    """Drawn without pyplot, which belongs to the notebook's own cells: this runs beside them."""
    from matplotlib.figure import Figure  # only here: half a second that text views need not take
    from matplotlib.text import Text

    from helpers.plots import BLUE, training_curve

    figure = Figure(figsize=(4.6, 2.2), layout="constrained")
    ax = training_curve(progress.table(), ax=figure.add_subplot())
    ax.tick_params(labelsize=8, color=INK, labelcolor=INK)
    for text in figure.findobj(Text):
        text.set(color=INK, fontsize=8)
    for spine in ax.spines.values():
        spine.set_color(INK)
    if legend := ax.get_legend():
        legend.get_frame().set_alpha(0)
    picture = io.StringIO()
    figure.savefig(picture, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawing = picture.getvalue()
    for ours, theirs in ((INK, "var(--jp-ui-font-color2, #616161)"), (BLUE.lower(), COLOURS["running"])):
        drawing = drawing.replace(ours, theirs)
    return drawing[drawing.index("<svg"):]


def _suffix(job: "FineTuningJob") -> str:
    """The suffix: that of the model, or the one that the local API tells before there is a model."""
    return getattr(job, "user_provided_suffix", None) or ""


def _safe(text: str) -> str:
    return html.escape(text)
