"""A scripted day at the local API: what pupils do one thing after the other, and what each answer has promised them.

A pupil goes on when the server is killed under it: it asks again until it has an answer, which is noted before the next step.
Knows the official client alone, not the server's process.

    day = Day(client, base, seed=1, pupils=3); day.begin(); ...; day.end(); day.broken_promises()
"""

import base64
import dataclasses
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2
import openai
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from local_api.store.jobs import ENDED
from tests.servers import wait_until

Result = TypeVar("Result")
LOST = (openai.APIConnectionError, httpx2.TransportError)
PATIENCE = 900.0  # seconds of waiting
BETWEEN_LOOKS = 0.05
ROWS, BATCH, EPOCHS = 16, 4, 4


class Broken(AssertionError):
    """The server did not keep its word."""


@dataclasses.dataclass
class Ledger:
    """What was acknowledged. Only what an answer has said stands here."""

    files: dict[str, bytes | None] = dataclasses.field(default_factory=dict)  # None: its deletion was acknowledged
    jobs: dict[str, str] = dataclasses.field(default_factory=dict)  # how each must end
    models: dict[str, bool] = dataclasses.field(default_factory=dict)  # whether it is still there
    done: Counter[str] = dataclasses.field(default_factory=Counter)


class Day:
    """Some pupils, each in a thread of its own."""

    def __init__(self, client: openai.OpenAI, base: str, *, seed: int, pupils: int) -> None:
        self.over, self.found = threading.Event(), list[str]()
        self.pupils = [Pupil(client, base, random.Random(f"{seed}/{number}"), f"pupil{number}") for number in range(pupils)]
        self.threads = [threading.Thread(target=self.live, args=(pupil,), daemon=True) for pupil in self.pupils]

    def live(self, pupil: "Pupil") -> None:
        episode = trains_and_asks  # of which there is one on the shortest day
        while not self.over.is_set():
            try:
                episode(pupil)
            except (AssertionError, openai.APIError) as error:
                self.found.append(f"{pupil.name}, {episode.__name__}: {type(error).__name__} {error}")
            pupil.ledger.done[episode.__name__] += 1
            episode = pupil.random.choice(EPISODES)

    def begin(self) -> None:
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        """Every pupil ends what it has begun."""
        self.over.set()
        for thread in self.threads:
            thread.join()

    def broken_promises(self) -> list[str]:
        """What the server has acknowledged and does not keep, now that it is up again."""
        return self.found + [broken for pupil in self.pupils for broken in pupil.broken_promises()]

    def done(self) -> Counter[str]:
        return sum((pupil.ledger.done for pupil in self.pupils), Counter())


