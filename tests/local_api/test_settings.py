"""Settings: command line, environment, and which of the two wins."""

from pathlib import Path

import pytest

from local_api.settings import Settings, from_command_line


def settings(*arguments: str, **environment: str) -> Settings:
    return from_command_line(["--engine", "mock", *arguments], environment)


def test_without_anything_it_listens_on_this_machine_alone():
    plain = settings()
    assert (plain.host, plain.port, plain.is_loopback) == ("127.0.0.1", 8000, True)
    assert plain.data_dir == Path(".local_api").resolve()
    assert plain.api_key is None and plain.idle_shutdown is None and plain.base_model is None


def test_the_environment_sets_what_the_command_line_leaves_open(tmp_path):
    found = from_command_line([], {"LOCAL_API_DATA_DIR": str(tmp_path / "d"), "LOCAL_API_ENGINE": "mock", "LOCAL_API_KEY": "k",
                                   "LOCAL_API_CACHE_DIR": str(tmp_path / "c"), "LOCAL_API_BASE_MODEL": "some/model",
                                   "LOCAL_API_MOCK_STEP_SECONDS": "0.5"})
    assert (found.data_dir, found.cache_dir, found.engine) == (tmp_path / "d", tmp_path / "c", "mock")
    assert (found.api_key, found.base_model, found.mock_step_seconds) == ("k", "some/model", 0.5)


def test_an_option_wins_over_its_variable(tmp_path):
    found = settings("--data-dir", str(tmp_path / "option"), "--base-model", "option", LOCAL_API_DATA_DIR=str(tmp_path / "variable"),
                     LOCAL_API_BASE_MODEL="variable", LOCAL_API_ENGINE="lora")
    assert (found.data_dir, found.base_model, found.engine) == (tmp_path / "option", "option", "mock")


def test_an_empty_variable_is_as_good_as_none():
    found = settings(LOCAL_API_DATA_DIR="", LOCAL_API_KEY="", LOCAL_API_BASE_MODEL="", LOCAL_API_CACHE_DIR="")
    assert found.data_dir == Path(".local_api").resolve(), "never the current folder, whose files/ would be swept"
    assert found.api_key is None and found.base_model is None and found.cache_dir.name == "fine-tuning-cookbook"


def test_a_key_read_from_a_file_may_end_in_a_newline():
    assert settings(LOCAL_API_KEY="sk-mine\n").api_key == "sk-mine"
    assert settings(LOCAL_API_KEY=" \n").api_key is None


def test_paths_do_not_depend_on_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings("--data-dir", "here").data_dir == tmp_path / "here"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::"])
def test_other_machines_are_let_in_with_a_key_of_ones_own(host):
    found = settings("--host", host, LOCAL_API_KEY="k")
    assert found.host == host and not found.is_loopback


@pytest.mark.parametrize(("arguments", "environment", "message"), [
    (["--host", "0.0.0.0"], {}, "--host 0.0.0.0 lets other machines in: set LOCAL_API_KEY"),
    (["--host", "0.0.0.0"], {"LOCAL_API_KEY": " "}, "set LOCAL_API_KEY"),
    (["--host", ""], {}, "set LOCAL_API_KEY"),
    (["--port", "65536"], {}, "--port must lie between 0 and 65535, not 65536"),
    (["--port", "-1"], {}, "--port must lie between 0 and 65535, not -1"),
    (["--port", "http"], {}, "argument --port: invalid int value: 'http'"),
    (["--idle-shutdown", "0"], {}, "--idle-shutdown must be more than 0 seconds, not 0"),
    (["--engine", "steam"], {}, "argument --engine: invalid choice: 'steam'"),
    ([], {"LOCAL_API_MOCK_STEP_SECONDS": "fast"}, "LOCAL_API_MOCK_STEP_SECONDS must be a number of seconds, not 'fast'"),
])
def test_what_cannot_be_is_refused_by_the_name_of_its_option(arguments, environment, message, capsys):
    with pytest.raises(SystemExit) as refusal:
        settings(*arguments, **environment)
    assert refusal.value.code == 2 and message in capsys.readouterr().err


def test_each_engine_is_told_what_is_its_own(tmp_path):
    options = {"data_dir": tmp_path, "cache_dir": tmp_path, "base_model": "b", "mock_step_seconds": 0.5}
    assert Settings(engine="mock", **options).engine_options == {"step_seconds": 0.5}
    assert Settings(engine="lora", **options).engine_options == {"base_model": "b"}
