"""Parts of a batch are computed at the same time, and the numbers do not depend on who is ready first."""

import threading
import time

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from local_api.engines.lora.batches import PART_TOKENS, collate
from local_api.engines.lora.examples import Encoded
from local_api.engines.lora.network import Network
from local_api.engines.lora.objectives import Kept, Supervised
from local_api.engines.lora.workers import THREADS, Workers

pytestmark = pytest.mark.lora


def row(n: int, first: int) -> Encoded:
    return Encoded([(first + place) % 90 for place in range(n)], [0.0] * (n - 2) + [1.0] * 2, [False] * (n - 2) + [True] * 2, 1)


def part(*rows: Encoded, start: int = 0):
    return collate(rows, ("training", 0, start))


def small_network() -> Network:
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=90, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
                         num_key_value_heads=2, head_dim=8, tie_word_embeddings=True)
    network = Network(LlamaForCausalLM(config).eval(), 2, 4, 8.0, seed=1)
    with torch.no_grad():
        for weight in network.weights().values():
            weight.normal_(0, 0.2, generator=torch.Generator().manual_seed(len(weight)))
    network.follow()
    return network


def gradients(parts) -> list[torch.Tensor]:
    network = small_network()
    Supervised(network, Kept(network, 2**20)).measure(parts, train=True)
    return [side.whole.grad for side in network.sides]


ROWS = [row(9, 3), row(9, 40), row(11, 7), row(12, 60), row(12, 2)]


def test_a_batch_in_parts_has_the_gradients_of_the_whole() -> None:
    whole = gradients([part(*ROWS)])
    halves = gradients([part(*ROWS[:2]), part(*ROWS[2:], start=2)])
    assert max(gradient.abs().max() for gradient in whole) > 0.01
    for one, other in zip(whole, halves, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_same_parts_give_the_same_bits_again() -> None:
    parts = [part(one, start=number) for number, one in enumerate(ROWS)]
    first, second = gradients(parts), gradients(parts)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.skipif(torch.get_num_threads() < THREADS, reason="one core")
def test_two_parts_are_under_way_at_once_and_the_results_in_order() -> None:
    meeting = threading.Barrier(2, timeout=20)

    def meet(one) -> int:
        meeting.wait()
        time.sleep(0.05 if one.key[2] == 0 else 0)
        return one.key[2]

    parts = [part(one, start=number) for number, one in enumerate(ROWS[:4])]
    assert list(Workers(torch.device("cpu")).map(meet, parts)) == [0, 1, 2, 3]


def test_parts_of_long_rows_are_computed_one_at_a_time_with_all_cores() -> None:
    seen = []
    long = [part(row(PART_TOKENS + 2, number), start=number) for number in range(2)]
    list(Workers(torch.device("cpu")).map(lambda one: seen.append((threading.current_thread(), torch.get_num_threads())), long))
    assert seen == [(threading.current_thread(), torch.get_num_threads())] * 2
