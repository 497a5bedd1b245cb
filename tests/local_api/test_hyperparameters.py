"""What "auto" becomes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_api.worker.hyperparameters import MINIMUM_STEPS, default_epochs, resolve, resolve_old


def test_everything_left_open_gets_a_number():
    resolved = resolve({}, 300)
    assert (resolved.n_epochs, resolved.batch_size, resolved.learning_rate_multiplier) == (3, 8, 0.1)
    assert (resolved.beta, resolved.prompt_loss_weight) == (0.1, 0.0)
    assert resolve({"n_epochs": "auto", "batch_size": None, "beta": "auto"}, 300) == resolved


def test_what_was_asked_for_is_kept():
    resolved = resolve({"n_epochs": 1, "batch_size": 2, "learning_rate_multiplier": 0.02, "beta": 2}, 10)
    assert (resolved.n_epochs, resolved.batch_size, resolved.learning_rate_multiplier, resolved.beta) == (1, 2, 0.02, 2)


def test_a_batch_is_never_larger_than_the_file():
    assert resolve({"batch_size": 256}, 40).batch_size == 40
    assert resolve({}, 5).batch_size == 5


@pytest.mark.parametrize(("n_examples", "batch_size", "epochs"), [
    (10, 8, 25), (23, 8, 24), (24, 8, 24), (25, 8, 18), (100, 8, 6), (300, 8, 3), (300, 1, 3), (8_333, 8, 3), (8_334, 8, 2),
    (25_000, 8, 1), (60_000, 8, 1), (10, 1, 7), (10_000, 256, 2)])
def test_epochs_follow_the_number_of_examples(n_examples, batch_size, epochs):
    assert default_epochs(n_examples, batch_size) == epochs


@pytest.mark.parametrize(("n_examples", "batch_size", "multiplier"), [
    (10, 1, 0.05), (700, 1, 0.05), (1_000, 2, 0.05), (3_500, 7, 0.05), (4_000, 8, 0.1), (31_500, 63, 0.1), (32_000, 64, 0.2),
    (127_000, 254, 0.2), (1_000_000, 256, 0.2)])
def test_in_the_old_api_batch_and_multiplier_grow_with_the_file(n_examples, batch_size, multiplier):
    asked = {"n_epochs": 4, "batch_size": "auto", "learning_rate_multiplier": "auto", "prompt_loss_weight": 0.01}
    resolved = resolve_old(asked, n_examples)
    assert (resolved.batch_size, resolved.learning_rate_multiplier) == (batch_size, multiplier)
    assert (resolved.n_epochs, resolved.prompt_loss_weight) == (4, 0.01)


def test_in_the_old_api_the_multiplier_follows_the_batch_that_was_asked_for_as_far_as_the_file_reaches():
    asked = {"n_epochs": 1, "batch_size": 200, "learning_rate_multiplier": "auto", "prompt_loss_weight": 0}
    assert (resolve_old(asked, 1000).batch_size, resolve_old(asked, 1000).learning_rate_multiplier) == (200, 0.2)
    assert (resolve_old(asked, 40).batch_size, resolve_old(asked, 40).learning_rate_multiplier) == (40, 0.1)
    assert resolve_old(asked | {"learning_rate_multiplier": 0.3}, 40).learning_rate_multiplier == 0.3


@given(n_examples=st.integers(1, 100_000), batch_size=st.integers(1, 256))
def test_there_are_enough_steps_and_not_too_many_examples(n_examples, batch_size):
    epochs = default_epochs(n_examples, min(batch_size, n_examples))
    steps = epochs * math.ceil(n_examples / min(batch_size, n_examples))
    assert 1 <= epochs <= 25
    assert steps >= MINIMUM_STEPS or epochs == 25 or 3 * n_examples > 25_000
