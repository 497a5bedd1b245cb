"""Several jobs side by side: what is asked, what is shown, what stays."""

import httpx2
import pytest

from helpers import job_monitor
from helpers.plots import BLUE
from helpers.widgets import board
from helpers.widgets.cards import INK, Card


def step(number, total=40):
    return {"id": f"ftevent-step-{number}", "object": "fine_tuning.job.event", "created_at": 100 + number, "level": "info",
            "message": "x", "type": "metrics", "data": {"step": number, "total_steps": total, "train_loss": 2 / number}}


class Api:
    """Fine-tuning jobs by their ids. `down` breaks the connection, `refusal` is what cancelling answers."""

    def __init__(self, *jobs):
        self.jobs, self.down, self.refusal, self.paths = {job.facts["id"]: job for job in jobs}, False, None, []

    def __call__(self, request):
        self.paths.append(request.url.path)
        if self.down:
            raise httpx2.ConnectError("down")
        named = [part for part in request.url.path.split("/") if part.startswith("ftjob-")]
        if not named:
            newest_first = [job.job(job.script[0][0]) for job in reversed(self.jobs.values())]
            return httpx2.Response(200, json={"object": "list", "data": newest_first, "has_more": False})
        if named[0] not in self.jobs:
            return httpx2.Response(404, json={"error": {"message": "No such job", "type": "x", "param": None, "code": None}})
        job = self.jobs[named[0]]
        if request.url.path.endswith("/cancel"):
            if self.refusal:
                return httpx2.Response(400, json={"error": {"message": self.refusal, "type": "x", "param": None, "code": None}})
            job.script = [*job.script[:job.looks + 1], ("cancelled", [])]
        return job(request)


@pytest.fixture
def jobs(scripted_job, whole_job):
    """One that goes through all it has to, and one that waits behind it."""
    return (scripted_job(whole_job, id="ftjob-1", user_provided_suffix="first"),
            scripted_job([("queued", [])], id="ftjob-2", user_provided_suffix="<b>second</b>", queue_position=1))


@pytest.fixture
def api(jobs):
    return Api(*jobs)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(board, "POLL", 0.01)
    monkeypatch.setattr(board, "LONGEST_POLL", 0.02)


@pytest.fixture
def watch(client_of, api, page, quick):
    """A function that shows jobs on a page; whatever it started ends with the test."""
    shown = []

    def show(*job_ids):
        shown.append(job_monitor(client_of(api), *job_ids))
        shown[-1]._ipython_display_()
        return shown[-1]

    yield show
    for monitor in shown:
        monitor.close()
        if monitor.watching:
            monitor.watching.join(10)
            assert not monitor.watching.is_alive()


def test_without_a_page_it_is_text_and_no_thread(client_of, api, capsys):
    monitor = job_monitor(client_of(api), "ftjob-1", "ftjob-2")
    monitor.look()
    monitor._ipython_display_()
    first, second, advice, _ = capsys.readouterr().out.split("\n")
    assert first == "ftjob-1 (first): running, step 40/40, loss 0.05, accuracy 0.98"
    assert second == "ftjob-2 (<b>second</b>): queued, 1 job before it in the queue"
    assert "follow(client, job_id)" in advice and monitor.watching is None


@pytest.mark.parametrize(("statuses", "shown"), [
    (["succeeded", "running", "queued"], ["ftjob-2", "ftjob-3"]),
    (["succeeded", "failed"], ["ftjob-2"]),
])
def test_without_ids_it_shows_what_has_not_ended_or_else_the_latest(client_of, scripted_job, statuses, shown):
    api = Api(*(scripted_job([(status, [])], id=f"ftjob-{number}") for number, status in enumerate(statuses, start=1)))
    assert [card.job.id for card in job_monitor(client_of(api)).cards] == shown


def test_where_there_is_no_job_it_says_so(client_of):
    with pytest.raises(ValueError, match="no fine-tuning job to show"):
        job_monitor(client_of(Api()))


def test_an_unknown_job_is_refused_at_once(client_of, api):
    with pytest.raises(Exception, match="No such job"):
        job_monitor(client_of(api), "ftjob-9")


def test_a_job_that_has_ended_is_not_asked_again(client_of, api, jobs):
    monitor = job_monitor(client_of(api), "ftjob-1")
    for _ in range(5):
        monitor.look()
    assert monitor.ended and monitor.cards[0].progress.step == 40
    api.paths.clear()
    assert "succeeded, 40 steps in 1:00, model ft:base:o::1" in repr(monitor) and api.paths == []


