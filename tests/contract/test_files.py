"""Files through the official client, nasty ones among them."""

import json

import openai
import pytest

pytestmark = pytest.mark.parametrize("server", ["mock"], indirect=True)  # what a file is does not depend on the engine
ROW = {"prompt": "a\n\n###\n\n", "completion": " b\n"}
TEN = "".join(json.dumps({"prompt": f"{i}\n\n###\n\n", "completion": " b\n"}) + "\n" for i in range(10)).encode()

REFUSED_AT_UPLOAD = {
    "no JSON": (b"prompt,completion\na,b\n", "Line 1 is not valid JSON at column 1"),
    "broken in the middle": (TEN + b'{"prompt": "a", "completion: "b"}\n', "Line 11 is not valid JSON at column 31"),
    "a JSON array": (json.dumps([ROW] * 12).encode(), "Line 1 is an array. Write each element of the array on a line of its own"),
    "a JSON array over lines": (b"[\n" + TEN, "Line 1 is not valid JSON"),
    "empty": (b"", "The file is empty"),
    "only blank lines": (b"\n\n \n", "The file is empty"),
    "Latin-1": (TEN + '{"prompt": "caf\u00e9", "completion": " b"}\n'.encode("latin-1"), "Line 11 is not UTF-8 \\(byte 0xe9 at position 16"),
    "UTF-16": (TEN.decode().encode("utf-16"), "Line 1 is not UTF-8"),
    "a NUL byte": (TEN + b'{"prompt": "a\x00", "completion": " b"}\n', "Line 11 holds a NUL byte at column 14"),
    "NaN": (TEN + b'{"prompt": "a", "completion": NaN}\n', "Line 11 is not valid JSON: NaN is no JSON value"),
    "half a surrogate pair": (TEN + b'{"prompt": "\\ud800", "completion": " b"}\n', "Line 11 holds half of a surrogate pair"),
    "nested too deeply": (b"[" * 100_000 + b"\n", "Line 1 is not valid JSON: it is nested too deeply"),
    "a line of nine megabytes": (b'{"prompt": "' + b"a" * 9_000_000 + b'"}', "Line 1 is longer than 8 MB"),
}

REFUSED_BY_THE_JOB = {
    "a missing field": (TEN + b'{"prompt": "a"}\n', "invalid_training_file", "Example 11 (line 11): completion is missing"),
    "nine rows": (TEN.split(b"\n", 1)[1], "invalid_n_examples", "Training file has 9 example(s), but must have at least 10 examples"),
    "a wrong type": (TEN + b'\n{"prompt": "a", "completion": 7}\n', "invalid_training_file",
                     "Example 11 (line 12): completion must be a string, not a number"),
    "an empty completion": (TEN + b'{"prompt": "a", "completion": ""}\n', "invalid_training_file", "Example 11 (line 11): completion is empty"),
    "an unknown key": (TEN + b'{"prompt": "a", "completion": " b", "label": "x"}\n', "invalid_training_file", "unexpected key(s) 'label'"),
    "another format": (TEN + b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
                       "invalid_training_file", "Example 11 (line 11) is in the fine-tune-chat format"),
    "a huge row": (TEN + json.dumps({"prompt": "word " * 20_000, "completion": " b"}).encode() + b"\n",
                   "invalid_training_file", "Example 11 (line 11) has"),
    "no role": (b'{"messages": [{"role": "user", "content": "a"}, {"content": "b"}]}\n' * 10, "invalid_training_file",
                "Example 1 (line 1), message 2: Discriminator 'role' is missing in value"),
    "nothing to learn from": (b'{"messages": [{"role": "user", "content": "a"}]}\n' * 10, "invalid_training_file",
                              "Example 1 (line 1): messages hold no assistant message"),
    "neither form": (b'{"text": "a", "label": "b"}\n' * 10, "invalid_training_file",
                     "expected either prompt/completion pairs or chat messages. Example 1 (line 1) has label, text."),
}

