"""Token counts, against the figures that were published and against tiktoken itself."""

import os

import pytest
import tiktoken

from helpers.tokens import (
    _encoding,
    count_messages,
    count_row,
    count_tokens,
    encoding_name,
    estimate,
    is_exact,
)

# The two examples of the published guide to counting tokens, whose counts are known from the API's own answers.
JARGON = [
    {"role": "system",
     "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {"role": "system", "name": "example_user",
     "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
    {"role": "system", "name": "example_assistant",
     "content": "Let's talk later when we're less busy about how to do better."},
    {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
]
WEATHER = [
    {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
WEATHER_TOOL = {"type": "function", "function": {
    "name": "get_current_weather", "description": "Get the current weather in a given location",
    "parameters": {"type": "object", "required": ["location"], "properties": {
        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
        "unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]}}}}}


@pytest.mark.parametrize(("model", "messages", "tools", "count"), [
    ("gpt-4", JARGON, None, 129), ("gpt-4o", JARGON, None, 124), ("gpt-4", WEATHER, [WEATHER_TOOL], 105),
    ("gpt-4o", WEATHER, [WEATHER_TOOL], 101),
])
def test_counts_equal_the_published_ones(model, messages, tools, count):
    assert count_messages(messages, model, tools=tools) == count


@pytest.mark.parametrize(("model", "name", "exact"), [
    ("gpt-4.1", "o200k_base", True), ("gpt-4.1-mini-2025-04-14", "o200k_base", True), ("gpt-5", "o200k_base", True),
    ("gpt-4", "cl100k_base", True), ("babbage-002", "cl100k_base", True), ("gpt-oss-20b", "o200k_base", True),
    ("ft:gpt-4.1-mini-2025-04-14:org:suffix:abc12345", "o200k_base", True), ("ft:gpt-4o:org::abc", "o200k_base", True),
    ("ft:gpt-3.5-turbo:org::abc", "cl100k_base", True), ("ft:smollm2-135m-instruct:local::abc", "o200k_base", False),
    ("smollm2-135m-instruct", "o200k_base", False), ("curie", "o200k_base", False),
])
def test_each_model_has_a_vocabulary_and_we_say_when_it_is_another_ones(model, name, exact):
    assert encoding_name(model) == name and is_exact(model) is exact


def test_counting_leaves_the_environment_and_the_disk_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    _encoding.cache_clear()
    assert count_tokens("tiktoken is great!", "gpt-4") == 6
    assert os.environ["TIKTOKEN_CACHE_DIR"] == str(tmp_path) and list(tmp_path.iterdir()) == []


def test_tiktoken_itself_works_offline_after_the_first_count():
    text = "Where is my parcel? 我的包裹 <|endoftext|>"
    assert count_tokens(text) == len(tiktoken.get_encoding("o200k_base").encode(text, disallowed_special=()))


def test_the_weight_of_a_message_is_not_read_by_the_model_and_a_tool_call_is():
    answer = {"role": "assistant", "content": "x"}
    assert count_messages([{**answer, "weight": 0}]) == count_messages([answer])
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert count_messages([call]) > count_messages([{"role": "assistant", "content": None}])


def test_the_texts_of_a_message_in_parts_count_like_the_text():
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": " there"}]
    assert count_messages([{"role": "user", "content": parts}]) == count_messages([{"role": "user", "content": "Hello there"}])


def test_rows_of_every_kind_are_counted():
    assert count_row({"prompt": "Hello", "completion": " world"}) == 2
    assert count_row({"messages": WEATHER, "tools": [WEATHER_TOOL]}, "gpt-4o") == 101
    asked, answers = [{"role": "user", "content": "Hi"}], ([{"role": "assistant", "content": "Yes"}], [
        {"role": "assistant", "content": "No way"}])
    row = {"input": {"messages": asked}, "preferred_output": answers[0], "non_preferred_output": answers[1]}
    other = {"input": {"messages": asked}, "preferred_completion": answers[0], "non_preferred_completion": answers[1]}
    assert count_row(row) == count_row(other) == sum(count_messages(asked + answer) for answer in answers)
    with pytest.raises(ValueError, match="it has the fields 'text', but neither"):
        count_row({"text": "x"})


def test_an_estimate_multiplies_by_epochs_and_prices():
    rows = [{"prompt": "Hello", "completion": " world"}, {"prompt": "Hello Hello Hello", "completion": " world"}]
    plan = estimate(rows, model="gpt-4.1", n_epochs=3, price_per_million=5, tokens_per_second=10)
    assert (plan.examples, plan.tokens, plan.trained_tokens, plan.longest) == (2, 6, 18, 4)
    assert plan.cost == pytest.approx(18 * 5 / 1e6) and plan.minutes == pytest.approx(18 / 10 / 60)
    assert str(plan) == ("2 examples with 6 tokens (the longest 4), 18 over all epochs; 0.00 at the price given; "
                         "2 seconds on this machine.")


def test_an_estimate_for_a_local_model_says_that_it_is_one():
    plan = estimate([{"prompt": "Hello", "completion": " world"}], model="smollm2", n_epochs=1)
    assert plan.cost is None and plan.minutes is None and not plan.exact and "about 2 tokens" in str(plan)
