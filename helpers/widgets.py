"""What a learner sees while a job trains: a widget in JupyterLab, a dozen lines of text elsewhere.

Knows the screen and what a job's events say. Knows nothing of clients and requests (`jobs.py`). What stays in the notebook at
the end is text and a picture, never the widget: a page made of the notebook has no kernel to bring a widget to life.

    screen = monitor(job_id)
    screen.update(job, fresh_events)
    screen.close()
"""

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

LINES_OF_PROGRESS = 4  # how many steps the text view shows, spread evenly; with the messages, a dozen lines


class Screen(Protocol):
    def update(self, job: "FineTuningJob", fresh: Sequence["FineTuningJobEvent"]) -> None: ...

    def close(self) -> None: ...


def monitor(job_id: str) -> Screen:
    """The view of a job that fits where we run."""
    if has_front_end():
        return JobWidget(job_id)
    return JobText(in_notebook=has_kernel())


def has_kernel() -> bool:
    """Whether this runs in a Jupyter kernel, where outputs can be pictures."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


def has_front_end() -> bool:
    """Whether somebody looks at this kernel through a Jupyter server's page, which can show widgets.

    A kernel cannot ask: widget messages to nobody look like messages to a page that is slow to answer. But a Jupyter server names
    the notebook's session in the environment of each kernel that it starts for a page, and nbclient (nbmake,
    nbconvert, `jupyter execute`) starts its kernels without one. Editors with kernels of their own get the text.
    """
    return has_kernel() and bool(os.environ.get("JPY_SESSION_NAME"))


@dataclass
class Progress:
    """What the events have told so far."""

    messages: list[str] = field(default_factory=list)
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)  # by step: train_loss and the other metrics
    step: int = 0
    total: int = 0
    started: float | None = None  # Unix time of the first step
    latest: float | None = None

    def add(self, event: "FineTuningJobEvent") -> bool:
        """Take an event in; True if it is a step's."""
        data = event.data if isinstance(event.data, dict) else {}
        if "step" not in data or event.type == "message":
            self.messages.append(event.message)
            return False
        self.steps.setdefault(data["step"], {}).update(data)
        self.step = max(self.step, data["step"])
        self.total = data.get("total_steps") or self.total
        self.started, self.latest = self.started or event.created_at, event.created_at
        return True

    @property
    def seconds_left(self) -> float | None:
        """From the pace so far; None while there is none."""
        if not self.total or self.latest is None or self.latest == self.started:
            return None
        first = min(self.steps)
        return (self.total - self.step) * (self.latest - self.started) / max(self.step - first, 1)

    def line(self) -> str:
        """The latest step in a line."""
        data = self.steps.get(self.step, {})
        parts = [f"step {self.step}/{self.total}" if self.total else f"step {self.step}"]
        for name, key in (("loss", "train_loss"), ("accuracy", "train_mean_token_accuracy"),
                          ("validation loss", "valid_loss")):
            if data.get(key) is not None:
                parts.append(f"{name} {data[key]:.2f}")
        if (self.seconds_left or 0) >= 1:
            parts.append(f"about {clock(self.seconds_left)} left")
        return ", ".join(parts)

    def table(self) -> pd.DataFrame:
        """The steps as `plots.training_curve` takes them."""
        return pd.DataFrame([self.steps[step] for step in sorted(self.steps)])

    def curve(self) -> bytes:
        """The loss curve as PNG, drawn without pyplot, so that no figure is left open or shown a second time."""
        from matplotlib.figure import Figure  # only here: half a second that text views need not take

        from helpers.plots import training_curve

        figure = Figure(figsize=(6, 2.8), layout="constrained", facecolor="white")
        training_curve(self.table(), ax=figure.add_subplot())
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=90)
        return picture.getvalue()

    def summary(self) -> str:
        """What the curve shows, in words."""
        losses = [self.steps[step]["train_loss"] for step in sorted(self.steps) if "train_loss" in self.steps[step]]
        return f"Training loss {losses[0]:.2f} at first, {losses[-1]:.2f} at last ({len(losses)} steps)." if losses else ""


class JobText:
    """Messages as they come, and four of the steps. In a notebook, the loss curve at the end."""

    def __init__(self, *, in_notebook: bool) -> None:
        self.progress, self.in_notebook, self.started = Progress(), in_notebook, None
        self.printed, self.status = 0, ""

    def update(self, job: "FineTuningJob", fresh: Sequence["FineTuningJobEvent"]) -> None:
        for event in fresh:
            self.started = self.started or event.created_at
            if self.progress.add(event):
                share = self.progress.step * LINES_OF_PROGRESS // self.progress.total if self.progress.total else 0
                if share > self.printed:
                    self.printed = share
                    self._print(event.created_at, self.progress.line())
            elif not event.message.startswith(("Validating", "Checkpoint created")):
                self._print(event.created_at, event.message)
        if job.status != self.status and job.status in ("paused", "cancelled"):
            self._print(job.finished_at or self.progress.latest or job.created_at, f"The job is {job.status}.")
        self.status = job.status

    def _print(self, at: float, text: str) -> None:
        # Time since the job began, not of the day: the same in each run, as far as the machine is.
        print(f"{clock(at - (self.started or at)):>6}  {text}", flush=True)

    def close(self) -> None:
        if self.in_notebook:
            show_curve(self.progress)


class JobWidget:
    """A bar, the latest step and the loss curve, redrawn as the job goes on; at its end, what `JobText` leaves."""

    def __init__(self, job_id: str) -> None:
        import ipywidgets
        from IPython.display import display

        self.progress = Progress()
        self.bar = ipywidgets.IntProgress(description="", layout={"width": "420px"})
        self.status = ipywidgets.HTML(f"{job_id}: waiting")
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "560px", "visibility": "hidden"})
        self.box = ipywidgets.VBox([ipywidgets.HBox([self.bar, self.status]), self.picture])
        self.handle = display(self.box, display_id=True)
        self.lines: list[str] = []
        self.drawn = 0

    def update(self, job: "FineTuningJob", fresh: Sequence["FineTuningJobEvent"]) -> None:
        for event in fresh:
            self.progress.add(event)
        progress = self.progress
        self.bar.max, self.bar.value = max(progress.total, 1), progress.step
        self.bar.bar_style = {"succeeded": "success", "failed": "danger", "cancelled": "warning"}.get(job.status, "")
        latest = progress.line() if progress.step else (progress.messages[-1:] or [""])[0]
        self.status.value = f"&nbsp;<b>{job.status}</b>&ensp;{latest}"
        self.lines = [f"{job.id}: {job.status}", *([progress.line()] if progress.step else [])]
        if job.fine_tuned_model:
            self.lines.append(f"model {job.fine_tuned_model}")
        # A drawing takes a tenth of a second of the machine that also trains: about forty of them in all.
        if progress.step - self.drawn > progress.total // 40:
            self.drawn = progress.step
            self.picture.value, self.picture.layout.visibility = progress.curve(), "visible"

    def close(self) -> None:
        # In the place of the widget: without this, a saved notebook would show "Error displaying widget".
        self.handle.update({"text/plain": "\n".join(self.lines)}, raw=True)
        for widget in (self.box, *self.box.children, self.bar, self.status):
            widget.close()
        show_curve(self.progress)


def show_curve(progress: Progress) -> None:
    """Leave the loss curve in the notebook, with its sentence for those who cannot see it."""
    if len(progress.steps) > 1:
        from IPython.display import display

        display({"image/png": progress.curve(), "text/plain": progress.summary()}, raw=True)


def clock(seconds: float) -> str:
    """Minutes and seconds, such as 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
