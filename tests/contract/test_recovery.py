"""A server that dies, a training process that dies, a job that is cancelled or paused in the middle."""

import contextlib
import signal
import sqlite3
import time

import openai
import psutil
import pytest

SLOW = {"LOCAL_API_MOCK_STEP_SECONDS": "0.02"}


def start_slow_job(server, tools, epochs=12):
    """A job long enough to be met in the middle: ten steps an epoch."""
    client = server.client()
    file = tools.upload(client, tools.jsonl(tools.colour_rows(40)))
    job = client.fine_tuning.jobs.create(model=client.models.list().data[0].id, training_file=file.id, seed=1,
                                         hyperparameters={"n_epochs": epochs, "batch_size": 4})
    return client, job


def steps(client, job_id):
    events = list(client.fine_tuning.jobs.list_events(job_id, limit=100))
    return [event.data["step"] for event in reversed(events) if event.type == "metrics"]


def in_the_middle(client, job, tools, at_least=12):
    tools.wait_until(lambda: len(steps(client, job.id)) >= at_least, what="some training steps")


def trainers(server):
    """The training processes that live; one that has ended, but is not yet waited for, does not."""
    found = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("local_api.worker.process" in part for part in child.cmdline()):
                found.append(child)
    return found


@pytest.fixture(scope="module")
def shared(make_shared_server):
    """A server whose jobs can be met in the middle, for tests that leave it running and with nothing to do."""
    return make_shared_server(environment=SLOW).start()


@pytest.fixture(params=["mock", pytest.param("lora", marks=pytest.mark.lora)])
def either(request):
    """That server, or one of the real engine."""
    return request.getfixturevalue("shared") if request.param == "mock" else request.getfixturevalue("make_server")(engine="lora").start()


def kill_server(server, tools):
    """Kill the server, see its training process end too, and start it again."""
    child = trainers(server)[0]
    server.kill()
    tools.wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the orphaned trainer to end", seconds=5)
    server.start()


def pause_and_resume(server, client, job, tools):
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    tools.wait_until(lambda: not trainers(server), what="the training process to end")
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"


def complete_and_in_order(client, job, tools, epochs=12):
    ended = tools.finished(client, job.id)
    assert ended.status == "succeeded", ended.error
    assert steps(client, job.id) == list(range(1, 10 * epochs + 1)), "no event is lost, none doubled, none out of order"
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    assert len(messages) == len(set(messages)), "nothing is told twice"
    return messages


def test_a_server_killed_in_the_middle_of_a_job_goes_on_at_the_next_start(make_server, tools):
    server = make_server(environment=SLOW).start()
    client, job = start_slow_job(server, tools)
    in_the_middle(client, job, tools)
    kill_server(server, tools)
    messages = complete_and_in_order(server.client(), job, tools)
    assert any("goes on from its last checkpoint" in message for message in messages)


def test_a_killed_training_process_is_replaced_and_the_job_goes_on(shared, tools):
    client, job = start_slow_job(shared, tools)
    in_the_middle(client, job, tools)
    trainers(shared)[0].send_signal(signal.SIGKILL)
    messages = complete_and_in_order(client, job, tools)
    assert any("SIGKILL" in message for message in messages)


@pytest.mark.lora
def test_a_job_of_the_real_engine_outlives_its_process_its_server_and_a_pause(make_server, tools):
    """All of it in one job, since this engine takes seconds to load at each start."""
    server = make_server(engine="lora").start()
    client, job = start_slow_job(server, tools, epochs=6)
    in_the_middle(client, job, tools)
    trainers(server)[0].send_signal(signal.SIGKILL)
    in_the_middle(client, job, tools, at_least=24)
    kill_server(server, tools)
    client = server.client()
    in_the_middle(client, job, tools, at_least=36)
    pause_and_resume(server, client, job, tools)
    messages = complete_and_in_order(client, job, tools, epochs=6)
    assert any("SIGKILL" in message for message in messages) and any("The server was restarted" in message for message in messages)


def test_cancelling_stops_training_within_three_seconds_and_leaves_nothing(either, tools):
    client, job = start_slow_job(either, tools)
    in_the_middle(client, job, tools)
    began = time.monotonic()
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    tools.wait_until(lambda: not trainers(either), what="the training process to end", seconds=3)
    assert time.monotonic() - began < 3
    told = steps(client, job.id)
    tools.wait_until(lambda: not list((either.data_dir / "work").iterdir()), what="the working folder to go")
    assert steps(client, job.id) == told
    ended = client.fine_tuning.jobs.retrieve(job.id)
    assert ended.status == "cancelled" and ended.fine_tuned_model is None and ended.finished_at


