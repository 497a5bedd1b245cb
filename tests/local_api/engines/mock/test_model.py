"""The mixture of neighbours and n-grams: one distribution, whether scored or served."""

from math import exp, log

import numpy as np
import pytest

from local_api.engines.mock.model import Entry, Model, trust_in
from local_api.engines.mock.objectives import count_weight
from local_api.engines.mock.sources import Learned
from local_api.engines.mock.tokenizer import END_OF_TEXT, VOCABULARY_SIZE

ENTRIES = [Entry("red apple", (5, 6, END_OF_TEXT)), Entry("red pear", (5, 7, END_OF_TEXT)), Entry("blue sky", (8, END_OF_TEXT))]


def counted(*weights: float) -> Model:
    model = Model(ENTRIES)
    for number, weight in enumerate(weights):
        model.count(number, weight)
    return model


def test_a_model_that_has_seen_nothing_guesses_and_gets_nothing_right() -> None:
    model = Model(ENTRIES)
    score = model.score((5, 6), model.neighbours("red apple"))
    assert score.logprob == pytest.approx(-2 * log(VOCABULARY_SIZE))
    assert (score.right, score.tokens) == (0, 2)


def test_what_was_seen_becomes_likelier_the_more_often_it_was_seen() -> None:
    chances = [counted(weight, 1.0, 1.0).score((5, 6), Model(ENTRIES).neighbours("red apple")).logprob
               for weight in (0.0, 1.0, 2.0, 4.0)]
    assert chances == sorted(chances)
    assert chances[0] < chances[-1] - 1


@pytest.mark.parametrize("weights", [(1.0, 2.0, 1.0), (0.5, -1.0, 3.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 2.0)])
@pytest.mark.parametrize("prompt", ["red apple", "red", "nothing alike"])
def test_the_served_distribution_sums_to_one_and_is_the_one_that_is_scored(weights: tuple[float, ...], prompt: str) -> None:
    model = counted(*weights)
    for answer in ((5, 6, END_OF_TEXT), (5, 7), (8, 8)):
        source, served = Learned(model, prompt), 0.0
        for token in answer:
            p, unknown = source.probabilities()
            assert p.sum() + unknown * (VOCABULARY_SIZE - len(p)) == pytest.approx(1)
            served += log(p[np.searchsorted(source.ids, token)])
            source.take(token)
        assert model.score(answer, model.neighbours(prompt)).logprob == pytest.approx(served)


def test_an_answer_that_was_taken_back_counts_against_its_first_tokens() -> None:
    plain, taken_back = counted(1.0, 1.0, 1.0), counted(1.0, -1.0, 1.0)
    near = plain.neighbours("red pear")
    assert taken_back.score((5, 7), near).logprob < plain.score((5, 7), near).logprob - 1


def test_unlike_prompts_are_trusted_less_than_equal_ones() -> None:
    model = counted(1.0, 1.0, 1.0)
    trusts = [trust_in(model.votes(model.neighbours(prompt))) for prompt in ("green apple tree", "red apple")]
    assert trusts == sorted(trusts)
    assert exp(model.score((5, 6), model.neighbours("red apple")).logprob) > 0.5


@pytest.mark.parametrize(("multiplier", "weight"), [(0.1, 1.0), (0.05, 0.5), (2.0, 20.0), (1e-12, 2.0**-20)])
def test_one_sight_of_an_example_weighs_ten_times_the_multiplier(multiplier: float, weight: float) -> None:
    assert count_weight(multiplier) == weight
