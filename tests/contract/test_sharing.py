"""A server that a class shares: a project for each key, limits, turns, and errors that were asked for."""

import gc
import itertools
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import httpx
import openai
import pytest
import stamina

from helpers.batch import complete_many
from local_api import keys

HEADERS = ("limit", "remaining", "reset")
NUMBERS = itertools.count(1)


class School:
    """A server with a keys file, and the keys' clients by name."""

    def __init__(self, server, path):
        self.server, self.path, self.keys_of, self.projects, self.clients = server, path, {}, {}, []

    def admit(self, *names, **limits):
        """Adds a project for each name, as a server that runs finds it in its keys file, with limits of its own."""
        number = next(NUMBERS)
        for name in names:
            self.projects[name] = f"{name}-{number}"
            self.keys_of[name] = keys.add(self.path, self.projects[name])
            keys.write(self.path, self.path.read_text() + "".join(f"{limit} = {value}\n" for limit, value in limits.items()))
        return self

    def client_of(self, name, **options):
        self.clients.append(openai.OpenAI(base_url=f"{self.server.url}/v1", api_key=self.keys_of[name], **{"max_retries": 0, **options}))
        return self.clients[-1]

    def close(self):
        for client in self.clients:
            client.close()


@pytest.fixture(scope="module")
def running(make_shared_server, tmp_path_factory):
    """(server, path of its keys file): it writes its log in JSON, and has one project that nobody uses."""
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    subprocess.run([sys.executable, "-m", "local_api.keys", "add", "--keys", str(path), "first"], check=True, capture_output=True)
    return make_shared_server().start("--keys", str(path), "--log", "json"), path


@pytest.fixture
def school(running):
    """The server of this file, to whose keys a test adds its own."""
    school = School(*running)
    yield school
    school.close()


@pytest.fixture
def own_school(make_server, tmp_path):
    """A server with one project, ann, for a test that needs it started in a way of its own."""
    schools, path = [], tmp_path / "keys.toml"

    def start(*options, limits="", **settings):
        path.write_text(limits)
        schools.append(School(make_server(**settings), path).admit("ann"))
        schools[-1].server.start("--keys", str(path), *options)
        return schools[-1]
    yield start
    for school in schools:
        school.close()


def train(client, tools, **options):
    """A job that has ended, with its file."""
    file = tools.upload(client, tools.jsonl(tools.colour_rows(12)))
    job = client.fine_tuning.jobs.create(model=client.models.list().data[0].id, training_file=file.id, **options)
    return file, tools.finished(client, job.id)


BODIES = {
    "/v1/fine_tuning/jobs": [{"model": "{base}", "training_file": "{file}"}, {"model": "{model}", "training_file": "{own_file}"},
                             {"model": "{base}", "training_file": "{own_file}", "validation_file": "{file}"}],
    "/v1/fine-tunes": [{"training_file": "{file}"}, {"training_file": "{own_file}", "model": "{model}"}],
    "/v1/completions": [{"model": "{model}", "prompt": "x"}, {"model": "{checkpoint}", "prompt": "x"}],
    "/v1/chat/completions": [{"model": "{model}", "messages": [{"role": "user", "content": "x"}]}],
    "/v1/responses": [{"model": "{model}", "input": "x"}],
    "/v1/responses/input_tokens": [{"model": "{model}", "input": "x"}],
    "/v1/engines/{name}/completions": [{"prompt": "x"}],
    "/v1/embeddings": [{"model": "{model}", "input": "x"}],
}
PARTS = {"file_id": ["file", "result"], "job_id": ["job"], "name": ["model", "checkpoint"]}


def attempts(schema):
    """(method, path, body) of every request that names something: each route must be told here how."""
    for path, operations in schema["paths"].items():
        for method in operations:
            names = [name for part in re.findall(r"\{(\w+)(?::path)?\}", path) for name in PARTS[part]]
            paths = [re.sub(r"\{\w+(?::path)?\}", f"{{{name}}}", path) for name in names] or [path]
            bodies = BODIES.get(path, [None]) if method == "post" else [None]
            for made in paths:
                for body in bodies:
                    if names or body:
                        yield method, made, body