class Pupil:
    def __init__(self, client: openai.OpenAI, base: str, chance: random.Random, name: str) -> None:
        self.client, self.base, self.random, self.name = client, base, chance, name
        self.ledger = Ledger()

    def ask(self, function: Callable[..., Result], *args: Any, **options: Any) -> tuple[Result, bool]:
        """The answer; and whether an earlier try, whose answer was lost, may have been carried out."""
        for tries in itertools.count():
            try:
                return function(*args, **options), tries > 0
            except LOST:
                if tries * BETWEEN_LOOKS > PATIENCE:
                    raise
                time.sleep(BETWEEN_LOOKS)
        raise AssertionError("a count has no end")

    def get(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """The answer to a question that changes nothing."""
        return self.ask(function, *args, **options)[0]

    def refused(self, status: int, function: Callable[..., Any], *args: Any) -> None:
        try:
            self.ask(function, *args)
        except openai.APIStatusError as error:
            if error.status_code == status:
                return
            raise
        raise Broken(f"{args} was not refused with {status}")

    def delete(self, function: Callable[..., Any], name: str) -> None:
        """Delete, and be sure of it: a second try may find that the first was carried out."""
        doubtful = False
        while True:
            try:
                function(name)
                return
            except LOST:
                doubtful = True
                time.sleep(BETWEEN_LOOKS)
            except openai.NotFoundError:
                if not doubtful:
                    raise
                return

    def upload(self, rows: int = ROWS) -> FileObject:
        word = f"{self.name}-{self.random.getrandbits(32):08x}"
        content = "".join(json.dumps({"prompt": f"{word} number {n}\n\n###\n\n", "completion": f" {word} colour {n % 5}\n"}) + "\n"
                          for n in range(rows)).encode()
        file, _ = self.ask(self.client.files.create, file=(f"{word}.jsonl", content), purpose="fine-tune")
        self.ledger.files[file.id] = content
        return file

    def create(self, file: FileObject, must_end: str, model: str | None = None) -> FineTuningJob:
        job, _ = self.ask(self.client.fine_tuning.jobs.create, model=model or self.base, training_file=file.id,
                          suffix=self.name, seed=1, hyperparameters={"n_epochs": EPOCHS, "batch_size": BATCH})
        self.ledger.jobs[job.id] = must_end
        return job

    def until(self, job: FineTuningJob, right: Callable[[FineTuningJob], bool]) -> FineTuningJob:
        """The job once it is `right`, or has ended."""
        def looked_at() -> FineTuningJob | None:
            found = self.get(self.client.fine_tuning.jobs.retrieve, job.id)
            return found if found.status in ENDED or right(found) else None
        return wait_until(looked_at, what=f"the end of {job.id}", seconds=PATIENCE)

    def end_of(self, job: FineTuningJob) -> FineTuningJob:
        ended = self.until(job, lambda found: False)
        if ended.status != self.ledger.jobs[job.id]:
            raise Broken(f"{job.id} is {ended.status} instead of {self.ledger.jobs[job.id]}: {ended.error}")
        if ended.status == "succeeded":
            self.ledger.models[ended.fine_tuned_model] = True
            checkpoints = self.get(self.client.fine_tuning.jobs.checkpoints.list, job.id).data
            per_epoch = ROWS // BATCH
            if [each.step_number for each in checkpoints] != [per_epoch * epoch for epoch in (4, 3, 2)]:
                raise Broken(f"{job.id} has the checkpoints {[each.step_number for each in checkpoints]}")
            self.ledger.models |= {each.fine_tuned_model_checkpoint: True for each in checkpoints}
            self.look_at_results(ended)
        return ended

    def look_at_results(self, job: FineTuningJob) -> None:
        text = base64.b64decode(self.get(self.client.files.content, job.result_files[0]).read()).decode()
        if len(text.splitlines()) != 1 + EPOCHS * ROWS // BATCH:
            raise Broken(f"the result file of {job.id} has {len(text.splitlines())} lines")
        self.ledger.files[job.result_files[0]] = base64.b64encode(text.encode())

    def talk_to(self, model: str) -> None:
        """The answer must be one of this pupil's own completions, streamed and whole."""
        prompt = f"{self.name} number 3\n\n###\n\n"
        whole = self.get(self.client.completions.create, model=model, prompt=prompt, max_tokens=30, temperature=0, stop=["\n"])
        streamed = self.get(lambda: "".join(chunk.choices[0].text for chunk in self.client.completions.create(
            model=model, prompt=prompt, max_tokens=30, temperature=0, stop=["\n"], stream=True)))
        if not whole.choices[0].text.startswith(f" {self.name}-") or streamed != whole.choices[0].text:
            raise Broken(f"{model} answers {whole.choices[0].text!r}, streamed {streamed!r}")

    def broken_promises(self) -> list[str]:
        """Of all that was acknowledged, what does not hold."""
        found = []
        for what, promises, keeps in (("file", self.ledger.files, self.keeps_file), ("job", self.ledger.jobs, self.keeps_job),
                                      ("model", self.ledger.models, self.keeps_model)):
            for name, promise in promises.items():
                try:
                    keeps(name, promise)
                except (Broken, openai.APIError) as error:
                    found.append(f"{what} {name} of {self.name}: {type(error).__name__} {error}")
        return found

    def keeps_file(self, name: str, content: bytes | None) -> None:
        if content is None:
            self.refused(404, self.client.files.retrieve, name)
        elif self.get(self.client.files.content, name).read() != content:
            raise Broken("its content has changed")

    def keeps_job(self, name: str, must_end: str) -> None:
        status = self.get(self.client.fine_tuning.jobs.retrieve, name).status
        if status != must_end:
            raise Broken(f"is {status} instead of {must_end}")

    def keeps_model(self, name: str, there: bool) -> None:
        if there:
            self.talk_to(name)
        else:
            self.refused(404, self.client.models.retrieve, name)


def keeps_and_deletes_files(pupil: Pupil) -> None:
    kept, dropped = pupil.upload(), pupil.upload()
    pupil.delete(pupil.client.files.delete, dropped.id)
    pupil.ledger.files[dropped.id] = None
    pupil.keeps_file(kept.id, pupil.ledger.files[kept.id])
    pupil.keeps_file(dropped.id, None)


def trains_and_asks(pupil: Pupil) -> None:
    ended = pupil.end_of(pupil.create(pupil.upload(), "succeeded"))
    pupil.talk_to(ended.fine_tuned_model)


def trains_on_and_deletes_what_it_came_from(pupil: Pupil) -> None:
    """The parent model, its last checkpoint and both training files go while the second job waits or trains."""
    file = pupil.upload()
    first = pupil.end_of(pupil.create(file, "succeeded"))
    second_file = pupil.upload()
    second = pupil.create(second_file, "succeeded", model=first.fine_tuned_model)
    last = f"{first.fine_tuned_model}:ckpt-step-{EPOCHS * ROWS // BATCH}"
    for name in (first.fine_tuned_model, last):
        pupil.delete(pupil.client.models.delete, name)
        pupil.ledger.models[name] = False
    for gone in (file, second_file):
        pupil.delete(pupil.client.files.delete, gone.id)
        pupil.ledger.files[gone.id] = None
    pupil.end_of(second)


def cancels(pupil: Pupil) -> None:
    """At any moment; a job that has ended before cannot be cancelled any more."""
    job = pupil.create(pupil.upload(), "succeeded")
    time.sleep(pupil.random.uniform(0, 2))
    doubtful = False
    while True:
        try:
            pupil.client.fine_tuning.jobs.cancel(job.id)
            pupil.ledger.jobs[job.id] = "cancelled"
        except LOST:
            doubtful = True
            time.sleep(BETWEEN_LOOKS)
            continue
        except openai.ConflictError:
            if pupil.get(pupil.client.fine_tuning.jobs.retrieve, job.id).status == "cancelled":
                if not doubtful:
                    raise
                pupil.ledger.jobs[job.id] = "cancelled"
        break
    pupil.end_of(job)


def pauses(pupil: Pupil) -> None:
    job = pupil.create(pupil.upload(), "succeeded")
    pupil.until(job, lambda found: found.status == "running")
    time.sleep(pupil.random.uniform(0, 0.5))
    for change, now in ((pupil.client.fine_tuning.jobs.pause, ("paused",)),
                        (pupil.client.fine_tuning.jobs.resume, ("validating_files", "queued", "running"))):
        try:
            _, doubtful = pupil.ask(change, job.id)
        except openai.ConflictError:
            doubtful = True  # carried out by a try whose answer was lost, or too late
        time.sleep(pupil.random.uniform(0, 0.3))
        status = pupil.get(pupil.client.fine_tuning.jobs.retrieve, job.id).status
        if status not in now and status != "succeeded":
            raise Broken(f"{job.id} is {status} after it was {now[0]}{', perhaps' if doubtful else ''}")
    pupil.end_of(job)


def sends_too_few_examples(pupil: Pupil) -> None:
    pupil.end_of(pupil.create(pupil.upload(rows=3), "failed"))


EPISODES = (keeps_and_deletes_files, trains_and_asks, trains_on_and_deletes_what_it_came_from, cancels, pauses,
            sends_too_few_examples)
