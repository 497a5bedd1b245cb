"""The playground: what it asks, what it shows, and what goes wrong."""

import json
import math

import httpx2
import pytest

from helpers import PromptFormat
from helpers import playground as open_playground
from helpers.widgets import playground as module
from helpers.widgets.answers import Answer
from helpers.widgets.questions import Piece, Question, Token

NAMES = [("embedder", 0), ("base", 0), ("ft:base:o::old", 5), ("ft:base:o::new", 9), ("ada:ft-o-2022", 7)]


def chunk(text, finish=None, *, logprobs=None, chat=False):
    told = {"delta": {"content": text}} if chat else {"text": text}
    choice = {"index": 0, "finish_reason": finish, "logprobs": logprobs, **told}
    return {"id": "1", "object": "x", "created": 1, "model": "m", "choices": [choice]}


def events(*chunks):
    for one in chunks:
        yield f"data: {json.dumps(one)}\n\n".encode()
    yield b"data: [DONE]\n\n"


TOKENS = {"tokens": [" red", "\n"], "token_logprobs": [math.log(0.9), math.log(0.5)], "text_offset": [0, 4],
          "top_logprobs": [{" red": math.log(0.9), " blue": math.log(0.1)}, {"\n": math.log(0.5)}]}


class Api:
    """Models, and streamed answers: `answers` by the name of the model."""

    def __init__(self):
        self.names, self.answers, self.bodies, self.down = NAMES, {}, [], False

    def __call__(self, request):
        if self.down:
            raise httpx2.ConnectError("down")
        if request.url.path.endswith("/models"):
            models = [{"id": name, "created": created, "object": "model", "owned_by": "o"} for name, created in self.names]
            return httpx2.Response(200, json={"object": "list", "data": models})
        body = json.loads(request.content)
        self.bodies.append(body)
        answer = self.answers.get(body["model"], [chunk(f" {body['model']}"), chunk(" says", "stop")])
        if isinstance(answer, str):
            return httpx2.Response(400, json={"error": {"message": answer, "type": "x", "param": "stop", "code": None}})
        return httpx2.Response(200, content=answer if hasattr(answer, "__next__") else events(*answer),
                               headers={"content-type": "text/event-stream"})


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def pane(client_of, api, monkeypatch):
    monkeypatch.setenv("COOKBOOK_BASE_MODEL", "base")
    return open_playground(client_of(api), style=PromptFormat(), prompt="red or blue?")


@pytest.fixture
def view(pane, page):
    pane._ipython_display_()
    return pane._view


def answered(pane):
    pane.asking.join(20)
    assert not pane.asking.is_alive()
    return pane.answers


def test_the_models_are_ones_own_the_newest_first_and_the_base_model(pane):
    assert pane.models == ["ft:base:o::new", "ada:ft-o-2022", "ft:base:o::old", "base"]


def test_an_api_that_does_not_answer_is_a_sentence(client_of, api, monkeypatch):
    monkeypatch.setenv("COOKBOOK_BASE_MODEL", "base")
    api.down = True
    pane = open_playground(client_of(api))
    assert "The API at api.example.com does not answer" in pane.note and pane.note in repr(pane)


def test_without_a_page_it_says_how_to_ask_in_code(pane, capsys):
    pane._ipython_display_()
    said = capsys.readouterr().out
    assert "ft:base:o::new, ada:ft-o-2022" in said and "prompt='red or blue?\\n\\n###\\n\\n'" in said and pane.asking is None


@pytest.mark.parametrize("question", [
    Question(model="m", prompt="p"),
    Question(model="m", prompt="p\n", temperature=0.7, top_p=0.5, max_tokens=9, stop=("\n", " END"), frequency_penalty=1,
             presence_penalty=-1, seed=3, probabilities=5),
    Question(model="m", prompt="p", chat=True, system="Be brief.", probabilities=2),
])
def test_the_code_makes_the_same_request(question):
    made = []

    class Client:
        def __getattr__(self, name):
            return self

        def create(self, **fields):
            made.append(fields)
            return type("Answer", (), {"choices": [type("C", (), {"text": "t", "message": type("M", (), {"content": "t"})})]})
    exec(question.code(), {"client": Client(), "print": lambda text: made.append(text)})
    assert made == [question.request(), "t"]


def test_dials_that_nobody_turned_are_left_out():
    assert Question(model="m", prompt="p").request() == {"model": "m", "prompt": "p", "temperature": 0.0, "max_tokens": 60}


