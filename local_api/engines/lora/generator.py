"""Answers requests with llama.cpp, many at once, each with its own adapter.

It knows asyncio and the protocols; `llama` knows the library, `pool` which adapters are loaded, `sampling` the options,
`answers` how text and log-probabilities are put together, `scoring` how likely a given text is.

    async for piece in LlamaGenerator(files, tokenizer).generate(request): ...

What to know of the answers. Temperature 0 takes the likeliest token each time, and the same request alone gives the same
answer; requests answered together share matrix products, whose rounding may turn a near tie. Log-probabilities
are the model's own, before temperature, top_p, penalties, bias and JSON schema. A token that ends the answer is told among them
by its name, with no bytes. Penalties count the answer's tokens, as the API says, and not the prompt's.
"""

import asyncio
import codecs
import json
import os
import random
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from local_api.engines.lora.adapters import GGUF, AdapterFile, check, file_of, linear_shapes, read_config
from local_api.engines.lora.answers import Assembler
from local_api.engines.lora.base_models import CONTEXT_LENGTH, ModelFiles
from local_api.engines.lora.bridge import Bridge, Collected
from local_api.engines.lora.llama import Llama
from local_api.engines.lora.pool import Pool
from local_api.engines.lora.sampling import options, penalises
from local_api.engines.lora.scoring import score
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import EngineError, GenerationRequest, Piece, Stopped, TokenLogprob

SLOTS = 8  # answered together
Emit = Callable[[Piece], None]


@dataclass(frozen=True, slots=True)
class _Task:
    """One request on its way through a thread."""

    llama: Llama
    adapter: AdapterFile | None
    prompt: Sequence[int]
    request: GenerationRequest
    answer: Assembler
    emit: Emit
    abandoned: threading.Event