def test_the_page_sees_the_job_to_its_end_and_keeps_html_without_widgets(watch, page):
    monitor = watch("ftjob-1", "ftjob-1")
    monitor.watching.join(20)
    assert not monitor.watching.is_alive() and monitor.closed.is_set()
    (_, shown), (_, left) = page
    assert "application/vnd.jupyter.widget-view+json" in shown and shown["text/plain"].startswith("ftjob-1 (first): ")
    assert set(left) == {"text/html", "text/plain"} and left["text/html"].count('class="ftc-card ') == 1
    assert "<svg" in left["text/html"] and "The job has successfully completed" in left["text/html"]
    assert left["text/plain"] == "ftjob-1 (first): succeeded, 40 steps in 1:00, model ft:base:o::1"
    monitor._ipython_display_()
    kind, again = page[-1]
    assert (kind, set(again)) == ("display", set(left)), "shown again, it needs no thread"


def test_the_button_cancels_its_own_job_and_the_names_of_jobs_are_no_html(watch, api):
    monitor = watch("ftjob-1", "ftjob-2")
    _, top, _, _, button = monitor._view.rows[1]
    assert "&lt;b&gt;second" in top.value and "1 job before it" in top.value
    button.click()
    assert [path for path in api.paths if path.endswith("cancel")] == ["/v1/fine_tuning/jobs/ftjob-2/cancel"]
    monitor.watching.join(20)
    assert [card.job.status for card in monitor.cards] == ["succeeded", "cancelled"]


def test_a_cancellation_that_is_refused_is_a_sentence(watch, api):
    monitor = watch("ftjob-2")
    api.refusal = "The job has ended"
    monitor._view.rows[0][-1].click()
    monitor.look()
    assert monitor.note == "The job has ended."
    monitor._view.show()
    assert "The job has ended." in monitor._view.note.value


def test_a_connection_that_breaks_is_told_and_comes_back(client_of, api):
    monitor = job_monitor(client_of(api), "ftjob-1")
    api.down = True
    assert not monitor.look()
    assert "The API at api.example.com does not answer" in monitor.note and monitor.note in repr(monitor)
    api.down = False
    assert monitor.look() and monitor.note == ""


def test_closing_ends_the_thread_and_the_widgets_and_leaves_the_jobs(watch, api, page):
    monitor = watch("ftjob-2")
    box = monitor._view.box
    monitor.close()
    monitor.watching.join(10)
    assert not monitor.watching.is_alive() and box.comm is None
    assert page[-1][0] == "update" and "queued" in page[-1][1]["text/plain"]
    assert not any(path.endswith("cancel") for path in api.paths)
    monitor.close()  # a second time is no mistake
    assert [kind for kind, _ in page].count("update") == 1


@pytest.fixture
def card(client_of, api):
    return job_monitor(client_of(api), "ftjob-1").cards[0]


def test_the_curve_takes_the_colours_of_the_page_and_goes_on(card):
    from openai.types.fine_tuning import FineTuningJobEvent
    assert "<svg" not in card.curve()
    drawn = []
    for upto in (3, 9):
        card.take(card.job, [FineTuningJobEvent.model_validate(step(number)) for number in range(1, upto)])
        drawn.append(card.curve())
    for curve in drawn:
        assert "<svg" in curve and "var(--jp-ui-font-color2" in curve and "var(--jp-brand-color1" in curve
        assert INK not in curve and BLUE.lower() not in curve
    assert drawn[0] != drawn[1] and "Training loss 2.00 at first, 0.25 at last (8 steps)." in drawn[1]


def test_the_curve_is_drawn_about_forty_times_at_most(card):
    from openai.types.fine_tuning import FineTuningJobEvent
    drawings = 0
    for number in range(1, 401):
        card.take(card.job, [FineTuningJobEvent.model_validate(step(number, 400))])
        if card.is_curve_due():
            drawings, card.drawn = drawings + 1, number
    assert 30 <= drawings <= 40


@pytest.mark.parametrize(("status", "facts", "said"), [
    ("queued", {"queue_position": 0}, "queued, next in the queue"),
    ("queued", {}, "queued"),
    ("failed", {"error": {"code": "x", "message": "Line 3 is no JSON", "param": None}}, "failed, Line 3 is no JSON"),
    ("validating_files", {}, "validating files"),
])
def test_the_line_of_a_job_says_what_is_known(scripted_job, status, facts, said):
    from openai.types.fine_tuning import FineTuningJob
    job = FineTuningJob.model_validate(scripted_job([]).job(status) | facts)
    assert Card(job).line() == f"ftjob-1: {said}"
