"""connect() finds, starts and names what it is connected to."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from helpers import client as client_module
from helpers import server
from helpers.client import base_model, connect, is_local
from helpers.errors import ServerError


def test_connect_starts_the_local_api_and_says_so_in_one_line(local_server, starts, capsys):
    client = connect(engine="lora")
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "127.0.0.1" not in said, "no port that changes with each start"
    assert "engine lora, base model tiny" in said and "this machine" in said
    assert client.api_key == "sk-fake" and starts() == 1


def test_connect_uses_the_server_that_runs(local_server, starts):
    first, second = connect(announce=False), connect(announce=False)
    assert first.base_url == second.base_url and starts() == 1


def test_announce_false_prints_nothing(local_server, capsys):
    connect(announce=False)
    assert capsys.readouterr().out == ""


def test_the_mock_engine_is_named_as_what_it_is(local_server, capsys):
    connect(engine="mock")
    assert "nothing is really trained" in capsys.readouterr().out


def test_two_kernels_at_once_end_at_the_same_server(local_server, starts):
    with ThreadPoolExecutor(2) as pool:
        urls = {str(client.base_url) for client in pool.map(lambda _: connect(announce=False), range(2))}
    assert len(urls) == 1 and starts() == 1


def test_the_server_outlives_the_process_that_started_it(local_server):
    code = ("import sys; from helpers import server; server.server_command = lambda directory, *options: "
            f"[sys.executable, {str(local_server.parent / 'fake_server.py')!r}, '--data-dir', str(directory), *options]; "
            "print(server.start_server().pid)")
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert server.server_status().pid == pid
    assert psutil.Process(pid).ppid() != psutil.Process().pid


def test_what_a_killed_server_left_behind_is_not_taken_for_a_server(local_server, starts):
    connect(announce=False)
    killed = psutil.Process(server.server_status().pid)
    killed.kill()
    killed.wait(5)
    assert (local_server / "server.json").exists() and server.server_status() is None
    connect(announce=False)
    assert starts() == 2


def test_a_strange_server_on_the_port_is_told_by_its_token(local_server):
    connect(announce=False)
    found = json.loads((local_server / "server.json").read_text())
    (local_server / "server.json").write_text(json.dumps({**found, "instance": "another"}))
    assert server.server_status() is None
    (local_server / "server.json").write_text(json.dumps(found))
    assert server.server_status().pid == found["pid"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_broken_discovery_file_means_no_server(local_server, content):
    (local_server / "server.json").write_text(content)
    assert server.server_status() is None


def test_a_server_that_cannot_start_is_reported_with_the_end_of_its_log(local_server):
    (local_server / "server.log").write_text("a line of an earlier start\n")
    (local_server / "broken").touch()
    with pytest.raises(ServerError, match=r"ended with status 1[\s\S]*no such model: nonsense") as caught:
        connect()
    assert "earlier start" not in str(caught.value)


def test_asking_for_another_engine_than_the_one_that_runs_is_refused(local_server):
    connect(engine="mock", announce=False)
    with pytest.raises(ServerError, match="runs the engine 'mock', not 'lora'"):
        connect(engine="lora")
    connect(engine="auto", announce=False)


def test_stop_server_ends_the_process_and_says_whether_there_was_one(local_server):
    assert server.stop_server() is False
    connect(announce=False)
    pid = server.server_status().pid
    assert server.stop_server() is True
    assert server.server_status() is None
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_proxy_for_the_whole_machine_is_not_asked_for_the_local_api(local_server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert [model.id for model in connect(announce=False).models.list()][2] == "tiny"


def test_the_base_model_is_the_first_listed_that_is_no_fine_tune(local_server, monkeypatch):
    client = connect(announce=False)
    assert is_local(client) and base_model(client) == "tiny"
    monkeypatch.setenv("COOKBOOK_BASE_MODEL", "mine")
    assert base_model(client) == "mine"


def test_a_key_of_a_hosted_provider_wins_and_the_line_says_that_it_costs(monkeypatch, capsys, local_server, starts):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hosted")
    client = connect()
    assert client.base_url.host == "api.openai.com" and client.api_key == "sk-hosted" and starts() == 0
    assert "Hosted API at api.openai.com" in (said := capsys.readouterr().out) and "cost money" in said
    assert not is_local(client) and base_model(client) == "babbage-002"


def test_a_classroom_server_is_a_local_api_on_another_machine(local_server, monkeypatch, capsys):
    status = server.start_server(engine="lora")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{status.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-class")
    client = connect()
    assert client.api_key == "sk-class" and is_local(client) and base_model(client) == "tiny"
    assert "Local API on" in capsys.readouterr().out


def test_an_address_without_a_key_is_refused_with_what_to_set(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.example.com/v1")
    with pytest.raises(ServerError, match="set OPENAI_API_KEY"):
        connect()


def test_the_data_directory_is_the_checkouts_else_the_users(tmp_path, monkeypatch):
    assert server.data_dir() == Path(server.__file__).parent.parent / ".local_api"
    monkeypatch.setattr(server, "PACKAGES", tmp_path)
    assert server.data_dir().name == "fine-tuning-cookbook"
    monkeypatch.setenv("LOCAL_API_DATA_DIR", str(tmp_path / "mine"))
    assert server.data_dir() == tmp_path / "mine"


def test_a_missing_key_file_is_named(tmp_path, monkeypatch):
    with pytest.raises(ServerError, match="api_key cannot be read"):
        server.api_key(tmp_path)
    monkeypatch.setenv("LOCAL_API_KEY", "mine")
    assert server.api_key(tmp_path) == "mine"


def test_importing_helpers_takes_no_pytorch_and_nothing_else_that_is_slow():
    code = "import sys, helpers; print(*sys.modules); from helpers import *; print(*sys.modules); connect, split, roc"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    at_first, with_every_name = (set(line.split()) for line in said.splitlines())
    assert not {"torch", "pandas", "openai", "matplotlib", "sklearn", "local_api"} & at_first
    assert not {"torch", "transformers", "sklearn", "local_api"} & with_every_name and "pandas" in with_every_name


def test_every_public_name_exists_and_an_unknown_one_is_an_attribute_error():
    import helpers
    assert all(getattr(helpers, name) is not None for name in helpers.__all__)
    assert dir(helpers) == helpers.__all__ == sorted(helpers.__all__)
    assert helpers.connect is client_module.connect
    with pytest.raises(AttributeError, match="conect"):
        helpers.conect  # noqa: B018
