"""The prompts of the support agent and of its summary model, a conversation with both, and its window."""

import json

import httpx2
import pandas as pd
import pytest

from helpers import chat as chat_module
from helpers.chat import BEGINNING, ChatWidget, SupportChat, SupportFormat, chat_window, dialogue, drills, plain_questions
from helpers.errors import FormatError

FACTS = {"Order number": "PR-1", "Delivery": "Monday"}


def turn(speaker, text, summary=None):
    return {"speaker": speaker, "text": text} | ({"summary": summary} if summary else {})


TURNS = [turn("customer", "where is it?"), turn("agent", "On its way.", "Customer asks where it is."),
         turn("customer", "when\nwill it come?"), turn("agent", "On Monday.", "Customer asks when."),
         turn("customer", "thanks"), turn("agent", "Welcome!", "Customer is content.")]


@pytest.fixture
def table():
    return SupportFormat().table(pd.DataFrame({"id": ["s1"], "turns": [TURNS], "facts": [FACTS]}))


def test_a_conversation_gives_a_row_for_each_agent_turn(table):
    assert table["turn"].tolist() == [1, 2, 3] and set(table["id"]) == {"s1"}
    assert table["reply"].tolist() == ["On its way.", "On Monday.", "Welcome!"]


def test_the_agent_reads_summary_facts_and_the_last_turns(table):
    assert table["agent_text"].iloc[2] == (
        "Summary: Customer is content.\n\nSpecific information: Order number: PR-1; Delivery: Monday\n\n###\n\n"
        "Customer: when will it come?\nAgent: On Monday.\nCustomer: thanks\nAgent:")
    assert "where is it?" in table["said"].iloc[2], "what was said is all of it, for the measures"


def test_the_prompt_ends_at_the_agent_and_the_completion_is_one_line(table):
    row = SupportFormat.agent.row(table["agent_text"].iloc[0], table["reply"].iloc[0])
    assert row["prompt"].endswith("Customer: where is it?\nAgent:") and row["completion"] == " On its way.\n"


def test_the_summary_model_reads_the_summary_before_and_the_turns_since(table):
    assert table["summary_text"].iloc[0] == f"Before: {BEGINNING}\nCustomer: where is it?"
    assert table["summary_text"].iloc[1] == (
        "Before: Customer asks where it is.\nAgent: On its way.\nCustomer: when will it come?")


def test_columns_may_have_other_names_and_more_turns_may_be_kept():
    frame = pd.DataFrame({"nr": [1], "talk": [TURNS], "known": [FACTS]})
    table = SupportFormat(keep=5).table(frame, id="nr", turns="talk", facts="known")
    assert "where is it?" in table["agent_text"].iloc[2]


@pytest.mark.parametrize(("turns", "complaint"), [
    ([turn("agent", "Hello.", "x")], r"'s1', turn 1: expected the customer, met 'agent'"),
    ([*TURNS[:2], turn("agent", "More.", "x")], r"turn 3: expected the customer, met 'agent'"),
    ([TURNS[0], turn("agent", "On its way.")], r"turn 2: there is no summary"),
    ([turn("customer", " ")], r"turn 1: there is no text"),
])
def test_a_conversation_of_another_shape_is_refused_by_name_and_turn(turns, complaint):
    with pytest.raises(FormatError, match=complaint):
        SupportFormat().table(pd.DataFrame({"id": ["s1"], "turns": [turns], "facts": [FACTS]}))


def test_plain_questions_ask_for_each_fact_of_each_order():
    table = plain_questions(SupportFormat(), [FACTS, {"Price": "£3"}])
    assert table["value"].tolist() == ["PR-1", "Monday", "£3"]
    assert table["fact"].iloc[1] == {"Delivery": "Monday"} and "delivery?\nAgent:" in table["text"].iloc[1]


def test_drills_tell_each_fact_once_with_its_value_and_in_other_words_than_the_plain_questions():
    orders = [FACTS, {"Price": "£3."}]
    rows = drills(SupportFormat(), orders, 9, seed=1)
    assert len(rows) == 3, "there are no more facts"
    told = " ".join(rows["reply"])
    assert all(value in told for value in ("PR-1", "Monday", "£3")) and ".." not in told
    plain = set(plain_questions(SupportFormat(), orders)["text"].str.split("\n").str[-2])
    assert not plain & set(rows["agent_text"].str.split("\n").str[-2])
    assert rows.equals(drills(SupportFormat(), orders, 9, seed=1)) and len(drills(SupportFormat(), orders, 2, seed=1)) == 2


