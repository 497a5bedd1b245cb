"""Near-duplicates are found, chance likenesses are not, and always the same ones."""

import random

import numpy as np

from helpers.preparation.near import clusters

WORDS = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in ("st", "r", "nd", "lp", "x")]


def sentences(number, seed=0):
    random_words = random.Random(seed)
    return [" ".join(random_words.choices(WORDS, k=20)) for _ in range(number)]


def of(texts):
    return clusters(texts, len(texts), texts.__getitem__)


def test_texts_with_one_word_changed_are_near_and_others_are_not():
    texts = sentences(2000)
    changed = [text.replace(text.split()[7], "else", 1) for text in texts[:200]]
    found = of(texts + changed)
    assert (found[:2000] == np.arange(2000)).all()
    assert (found[2000:] == np.arange(200)).mean() > 0.99


def test_case_punctuation_and_digits_do_not_count():
    assert of(["Order 123: where is it?", "ORDER 9 - where is it", "Hello"]).tolist() == [0, 0, 2]


def test_texts_without_spaces_are_compared_by_their_characters():
    assert of(["我的订单在哪里我已经等了两个星期", "我的订单在哪里我已经等了三个星期", "今天天气很好我们去公园散步吧朋友"]).tolist() == [0, 0, 2]


def test_a_chain_of_near_texts_is_one_cluster_named_by_its_first():
    words = sentences(1)[0].split()
    chain = [" ".join(words[:15] + words[15 + n:]) for n in range(4)]
    assert of(["something else entirely", *chain]).tolist() == [0, 1, 1, 1, 1]


def test_texts_without_words_stand_alone_and_nothing_at_all_is_fine():
    assert of(["", "?!", "", "a"]).tolist() == [0, 1, 2, 3] and of([]).tolist() == []
