"""What is seen while `follow` waits for a job: a widget in JupyterLab, a dozen lines of text elsewhere.

Knows the screen and what a job's events say. Knows nothing of clients and requests (`jobs.py`). What stays in the notebook at
the end is text and a picture, never the widget: a page made of the notebook has no kernel to bring a widget to life.

    screen = monitor(job_id)
    screen.update(job, fresh_events)
    screen.close()
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from helpers.widgets.progress import Progress, clock, show_curve
from helpers.widgets.where import has_front_end, has_kernel

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


class JobText:
    """Messages as they come, and four of the steps. In a notebook, the loss curve at the end."""

    def __init__(self, *, in_notebook: bool) -> None:
        self.progress, self.in_notebook, self.started = Progress(), in_notebook, None
        self.printed, self.status = 0, ""

    def update(self, job: "FineTuningJob", fresh: Sequence["FineTuningJobEvent"]) -> None:
        self.progress.know(job)
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
        self.progress.know(job)
        for event in fresh:
            self.progress.add(event)
        progress = self.progress
        self.bar.max, self.bar.value = max(progress.total, 1), progress.step
        self.bar.bar_style = {"succeeded": "success", "failed": "danger", "cancelled": "warning"}.get(job.status, "")
        latest = progress.line() if progress.step else (progress.messages[-1:] or [""])[0]
        self.status.value = f"&nbsp;<b>{job.status}</b>&ensp;{latest}"
        self.lines = [f"{job.id}: {job.status}", *([progress.line(going=False)] if progress.step else [])]
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