def test_what_belongs_to_others_is_not_there_on_any_route(school, tools):
    server = school.admit("ann", "bob").server
    ann, bob = school.client_of("ann"), school.client_of("bob")
    file, job = train(ann, tools, suffix="ann")
    assert job.status == "succeeded", job.error
    own_file = tools.upload(bob, tools.jsonl(tools.colour_rows(12))).id
    [checkpoint, *_] = [one.fine_tuned_model_checkpoint for one in ann.fine_tuning.jobs.checkpoints.list(job.id)]
    hers = {"file": file.id, "result": job.result_files[0], "job": job.id, "model": job.fine_tuned_model, "checkpoint": checkpoint}
    nobodys = {name: value[:-6] + "zzzzzz" for name, value in hers.items()}
    common = {"own_file": own_file, "base": job.model}
    http = httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {school.keys_of['bob']}"})

    def ask(method, path, body, names):
        text = json.dumps(body)
        for name, value in {**names, **common}.items():
            path, text = path.replace(f"{{{name}}}", value), text.replace(f"{{{name}}}", value)
        answer = http.request(method, path, json=json.loads(text))
        said = answer.text
        for name, value in sorted(names.items(), key=lambda pair: -len(pair[1])):  # a checkpoint's name holds its model's
            said = said.replace(value, name)
        return answer.status_code, said
    tried = 0
    for method, path, body in attempts(httpx.get(f"{server.url}/openapi.json").json()):
        status, said = ask(method, path, body, hers)
        assert (status, said) == ask(method, path, body, nobodys), "as if it had never been there"
        assert status == 404 or (status == 400 and "does not exist" in said), f"{method} {path} {body}: {status} {said}"
        tried += 1
    assert tried >= 30
    for path in ("files", "models", "fine_tuning/jobs", "fine-tunes", f"fine_tuning/jobs?after={job.id}", f"files?after={file.id}"):
        listed = http.get(f"/v1/{path}").text
        assert not any(value in listed for name, value in hers.items()) or "after" in path, path
    assert http.get(f"/v1/fine_tuning/jobs?after={job.id}").status_code == 400
    http.close()
    assert ann.completions.create(model=job.fine_tuned_model, prompt="moss number 1\n\n###\n\n", max_tokens=2).usage.total_tokens
    assert ann.files.content(file.id).read() and ann.files.content(job.result_files[0]).read(), "all of it is still hers"


def test_a_file_that_two_have_stays_for_the_one_when_the_other_deletes_it(school, tools):
    school.admit("ann", "bob")
    content = tools.jsonl(tools.colour_rows(12))
    hers, his = (tools.upload(school.client_of(name), content).id for name in ("ann", "bob"))
    school.client_of("ann").files.delete(hers)
    assert school.client_of("bob").files.content(his).read() == content


def test_the_owners_key_works_beside_those_of_the_file_and_a_key_is_shut_out_at_once(school):
    school.admit("ann", "bob")
    assert school.server.client().models.list().data and school.client_of("ann").models.list().data
    keys.remove(school.path, school.projects["ann"])
    with pytest.raises(openai.AuthenticationError, match="ask whoever runs it"):
        school.client_of("ann").models.list()
    assert school.client_of("bob").models.list().data


def test_too_many_requests_are_refused_with_the_real_headers_and_the_official_client_waits(school):
    school.admit("ann", "bob", requests_per_minute=240, tokens_per_minute=100_000)
    hasty, patient = school.client_of("ann"), school.client_of("ann", max_retries=2)
    base = hasty.models.list().data[0].id
    with pytest.raises(openai.RateLimitError) as refusal:
        for _ in range(2000):
            raw = hasty.models.with_raw_response.list()
    limits = {f"{name}-{what}": raw.headers[f"x-ratelimit-{name}-{what}"] for name in HEADERS for what in ("requests", "tokens")}
    assert limits["limit-requests"] == "240" and limits["limit-tokens"] == limits["remaining-tokens"] == "100000"
    error = refusal.value
    assert (error.code, error.type, error.response.headers["retry-after"]) == ("rate_limit_exceeded", "requests", "1")
    assert error.response.headers["x-ratelimit-remaining-requests"] == "0" and error.request_id.startswith("req_")
    answer = patient.completions.with_raw_response.create(model=base, prompt="some words of a prompt", max_tokens=5)
    used = 100_000 - int(answer.headers["x-ratelimit-remaining-tokens"])
    assert 0 < used <= answer.parse().usage.total_tokens, "what it took, less what has come back since"
    assert school.client_of("bob").models.list().data, "another project has its own"


