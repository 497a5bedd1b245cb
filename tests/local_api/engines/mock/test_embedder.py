"""Hashed embeddings: unit length, closeness, limits, the same in every process."""

import asyncio
import subprocess
import sys

import numpy as np
import pytest

from local_api.engines.mock.embedder import MAX_TOKENS, MockEmbedder
from local_api.engines.protocols import EngineError

TEXTS = ["Where is my parcel?", "where are my parcels", "The invoice was charged twice", "", "!?", "🤷"]


def embed(texts: list[str]) -> tuple[np.ndarray, int]:
    vectors, n_tokens = asyncio.run(MockEmbedder().embed(texts))
    return np.array(vectors), n_tokens


def test_vectors_have_the_promised_shape_and_unit_length() -> None:
    vectors, n_tokens = embed(TEXTS)
    assert vectors.shape == (len(TEXTS), MockEmbedder.dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)))
    assert n_tokens > 10


def test_texts_that_share_words_are_closer_than_those_that_do_not() -> None:
    vectors, _ = embed(TEXTS)
    alike, unlike = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert alike > unlike + 0.2


def test_the_same_text_has_the_same_vector_in_every_process() -> None:
    script = ("import asyncio; from local_api.engines.mock.embedder import MockEmbedder; "
              "print(asyncio.run(MockEmbedder().embed(['Where is my parcel?'])))")
    outputs = {subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                              env={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert outputs == {f"{asyncio.run(MockEmbedder().embed(['Where is my parcel?']))}\n"}


def test_a_text_that_is_too_long_is_named_with_its_length() -> None:
    with pytest.raises(EngineError, match=f"input 1 has {MAX_TOKENS + 1} tokens, the embedding model reads at most"):
        embed(["short", " hello" * (MAX_TOKENS + 1)])


def test_token_arrays_are_decoded_by_its_own_tokenizer() -> None:
    assert MockEmbedder().decode([24912, 2375]) == "hello world"