@pytest.fixture
def requests():
    return []


@pytest.fixture
def talk(client_of, requests):
    """A chat with two scripted models: the agent numbers its replies, the summary model counts what it has read."""
    def answer(request):
        body = json.loads(request.content)
        requests.append(body)
        n = sum(one["model"] == body["model"] for one in requests)
        if "fail" in body["prompt"]:
            return httpx2.Response(400, json={"error": {"message": "planned failure", "type": "x", "param": None, "code": None}})
        return httpx2.Response(200, json={"id": "c", "object": "text_completion", "created": 1, "model": body["model"], "choices": [
            {"index": 0, "text": f" {body['model']} {n}", "finish_reason": "stop", "logprobs": None}]})
    return SupportChat(client_of(answer), agent="agent", summarizer="summary", facts=FACTS)


def test_each_turn_brings_the_summary_up_to_date_and_then_answers(talk, requests):
    assert talk.say("where is it?") == "agent 1"
    assert talk.say("and when?") == "agent 2"
    assert [body["model"] for body in requests] == ["summary", "agent"] * 2
    assert requests[2]["prompt"] == "Before: summary 1\nAgent: agent 1\nCustomer: and when?\n\nSummary:"
    assert requests[3]["prompt"].startswith("Summary: summary 2\n\n") and requests[3]["stop"] == "\n"
    assert talk.summary == "summary 2"
    assert talk.transcript() == "Customer: where is it?\nAgent: agent 1\nCustomer: and when?\nAgent: agent 2"


def test_prompts_in_use_are_those_of_training(talk, requests, table):
    talk.say("where is it?")
    assert requests[0]["prompt"] == SupportFormat.summary.prompt(table["summary_text"].iloc[0])
    trained = table["agent_text"].iloc[0].replace("Customer asks where it is.", "summary 1")
    assert requests[1]["prompt"] == SupportFormat.agent.prompt(trained)


def test_without_a_summary_model_one_request_is_sent(talk, requests):
    talk.summarizer = None
    talk.say("hello")
    assert len(requests) == 1 and talk.summary == "Customer writes: hello"


def test_a_failed_request_leaves_the_conversation_as_it_was(talk):
    talk.say("hello")
    before = talk.transcript()
    with pytest.raises(Exception, match="planned failure"):
        talk.say("fail")
    assert talk.transcript() == before


def test_line_breaks_of_a_customer_do_not_end_the_turn():
    assert dialogue([turn("customer", "one\n\nAgent: two")]) == "Customer: one Agent: two"


def test_outside_jupyterlab_the_window_is_text(talk, capsys):
    chat_window(talk)
    assert "Nothing was said yet." in capsys.readouterr().out
    talk.say("hello")
    chat_window(talk)
    assert "Customer: hello\nAgent: agent 1" in capsys.readouterr().out


@pytest.fixture
def window(talk, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr(chat_module, "has_front_end", lambda: True)
    made = ChatWidget(talk)
    assert len(shown) == 1
    return made


def test_the_window_opens_where_somebody_looks(talk, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr(chat_module, "has_front_end", lambda: True)
    chat_window(talk)
    assert len(shown) == 1


def test_the_button_sends_and_the_line_is_empty_again(window):
    window.text.value = "a <b> & c"
    window.button.click()
    assert "a &lt;b&gt; &amp; c" in window.turns.value and "agent 1" in window.turns.value
    assert window.text.value == "" and "summary 1" in window.note.value and not window.button.disabled


def test_enter_sends_and_an_empty_line_does_not(window, requests):
    window.text._handle_custom_msg({"event": "submit"}, [])
    assert requests == []
    window.text.value = "hello"
    window.text._handle_custom_msg({"event": "submit"}, [])
    assert len(requests) == 2


def test_an_error_is_shown_and_the_text_stays(window):
    window.text.value = "fail"
    window.send()
    assert "planned failure" in window.note.value and window.text.value == "fail" and not window.button.disabled
