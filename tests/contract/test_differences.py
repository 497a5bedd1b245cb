"""The table of differences in local_api/README.md: what it says is refused is refused by its name, what it says is taken is taken."""

import re
from pathlib import Path

import openai
import pytest

pytestmark = pytest.mark.parametrize("server", ["mock"], indirect=True)  # what is refused does not depend on the engine
README = Path(__file__).resolve().parents[2] / "local_api" / "README.md"
HELLO = [{"role": "user", "content": "Hello"}]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
EXPIRY = {"anchor": "created_at", "seconds": 3600}


def chat(**options):
    return lambda client, base: client.chat.completions.create(**{"model": base, "messages": HELLO, "max_tokens": 1, **options})


def complete(**options):
    return lambda client, base: client.completions.create(**{"model": base, "prompt": "Hello", "max_tokens": 1, **options})


def respond(**options):
    return lambda client, base: client.responses.create(**{"model": base, "input": "Hello", "max_output_tokens": 16, **options})


def train(**options):
    return lambda client, base: client.fine_tuning.jobs.create(model=base, training_file="file-x", **options)


# The beginning of a row's first cell -> attempts, and the parameter that the refusal names.
REFUSED = {
    "methods": [(train(method={"type": "reinforcement"}), "method.type")],
    "`integrations`": [(train(integrations=[{"type": "wandb", "wandb": {"project": "p"}}]), "integrations")],
    "`tools`, `functions`": [
        (chat(tools=[TOOL]), "tools"), (chat(functions=[TOOL["function"]]), "functions"), (chat(messages=PICTURE), "messages"),
        (chat(audio={"format": "mp3", "voice": "x"}), "audio"), (complete(suffix="end"), "suffix"), (chat(reasoning_effort="low"), "reasoning_effort"),
        (chat(tool_choice="required"), "tool_choice"), (chat(prediction={"type": "content", "content": "x"}), "prediction"),
        (chat(web_search_options={}), "web_search_options"), (chat(metadata={"a": "b"}), "metadata"), (respond(tools=[{"type": "web_search"}]), "tools")],
    "`previous_response_id`": [
        (respond(previous_response_id="resp_1"), "previous_response_id"), (respond(conversation="conv_1"), "conversation"),
        (respond(store=True), "store"), (respond(background=True), "background"),
        (lambda client, base: client.responses.retrieve("resp_1"), "response_id")],
    "items of a response's": [
        (respond(input=[{"type": "item_reference", "id": "x"}]), "input[0].type"), (respond(reasoning={"effort": "low"}), "reasoning"),
        (respond(input=[{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]), "input[0].content[0]"),
        (respond(prompt={"id": "p"}), "prompt"), (respond(truncation="auto"), "truncation")],
    "`stream_options.include_obfuscation": [
        (chat(stream=True, stream_options={"include_obfuscation": True}), "stream_options.include_obfuscation"),
        (respond(stream=True, stream_options={"include_obfuscation": True}), "stream_options.include_obfuscation")],
    "`expires_after`": [(lambda client, base: client.files.create(file=("a.txt", b"a"), purpose="user_data", expires_after=EXPIRY), "expires_after[anchor]")],
    "query parameters": [(lambda client, base: client.files.list(extra_query={"status": "processed"}), "status"),
                         (lambda client, base: client.fine_tuning.jobs.list(extra_query={"status": "running"}), "status"),
                         (lambda client, base: client.models.list(extra_query={"limit": 1}), "limit")],
    "more than 2,048 answers": [(complete(prompt=["Hello"] * 17, n=128), "prompt")],
}
TAKEN = {
    "values that ask": [
        chat(store=False), chat(tools=[]), chat(tool_choice="auto"), chat(parallel_tool_calls=True), chat(service_tier="auto"),
        chat(modalities=["text"]), chat(verbosity="medium"), respond(truncation="disabled"), respond(background=False), respond(store=False)],
    "`user`, `safety": [
        chat(user="u", safety_identifier="s", prompt_cache_key="k"), complete(user="u"), respond(user="u", safety_identifier="s", prompt_cache_key="k"),
        lambda client, base: client.embeddings.create(model=client.models.list().data[1].id, input="a", user="u")],
}
ABSENT = {
    "batches": [
        lambda client: client.batches.list(), lambda client: client.uploads.create(bytes=1, filename="a", mime_type="a", purpose="fine-tune"),
        lambda client: client.moderations.create(input="a"), lambda client: client.images.generate(prompt="a"),
        lambda client: client.fine_tuning.checkpoints.permissions.list("ft:x"), lambda client: client.vector_stores.list(),
        lambda client: client.fine_tuning.alpha.graders.validate(grader={"type": "string_check", "name": "a", "input": "a", "operation": "eq", "reference": "a"}),
        lambda client: client.audio.speech.create(input="a", model="a", voice="alloy")],
}


def rows():
    """(what, here) of each row of the table."""
    told = README.read_text(encoding="utf-8").split("The differences:")[1].split("A parameter that is not honoured")[0]
    return [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:3]) for line in told.splitlines() if line.startswith("| ")][1:]


def told_as(beginning):
    return {what for what, here in rows() if re.search(beginning, here)}


@pytest.mark.parametrize(("attempts", "beginning"), [(REFUSED, r"^refused\b|is refused$"), (TAKEN, "^taken and without effect"), (ABSENT, "^not there")])
def test_the_table_and_the_attempts_name_the_same_rows(server, attempts, beginning):
    found = {what for what in told_as(beginning) if not what.startswith("examples longer")}  # which tests/local_api/test_validation.py tries
    assert len(found) == len(attempts)
    for start in attempts:
        assert [what for what in found if what.startswith(start)], f"the table has no such row any more: {start}"


@pytest.mark.parametrize(("row", "number"), [(row, number) for row, tries in REFUSED.items() for number in range(len(tries))])
def test_what_the_table_calls_refused_is_refused_by_its_name(client, base, row, number):
    attempt, param = REFUSED[row][number]
    with pytest.raises(openai.APIStatusError) as refusal:
        attempt(client, base)
    assert refusal.value.status_code in (400, 404) and refusal.value.body["param"] == param


@pytest.mark.parametrize(("row", "number"), [(row, number) for row, tries in TAKEN.items() for number in range(len(tries))])
def test_what_the_table_calls_taken_is_taken(client, base, row, number):
    assert TAKEN[row][number](client, base).object


@pytest.mark.parametrize("number", range(len(ABSENT["batches"])))
def test_what_is_not_there_says_so(client, number):
    with pytest.raises(openai.NotFoundError, match="is not supported by the local API: ") as refusal:
        ABSENT["batches"][number](client)
    assert refusal.value.code == "unsupported_endpoint"
