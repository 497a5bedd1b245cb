"""Many requests: in order, retried where it helps, none of their answers lost."""

import email.utils
import json
import threading
import time

import httpx2
import openai
import pytest
import stamina

from helpers.batch import chat_many, complete_many, pause_before_retry
from helpers.errors import BatchFailed


@pytest.fixture(autouse=True)
def no_waits():
    with stamina.set_testing(True, attempts=3):
        yield


def prompt_of(request):
    return json.loads(request.content)["prompt"]


def refusal(status, code=None, **headers):
    return httpx2.Response(status, json={"error": {"message": "no", "code": code}}, headers=headers)


@pytest.fixture
def flaky(client_of, echo_api):
    """A client whose API refuses, by prompt, the first requests with the given responses, and then answers."""
    def make(refusals):
        left, asked, lock = {prompt: list(answers) for prompt, answers in refusals.items()}, [], threading.Lock()

        def handler(request):
            with lock:
                asked.append(prompt_of(request))
                if left.get(prompt_of(request)):
                    answer = left[prompt_of(request)].pop(0)
                    if isinstance(answer, Exception):
                        raise answer
                    return answer
            return echo_api(request)
        return client_of(handler), asked
    return make


def test_answers_come_in_the_order_of_the_prompts_though_they_arrive_in_another(client_of, echo_api):
    last_there = threading.Event()

    def handler(request):
        if prompt_of(request) == "a":
            assert last_there.wait(5)  # the first is answered last
        elif prompt_of(request) == "d":
            last_there.set()
        return echo_api(request)

    answers = complete_many(client_of(handler), list("abcd"), model="m", concurrency=4)
    assert [answer.choices[0].text for answer in answers] == list("ABCD")


def test_no_more_requests_run_at_once_than_asked_for(client_of, echo_api):
    running, most, lock = 0, 0, threading.Lock()

    def handler(request):
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
        time.sleep(0.01)
        with lock:
            running -= 1
        return echo_api(request)

    complete_many(client_of(handler), [str(n) for n in range(12)], model="m", concurrency=3)
    assert most <= 3


def test_parameters_are_sent_along(client_of, echo_api):
    bodies = []
    client = client_of(lambda request: bodies.append(json.loads(request.content)) or echo_api(request))
    complete_many(client, ["a"], model="m", max_tokens=1, stop=None)
    assert bodies == [{"model": "m", "prompt": "a", "max_tokens": 1, "stop": None}]


