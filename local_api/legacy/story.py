"""A job's events in the words of the old API, which `openai api fine_tunes.follow` prints.

Events are kept once, in the words of today's API, each under a key that says what it is about; the words of 2021 follow
from the key. Steps are not told: the old API gave them in the result file alone.

    story = Story()
    story.tell(rows, job)    # [{"object": "fine-tune-event", "created_at", "level", "message"}, ...]
"""

import json
from collections.abc import Iterator, Sequence
from sqlite3 import Row
from typing import Any


class Story:
    """Tells the events of one job as they come. It counts the epochs, so it must be given every event, in order."""

    def __init__(self) -> None:
        self._epochs = 0

    def tell(self, rows: Sequence[Row], job: Row) -> list[dict[str, Any]]:
        """`rows`: events after those told so far. `job`: as it was after the last of them."""
        return [{"object": "fine-tune-event", "created_at": row["created_at"], "level": row["level"], "message": message}
                for row in rows for message in self._messages(row, job)]

    def _messages(self, row: Row, job: Row) -> Iterator[str]:
        about = row["key"].split("-")[0]
        if about == "created":
            yield f"Created fine-tune: {job['id']}"
        elif about == "validated":
            yield f"Fine-tune enqueued. Queue number: {json.loads(row['data'] or '{}').get('queue_number', 0)}"
        elif about == "started":
            yield "Fine-tune started"
        elif about == "checkpoint":
            self._epochs += 1
            yield f"Completed epoch {self._epochs}/{json.loads(job['resolved'])['n_epochs']}"
        elif about == "model":
            yield f"Uploaded model: {job['fine_tuned_model']}"
        elif about == "succeeded":
            yield f"Uploaded result file: {job['result_file']}"
            yield "Fine-tune succeeded"
        elif about == "failed":
            yield f"Fine-tune failed. {json.loads(job['error'])['message']}"
        elif about == "cancelled":
            yield "Fine-tune cancelled"
        elif about not in ("validating", "step"):
            yield row["message"]  # paused, resumed, begun anew after a crash: the old API had no words for these
