"""An adapter leaves PyTorch as PEFT's folder and as a GGUF, and both compute what PyTorch computed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from local_api.engines.lora import LoraEngine
from local_api.engines.lora.adapters import GGUF, read_config
from local_api.engines.lora.export import LoraShape, export, read_adapter, write_gguf
from local_api.engines.lora.network import Network, load
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import AdapterError, Piece

from .conftest import BASE

pytestmark = pytest.mark.lora

PROMPTS = ("The capital of France is", "Dear customer, your order", "def add(a, b):", "In the year 1999, the")
RANK = 4


@pytest.fixture(scope="module")
def network(engine: LoraEngine) -> Network:
    """All layers, and an adapter that changes every projection a lot: a mistake in one of them must show."""
    network = load(engine._files(BASE).weights, depth=None, rank=RANK, alpha=2.0 * RANK, seed=0)
    generator = torch.Generator().manual_seed(0)
    strength = {"q_proj": 0.4, "k_proj": 0.4}
    for name, weight in network.weights().items():
        if name.endswith("lora_B"):
            weight.data.normal_(0, strength.get(name.split(".")[-2], 0.008), generator=generator)
    network.follow()
    return network


@pytest.fixture(scope="module")
def folder(network: Network, engine: LoraEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "adapter"
    shape = LoraShape(RANK, 2.0 * RANK, 0, 30)
    export(network.weights(), folder, shape=shape, config=read_config(engine._files(BASE).weights), base="somebody/some-model")
    return folder


def logprobs(network: Network, tokenizer: LoraTokenizer, text: str) -> torch.Tensor:
    """Of the token after the text."""
    ids = torch.tensor([tokenizer.encode(text)])
    with torch.no_grad():
        return network.logits(network.frozen(ids), torch.tensor([ids.shape[1] - 1]))[0].log_softmax(-1)


def difference(ask: Callable[..., list[Piece]], network: Network, tokenizer: LoraTokenizer, adapter: Path | None) -> float:
    """Mean over the prompts of |log p(llama.cpp) - log p(PyTorch)| of llama.cpp's 20 likeliest tokens."""
    gaps = []
    for prompt in PROMPTS:
        [piece] = ask(prompt, adapter=adapter, max_tokens=1, top_logprobs=20)
        ours = logprobs(network, tokenizer, prompt)
        for _, raw, logprob in piece.tokens[0].top:
            [token] = tokenizer.encode(raw.decode())
            gaps.append(abs(ours[token].item() - logprob))
    return sum(gaps) / len(gaps)


def test_llama_serves_the_probabilities_that_pytorch_computes(ask: Any, network: Network, tokenizer: LoraTokenizer, folder: Path) -> None:
    assert difference(ask, network, tokenizer, folder) < 0.2


def test_and_that_test_notices_rows_of_q_and_k_left_in_pytorchs_order(ask: Any, engine: LoraEngine, network: Network, tokenizer: LoraTokenizer, tmp_path: Path) -> None:
    matrices = {name: weight.detach() for name, weight in network.weights().items()}
    write_gguf(matrices, tmp_path / GGUF, alpha=2.0 * RANK, config=read_config(engine._files(BASE).weights), reorder=False)
    assert difference(ask, network, tokenizer, tmp_path) > 0.5


def test_and_an_adapter_that_is_not_applied(ask: Any, network: Network, tokenizer: LoraTokenizer) -> None:
    assert difference(ask, network, tokenizer, None) > 0.5


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT calls what transformers will rename
def test_peft_reads_the_folder_and_computes_the_same(engine: LoraEngine, network: Network, tokenizer: LoraTokenizer, folder: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(engine._files(BASE).weights, dtype=torch.float32, attn_implementation="eager")
    theirs = PeftModel.from_pretrained(base, folder)
    ids = torch.tensor([tokenizer.encode(PROMPTS[0])])
    with torch.no_grad():
        expected = theirs(ids).logits[0, -1].log_softmax(-1)
    best = expected.topk(20).indices
    ours = logprobs(network, tokenizer, PROMPTS[0])
    assert (ours[best] - expected[best]).abs().mean() < 0.2


def test_the_configuration_names_the_base_model_as_others_know_it(folder: Path) -> None:
    about = json.loads((folder / "adapter_config.json").read_text())
    assert (about["base_model_name_or_path"], about["r"], about["peft_type"]) == ("somebody/some-model", RANK, "LORA")


def test_an_adapter_is_read_back_as_it_was(network: Network, folder: Path) -> None:
    shape, weights = read_adapter(folder)
    assert shape == LoraShape(RANK, 2.0 * RANK, 0, 30)
    assert all(torch.equal(weights[name], weight) for name, weight in network.weights().items())


def test_a_folder_without_the_weights_cannot_be_continued_from(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text((folder / "adapter_config.json").read_text())
    with pytest.raises(AdapterError, match="cannot be continued from"):
        read_adapter(tmp_path)


def test_exporting_again_replaces_the_folder_and_leaves_no_draft(network: Network, engine: LoraEngine, tmp_path: Path) -> None:
    config, target = read_config(engine._files(BASE).weights), tmp_path / "adapter"
    (target / "old").mkdir(parents=True)
    export(network.weights(), target, shape=LoraShape(RANK, 8.0, 0, 30), config=config, base="x")
    assert sorted(path.name for path in target.iterdir()) == ["adapter.gguf", "adapter_config.json", "adapter_model.safetensors"]
    assert list(tmp_path.iterdir()) == [target]
