"""Completions and chat completions through the official client, plain and streamed, on both engines."""

import json

import openai
import pytest

PROMPT = "cherry number 2\n\n###\n\n"


@pytest.fixture
def ask(client, job):
    def ask(prompt=PROMPT, **options):
        return client.completions.create(**{"model": job.fine_tuned_model, "prompt": prompt, "temperature": 0, "max_tokens": 6,
                                            "stop": "\n", **options})
    return ask


@pytest.fixture
def chat(client, job):
    def chat(text="Say something short.", **options):
        return client.chat.completions.create(**{"model": job.fine_tuned_model, "messages": [{"role": "user", "content": text}],
                                                 "temperature": 0, "max_completion_tokens": 6, **options})
    return chat


def test_an_answer_has_its_text_reason_and_counts(ask):
    answer = ask()
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-")
    assert answer.choices[0].text == " red" and answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 3 and 1 <= answer.usage.completion_tokens <= 2
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_max_tokens_ends_an_answer_and_is_counted(ask):
    answer = ask(max_tokens=1, stop=None)
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 1


def test_several_prompts_and_choices_come_in_order(ask):
    answer = ask(prompt=[PROMPT, "jeans number 2\n\n###\n\n"], n=2)
    assert [choice.text for choice in answer.choices] == [" red", " red", " blue", " blue"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


def test_echo_repeats_the_prompt(ask):
    assert ask(echo=True).choices[0].text == PROMPT + " red"
    assert ask(echo=True, max_tokens=0).choices[0].text == PROMPT


@pytest.mark.parametrize("wrong", [-1, 99_999_999, 2**70])
@pytest.mark.parametrize("options", [{}, {"echo": True, "logprobs": 1, "max_tokens": 0}], ids=["answered", "scored"])
def test_a_number_that_is_no_token_is_refused_by_its_value(ask, wrong, options):
    with pytest.raises(openai.BadRequestError, match=f"token id {wrong} is not in the vocabulary"):
        ask(prompt=[40, wrong], **options)
    assert ask().choices[0].text == " red", "the server is still there"


def test_echo_with_logprobs_tells_how_likely_the_prompt_is(ask):
    whole = ask(echo=True, logprobs=2, max_tokens=1, stop=None).choices[0]
    told, own = whole.logprobs, ask(logprobs=2, max_tokens=1, stop=None).choices[0].logprobs
    assert "".join(told.tokens) == whole.text == PROMPT + " red"
    assert [whole.text[at:].startswith(token) for at, token in zip(told.text_offset, told.tokens, strict=True)] == [True] * len(told.tokens)
    assert told.token_logprobs[0] is None and told.top_logprobs[0] is None
    assert all(logprob <= 0 for logprob in told.token_logprobs[1:])
    assert told.token_logprobs[-1] == pytest.approx(own.token_logprobs[0], abs=0.02) and told.tokens[-1:] == own.tokens


def test_the_same_is_told_of_several_prompts_without_an_answer_and_in_a_stream(ask):
    prompts = [PROMPT, "jeans 🫨 number 2", ""]
    whole = ask(prompt=prompts, echo=True, logprobs=0, max_tokens=0).choices
    assert [choice.text for choice in whole] == prompts and whole[2].logprobs.tokens == []
    assert [token for token in whole[1].logprobs.tokens if token.startswith("bytes:")]
    assert {len(choice.logprobs.tokens) - len(choice.logprobs.token_logprobs) for choice in whole} == {0}
    chunks = [chunk.choices[0] for chunk in ask(prompt=prompts[:2], echo=True, logprobs=0, max_tokens=0, stream=True)]
    streamed = {choice.index: choice.logprobs for choice in chunks if choice.logprobs}
    for index in (0, 1):
        assert streamed[index].tokens == whole[index].logprobs.tokens
        assert streamed[index].token_logprobs[1:] == pytest.approx(whole[index].logprobs.token_logprobs[1:], abs=0.02)


def test_token_ids_are_a_prompt_too(ask, client, job):
    with pytest.raises(openai.BadRequestError, match="prompt"):
        ask(prompt=[])
    assert ask(prompt=[40, 41, 42]).usage.prompt_tokens == 3
    assert ask(prompt=[[40, 41], [42]]).usage.prompt_tokens == 3


def test_logprobs_are_those_of_the_tokens(ask):
    logprobs = ask(logprobs=3, max_tokens=1, stop=None).choices[0].logprobs
    assert logprobs.tokens == [" red"] and logprobs.text_offset == [0]
    assert logprobs.token_logprobs[0] == logprobs.top_logprobs[0][" red"] == max(logprobs.top_logprobs[0].values()) <= 0
    assert len(logprobs.top_logprobs[0]) == 3
    assert ask(logprobs=0, max_tokens=1, stop=None).choices[0].logprobs.top_logprobs is None


def test_a_stream_gives_the_same_as_the_whole(ask):
    chunks = list(ask(stream=True, stream_options={"include_usage": True}, logprobs=1))
    whole = ask(logprobs=1)
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == whole.choices[0].text
    reasons = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    assert reasons[-1] == "stop" and set(reasons[:-1]) <= {None}
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_of_several_choices_keeps_them_apart(ask):
    texts = {0: "", 1: "", 2: "", 3: ""}
    for chunk in ask(prompt=[PROMPT, "jeans number 2\n\n###\n\n"], n=2, stream=True, echo=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == {0: PROMPT + " red", 1: PROMPT + " red", 2: "jeans number 2\n\n###\n\n blue", 3: "jeans number 2\n\n###\n\n blue"}


def test_a_stream_ends_with_done_on_the_wire(client, job):
    with client.completions.with_streaming_response.create(model=job.fine_tuned_model, prompt=PROMPT, max_tokens=2, stream=True) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in raw.iter_lines() if line]
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: {") for line in lines[:-1])


def test_the_same_seed_gives_the_same_answer(ask):
    def draw(seed):
        return ask(temperature=1.5, seed=seed, max_tokens=12, stop=None).choices[0].text
    assert draw(5) == draw(5)
    assert len({draw(seed) for seed in range(8)}) > 1


def test_n_choices_with_a_seed_differ_from_each_other(ask):
    answer = ask(n=6, temperature=1.8, seed=3, max_tokens=12, stop=None)
    assert len({choice.text for choice in answer.choices}) > 1


def test_a_banned_token_does_not_come(ask, client, job):
    red = ask(max_tokens=1, stop=None, logprobs=1)
    first = red.choices[0].text
    banned = ask(max_tokens=1, stop=None, logit_bias={str(token_id(client, job, first)): -100})
    assert banned.choices[0].text != first


def token_id(client, job, text: str) -> int:
    """The id of the one token that `text` is: found by asking for the echo of token ids, as a user could."""
    low = 0
    while True:
        batch = [[token] for token in range(low, low + 2000)]
        echoes = client.completions.create(model=job.fine_tuned_model, prompt=batch, echo=True, max_tokens=0).choices
        for token, choice in zip(range(low, low + 2000), echoes, strict=True):
            if choice.text == text:
                return token
        low += 2000


def test_best_of_returns_the_likeliest(ask):
    answer = ask(best_of=4, n=1, temperature=1.5, seed=1, stop=None)
    assert len(answer.choices) == 1 and answer.choices[0].logprobs is None
    assert answer.usage.completion_tokens == 4 * 6 or answer.usage.completion_tokens > 6


@pytest.mark.parametrize(("options", "param"), [
    ({"temperature": 2.5}, "temperature"), ({"temperature": "warm"}, "temperature"), ({"top_p": -0.1}, "top_p"),
    ({"n": 0}, "n"), ({"n": 129}, "n"), ({"stop": ["a", "b", "c", "d", "e"]}, "stop"), ({"stop": ""}, "stop"),
    ({"max_tokens": -1}, "max_tokens"), ({"presence_penalty": 3}, "presence_penalty"), ({"logprobs": 21}, "logprobs"),
    ({"logit_bias": {"a": 1}}, "logit_bias"), ({"logit_bias": {"5": 101}}, "logit_bias.5"), ({"best_of": 1, "n": 2}, "best_of"),
    ({"best_of": 3, "stream": True}, "best_of"), ({"suffix": "end"}, "suffix"),
    ({"stream_options": {"include_usage": True}}, "stream_options"), ({"extra_body": {"top_k": 5}}, "top_k"),
    ({"model": "no-such-model"}, "model"), ({"model": "ft:x"}, "model"), ({"max_tokens": 100_000}, "max_tokens"),
    ({"prompt": "word " * 30_000}, "prompt"),
])
def test_what_cannot_be_done_is_refused_naming_the_parameter(ask, options, param):
    with pytest.raises(openai.APIStatusError) as refusal:
        ask(**options)
    assert refusal.value.status_code == (404 if "model" in options else 400)
    assert refusal.value.body["param"] == param
    assert set(refusal.value.body) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(("options", "said"), [
    ({"prompt": ["Hello"] * 2048, "n": 128}, "prompt holds 2,048 prompts and n is 128: 262,144 answers, at most 2,048"),
    ({"prompt": ["Hello"] * 2049}, "prompt holds 2,049 prompts and n is 1: "),
    ({"prompt": ["Hello"] * 103, "n": 2, "best_of": 20}, "prompt holds 103 prompts and best_of is 20: 2,060 answers")])
def test_more_answers_than_one_request_may_ask_for_are_refused_naming_both_numbers(ask, options, said):
    with pytest.raises(openai.BadRequestError, match=said) as refusal:
        ask(**options)
    assert refusal.value.body["param"] == "prompt"


def test_a_chat_answer_has_a_message(chat):
    answer = chat()
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content
    assert answer.usage.completion_tokens <= 6


def test_a_chat_stream_gives_the_same_as_the_whole(chat):
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == chat().choices[0].message.content
    assert chunks[-2].choices[0].finish_reason in ("stop", "length") and chunks[-1].usage == chat().usage


def test_chat_logprobs_name_the_alternatives(chat):
    content = chat(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert content and all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in content)
    assert all(bytes(token.bytes).decode(errors="replace") == token.token for token in content)


def test_chat_answers_in_json_when_asked_to(chat):
    schema = {"type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}}, "required": ["colour"],
              "additionalProperties": False}
    answer = chat("Which colour is a cherry? Answer in JSON.", max_completion_tokens=40,
                  response_format={"type": "json_schema", "json_schema": {"name": "colour", "schema": schema}})
    assert json.loads(answer.choices[0].message.content)["colour"] in ("red", "blue")


@pytest.mark.parametrize(("options", "param"), [
    ({"messages": []}, "messages"), ({"messages": [{"role": "robot", "content": "x"}]}, "messages"),
    ({"messages": [{"content": "x"}]}, "messages"), ({"top_logprobs": 2}, "top_logprobs"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"), ({"reasoning_effort": "low"}, "reasoning_effort"),
    ({"max_tokens": 5}, "max_tokens"), ({"response_format": {"type": "poem"}}, "response_format.type"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
    ({"n": 1000}, "n"), ({"logprobs": 5}, "logprobs"),
])
def test_what_a_chat_cannot_be_asked_is_refused_naming_the_parameter(chat, options, param):
    with pytest.raises(openai.BadRequestError) as refusal:
        chat(**options)
    assert refusal.value.body["param"] == param


def test_a_client_that_leaves_does_not_stop_the_server(client, job):
    stream = client.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "Talk."}],
                                            stream=True, max_completion_tokens=200)
    next(iter(stream))
    stream.close()
    assert client.models.list().data


@pytest.mark.parametrize("server", ["lora"], indirect=True)
@pytest.mark.lora
def test_a_client_that_gives_up_frees_its_slots(server, job):
    """Long answers that nobody waits for any more must not delay the next one."""
    impatient = server.client(timeout=1.0)
    with pytest.raises(openai.APITimeoutError):
        impatient.completions.create(model=job.model, prompt=["Once upon a time"] * 32, max_tokens=1500, temperature=1,
                                     logit_bias={"0": -100, "2": -100})
    patient = server.client(timeout=60)  # those answers would take minutes
    assert patient.completions.create(model=job.model, prompt="Once", max_tokens=1).choices[0].text