def test_tokens_are_counted_in_streams_too(school):
    client = school.admit("ann", tokens_per_minute=60).client_of("ann")
    base = client.models.list().data[0].id
    with pytest.raises(openai.RateLimitError, match="on tokens per min: Limit 60"):
        for _ in range(30):
            for _ in client.chat.completions.create(model=base, messages=[{"role": "user", "content": "tell me " * 5}], stream=True, max_tokens=20):
                pass
    assert client.models.list().data, "what costs no tokens is answered"


def test_a_quota_is_no_rate_limit_and_is_not_tried_again(own_school, tools):
    school = own_school(limits="[limits]\nunfinished_jobs = 2\nstored_bytes = 5000\n\n", environment={"LOCAL_API_MOCK_STEP_SECONDS": "0.2"})
    client = school.client_of("ann", max_retries=3)
    file = tools.upload(client, tools.jsonl(tools.colour_rows(12)))
    jobs = [client.fine_tuning.jobs.create(model=client.models.list().data[0].id, training_file=file.id) for _ in range(2)]
    for create in (lambda: client.fine_tuning.jobs.create(model=jobs[0].model, training_file=file.id),
                   lambda: tools.upload(client, tools.jsonl(tools.colour_rows(120)))):
        with pytest.raises(openai.RateLimitError) as refusal:
            create()
        assert (refusal.value.code, refusal.value.type) == ("insufficient_quota", "insufficient_quota")
        assert refusal.value.response.headers["x-should-retry"] == "false"
        assert refusal.value.response.request.headers["x-stainless-retry-count"] == "0", "the client did not try again"
    assert len(client.files.list().data) == 1, "nothing of the refused one was kept"
    client.fine_tuning.jobs.cancel(jobs[1].id)
    assert client.fine_tuning.jobs.create(model=jobs[0].model, training_file=file.id).id


def test_projects_take_turns(school, tools):
    school.admit("ann", "bob")
    made = []
    for name, n in (("ann", 3), ("bob", 1)):
        client = school.client_of(name)
        file = tools.upload(client, tools.jsonl(tools.colour_rows(24)))
        made += [(name, client.fine_tuning.jobs.create(model=client.models.list().data[0].id, training_file=file.id).id) for _ in range(n)]
    for name, job in made:
        assert tools.finished(school.client_of(name), job).status == "succeeded"
    with closing(sqlite3.connect(school.server.data_dir / "local_api.sqlite3")) as database:
        order = [name for name, in database.execute("select project from jobs where project in (?, ?) order by started_at",
                                                    (school.projects["ann"], school.projects["bob"]))]
    assert len(order) == 4 and order[-1] == school.projects["ann"], f"bob, who came last, did not wait for all of ann's: {order}"


def test_logs_in_json_tell_every_request_and_nothing_that_was_said(school, tools):
    client = school.admit("ann").client_of("ann")
    client.completions.create(model=client.models.list().data[0].id, prompt="a secret word", max_tokens=3)

    def lines():
        log = (school.server.data_dir / "server.log").read_text()
        assert "secret" not in log and school.keys_of["ann"] not in log
        told = [json.loads(line) for line in log[:log.rfind("\n") + 1].splitlines() if line.startswith("{")]
        return [line for line in told if line.get("project") == school.projects["ann"] and line["path"] == "/v1/completions"]
    [told] = tools.wait_until(lines, what="the line of the request, which is written once it was answered")
    assert told["status"] == 200 and told["tokens"] > 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of answers that broke off
def test_many_requests_survive_a_bad_day(own_school):
    school = own_school("--faults", "429=0.1,500=0.1,broken=0.1,slow=0.1,pace=0.02,seed=3")
    with stamina.set_testing(True, attempts=12):
        answers = complete_many(school.client_of("ann"), [f"prompt {n}" for n in range(20)], model="ada", max_tokens=3, progress=False)
    assert len(answers) == 20 and all(answer.choices[0].finish_reason for answer in answers)
    del answers
    gc.collect()


def test_a_server_with_a_keys_file_may_be_reached_by_others_and_one_without_may_not(own_school, make_server, tmp_path):
    assert own_school("--host", "0.0.0.0", environment={"LOCAL_API_KEY": ""}).client_of("ann").models.list().data
    (tmp_path / "empty.toml").touch()
    with pytest.raises(AssertionError, match="has no key: make one"):
        make_server("other").start("--keys", str(tmp_path / "empty.toml"))