def test_conversations_are_answered_likewise(client_of):
    def handler(request):
        content = json.loads(request.content)["messages"][-1]["content"]
        return httpx2.Response(200, json={"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content * 2}}]})

    answers = chat_many(client_of(handler), [[{"role": "user", "content": text}] for text in "ab"], model="m")
    assert [answer.choices[0].message.content for answer in answers] == ["aa", "bb"]


@pytest.mark.parametrize("trouble", [
    refusal(429, "rate_limit_exceeded"), refusal(500), refusal(503), refusal(409), httpx2.ConnectError("x"),
    httpx2.ReadTimeout("x")], ids=["429", "500", "503", "409", "connection", "timeout"])
def test_what_may_pass_is_tried_again(flaky, trouble):
    client, asked = flaky({"b": [trouble, trouble]})
    assert [answer.choices[0].text for answer in complete_many(client, list("abc"), model="m")] == list("ABC")
    assert sorted(asked) == list("abbbc")


def test_a_request_that_fails_after_all_retries_is_named_and_the_others_are_there(flaky):
    client, asked = flaky({"b": [refusal(500)] * 3, "d": [refusal(400)]})
    with pytest.raises(BatchFailed, match=r"2 of 5 requests failed, the first of them prompt 1 \(InternalServerError") as caught:
        complete_many(client, list("abcde"), model="m")
    assert list(caught.value.errors) == [1, 3] and isinstance(caught.value.errors[3], openai.BadRequestError)
    assert [answer and answer.choices[0].text for answer in caught.value.answers] == ["A", None, "C", None, "E"]
    assert asked.count("b") == 3 and asked.count("d") == 1


@pytest.mark.parametrize("response", [refusal(429, "insufficient_quota"), refusal(401), refusal(404, "model_not_found")],
                         ids=["quota", "key", "model"])
def test_what_every_request_would_share_is_not_tried_again_nor_with_the_others(flaky, response):
    client, asked = flaky({str(n): [response] for n in range(50)})
    with pytest.raises(BatchFailed):
        complete_many(client, [str(n) for n in range(50)], model="m", concurrency=1)
    assert asked == ["0"]


def test_answers_that_were_kept_are_not_asked_for_again(flaky, tmp_path):
    path = tmp_path / "kept" / "answers.jsonl"
    client, asked = flaky({"b": [refusal(400)]})
    with pytest.raises(BatchFailed, match=r"2 answers are in .*answers.jsonl: the same call sends only the others"):
        complete_many(client, list("abc"), model="m", save_to=path)
    answers = complete_many(client, list("abc"), model="m", save_to=path)
    assert [answer.choices[0].text for answer in answers] == list("ABC") and sorted(asked) == list("abbc")
    again = complete_many(client, list("cab"), model="m", save_to=path)
    assert [answer.choices[0].text for answer in again] == list("CAB") and len(asked) == 4


def test_another_model_or_parameter_is_another_request(flaky, tmp_path):
    client, asked = flaky({})
    for options in ({"model": "m"}, {"model": "n"}, {"model": "m", "max_tokens": 1}):
        complete_many(client, ["a"], save_to=tmp_path / "kept.jsonl", **options)
    assert len(asked) == 3


def test_equal_prompts_get_answers_of_their_own(flaky, tmp_path):
    client, asked = flaky({})
    complete_many(client, ["a", "a"], model="m", save_to=tmp_path / "kept.jsonl")
    complete_many(client, ["a", "a", "a"], model="m", save_to=tmp_path / "kept.jsonl")
    assert len(asked) == 3


def test_half_a_line_that_a_crash_left_is_cut_off_and_asked_for_again(flaky, tmp_path):
    path = tmp_path / "kept.jsonl"
    client, asked = flaky({})
    complete_many(client, list("ab"), model="m", save_to=path, concurrency=1)
    path.write_bytes(path.read_bytes()[:-20])
    answers = complete_many(client, list("ab"), model="m", save_to=path)
    assert [answer.choices[0].text for answer in answers] == list("AB") and len(asked) == 3
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


def test_an_interrupt_keeps_what_was_on_its_way_and_sends_no_more(client_of, echo_api, tmp_path, monkeypatch):
    asked = []
    client = client_of(lambda request: asked.append(prompt_of(request)) or echo_api(request))

    def interrupted(futures):
        next(iter(futures)).result()
        raise KeyboardInterrupt

    monkeypatch.setattr("helpers.batch.as_completed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        complete_many(client, [str(n) for n in range(500)], model="m", save_to=tmp_path / "kept.jsonl", concurrency=2)
    assert len(asked) < 500 and len((tmp_path / "kept.jsonl").read_text().splitlines()) == len(asked)


def error_of(response):
    response.request = httpx2.Request("POST", "https://api.example.com")
    return openai.RateLimitError("slow down", response=response, body={"code": "rate_limit_exceeded"})


def test_the_servers_word_on_how_long_to_wait_is_honoured():
    assert 7 <= pause_before_retry(error_of(refusal(429, **{"retry-after": "7"}))) <= 8
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 <= pause_before_retry(error_of(refusal(429, **{"retry-after": date}))) <= 31
    past = email.utils.formatdate(time.time() - 30, usegmt=True)
    assert 0 < pause_before_retry(error_of(refusal(429, **{"retry-after": past}))) < 1
    for unsaid in (refusal(429), refusal(429, **{"retry-after": "soon"})):
        assert pause_before_retry(error_of(unsaid)) is True


def test_where_nobody_is_looking_there_is_no_progress_bar(flaky, capsys):
    complete_many(flaky({})[0], list("abc"), model="m", progress=True)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end_unless_it_is_unwanted(flaky, capsys, monkeypatch):
    monkeypatch.setattr("helpers.batch.has_front_end", lambda: True)
    complete_many(flaky({})[0], list("abc"), model="m", progress=False)
    assert capsys.readouterr().err == ""
    complete_many(flaky({})[0], list("abc"), model="m")
    bar = capsys.readouterr().err
    assert "/3" in bar and bar.rsplit("\r", 2)[1].strip() == ""


def test_no_prompts_no_answers(flaky):
    assert complete_many(flaky({})[0], [], model="m") == []
