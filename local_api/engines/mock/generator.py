"""Answers of the mock engine: from an adapter's counts and nearest examples, or the base model's one honest sentence.

Knows no HTTP. Models of the last adapters asked for are kept; each is loaded once, in a thread.

    generator = MockGenerator()
    async for piece in generator.generate(GenerationRequest(prompt=ids, base_model="mock-base", adapter=folder)): ...
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from functools import cache, lru_cache
from math import log
from pathlib import Path

import numpy as np

from local_api.engines.mock.adapter import BASE_MODEL_ID, read_adapter
from local_api.engines.mock.answer import Answer
from local_api.engines.mock.model import Model
from local_api.engines.mock.sampling import Sampler
from local_api.engines.mock.schema import smallest_json
from local_api.engines.mock.scoring import score
from local_api.engines.mock.sources import Fixed, Learned, Source
from local_api.engines.mock.tokenizer import ENDS, MockTokenizer, load_tokenizer
from local_api.engines.protocols import EngineError, GenerationRequest, Piece, Stopped, TokenLogprob

BASE_ANSWER = (" The mock engine has no language model. Fine-tune it, and it answers with the nearest training example; "
               "for a model that can write, start the local API with --engine lora.")
KEPT = 8  # adapters in memory
BREATH = 32  # tokens of an answer in one piece after which other requests get a turn


class MockGenerator:
    """The `Generator` protocol."""

    def __init__(self) -> None:
        self._models: OrderedDict[Path, Model] = OrderedDict()
        self._loading = asyncio.Lock()
        self._closed = False

    async def warm(self, adapter: Path | None = None) -> None:
        await asyncio.to_thread(load_tokenizer)
        if adapter is not None:
            await self._model(adapter)

    def forget(self, adapter: Path) -> None:
        self._models.pop(adapter, None)

    async def close(self) -> None:
        self._closed = True
        self._models.clear()

    def at_once(self, request: GenerationRequest) -> Piece | None:
        """The base model's answer, unless something shifts its probabilities."""
        self._check(request)
        if request.adapter is not None or not _as_planned(request):
            return None
        tokenizer = load_tokenizer()
        return _told_at_once(tuple(_fixed(request, tokenizer).plan[:request.max_tokens]), tokenizer)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Piece]:
        if (piece := self.at_once(request)) is not None:
            yield piece
            return
        tokenizer = load_tokenizer()
        source = await self._source(request, tokenizer)
        writing = _Writing(request, source, tokenizer)
        while not writing.done:
            writing.step()
            if request.stream or writing.n_tokens % BREATH == 0:
                if request.stream and (piece := writing.piece()):
                    yield piece
                await asyncio.sleep(0)
                self._check_open()
        yield writing.last_piece()

    async def score(self, request: GenerationRequest) -> list[TokenLogprob]:
        self._check(request)
        model = await self._model(request.adapter) if request.adapter is not None else None
        return await asyncio.to_thread(score, request.prompt, model, load_tokenizer(), top=request.top_logprobs or 0)

    def _check(self, request: GenerationRequest) -> None:
        if request.base_model != BASE_MODEL_ID:
            raise EngineError(f"the mock engine serves {BASE_MODEL_ID} alone, not {request.base_model!r}")
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise Stopped("the server is closing: ask again when it has started anew")

    async def _source(self, request: GenerationRequest, tokenizer: MockTokenizer) -> Source:
        if request.adapter is not None:
            model = await self._model(request.adapter)  # also where a schema decides: a broken adapter must show
            if request.json_schema is None:
                return Learned(model, tokenizer.decode(request.prompt))
        return _fixed(request, tokenizer)

    async def _model(self, adapter: Path) -> Model:
        if adapter not in self._models:
            async with self._loading:
                if adapter not in self._models:
                    self._models[adapter] = await asyncio.to_thread(read_adapter, adapter)
                    while len(self._models) > KEPT:
                        self._models.popitem(last=False)
        self._models.move_to_end(adapter)
        return self._models[adapter]


def _fixed(request: GenerationRequest, tokenizer: MockTokenizer) -> Fixed:
    """What is said without a model: what a schema asks for, or the base model's sentence."""
    if request.json_schema is not None:
        return Fixed(tokenizer.encode(smallest_json(request.json_schema)), floor=0.0)
    return Fixed(_base_answer(tokenizer))


@cache
def _base_answer(tokenizer: MockTokenizer) -> tuple[int, ...]:
    return tuple(tokenizer.encode(BASE_ANSWER))


def _as_planned(request: GenerationRequest) -> bool:
    """Whether a fixed text is the answer, token by token and in one piece: nothing shifts its probabilities, of which at these
    temperatures a billionth is left to other tokens, and nobody asks to see them."""
    return (not request.stream and not request.stop and request.top_logprobs is None and request.temperature <= 1
            and not request.logit_bias and not request.presence_penalty and not request.frequency_penalty)


@lru_cache(64)
def _told_at_once(plan: tuple[int, ...], tokenizer: MockTokenizer) -> Piece:
    """The piece that tells these tokens, up to the first end token, which is not shown."""
    end = next((place for place, token in enumerate(plan) if token in ENDS), None)
    return Piece(tokenizer.decode(plan[:end]), (), len(plan) if end is None else end + 1, "length" if end is None else "stop")


class _Writing:
    """One answer being written, token by token."""

    def __init__(self, request: GenerationRequest, source: Source, tokenizer: MockTokenizer) -> None:
        self.n_tokens = 0
        self.done = request.max_tokens <= 0
        self._request, self._source, self._tokenizer = request, source, tokenizer
        self._sampler = Sampler(request, source.ids)
        self._answer = Answer(request.stop)
        self._ended = False
        self._told = 0  # tokens that earlier pieces have counted

    def step(self) -> None:
        p = self._sampler.widen(*self._source.probabilities())
        place = self._sampler.choose(p)
        token = int(self._sampler.ids[place])
        self.n_tokens += 1
        self._ended = token in ENDS
        if not self._ended:
            told = self._logprob(p, place) if self._request.top_logprobs is not None else None
            self._answer.add(self._tokenizer.token_bytes(token), told)
            self._source.take(token)
        self.done = self._ended or self._answer.stopped or self.n_tokens >= self._request.max_tokens

    def piece(self) -> Piece | None:
        """What became certain since the piece before, if anything did and more is to come."""
        text, tokens = ("", ()) if self.done else self._answer.take()
        if not text:
            return None
        n_tokens, self._told = self.n_tokens - self._told, self.n_tokens
        return Piece(text, tokens, n_tokens)

    def last_piece(self) -> Piece:
        self._answer.finish()
        text, tokens = self._answer.take()
        reason = "stop" if self._ended or self._answer.stopped else "length"
        return Piece(text, tokens, self.n_tokens - self._told, reason)

    def _logprob(self, p: np.ndarray, place: int) -> TokenLogprob:
        n = min(self._request.top_logprobs or 0, len(p))
        best = np.argpartition(-p, n - 1)[:n] if n else []
        ranked = sorted((int(other) for other in best if p[other] > 0), key=lambda other: (-p[other], other))
        data, text = self._shown(place)
        return TokenLogprob(int(self._sampler.ids[place]), text, data, log(p[place]),
                            tuple((*reversed(self._shown(other)), log(p[other])) for other in ranked))

    def _shown(self, place: int) -> tuple[bytes, str]:
        data = self._tokenizer.token_bytes(int(self._sampler.ids[place]))
        return data, data.decode("utf-8", "replace")
