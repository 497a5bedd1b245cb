"""Fine-tuning jobs: upload the rows, follow the training.

Knows the API's jobs and events. Knows nothing of the screen (`widgets/`) and of result files (`result_files.py`).
Creating a job stays the caller's own request:

    file = upload(client, rows)
    job = client.fine_tuning.jobs.create(model=base_model(client), training_file=file.id)
    job = follow(client, job.id)
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import openai
import pandas as pd
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from helpers.errors import FormatError, JobFailed
from helpers.jsonl import jsonl_lines
from helpers.widgets import monitor

Reconnect = Callable[[int], openai.OpenAI | None]

FINISHED = ("succeeded", "failed", "cancelled")


def upload(client: openai.OpenAI, rows: Iterable[Mapping[str, Any]] | pd.DataFrame | Path | str, *,
           name: str | None = None) -> FileObject:
    """Upload training rows, or the JSONL file at a path, and wait until the API has processed them.

    Raises FormatError where a row cannot be written or the API refuses the file after taking it.
    """
    if isinstance(rows, str | Path):
        path = Path(rows)
        name, content = name or path.name, path.read_bytes()
    else:
        name, content = name or "training.jsonl", "".join(jsonl_lines(rows)).encode()
    file = client.files.create(file=(name, content), purpose="fine-tune")
    if file.status == "uploaded":
        file = client.files.wait_for_processing(file.id, poll_interval=0.2)
    if file.status == "error":
        raise FormatError(f"{name} was refused: {file.status_details or 'no reason given'}")
    return file


def follow(client: openai.OpenAI, job_id: str, *, poll: float = 0.5, reconnect: Reconnect | None = None) -> FineTuningJob:
    """Show a job until it ends, and return it. `poll` is in seconds.

    In JupyterLab a progress bar with the loss curve, elsewhere a dozen lines of text. Raises JobFailed. Interrupting it
    leaves the job running; calling it again shows the job from its beginning. When the connection breaks off, `reconnect` is
    called with the number of failures in a row: with the client that it gives we go on where we were, without losing or
    repeating an event; if it gives None, or is not there, the error is raised.
    """
    screen = monitor(job_id)
    try:
        for job, fresh in _watch(client, job_id, poll, reconnect):
            screen.update(job, fresh)
    except (KeyboardInterrupt, openai.APIConnectionError) as error:
        screen.close()
        error.add_note(f"The job goes on without us: follow(client, {job_id!r}) shows it again, "
                       f"cancel(client, {job_id!r}) stops it. If the client cannot connect, client = connect() first.")
        raise
    except BaseException:
        screen.close()
        raise
    screen.close()
    return _unless_failed(job)


def wait(client: openai.OpenAI, job_id: str, *, poll: float = 0.5) -> FineTuningJob:
    """Wait in silence until a job ends, and return it. Raises JobFailed."""
    while (job := client.fine_tuning.jobs.retrieve(job_id)).status not in FINISHED:
        time.sleep(poll)
    return _unless_failed(job)


def cancel(client: openai.OpenAI, job_id: str) -> FineTuningJob:
    """Stop a job. What it had trained is not kept as a model, apart from its checkpoints."""
    return client.fine_tuning.jobs.cancel(job_id)


def events(client: openai.OpenAI, job_id: str) -> list[FineTuningJobEvent]:
    """All that a job has told so far, oldest first."""
    return new_events(client, job_id, set())


def _watch(client: openai.OpenAI, job_id: str, poll: float, reconnect: Reconnect | None,
           ) -> Iterator[tuple[FineTuningJob, list[FineTuningJobEvent]]]:
    seen: set[str] = set()
    failures = 0
    while True:
        try:
            # The job before its events: when it is seen to have ended, its last events are there to be read.
            job = client.fine_tuning.jobs.retrieve(job_id)
            fresh = new_events(client, job_id, seen)
        except (openai.APIConnectionError, openai.InternalServerError):
            failures += 1
            again = reconnect(failures) if reconnect else None
            if again is None:
                raise
            client = again
            continue
        failures = 0
        seen.update(event.id for event in fresh)
        yield job, fresh
        if job.status in FINISHED:
            return
        time.sleep(poll)


def new_events(client: openai.OpenAI, job_id: str, seen: set[str]) -> list[FineTuningJobEvent]:
    """Events not in `seen`, oldest first. Pages run from the newest back, to the first one with a known event."""
    fresh: dict[str, FineTuningJobEvent] = {}
    page = client.fine_tuning.jobs.list_events(job_id, limit=100)
    while True:
        fresh |= {event.id: event for event in page.data if event.id not in seen}
        if any(event.id in seen for event in page.data) or not page.has_next_page():
            return list(reversed(fresh.values()))
        page = page.get_next_page()


def _unless_failed(job: FineTuningJob) -> FineTuningJob:
    if job.status == "failed":
        error = job.error
        raise JobFailed(job.id, error.code if error else None, error.message if error else "no reason given",
                        error.param if error else None)
    return job
