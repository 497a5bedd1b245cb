"""Our layers compute what transformers' and PEFT's compute, forwards and backwards."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from local_api.engines.lora.network import Network

# PEFT asks transformers for an attribute by its former name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LAYERS, DEPTH, RANK = 3, 2, 4


def config(**changes) -> LlamaConfig:
    return LlamaConfig(**{"vocab_size": 90, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": LAYERS, "num_attention_heads": 6,
                          "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 2048, "tie_word_embeddings": True} | changes)


@pytest.fixture(params=[{}, {"num_key_value_heads": 6}, {"head_dim": 16}, {"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}}],
                ids=["shared keys", "a key for each head", "wide heads", "scaled positions"])
def pair(request):
    """Our network, and the same model with the same adapter by PEFT."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(config(**request.param)).eval()
    theirs = LlamaForCausalLM(config(**request.param)).eval()
    theirs.load_state_dict(model.state_dict())
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LINEAR, layers_to_transform=list(range(LAYERS - DEPTH, LAYERS)),
                      task_type="CAUSAL_LM")
    theirs = get_peft_model(theirs, lora)
    ours = Network(model, DEPTH, RANK, 2.0 * RANK, seed=1)
    named = dict(theirs.named_parameters())
    matches = {name: named[f"base_model.model.{name}.default.weight"] for name in ours.weights()}
    assert len(matches) == 2 * 7 * DEPTH
    with torch.no_grad():
        for name, weight in ours.weights().items():
            weight.normal_(0, 0.2)
            matches[name].copy_(weight)
    ours.follow()
    return ours, theirs, matches


@pytest.mark.parametrize("time", [1, 17, 520])  # 520: beyond plain attention
def test_logits_and_gradients_are_those_of_transformers_with_peft(pair, time):
    ours, theirs, matches = pair
    ids = torch.randint(0, 90, (3, time))
    positions = torch.tensor(sorted({0, time - 1, time + time // 2, 3 * time - 1}))
    targets = torch.randint(0, 90, positions.shape)
    logits = ours.logits(ours.frozen(ids), positions)
    wanted = theirs(ids).logits.flatten(0, 1)[positions]
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)
    functional.cross_entropy(logits, targets).backward()
    functional.cross_entropy(wanted, targets).backward()
    for name, weight in ours.weights().items():
        torch.testing.assert_close(weight.grad, matches[name].grad, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_padding_on_the_right_changes_no_row(pair):
    ours, _, _ = pair
    ids = torch.randint(0, 90, (1, 9))
    padded = torch.cat([ids, torch.zeros(1, 6, dtype=torch.long)], 1)
    place = torch.tensor([8])
    with torch.no_grad():
        torch.testing.assert_close(ours.logits(ours.frozen(padded), place), ours.logits(ours.frozen(ids), place))


def test_each_matrix_is_a_stretch_of_its_side(pair):
    ours, _, _ = pair
    weights = list(ours.weights().values())
    assert sorted(place for side in ours.sides for place in side.places) == list(range(len(weights)))
    for side in ours.sides:
        with torch.no_grad():
            side.whole.copy_(torch.arange(len(side.whole)))
        assert torch.equal(torch.cat([weights[place].flatten() for place in side.places]), side.whole)


def test_the_layers_follow_the_optimizer(pair):
    ours, theirs, matches = pair
    ids, positions, targets = torch.randint(0, 90, (2, 7)), torch.tensor([6, 13]), torch.tensor([5, 60])
    optimizer = torch.optim.AdamW(ours.weights().values(), lr=0.1, fused=True)
    functional.cross_entropy(ours.logits(ours.frozen(ids), positions), targets).backward()
    optimizer.step()
    ours.follow()
    with torch.no_grad():
        for name, weight in ours.weights().items():
            matches[name].copy_(weight)
        torch.testing.assert_close(ours.logits(ours.frozen(ids), positions), theirs(ids).logits.flatten(0, 1)[positions],
                                   rtol=1e-4, atol=1e-4)
