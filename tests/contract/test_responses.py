"""Responses through the official client, whole and streamed, on both engines."""

import json

import httpx2
import openai
import pytest

QUESTION = "Say something short."
TURNS = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
ORDER = ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
         "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done"]
MOCK_ALONE = pytest.mark.parametrize("server", ["mock"], indirect=True)  # what does not depend on the engine


@pytest.fixture
def respond(client, job):
    def respond(given=QUESTION, **options):
        return client.responses.create(**{"model": job.fine_tuned_model, "input": given, "temperature": 0, "max_output_tokens": 16, **options})
    return respond


def test_a_response_says_the_same_as_a_chat(respond, client, job):
    response = respond(instructions="Be brief.", metadata={"lesson": "1"}, user="ann")
    chat = client.chat.completions.create(model=job.fine_tuned_model, temperature=0, max_completion_tokens=16, messages=[
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}])
    assert response.output_text == chat.choices[0].message.content
    assert (response.usage.input_tokens, response.usage.output_tokens) == (chat.usage.prompt_tokens, chat.usage.completion_tokens)
    assert response.id.startswith("resp_") and response.output[0].id.startswith("msg_") and response.output[0].role == "assistant"
    assert (response.instructions, response.metadata, response.user) == ("Be brief.", {"lesson": "1"}, "ann")


def test_the_end_of_an_answer_is_told(respond):
    cut = respond("Count to a thousand.")
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) in (("incomplete", "max_output_tokens"), ("completed", None))
    assert (cut.usage.output_tokens == 16) == (cut.status == "incomplete") and cut.output[0].status == cut.status


@MOCK_ALONE
def test_a_conversation_goes_on_with_the_answer_sent_back(respond, client, job):
    first = respond()
    turns = [*TURNS, *[item.model_dump(exclude_none=True) for item in first.output], {"role": "user", "content": "And now?"}]
    counted = client.responses.input_tokens.count(model=job.fine_tuned_model, input=turns)
    assert respond(turns).usage.input_tokens == counted.input_tokens > first.usage.input_tokens


@MOCK_ALONE
def test_a_stream_tells_the_official_events_in_order_and_the_same_text(respond):
    events = list(respond(stream=True))
    kinds = [event.type for event in events]
    assert sorted(set(kinds), key=kinds.index)[:-1] == ORDER and kinds[-1] in ("response.completed", "response.incomplete")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    whole = respond()
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    assert events[-1].response.output_text == whole.output_text and events[-1].response.usage == whole.usage
    assert len({event.response.id for event in events if hasattr(event, "response")}) == 1


@MOCK_ALONE
def test_the_client_s_own_stream_helper_reads_it(client, job):
    with client.responses.stream(model=job.fine_tuned_model, input=TURNS, temperature=0, max_output_tokens=16) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == "".join(deltas) != ""


@MOCK_ALONE
def test_on_the_wire_events_have_their_names_and_no_done(server, client, job):
    answer = httpx2.post(f"{server.url}/v1/responses", headers={"authorization": f"Bearer {client.api_key}"},
                         json={"model": job.fine_tuned_model, "input": QUESTION, "stream": True, "max_output_tokens": 16})
    assert answer.headers["content-type"].startswith("text/event-stream")
    for block in answer.text.strip().split("\n\n"):
        name, data = block.split("\n")
        assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]


@MOCK_ALONE
def test_logprobs_come_when_they_are_included(respond):
    part = respond(include=["message.output_text.logprobs"], top_logprobs=2).output[0].content[0]
    assert part.logprobs and all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in part.logprobs)
    assert respond().output[0].content[0].logprobs == []


@MOCK_ALONE
def test_a_response_keeps_to_a_schema(respond):
    schema = {"type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}}, "required": ["colour"],
              "additionalProperties": False}
    answer = respond("Which colour is a cherry? Answer in JSON.", max_output_tokens=40,
                     text={"format": {"type": "json_schema", "name": "colour", "schema": schema, "strict": True}})
    assert json.loads(answer.output_text)["colour"] in ("red", "blue")
    assert answer.text.format.schema_ == schema


@MOCK_ALONE
@pytest.mark.parametrize(("options", "param"), [
    ({"previous_response_id": "resp_1"}, "previous_response_id"), ({"tools": [{"type": "web_search"}]}, "tools"), ({"store": True}, "store"),
    ({"background": True}, "background"), ({"reasoning": {"effort": "low"}}, "reasoning"), ({"conversation": "conv_1"}, "conversation"),
    ({"max_output_tokens": 15}, "max_output_tokens"), ({"temperature": 3}, "temperature"), ({"top_logprobs": 2}, "top_logprobs"),
    ({"include": ["reasoning.encrypted_content"]}, "include"), ({"include": ["message.output_text.logprobs"], "top_logprobs": 21}, "top_logprobs"),
    ({"text": {"verbosity": "low"}}, "text.verbosity"), ({"text": {"format": {"type": "poem"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"), ({"text": {"format": "text"}}, "text.format"),
    ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"), ({"text": {"colour": 1}}, "text.colour"),
    ({"text": {"format": {"type": "text", "name": "a"}}}, "text.format.name"), ({"input": []}, "input"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"), ({"input": [{"content": "a"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": 7}]}, "input[0].content"), ({"input": [{"role": "user", "content": "a", "name": "b"}]}, "input[0].name"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0]"),
    ({"stream_options": {"include_obfuscation": True}, "stream": True}, "stream_options.include_obfuscation"),
    ({"metadata": {"k": "v" * 513}}, "metadata"), ({"max_output_tokens": 10**6}, "max_output_tokens"), ({"model": "no-such-model"}, "model"),
])
def test_what_a_response_cannot_be_asked_is_refused_naming_the_parameter(respond, options, param):
    with pytest.raises(openai.APIStatusError) as refusal:
        respond(**({"given": options.pop("input")} if "input" in options else {}), **options)
    assert refusal.value.status_code == (404 if param == "model" else 400) and refusal.value.body["param"] == param


@MOCK_ALONE
def test_what_is_refused_is_refused_before_a_stream_begins(respond):
    with pytest.raises(openai.BadRequestError, match="JSON schema"):
        respond(stream=True, text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "not": {}}}})


@MOCK_ALONE
def test_responses_are_not_kept(respond, client):
    kept = respond()
    for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError, match="does not keep responses"):
            call(kept.id)