ACCEPTED = {
    "CRLF line ends": TEN.replace(b"\n", b"\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + TEN,
    "no newline at the end": TEN.rstrip(b"\n"),
    "blank lines": TEN.replace(b"\n", b"\n\n"),
    "every script and emoji": json.dumps({"prompt": "żółć 漢字 🙂 \u2028 ä", "completion": " да\n"}, ensure_ascii=False).encode() + b"\n" + TEN,
}


@pytest.mark.parametrize("trouble", REFUSED_AT_UPLOAD)
def test_a_file_that_is_no_jsonl_is_refused_with_its_line_and_nothing_is_kept(client, server, tools, trouble):
    content, message = REFUSED_AT_UPLOAD[trouble]
    before = {path.name for path in (server.data_dir / "files").iterdir()}, len(client.files.list(limit=10_000).data)
    with pytest.raises(openai.BadRequestError, match=message) as refusal:
        tools.upload(client, content)
    assert refusal.value.body["param"] == "file"
    assert before == ({path.name for path in (server.data_dir / "files").iterdir()}, len(client.files.list(limit=10_000).data))
    assert not list((server.data_dir / "incoming").iterdir())


@pytest.mark.parametrize("trouble", REFUSED_BY_THE_JOB)
def test_rows_that_cannot_be_learnt_fail_the_job_with_their_line(client, base, tools, trouble):
    content, code, message = REFUSED_BY_THE_JOB[trouble]
    job = client.fine_tuning.jobs.create(model=base, training_file=tools.upload(client, content).id)
    ended = tools.finished(client, job.id)
    assert ended.status == "failed" and ended.error.code == code and ended.error.param == "training_file"
    assert message in ended.error.message
    last = client.fine_tuning.jobs.list_events(job.id).data[0]
    assert last.level == "error" and message in last.message


@pytest.mark.parametrize("form", ACCEPTED)
def test_odd_but_right_files_are_taken(client, base, tools, form):
    job = client.fine_tuning.jobs.create(model=base, training_file=tools.upload(client, ACCEPTED[form]).id,
                                         hyperparameters={"n_epochs": 1})
    assert tools.finished(client, job.id).status == "succeeded"


def test_the_validation_file_is_checked_too(client, base, tools):
    bad = tools.upload(client, b'{"prompt": "a"}\n')
    job = client.fine_tuning.jobs.create(model=base, training_file=tools.upload(client, TEN).id, validation_file=bad.id)
    ended = tools.finished(client, job.id)
    assert ended.error.param == "validation_file" and ended.error.code == "invalid_validation_file"


def test_a_file_comes_back_as_it_was_sent(client, tools):
    file = tools.upload(client, TEN, "mine ä.jsonl")
    assert file.id.startswith("file-") and file.object == "file" and file.status == "processed"
    assert (file.bytes, file.filename, file.purpose) == (len(TEN), "mine ä.jsonl", "fine-tune")
    assert client.files.content(file.id).read() == TEN
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id).id == file.id


def test_equal_files_are_two_files_and_deleting_one_leaves_the_other(client, tools):
    one, two = tools.upload(client, TEN), tools.upload(client, TEN)
    assert one.id != two.id and client.files.delete(one.id).deleted
    with pytest.raises(openai.NotFoundError, match=f"No such File object: {one.id}"):
        client.files.retrieve(one.id)
    assert client.files.content(two.id).read() == TEN


def test_the_last_deletion_takes_the_content_from_the_disk(client, server, tools):
    content = TEN + b'{"prompt": "only here", "completion": " b"}\n'
    before = len(list((server.data_dir / "files").iterdir()))
    file = tools.upload(client, content)
    client.files.delete(file.id)
    assert len(list((server.data_dir / "files").iterdir())) == before


def test_files_are_paged_filtered_and_ordered(client, tools):
    made = [tools.upload(client, b"any bytes \x00\xff", f"{i}.bin", purpose="user_data").id for i in range(5)]
    assert [file.id for file in client.files.list(purpose="user_data", limit=2)] == made[::-1]
    assert [file.id for file in client.files.list(purpose="user_data", order="asc", after=made[1])] == made[2:]
    with pytest.raises(openai.BadRequestError, match="limit"):
        client.files.list(limit=0)
    with pytest.raises(openai.BadRequestError, match="No object with the id 'file-x'"):
        client.files.list(after="file-x")


def test_a_purpose_that_does_not_exist_is_refused(client, tools):
    with pytest.raises(openai.BadRequestError, match="'finetune' is not one of") as refusal:
        tools.upload(client, TEN, purpose="finetune")
    assert refusal.value.body["param"] == "purpose"


def test_a_file_for_something_else_cannot_be_trained_on(client, base, tools):
    file = tools.upload(client, TEN, purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="uploaded with the purpose user_data, not fine-tune"):
        client.fine_tuning.jobs.create(model=base, training_file=file.id)
