"""The index of prompts: what is near, ties, large files, determinism."""

import subprocess
import sys

import pytest

from local_api.engines.mock.neighbours import POSTINGS, PromptIndex

PROMPTS = ["Where is my parcel?", "The parcel is broken", "I want my money back", "How do I reset the clock?"]


def test_the_most_alike_prompt_comes_first_and_an_equal_one_has_similarity_one() -> None:
    found = PromptIndex(PROMPTS).search("WHERE is my parcel", 2)
    assert found[0][0] == 0
    assert found[0][1] == pytest.approx(1)
    assert found[1][1] < 0.8


def test_rare_words_weigh_more_than_common_ones() -> None:
    common, rare = "the is on", "cat"
    index = PromptIndex([f"{common} dog", f"a {rare}", f"{common} bird", f"{common} fish"])
    assert index.search(f"{common} {rare}", 1)[0][0] == 1


def test_nothing_is_near_a_prompt_without_known_words() -> None:
    assert PromptIndex(PROMPTS).search("quantum zebra", 3) == []


def test_empty_prompts_are_alike_and_equals_come_in_order() -> None:
    assert [number for number, _ in PromptIndex([""] * 9).search("", 4)] == [0, 1, 2, 3]


def test_in_a_large_file_the_right_prompt_is_still_found() -> None:
    size = 4 * POSTINGS
    index = PromptIndex([f"please help with order x{number}" for number in range(size)])
    assert index.search(f"please help with order x{size - 1}", 1)[0][0] == size - 1
    assert len(index.search("please help", 16)) == 16


def test_similarities_are_the_same_to_the_last_bit_in_every_process() -> None:
    script = ("from local_api.engines.mock.neighbours import PromptIndex; "
              f"print([x.hex() for _, x in PromptIndex({PROMPTS!r}).search('is my the clock parcel', 4)])")
    outputs = {subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                              env={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert len(outputs) == 1
    assert outputs.pop().count("0x") == 4
