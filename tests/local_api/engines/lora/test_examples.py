"""What the model learns of an example."""

from typing import Any

import pytest

from local_api.engines.lora.examples import Encoded, encode, encode_all
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.protocols import Chat, EngineError, Preference, PromptCompletion

pytestmark = pytest.mark.lora

USER, ASSISTANT = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}


def learned(encoded: Encoded, tokenizer: LoraTokenizer) -> str:
    return tokenizer.decode([token for token, weight in zip(encoded.ids, encoded.weights, strict=True) if weight])


def test_a_completion_is_learned_exactly_as_the_file_has_it(tokenizer: LoraTokenizer) -> None:
    [encoded] = encode(PromptCompletion("2 + 2 =", " 4\n"), tokenizer)
    assert encoded.ids == tokenizer.encode("2 + 2 =") + tokenizer.encode(" 4\n")
    assert learned(encoded, tokenizer) == " 4\n"
    assert encoded.scored == [bool(weight) for weight in encoded.weights]


def test_the_prompt_carries_its_loss_weight_and_never_counts_in_the_accuracy(tokenizer: LoraTokenizer) -> None:
    [encoded] = encode(PromptCompletion("one two three", " four"), tokenizer, prompt_loss_weight=0.25)
    assert encoded.weights == [0.0, 0.25, 0.25, 1.0]
    assert encoded.scored == [False, False, False, True]


def test_without_a_prompt_the_first_token_is_still_learned(tokenizer: LoraTokenizer) -> None:
    [encoded] = encode(PromptCompletion("", " four"), tokenizer)
    assert encoded.ids == [tokenizer.start_id, *tokenizer.encode(" four")]
    assert encoded.weights == [0.0, 1.0]


def test_an_empty_completion_is_refused_with_its_line(tokenizer: LoraTokenizer) -> None:
    with pytest.raises(EngineError, match="line 7"):
        encode(PromptCompletion("a", "", line=7), tokenizer)


def test_of_a_conversation_each_answer_is_learned_with_its_end_of_turn(tokenizer: LoraTokenizer) -> None:
    [encoded] = encode(Chat([USER, ASSISTANT, USER, {"role": "assistant", "content": "Bye"}]), tokenizer)
    assert learned(encoded, tokenizer) == "Good day<|im_end|>Bye<|im_end|>"


def test_an_answer_of_weight_zero_is_context_and_the_next_is_learned(tokenizer: LoraTokenizer) -> None:
    [encoded] = encode(Chat([USER, {**ASSISTANT, "weight": 0}, USER, {"role": "assistant", "content": "Bye", "weight": 1}]), tokenizer)
    assert learned(encoded, tokenizer) == "Bye<|im_end|>"
    assert "Good day<|im_end|>" in tokenizer.decode(encoded.ids)


def test_what_stands_before_an_answer_is_what_serving_would_send(tokenizer: LoraTokenizer) -> None:
    [encoded] = encode(Chat([USER, ASSISTANT]), tokenizer)
    prompt = tokenizer.encode(tokenizer.render([USER], add_generation_prompt=True))
    assert encoded.ids[:len(prompt)] == prompt


@pytest.mark.parametrize("messages", [[USER], [USER, {**ASSISTANT, "weight": 0}]])
def test_a_conversation_with_nothing_to_learn_is_refused_with_its_line(tokenizer: LoraTokenizer, messages: list[dict[str, Any]]) -> None:
    with pytest.raises(EngineError, match=r"line 3.*nothing to learn"):
        encode(Chat(messages, line=3), tokenizer)


def test_a_conversation_may_begin_with_the_assistant(tokenizer: LoraTokenizer) -> None:
    [encoded] = encode(Chat([ASSISTANT, USER]), tokenizer)
    assert learned(encoded, tokenizer) == "Good day<|im_end|>"


def test_a_preference_is_two_sequences_that_differ_only_in_what_is_learned(tokenizer: LoraTokenizer) -> None:
    preferred, rejected = encode(Preference([USER], [ASSISTANT], [{"role": "assistant", "content": "What?"}]), tokenizer)
    assert learned(preferred, tokenizer) == "Good day<|im_end|>"
    assert learned(rejected, tokenizer) == "What?<|im_end|>"
    assert preferred.ids[:preferred.first_loss] == rejected.ids[:rejected.first_loss]


def test_answers_earlier_in_a_preference_are_context(tokenizer: LoraTokenizer) -> None:
    preferred, _ = encode(Preference([USER, ASSISTANT, USER], [{"role": "assistant", "content": "A"}], [{"role": "assistant", "content": "B"}]), tokenizer)
    assert learned(preferred, tokenizer) == "A<|im_end|>"


def test_an_example_that_is_too_long_is_refused_with_line_length_and_limit(tokenizer: LoraTokenizer) -> None:
    rows = [PromptCompletion("short", " one", 1), PromptCompletion("word " * 40, " end", 2)]
    with pytest.raises(EngineError, match=r"line 2: the example has \d+ tokens.* at most 30"):
        encode_all(rows, tokenizer, limit=30)


def test_the_tokens_of_an_example_are_those_that_an_epoch_reads(tokenizer: LoraTokenizer) -> None:
    assert tokenizer.n_training_tokens(PromptCompletion("2 + 2 =", " 4\n")) == len(tokenizer.encode("2 + 2 =")) + 3
    pair = Preference([USER], [ASSISTANT], [ASSISTANT])
    assert tokenizer.n_training_tokens(pair) == 2 * tokenizer.n_training_tokens(Chat([USER, ASSISTANT]))