def test_a_chat_is_asked_with_messages_and_read_by_its_deltas(client_of, api):
    logprobs = {"content": [{"token": "Hi", "bytes": None, "logprob": math.log(0.25), "top_logprobs": []}], "refusal": None}
    api.answers["m"] = [chunk("Hi", logprobs=logprobs, chat=True), chunk(None, "stop", chat=True)]
    question = Question(model="m", prompt="hello", chat=True, system="Be brief.", probabilities=5)
    first, last = question.stream(client_of(api))
    assert (first.text, first.tokens[0].text, last.text, last.finish) == ("Hi", "Hi", "", "stop")
    assert first.tokens[0].probability == pytest.approx(0.25)
    assert api.bodies[0]["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    assert api.bodies[0]["top_logprobs"] == 5


def test_two_models_are_asked_the_same_with_the_separator_and_the_stop_sequence(view, pane, api):
    view.ask.click()
    assert [answer.text for answer in answered(pane)] == [" ft:base:o::new says", " base says"]
    assert {body["model"] for body in api.bodies} == {"ft:base:o::new", "base"}
    for body in api.bodies:
        assert body["prompt"] == "red or blue?\n\n###\n\n" and body["stop"] == ["\n"] and body["logprobs"] == 5
    assert "ft:base:o::new says" in view.panels[0].value and "base says" in view.panels[1].value
    assert not view.ask.disabled and view.stop.disabled and "client.completions.create" in view.code.value


def test_the_dials_become_the_request(view, pane, api):
    view.beside.value, view.stops.value, view.seed.value, view.likely.value = "(nothing)", " END\n\\n\\n", "7", False
    view.temperature.value, view.top_p.value, view.max_tokens.value = 0.8, 0.9, 5
    view.frequency.value, view.presence.value = 1.5, -0.5
    view.ask.click()
    answered(pane)
    (body,) = api.bodies
    assert body == {"model": "ft:base:o::new", "prompt": "red or blue?\n\n###\n\n", "temperature": 0.8, "top_p": 0.9,
                    "max_tokens": 5, "stop": [" END", "\n\n"], "seed": 7, "frequency_penalty": 1.5, "presence_penalty": -0.5,
                    "stream": True}
    assert len(view.answers.children) == 1


@pytest.mark.parametrize(("change", "complaint"), [
    ({"seed": "seven"}, "The seed is &#x27;seven&#x27;: give a whole number, or none."),
    ({"prompt": "  "}, "The prompt is empty: write one."),
    ({"prompt": "a\n\n###\n\nb"}, "The text contains the separator"),
])
def test_what_cannot_be_asked_is_a_sentence_and_no_request(view, api, change, complaint):
    for name, value in change.items():
        getattr(view, name).value = value
    view.ask.click()
    assert complaint in view.note.value and api.bodies == []


def test_an_error_of_the_api_is_its_own_sentence_in_the_panel(view, pane, api):
    api.answers["base"] = "stop takes up to 4 <sequences>"
    view.ask.click()
    answered(pane)
    assert "stop takes up to 4 &lt;sequences&gt;." in view.panels[1].value and "{" not in view.panels[1].value
    assert "ft:base:o::new says" in view.panels[0].value, "the other answer is not lost"


def test_an_answer_that_breaks_off_keeps_what_came(view, pane, api):
    def broken():
        yield next(events(chunk("Some")))
        raise httpx2.ReadError("gone")
    api.answers["ft:base:o::new"] = broken()
    view.beside.value = "(nothing)"
    view.ask.click()
    (answer,) = answered(pane)
    assert answer.text == "Some" and answer.error and answer.done and "ftp-error" in view.panels[0].value


def test_stop_ends_the_answer_and_the_rest_is_not_read(view, pane, api):
    def endless():
        for number in range(10_000):
            if number == 3:
                view.stop.click()
            yield next(events(chunk("more ")))
        raise AssertionError("the stream was read to its end")
    api.answers["ft:base:o::new"] = endless()
    view.beside.value = "(nothing)"
    view.ask.click()
    (answer,) = answered(pane)
    assert answer.finish == "stopped" and "stopped by you" in view.panels[0].value


def test_the_first_piece_is_drawn_at_once_and_not_every_one_after_it(pane, api, page, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "REDRAW", 1e9)
    api.answers["base"] = [*(chunk(f" {number}") for number in range(50)), chunk("", "stop")]
    monkeypatch.setattr(pane, "_draw", lambda number, answer: drawn.append(answer.text))
    pane.ask([Question(model="base", prompt="p")])
    answered(pane)
    assert drawn == [" 0", "".join(f" {number}" for number in range(50))]


def test_refresh_finds_new_models_and_keeps_what_was_chosen(view, api):
    view.model.value = "ft:base:o::old"
    api.names = [*api.names, ("ft:base:o::newest", 99)]
    view.refresh.click()
    assert view.model.options[0] == "ft:base:o::newest" and view.model.value == "ft:base:o::old" and view.beside.value == "base"


def test_the_system_message_is_there_for_a_chat_alone(view):
    assert view.system.layout.display == "none"
    view.kind.value = "chat"
    view.system.value = " Be brief. "
    assert view.system.layout.display == "" and view.questions()[0].system == "Be brief."
    assert view.questions()[0].prompt == "red or blue?", "the separator belongs to completions"


def test_closing_leaves_what_was_said_as_text(view, pane, page):
    box = view.box
    view.ask.click()
    answered(pane)
    pane.close()
    assert page[-1] == ("update", {"text/plain": "ft:base:o::new:  ft:base:o::new says\nbase:  base says"}) and box.comm is None


def test_tokens_are_coloured_by_doubt_and_listed_with_their_rivals():
    answer = Answer("m<b>")
    answer.take(Piece(" red", (Token(" red", 0.9, ((" red", 0.9), (" blue", 0.095), ("x", 0.005))),)))
    assert "<table" not in answer.html() and "<i></i>" in answer.html(), "the table comes when the answer is whole"
    answer.take(Piece("", finish="length"))
    shown = answer.html()
    assert "rgba(245, 124, 0, 0.05)" in shown and "<code>·blue</code> 10 %" in shown and "<code>x</code> &lt; 1 %" in shown
    assert "m&lt;b&gt;" in shown and "1 tokens, cut off: max tokens reached" not in shown and "1 token, cut off" in shown


def test_a_text_that_is_not_made_of_its_tokens_names_is_shown_as_it_came():
    answer = Answer("m")
    answer.take(Piece("ü<", (Token("bytes:\\xc3", 0.5), Token("bytes:\\xbc<", 0.5)), "stop"))
    assert "ü&lt;" in answer.html() and 'title="' not in answer.html()
