"""Sentence embeddings."""

import asyncio

import pytest

from local_api.engines.lora import LoraEngine
from local_api.engines.lora.embedder import MiniLM
from local_api.engines.protocols import EngineError

pytestmark = pytest.mark.lora

TEXTS = ["That is a happy person", "That is a very happy person", "That is a happy dog", "Today is a sunny day"]


@pytest.fixture(scope="module")
def embedder(engine: LoraEngine) -> MiniLM:
    return engine.embedder()


@pytest.fixture(scope="module")
def embedded(embedder: MiniLM) -> tuple[list[list[float]], int]:
    return asyncio.run(embedder.embed(TEXTS))


def likeness(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_vectors_have_unit_length_and_the_dimensions_that_are_told(embedder: MiniLM, embedded: tuple[list[list[float]], int]) -> None:
    for vector in embedded[0]:
        assert len(vector) == embedder.dimensions == 384
        assert likeness(vector, vector) == pytest.approx(1)


def test_likenesses_are_those_that_the_models_own_page_shows(embedded: tuple[list[list[float]], int]) -> None:
    """The example of the widget on the model's page: 0.943, 0.695 and 0.257."""
    person, very, dog, day = embedded[0]
    assert [likeness(person, other) for other in (very, dog, day)] == pytest.approx([0.943, 0.695, 0.257], abs=0.005)


def test_a_text_alone_has_the_vector_that_it_has_among_others(embedder: MiniLM, embedded: tuple[list[list[float]], int]) -> None:
    [[alone], _] = asyncio.run(embedder.embed(TEXTS[3:]))
    assert likeness(alone, embedded[0][3]) == pytest.approx(1, abs=1e-5)


def test_tokens_are_counted_with_the_two_that_the_model_adds(embedder: MiniLM) -> None:
    assert asyncio.run(embedder.embed(["kettle", ""]))[1] == 3 + 2


def test_a_text_that_is_too_long_is_refused_by_number_and_not_cut(embedder: MiniLM) -> None:
    with pytest.raises(EngineError, match="input 1 has 302 tokens"):
        asyncio.run(embedder.embed(["short", "word " * 300]))


def test_no_texts_have_no_vectors(embedder: MiniLM) -> None:
    assert asyncio.run(embedder.embed([])) == ([], 0)


def test_token_ids_become_text_again(embedder: MiniLM) -> None:
    assert embedder.decode(embedder._tokenizer.encode("a kettle").ids) == "a kettle"
