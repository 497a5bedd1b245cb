"""One of a crowd: trains, looks, asks and deletes with a key of its own, and watches that no answer is somebody else's.

What it sends bears its own word; what comes back may bear no other's. Every id that it is shown is put on a board that all
share: one that two have seen has crossed. Knows the official client alone.

    visitor = Visitor(client, number=3, board=Board(), chance=random.Random(3)); await visitor.visit(until=deadline)
"""

import asyncio
import dataclasses
import itertools
import json
import math
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import openai
from openai.types.fine_tuning import FineTuningJob
from pydantic import BaseModel

from local_api.store.jobs import ENDED

Result = TypeVar("Result")
WORD = re.compile(r"zq\d{3}x")
NAME = re.compile(r'(?:file-|ftjob-|ftevent-|ftckpt_|cmpl-|chatcmpl-)[A-Za-z0-9]{20,}|ft:[^"\s]+')
ROWS = 16
LOOK_SECONDS = 0.5


@dataclasses.dataclass
class Board:
    """What all have met."""

    owners: dict[str, int] = dataclasses.field(default_factory=dict)  # id -> who was shown it
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=lambda: defaultdict(list))  # by kind of call
    failures: Counter[str] = dataclasses.field(default_factory=Counter)  # kind and error
    crossed: list[str] = dataclasses.field(default_factory=list)
    ended: Counter[str] = dataclasses.field(default_factory=Counter)  # jobs by status


class Failed(Exception):
    """A call that was noted as failed: what was to follow is left out."""


