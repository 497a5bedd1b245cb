"""Real server processes and official clients for the contract tests."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tests' folder is not installed
from tests.servers import ServerProcess, colour_rows, finished, jsonl, upload, wait_until


@pytest.fixture(scope="session")
def tools() -> type:
    """The functions above, for tests: there is nothing to import a conftest from."""
    class Tools:
        pass
    for function in (wait_until, colour_rows, jsonl, upload, finished):
        setattr(Tools, function.__name__, staticmethod(function))
    return Tools


@contextlib.contextmanager
def servers_below(folder: Path, cache_dir: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers on folders below one; whatever is left running is killed at the end."""
    servers: list[ServerProcess] = []

    def make(name: str = "data", **options: object) -> ServerProcess:
        servers.append(ServerProcess(folder / name, cache_dir, **options))
        return servers[-1]

    yield make
    for server in servers:
        if server.process is not None:
            with contextlib.suppress(ProcessLookupError):
                server.kill()


@pytest.fixture
def make_server(tmp_path: Path, cache_dir: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers on folders below tmp_path, which end with the test."""
    with servers_below(tmp_path, cache_dir) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_server(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers that the tests of a file share."""
    with servers_below(tmp_path_factory.mktemp("shared"), cache_dir) as make:
        yield make


@pytest.fixture(scope="session", params=["mock", pytest.param("lora", marks=pytest.mark.lora)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[ServerProcess]:
    """One running server for each engine, shared by the tests that leave it as it was."""
    running = ServerProcess(tmp_path_factory.mktemp("data"), cache_dir, engine=request.param).start()
    yield running
    assert running.stop() == 0, running.log()
    assert "Traceback" not in running.log()


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> openai.OpenAI:
    return server.client()


@pytest.fixture(scope="session")
def base(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


@pytest.fixture(scope="session")
def job(client: openai.OpenAI, base: str) -> FineTuningJob:
    """A job that succeeded, with validation, on each engine: 36 steps."""
    train, valid = upload(client, jsonl(colour_rows(48))), upload(client, jsonl(colour_rows(60)[48:]), "valid.jsonl")
    created = client.fine_tuning.jobs.create(
        model=base, training_file=train.id, validation_file=valid.id, suffix="colours", seed=7, metadata={"course": "colours"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 6, "batch_size": 8}}})
    ended = finished(client, created.id)
    assert ended.status == "succeeded", ended.error
    return ended
