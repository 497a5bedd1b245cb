"""What is seen while a job trains, and what stays in the notebook."""

from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from helpers import widgets
from helpers.widgets import JobText, JobWidget, Progress, clock, monitor

PNG = b"\x89PNG"


@pytest.fixture
def looks(scripted_job, whole_job):
    """The job and its fresh events at each look."""
    job = scripted_job(whole_job)
    return [(FineTuningJob.model_validate(job.job(status)), [FineTuningJobEvent.model_validate(event) for event in told])
            for status, told in whole_job]


@pytest.fixture
def progress(looks):
    result = Progress()
    for _, fresh in looks:
        for event in fresh:
            result.add(event)
    return result


def test_progress_knows_the_step_the_losses_and_the_messages(progress):
    assert (progress.step, progress.total, len(progress.steps), len(progress.messages)) == (40, 40, 40, 7)
    assert progress.table()["train_loss"].tolist() == [2 / n for n in range(1, 41)]
    assert progress.summary() == "Training loss 2.00 at first, 0.05 at last (40 steps)."


def test_progress_knows_what_the_losses_are_about_from_the_job(looks):
    progress = Progress()
    assert progress.table().attrs["method"] == "supervised"
    progress.know(looks[0][0].model_copy(update={"method": SimpleNamespace(type="dpo")}))
    assert progress.table().attrs["method"] == "dpo"


def test_the_time_left_follows_from_the_pace(looks):
    progress = Progress()
    steps = [event for _, fresh in looks for event in fresh if event.type == "metrics"]
    progress.add(steps[0])
    assert progress.seconds_left is None
    for event in steps[1:11]:
        progress.add(event)
    assert progress.seconds_left == 29  # a step a second, 29 of 40 to go
    assert "about 0:29 left" in progress.line()


def test_a_step_told_again_changes_nothing(progress):
    event = FineTuningJobEvent(id="x", object="fine_tuning.job.event", created_at=150, level="info", message="Step 3/40",
                               type="metrics", data={"step": 3, "total_steps": 40, "train_loss": 2 / 3})
    assert progress.add(event) and len(progress.steps) == 40 and progress.step == 40


def test_the_curve_is_a_picture_and_leaves_no_figure_open(progress):
    import matplotlib.pyplot as plt
    assert progress.curve().startswith(PNG) and plt.get_fignums() == []


def test_a_job_without_steps_has_no_summary_and_no_picture(monkeypatch):
    assert Progress().summary() == "" and Progress().line() == "step 0"
    widgets.show_curve(Progress())  # nothing to display, so nothing that needs a notebook


def test_the_clock_shows_minutes_and_seconds():
    assert [clock(seconds) for seconds in (0, 5.9, 65, 3600)] == ["0:00", "0:05", "1:05", "60:00"]


def test_outside_a_notebook_the_monitor_is_text():
    assert isinstance(monitor("ftjob-1"), JobText)


def test_the_widget_shows_bar_line_and_curve_and_leaves_text_and_a_picture(looks, displayed, monkeypatch):
    screen = JobWidget("ftjob-1")
    box = displayed[0][1]
    for job, fresh in looks[:3]:
        screen.update(job, fresh)
    assert (screen.bar.value, screen.bar.max) == (14, 40)
    assert "running" in screen.status.value and "step 14/40, loss 0.14" in screen.status.value
    assert bytes(screen.picture.value).startswith(PNG) and screen.picture.layout.visibility == "visible"
    for job, fresh in looks[3:]:
        screen.update(job, fresh)
    assert screen.bar.value == 40 and screen.bar.bar_style == "success"
    screen.close()
    assert box.comm is None and screen.picture.comm is None
    (_, text), (_, picture) = displayed[1:]
    assert text == {"text/plain": "ftjob-1: succeeded\nstep 40/40, loss 0.05, accuracy 0.98\nmodel ft:base:o::1"}
    assert set(picture) == {"image/png", "text/plain"} and picture["image/png"].startswith(PNG)


def test_the_widget_draws_the_curve_about_forty_times_at_most(looks, displayed, monkeypatch):
    drawings = []
    monkeypatch.setattr(Progress, "curve", lambda self: drawings.append(self.step) or PNG)
    screen = JobWidget("ftjob-1")
    steps = [event for _, fresh in looks for event in fresh if event.type == "metrics"]
    for number in range(1, 401):
        screen.update(looks[2][0], [steps[0].model_copy(update={"data": {"step": number, "total_steps": 400, "train_loss": 1}})])
    assert len(drawings) <= 40


SET_UP = """
import os
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from helpers.widgets import has_front_end, has_kernel, monitor
def event(step):
    return FineTuningJobEvent(id=str(step), object="fine_tuning.job.event", created_at=100 + step, level="info", message="x",
                              type="metrics", data={"step": step, "total_steps": 4, "train_loss": 1 / step})
job = FineTuningJob.model_construct(id="ftjob-1", status="running", created_at=100, finished_at=None, fine_tuned_model=None)
def watch():
    screen = monitor("ftjob-1")
    print(has_kernel(), has_front_end(), type(screen).__name__)
    for step in range(1, 5):
        screen.update(job, [event(step)])
    screen.close()
"""
AS_FOR_A_PAGE = "os.environ['JPY_SESSION_NAME'] = 'notebook.ipynb'  # as a Jupyter server does\nwatch()"


def test_an_executed_notebook_keeps_text_and_a_picture_and_no_widget(tmp_path, monkeypatch):
    """nbclient's kernel knows that nobody could see a widget; where there is a page, the widget comes and goes."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cells = [nbformat.v4.new_code_cell(source) for source in (SET_UP, "watch()", AS_FOR_A_PAGE)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for cell, first in zip(notebook.cells[1:], ("True False JobText", "True True JobWidget"), strict=True):
        said = "".join(out.get("text", "") + out.get("data", {}).get("text/plain", "") for out in cell.outputs)
        assert first in said and "step 4/4, loss 0.25" in said and "Training loss 1.00 at first, 0.25 at last" in said
        kinds = {kind for out in cell.outputs for kind in out.get("data", {})}
        assert kinds == {"text/plain", "image/png"}