class Visitor:
    def __init__(self, client: openai.AsyncOpenAI, *, number: int, board: Board, chance: random.Random, pause: float) -> None:
        """`pause`: seconds between two things that are done, on average."""
        self.client, self.number, self.board, self.random, self.pause = client, number, board, chance, pause
        self.word = f"zq{number:03}x"
        self.models: list[str] = []
        self.base = ""

    async def timed(self, kind: str, call: Awaitable[Result], watched: Callable[[Result], str] | None = None) -> Result:
        """The answer, once its time is noted and nothing of others is found in it. Raises Failed."""
        began = time.perf_counter()
        try:
            answer = await call
        except (openai.APIError, httpx2.TransportError) as error:
            self.board.failures[f"{kind}: {type(error).__name__} {error}"[:200]] += 1
            raise Failed from error
        self.board.seconds[kind].append(time.perf_counter() - began)
        self.watch(kind, watched(answer) if watched else as_text(answer))
        await asyncio.sleep(self.random.uniform(0, 2 * self.pause))
        return answer

    def watch(self, kind: str, text: str) -> None:
        """Note what is somebody else's in the text of an answer."""
        foreign = [f"the word {word}" for word in WORD.findall(text) if word != self.word]
        foreign += [f"{name} of {self.board.owners[name]}" for name in NAME.findall(text)
                    if self.board.owners.setdefault(name, self.number) != self.number]
        self.board.crossed += [f"{kind} of {self.number} shows {each}" for each in foreign]

    async def visit(self, until: float) -> None:
        """One round whole, and then one after the other, until the clock says so."""
        for number in itertools.count():
            if number and time.monotonic() >= until:
                return
            try:
                self.base = self.base or (await self.timed("list models", self.client.models.list())).data[0].id
                await self.round(until if number else math.inf)
            except Failed:
                await asyncio.sleep(self.pause)

    async def round(self, until: float) -> None:
        file, job = await self.order()
        while job.status not in ENDED and time.monotonic() < until:
            await self.something()
            job = await self.timed("look at a job", self.client.fine_tuning.jobs.retrieve(job.id))
        self.board.ended[job.status] += 1
        if job.status == "succeeded":
            await self.enjoy(job)
        if job.status in ENDED:
            await self.timed("delete a file", self.client.files.delete(file.id))
        await self.intrude()

    def rows(self) -> bytes:
        return "".join(json.dumps({"prompt": f"{self.word} number {n}\n\n###\n\n", "completion": f" {self.word} {n % 4}\n"}) + "\n"
                       for n in range(ROWS)).encode()

    async def order(self, **options: Any) -> tuple[Any, FineTuningJob]:
        """A file, and a job with it."""
        file = await self.timed("upload", self.client.files.create(file=(f"{self.word}.jsonl", self.rows()), purpose="fine-tune"))
        job = await self.timed("create a job", self.client.fine_tuning.jobs.create(
            model=self.base, training_file=file.id, suffix=self.word,
            **{"hyperparameters": {"n_epochs": 3, "batch_size": 4}, **options}))
        return file, job

    async def something(self) -> None:
        """One of the things that one does while a job is trained."""
        await self.random.choice([self.complete, self.stream, self.look_around, self.embed])()

    async def complete(self) -> None:
        await self.timed("completion", self.client.completions.create(
            model=self.model(), prompt=f"{self.word} number 3\n\n###\n\n", max_tokens=16, stop=["\n"]))

    async def stream(self) -> None:
        async def whole() -> list[Any]:
            began, chunks = time.perf_counter(), []
            async for chunk in await self.client.chat.completions.create(
                    model=self.model(), messages=[{"role": "user", "content": f"{self.word} number 5"}], max_tokens=16, stream=True):
                if not chunks:
                    self.board.seconds["chat stream: first chunk"].append(time.perf_counter() - began)
                chunks.append(chunk)
            return chunks
        await self.timed("chat stream: whole", whole(), lambda chunks: chunks[0].id + "".join(
            chunk.choices[0].delta.content or "" for chunk in chunks))

    async def look_around(self) -> None:
        await self.timed("list files", self.client.files.list())
        jobs = await self.timed("list jobs", self.client.fine_tuning.jobs.list(limit=10))
        await self.timed("list models", self.client.models.list())
        if jobs.data:
            await self.timed("list events", self.client.fine_tuning.jobs.list_events(jobs.data[0].id))

    async def embed(self) -> None:
        model = "mock-embedding" if self.base.startswith("mock") else "all-minilm-l6-v2"
        await self.timed("embedding", self.client.embeddings.create(model=model, input=[self.word, "twice"]), lambda answer: "")

    async def enjoy(self, job: FineTuningJob) -> None:
        """The new model answers, and the one before is deleted."""
        self.models.append(job.fine_tuned_model)
        answer = await self.timed("completion", self.client.completions.create(
            model=job.fine_tuned_model, prompt=f"{self.word} number 1\n\n###\n\n", max_tokens=16, temperature=0, stop=["\n"]))
        if self.base.startswith("mock") and not answer.choices[0].text.startswith(f" {self.word}"):
            self.board.failures[f"a model answers {answer.choices[0].text!r}"] += 1
        await self.timed("list checkpoints", self.client.fine_tuning.jobs.checkpoints.list(job.id))
        await self.timed("file content", self.client.files.content(job.result_files[0]), lambda content: content.text)
        if len(self.models) > 1:
            await self.timed("delete a model", self.client.models.delete(self.models.pop(0)))

    async def intrude(self) -> None:
        """What others have is not there."""
        theirs = [name for name, owner in self.board.owners.items() if owner != self.number]
        for kind, read in (("file-", self.client.files.retrieve), ("ftjob-", self.client.fine_tuning.jobs.retrieve),
                           ("ft:", self.client.models.retrieve)):
            names = [name for name in theirs if name.startswith(kind)]
            if not names:
                continue
            name = self.random.choice(names)
            try:
                await read(name)
            except openai.NotFoundError:
                continue
            except openai.APIError as error:
                self.board.failures[f"intrusion: {error}"[:200]] += 1
            else:
                self.board.crossed.append(f"{self.number} was shown {name}")

    def model(self) -> str:
        return self.random.choice([self.base, *self.models])


def as_text(answer: Any) -> str:
    if isinstance(answer, BaseModel):
        return answer.model_dump_json()
    return json.dumps(answer, default=str)