class LlamaGenerator:
    """`Generator` of the protocols. Nothing is loaded before the first request or `warm`."""

    def __init__(self, files: ModelFiles, tokenizer: LoraTokenizer, *, slots: int = SLOTS, context: int = CONTEXT_LENGTH) -> None:
        self._tokenizer, self._context = tokenizer, context
        shapes = linear_shapes(read_config(files.weights))

        def make(adapters: Sequence[AdapterFile]) -> Llama:
            return Llama(files.gguf, adapters, slots=slots, context=context, threads=cores())

        self._pool = Pool(make, lambda adapter: check(adapter, shapes))
        # More threads than slots: llama.cpp then has the next request at hand when a slot becomes free.
        self._threads = ThreadPoolExecutor(2 * slots, thread_name_prefix="llama")
        self._closed = threading.Event()
        self._schemas: set[str] = set()  # those that were tried, and can be followed
        [self._z] = tokenizer.encode("z")

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        """One piece where `stream` is off; else pieces as they come."""
        self._check_open()
        prompt = list(request.prompt) or [self._tokenizer.start_id]
        if len(prompt) + request.max_tokens > self._context:
            raise EngineError(
                f"the prompt's {len(prompt)} tokens and max_tokens {request.max_tokens} are more than the {self._context} that"
                " this model reads: shorten the prompt or ask for fewer tokens"
            )
        if request.max_tokens < 1:
            yield Piece("", finish_reason="length")
            return
        adapter = file_of(request.adapter) if request.adapter is not None else None
        llama = await self._pool.server(adapter)
        async with Bridge() as bridge:
            answer = Assembler(stop=request.stop, token_bytes=self._tokenizer.token_bytes, top=request.top_logprobs)
            emit = bridge.emit if request.stream else Collected(bridge.emit)
            task = _Task(llama, adapter, prompt, request, answer, emit, bridge.abandoned)
            del llama  # the task holds it; an idle generator must not keep a replaced server alive
            bridge.watch(asyncio.get_running_loop().run_in_executor(self._threads, self._run, task))
            async for piece in bridge:
                yield piece

    async def score(self, request: GenerationRequest) -> list[TokenLogprob]:
        self._check_open()
        if len(request.prompt) > self._context:
            raise EngineError(f"the prompt's {len(request.prompt)} tokens are more than this model reads: {self._context}")
        adapter = file_of(request.adapter) if request.adapter is not None else None
        llama, left = await self._pool.server(adapter), threading.Event()
        told = partial(score, partial(llama.complete, adapter=adapter), request.prompt, self._tokenizer,
                       top=request.top_logprobs or 0, unwanted=lambda: left.is_set() or self._closed.is_set())
        del llama  # an idle generator must not keep a replaced server alive
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, told)
        finally:
            left.set()
        self._check_open()
        return result

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise Stopped("the generator is closed")

    async def warm(self, adapter: Path | None = None) -> None:
        await self._pool.server(file_of(adapter) if adapter is not None else None)

    def forget(self, adapter: Path) -> None:
        self._pool.forget(adapter / GGUF)

    async def close(self) -> None:
        self._closed.set()
        await asyncio.to_thread(self._threads.shutdown)
        self._pool.close()

    def _run(self, task: _Task) -> None:
        """In a thread of its own: blocks until the answer is whole, abandoned, or the generator closed."""
        self._check_schema(task)
        if penalises(task.request):
            self._token_by_token(task)
        else:
            self._at_once(task)
        if self._closed.is_set() and not task.abandoned.is_set():
            raise Stopped("the generator was closed while the answer was being written")

    def _at_once(self, task: _Task) -> None:
        count = 0

        def receive(chunk: Mapping[str, Any]) -> bool:
            nonlocal count
            choice = chunk["choices"][0]
            count = chunk["timings"]["predicted_n"]
            if choice["finish_reason"]:
                task.emit(task.answer.finish(choice["finish_reason"], n_tokens=count))
                return False
            task.emit(task.answer.add(choice["text"], reported=_reported(choice), n_tokens=count))
            if task.answer.stopped:
                task.emit(task.answer.finish("stop", n_tokens=count))
            return task.answer.stopped or self._unwanted(task)

        wanted = options(task.request, vocabulary_size=self._tokenizer.vocabulary_size)
        task.llama.complete(task.prompt, wanted, task.adapter, receive)

    def _token_by_token(self, task: _Task) -> None:
        """With penalties each token is a request of its own: llama.cpp counts over the last tokens of prompt and answer together,
        and only the number of tokens is told to it once. The prompt is read once; what is lost is told in the benchmarks."""
        request, generated = task.request, list[int]()
        text = codecs.getincrementaldecoder("utf-8")("replace")
        seed = random.randrange(2**32) if request.seed is None else request.seed
        answers: list[Mapping[str, Any]] = []
        while not (task.answer.stopped or self._unwanted(task)):
            step = replace(request, max_tokens=1, seed=seed + len(generated))
            wanted = options(step, vocabulary_size=self._tokenizer.vocabulary_size)
            wanted |= {"repeat_last_n": len(generated), "stream": False, "verbose": True, "return_tokens": True}
            task.llama.complete([*task.prompt, *generated], wanted, task.adapter, lambda chunk: bool(answers.append(chunk)))
            chunk = answers.pop()
            choice = chunk["choices"][0]
            generated.append(chunk["__verbose"]["tokens"][0])
            ended = choice["finish_reason"] == "stop"
            more = "" if ended else text.decode(self._tokenizer.token_bytes(generated[-1]))
            task.emit(task.answer.add(more, reported=_reported(choice), n_tokens=len(generated)))
            if ended or len(generated) == request.max_tokens:
                break
        if not self._unwanted(task):
            over = task.answer.stopped or ended
            task.emit(task.answer.finish("stop" if over else "length", n_tokens=len(generated)))

    def _check_schema(self, task: _Task) -> None:
        """llama.cpp answers without any constraint, and says nothing, when its grammar does not understand a schema.

        So each new schema is tried: no JSON begins with a z, however much it is wanted.
        """
        wanted = replace(task.request, max_tokens=1, temperature=0.0, logit_bias={self._z: 100.0}, top_logprobs=None)
        if task.request.json_schema is None or (schema := json.dumps(task.request.json_schema)) in self._schemas:
            return
        begun: list[str] = []
        task.llama.complete(
            [self._tokenizer.start_id],
            options(wanted, vocabulary_size=self._tokenizer.vocabulary_size),
            None,
            lambda chunk: bool(begun.append(chunk["choices"][0]["text"])),
        )
        if "".join(begun) == "z":
            raise EngineError(f"the JSON schema {schema[:200]} has a part that llama.cpp cannot follow: simplify it")
        self._schemas.add(schema)

    def _unwanted(self, task: _Task) -> bool:
        return task.abandoned.is_set() or self._closed.is_set()


def _reported(choice: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """llama.cpp's entry about the token of this chunk; none where no log-probabilities were asked for."""
    content = (choice.get("logprobs") or {}).get("content")
    return content[0] if content else None


def cores() -> int:
    """Physical cores that this process may use: more threads than that slow llama.cpp down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, psutil.cpu_count(logical=False) or 1))
