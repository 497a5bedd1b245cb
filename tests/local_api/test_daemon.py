"""One server for a data directory: lock, port, discovery file, idle shutdown."""

import asyncio
import json
import os
import socket
from types import SimpleNamespace

import pytest
from filelock import FileLock

from local_api import daemon
from local_api.engines.protocols import EngineError
from local_api.settings import Settings


@pytest.fixture
def settings(tmp_path):
    def make(**overrides):
        return Settings(**{"data_dir": tmp_path / "data", "cache_dir": tmp_path / "cache", "engine": "mock", "port": 0, **overrides})
    return make


@pytest.fixture
def serving(monkeypatch):
    """What the server does instead of serving."""
    def use(action):
        async def serve(settings, listener):
            return action(settings, listener)
        monkeypatch.setattr(daemon, "serve", serve)
    return use


def test_a_server_makes_its_folder_for_its_owner_alone_and_frees_all_at_its_end(settings, serving):
    listeners = []
    serving(lambda settings, listener: listeners.append(listener))
    for _ in range(2):
        assert daemon.run(settings()) == 0
    assert settings().data_dir.stat().st_mode & 0o777 == 0o700
    assert all(listener.fileno() == -1 for listener in listeners), "the port is free again"


def test_a_second_server_on_a_folder_is_told_so(settings, serving, capsys):
    serving(lambda settings, listener: pytest.fail("it served"))
    settings().data_dir.mkdir()
    with FileLock(settings().data_dir / "server.lock"):
        assert daemon.run(settings()) == daemon.ALREADY_RUNNING == 3
    assert f"A server is already running on {settings().data_dir}" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "message"), [
    (EngineError("no base model: run make setup"), "could not start: no base model: run make setup"),
    (OSError("disk full"), "could not start: disk full")])
def test_a_start_that_fails_says_why(settings, serving, capsys, error, message):
    def fail(settings, listener):
        raise error
    serving(fail)
    assert daemon.run(settings()) == 1
    assert message in capsys.readouterr().err
    serving(lambda settings, listener: None)
    assert daemon.run(settings()) == 0, "the lock is free again"


def test_a_data_directory_that_is_a_file_is_named(settings, tmp_path, capsys):
    (tmp_path / "data").touch()
    assert daemon.run(settings()) == 1
    assert str(tmp_path / "data") in capsys.readouterr().err


def test_a_database_that_is_none_is_named(settings, capsys, tmp_path):
    settings().data_dir.mkdir()
    (settings().data_dir / "local_api.sqlite3").write_bytes(b"this is no database " * 100)
    assert daemon.run(settings()) == 1
    assert f"its database in {tmp_path / 'data'} cannot be used (file is not a database)" in capsys.readouterr().err


def test_an_engine_that_does_not_exist_is_refused(settings, capsys):
    assert daemon.run(settings(engine="steam")) == 1
    assert "unknown engine 'steam': choose one of lora, mock" in capsys.readouterr().err


def test_port_0_takes_a_free_one_and_a_taken_one_is_named(settings):
    with daemon.bind(settings()) as first:
        port = first.getsockname()[1]
        assert port > 0
        first.listen()
        with pytest.raises(OSError, match=f"port {port} on 127.0.0.1 cannot be used .*choose another with --port"):
            daemon.bind(settings(port=port))


def test_a_host_that_is_not_on_this_machine_is_named(settings):
    with pytest.raises(OSError, match=r"port 0 on 192\.0\.2\.1 cannot be used"):
        daemon.bind(settings(host="192.0.2.1"))


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"),
                                           ("localhost", "http://localhost:"), ("::1", "http://[::1]:"), ("::", "http://[::1]:")])
def test_the_discovery_file_says_where_the_server_is_and_goes_with_it(settings, host, url):
    here = settings(host=host)
    here.data_dir.mkdir()
    path = here.data_dir / "server.json"

    async def run():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            async with daemon.discovery(here, listener, "token"):
                assert json.loads(path.read_text()) == {"url": f"{url}{port}", "pid": os.getpid(), "instance": "token"}
                assert path.stat().st_mode & 0o077 == 0
                socket.create_connection(("127.0.0.1", port)).close()
            assert list(here.data_dir.iterdir()) == []
    asyncio.run(run())


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "server.json"
    path.write_text("an old and much longer text")
    daemon.write_atomically(path, "new")
    assert path.read_text() == "new" and [found.name for found in tmp_path.iterdir()] == ["server.json"]


@pytest.mark.parametrize("fails", [False, True])
def test_activity_counts_requests_that_run_and_notes_their_end(fails):
    async def run():
        inside = asyncio.Event()

        async def app(scope, receive, send):
            inside.set()
            await receive()
            if fails:
                raise ZeroDivisionError
        activity, ended = daemon.Activity(app), asyncio.Event()
        activity.last = 0.0
        task = asyncio.create_task(activity({}, ended.wait, None))
        await inside.wait()
        assert (activity.running, activity.last) == (1, 0.0)
        ended.set()
        await asyncio.gather(task, return_exceptions=True)
        assert activity.running == 0 and activity.last > 0
    asyncio.run(run())


@pytest.fixture
def idle(monkeypatch):
    """How many looks it takes until the server is asked to end; time passes by a second a look. None: not in 20 looks."""
    def idle(limit, *, running=lambda look: 0, unfinished=lambda look: 0):
        looks, now = [], [100.0]
        server = SimpleNamespace(should_exit=False)
        activity = SimpleNamespace(last=100.0, running=0)
        store = SimpleNamespace(jobs=SimpleNamespace(unfinished=lambda: unfinished(len(looks))))

        async def sleep(seconds):
            if server.should_exit or len(looks) == 20:
                raise asyncio.CancelledError
            looks.append(seconds)
            now[0] += 1
            activity.running = running(len(looks))
        monkeypatch.setattr(daemon.asyncio, "sleep", sleep)
        monkeypatch.setattr(daemon, "time", SimpleNamespace(monotonic=lambda: now[0]))

        async def run():
            await asyncio.gather(daemon.end_when_idle(server, activity, store, limit), return_exceptions=True)
            return len(looks) if server.should_exit else None
        return asyncio.run(run())
    return idle


def test_an_idle_server_ends_after_its_limit(idle):
    assert idle(5) == 6
    assert idle(0.5) == 1


def test_without_a_limit_a_server_never_ends_by_itself(idle):
    assert idle(None) is None


def test_a_request_or_a_job_keeps_the_server_up_and_starts_the_clock_again(idle):
    assert idle(5, running=lambda look: look < 4) == 9
    assert idle(5, unfinished=lambda look: look < 4) == 9
    assert idle(5, running=lambda look: 1) is None


def test_a_base_model_that_cannot_be_warmed_does_not_end_the_server(caplog):
    async def warm():
        raise EngineError("no base model: run make setup")
    asyncio.run(daemon.warm(SimpleNamespace(generator=SimpleNamespace(warm=warm))))
    assert "run make setup" in caplog.text


def test_what_runs_in_the_background_ends_with_the_server():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def broken():
        raise ZeroDivisionError

    async def run():
        async with daemon.background(work(), broken()):
            await asyncio.sleep(0)
    asyncio.run(run())
    assert ended == [True]
