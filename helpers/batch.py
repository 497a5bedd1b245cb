"""Many requests at once: in order, retried where that can help, and none of their answers lost.

Knows the API's errors and its rate limits. Knows nothing of what is asked.

    answers = complete_many(client, prompts, model=model, max_tokens=1, temperature=0)
    labels = [style.parse(answer.choices[0].text) for answer in answers]

With `save_to`, each answer is written to a file as it arrives, and a second call with the same requests sends only
those that have none there.
"""

import email.utils
import hashlib
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Generic, TypeVar

import openai
import pydantic
import stamina
from openai.types import Completion
from openai.types.chat import ChatCompletion
from tqdm import tqdm

from helpers.errors import BatchFailed
from helpers.widgets import has_front_end

ATTEMPTS = 6  # for each request; with the waits between them about a minute

Answer = TypeVar("Answer", bound=pydantic.BaseModel)


def complete_many(client: openai.OpenAI, prompts: Sequence[str], *, model: str, concurrency: int = 8, progress: bool = True,
                  save_to: Path | str | None = None, **params: Any) -> list[Completion]:
    """A completion for each prompt, in their order. `params` are those of `client.completions.create`.

    Raises BatchFailed at the end if a request failed after all retries, with the answers to the others.
    """
    requests = [{"model": model, "prompt": prompt, **params} for prompt in prompts]
    send = client.with_options(max_retries=0).completions.create  # retried here, not twice
    return _Batch(send, Completion, requests, save_to).run(concurrency, progress)


def chat_many(client: openai.OpenAI, conversations: Sequence[Sequence[dict[str, Any]]], *, model: str, concurrency: int = 8,
              progress: bool = True, save_to: Path | str | None = None, **params: Any) -> list[ChatCompletion]:
    """A chat completion for each list of messages, in their order; otherwise like `complete_many`."""
    requests = [{"model": model, "messages": list(messages), **params} for messages in conversations]
    send = client.with_options(max_retries=0).chat.completions.create
    return _Batch(send, ChatCompletion, requests, save_to).run(concurrency, progress)


class _Skipped(Exception):
    """Not sent, because another request failed in a way that this one would share."""


class _Batch(Generic[Answer]):
    def __init__(self, send: Callable[..., Answer], kind: type[Answer], requests: list[dict[str, Any]],
                 save_to: Path | str | None) -> None:
        self.send, self.requests, self.keys = send, requests, _keys(kind, requests)
        self.kept = _Kept(Path(save_to), kind) if save_to is not None else None
        self.stop = threading.Event()

    def run(self, concurrency: int, progress: bool) -> list[Answer]:
        found = self.kept.read() if self.kept else {}
        answers: list[Answer | None] = [found.get(key) for key in self.keys]
        todo = [index for index, answer in enumerate(answers) if answer is None]
        errors: dict[int, Exception] = {}
        with _bar(len(answers), len(todo), progress) as bar, ThreadPoolExecutor(concurrency) as pool:
            futures = {pool.submit(self._one, index): index for index in todo}
            try:
                for future in as_completed(futures):
                    try:
                        answers[futures[future]] = future.result()
                    except _Skipped:
                        continue
                    except Exception as error:
                        errors[futures[future]] = error
                    bar.update()
            finally:
                # Interrupted: those on their way are waited for and kept, the others are not sent.
                self.stop.set()
        if errors:
            raise BatchFailed(dict(sorted(errors.items())), answers, self._how_to_go_on(answers))
        return answers

    def _one(self, index: int) -> Answer:
        if self.stop.is_set():
            raise _Skipped
        try:
            for attempt in stamina.retry_context(on=pause_before_retry, attempts=ATTEMPTS, timeout=None, wait_initial=0.5,
                                                 wait_max=20):
                with attempt:
                    answer = self.send(**self.requests[index])
        except openai.APIError as error:
            if is_hopeless(error):
                self.stop.set()  # here, and not by whoever collects the answers: this thread's next request comes first
            raise
        if self.kept:
            self.kept.add(self.keys[index], answer)  # in the thread: an interrupt cannot come between
        return answer

    def _how_to_go_on(self, answers: list[Answer | None]) -> str:
        there = sum(answer is not None for answer in answers)
        if self.kept:
            return f"{there} answers are in {self.kept.path}: the same call sends only the others."
        return f"{there} answers are in this error's `answers`; with save_to=... a second call would send only the others."


class _Kept(Generic[Answer]):
    """Answers in a JSONL file, one a line, by the hash of their request."""

    def __init__(self, path: Path, kind: type[Answer]) -> None:
        self.path, self.kind, self.lock = path, kind, threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> dict[str, Answer]:
        if not self.path.exists():
            return {}
        data = self.path.read_bytes()
        # A line without its end is what a crash left of an answer: cut off, or the next one would be glued to it.
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        records = map(json.loads, whole.split(b"\n")[:-1])
        return {record["request"]: self.kind.model_validate(record["answer"]) for record in records}

    def add(self, key: str, answer: Answer) -> None:
        line = json.dumps({"request": key, "answer": answer.model_dump(mode="json")}, ensure_ascii=False) + "\n"
        with self.lock, self.path.open("ab") as file:
            file.write(line.encode())


def is_hopeless(error: Exception) -> bool:
    """Whether every other request would fail like this one: a wrong key, an unknown model, no money left."""
    if isinstance(error, openai.RateLimitError):
        return error.code == "insufficient_quota"
    return isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError | openai.NotFoundError)


def pause_before_retry(error: Exception) -> bool | float:
    """Whether another try can help; a number of seconds where the server has said how long to wait."""
    if isinstance(error, openai.APIStatusError):
        if is_hopeless(error) or not (error.status_code in (408, 409, 429) or error.status_code >= 500):
            return False
        return _retry_after(error.response.headers.get("retry-after", "")) or True
    return isinstance(error, openai.APIConnectionError)


def _retry_after(header: str) -> float | None:
    """Seconds, from a number or a date; a little more, so that not all threads come back at the same moment."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) + random.uniform(0.05, 0.5)


def _keys(kind: type, requests: list[dict[str, Any]]) -> list[str]:
    """A key for each request. Equal requests get keys of their own: at a temperature their answers differ."""
    seen: Counter[str] = Counter()
    keys = []
    for request in requests:
        text = json.dumps([kind.__name__, request], sort_keys=True, ensure_ascii=False, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        keys.append(f"{digest}-{seen[digest]}")
        seen[digest] += 1
    return keys


def _bar(total: int, todo: int, wanted: bool) -> tqdm:
    # Only where somebody is looking: in an executed notebook a bar would stay behind as a row of fragments.
    watched = has_front_end() or sys.stderr.isatty()
    return tqdm(total=total, initial=total - todo, leave=False, disable=not (wanted and watched), unit="answer")
