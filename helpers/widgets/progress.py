"""How far a job is, from what its events have told.

Knows events and the loss curve. Knows nothing of requests and of the screen.

    progress = Progress()
    progress.add(event)
    progress.line()        # "step 14/40, loss 0.14, about 0:26 left"
"""

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent


@dataclass
class Progress:
    """What the events have told so far."""

    messages: list[str] = field(default_factory=list)
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)  # by step: train_loss and the other metrics
    step: int = 0
    total: int = 0
    started: float | None = None  # Unix time of the first step
    latest: float | None = None
    method: str = "supervised"  # of the job: what its loss and accuracy are about

    def know(self, job: "FineTuningJob") -> None:
        """Take in what the job itself tells."""
        self.method = job.method.type if job.method else self.method

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

    def line(self, *, going: bool = True) -> str:
        """The latest step in a line; where it is not `going` on, without the time that is left."""
        data = self.steps.get(self.step, {})
        parts = [f"step {self.step}/{self.total}" if self.total else f"step {self.step}"]
        for name, key in (("loss", "train_loss"), ("accuracy", "train_mean_token_accuracy"),
                          ("validation loss", "valid_loss")):
            if data.get(key) is not None:
                parts.append(f"{name} {data[key]:.2f}")
        if going and (self.seconds_left or 0) >= 1:
            parts.append(f"about {clock(self.seconds_left)} left")
        return ", ".join(parts)

    def table(self) -> pd.DataFrame:
        """The steps as `plots.training_curve` takes them."""
        table = pd.DataFrame([self.steps[step] for step in sorted(self.steps)])
        table.attrs["method"] = self.method
        return table

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


def show_curve(progress: Progress) -> None:
    """Leave the loss curve in the notebook, with its sentence for those who cannot see it."""
    if len(progress.steps) > 1:
        from IPython.display import display

        display({"image/png": progress.curve(), "text/plain": progress.summary()}, raw=True)


def clock(seconds: float) -> str:
    """Minutes and seconds, such as 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