def test_a_paused_job_goes_on_where_it_was(shared, tools):
    client, job = start_slow_job(shared, tools)
    in_the_middle(client, job, tools)
    pause_and_resume(shared, client, job, tools)
    complete_and_in_order(client, job, tools)


def test_a_queue_is_worked_off_in_order_and_a_queued_job_can_be_cancelled(shared, tools):
    client, first = start_slow_job(shared, tools)
    file = tools.upload(client, tools.jsonl(tools.colour_rows(12)))
    base = client.models.list().data[0].id
    second, third, fourth = (client.fine_tuning.jobs.create(model=base, training_file=file.id) for _ in range(3))
    client.fine_tuning.jobs.cancel(third.id)
    ends = [tools.finished(client, job.id) for job in (first, second, third, fourth)]
    assert [end.status for end in ends] == ["succeeded", "succeeded", "cancelled", "succeeded"]
    assert ends[0].finished_at <= ends[1].finished_at <= ends[3].finished_at


def test_a_job_whose_process_always_dies_fails_with_a_reason(shared, tools):
    client, job = start_slow_job(shared, tools)
    while client.fine_tuning.jobs.retrieve(job.id).status in ("validating_files", "queued", "running"):
        for child in trainers(shared):
            child.kill()
        time.sleep(0.01)
    ended = client.fine_tuning.jobs.retrieve(job.id)
    assert ended.status == "failed" and ended.error.code == "training_process_died" and "SIGKILL" in ended.error.message


def test_an_orderly_stop_lets_the_job_go_on_later(make_server, tools):
    server = make_server(environment=SLOW).start()
    client, job = start_slow_job(server, tools)
    in_the_middle(client, job, tools)
    assert server.stop() == 0
    assert not (server.data_dir / "server.json").exists()
    server.start()
    complete_and_in_order(server.client(), job, tools)


def test_a_second_server_on_the_same_folder_is_refused(shared, make_server):
    second = make_server(shared.data_dir)
    with pytest.raises(AssertionError, match=r"(?s)status 3.*A server is already running on"):
        second.start()
    assert shared.client().models.list().data


def test_an_idle_server_ends_by_itself_and_cleans_up(make_server):
    server = make_server().start("--idle-shutdown", "1")
    assert server.process.wait(15) == 0
    assert not (server.data_dir / "server.json").exists()


def test_the_key_is_made_once_and_kept_for_its_owner_alone(make_server, tmp_path):
    server = make_server(environment={"LOCAL_API_KEY": ""}).start()
    path = server.data_dir / "api_key"
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_text().strip()
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)
    assert client.models.list().data
    with pytest.raises(openai.AuthenticationError):
        server.client().models.list()
    server.stop()
    server.start()
    assert path.read_text().strip() == key


def test_other_machines_are_let_in_only_with_a_key_of_ones_own(make_server):
    server = make_server(environment={"LOCAL_API_KEY": ""})
    with pytest.raises(AssertionError, match="set LOCAL_API_KEY"):
        server.start("--host", "0.0.0.0")


def test_a_port_that_is_taken_is_named(shared, make_server):
    port = shared.url.rsplit(":", 1)[1]
    with pytest.raises(AssertionError, match=rf"port {port} .* cannot be used"):
        make_server("other").start("--port", port)


def test_a_database_from_the_future_is_refused_with_advice(make_server):
    server = make_server()
    server.data_dir.mkdir()
    with sqlite3.connect(server.data_dir / "local_api.sqlite3") as connection:
        connection.execute("pragma user_version = 999")
    with pytest.raises(AssertionError, match="schema version 999"):
        server.start()


def test_what_a_dead_server_left_half_received_is_swept_away(make_server, tools):
    server = make_server().start()
    kept = tools.upload(server.client(), tools.jsonl(tools.colour_rows(3)))
    server.kill()
    for stray in ("incoming/half", "files/nobody", "adapters/nobody"):
        (server.data_dir / stray).write_bytes(b"x")
    (server.data_dir / "work" / "ftjob-gone").mkdir(parents=True)
    server.start()
    assert server.client().files.content(kept.id).read()
    for folder, left in (("incoming", 0), ("files", 1), ("adapters", 0), ("work", 0)):
        assert len(list((server.data_dir / folder).iterdir())) == left, folder
