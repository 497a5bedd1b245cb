"""The keys file of a shared server: made, read, read again, and refused with its place."""

import logging

import pytest

from local_api import keys
from local_api.auth import Keys
from local_api.errors import Unauthorized
from local_api.keys import KeysFile, KeysFileError
from local_api.limits import UNLIMITED, Limits


@pytest.fixture
def path(tmp_path):
    return tmp_path / "class" / "keys.toml"


def bearer(key):
    return f"Bearer {key}"


def test_a_key_opens_its_project_and_the_file_does_not_hold_it(path):
    ann, bob = keys.add(path, "ann"), keys.add(path, "bob")
    shared = Keys({"sk-owner": "default"}, KeysFile(path))
    assert [shared.project(bearer(key)) for key in (ann, bob, "sk-owner")] == ["ann", "bob", "default"]
    assert ann != bob and len(ann) > 45 and ann not in path.read_text() and path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Unauthorized):
        shared.project(bearer("sk-local-guess"))


def test_keys_that_come_and_go_count_at_once(path):
    ann = keys.add(path, "ann")
    shared = Keys({}, KeysFile(path))
    bob = keys.add(path, "bob")
    assert shared.project(bearer(bob)) == "bob"
    keys.remove(path, "ann")
    with pytest.raises(Unauthorized):
        shared.project(bearer(ann))
    assert shared.project(bearer(bob)) == "bob"


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("[projects.ann"), lambda path: path.unlink()])
def test_a_file_that_becomes_unusable_locks_nobody_out_and_is_told_once(path, caplog, spoil):
    ann = keys.add(path, "ann")
    shared = Keys({}, KeysFile(path))
    spoil(path)
    with caplog.at_level(logging.ERROR):
        assert [shared.project(bearer(ann)) for _ in range(3)] == ["ann"] * 3
    assert len(caplog.records) == 1 and str(path) in caplog.text and ann not in caplog.text


def test_limits_are_those_of_all_and_then_ones_own(path):
    keys.add(path, "ann")
    path.write_text(f"[limits]\nrequests_per_minute = 60\nstored_bytes = 1_000\n{path.read_text()}requests_per_minute = 5\n")
    keys.add(path, "bob")
    shared = Keys({"sk-owner": "default"}, KeysFile(path))
    assert shared.limits("ann") == Limits(requests_per_minute=5, stored_bytes=1000)
    assert shared.limits("bob") == Limits(requests_per_minute=60, stored_bytes=1000)
    assert shared.limits("default") == UNLIMITED


def test_a_project_is_taken_out_and_all_else_stays_as_it_was(path):
    keys.add(path, "ann")
    before = path.read_text()
    keys.add(path, "bob")
    path.write_text(path.read_text() + "tokens_per_minute = 9\n\n# the end\n")
    keys.remove(path, "bob")
    assert path.read_text().startswith(before.rstrip("\n")) and keys.read(path).limits.keys() == {"ann"}


HASH = "a" * 64


@pytest.mark.parametrize(("text", "message"), [
    ("[projects.ann]\n", r"\[projects.ann\] needs key_sha256"),
    ("[projects.ann]\nkey_sha256 = 'sk-local-mine'\n", r"\[projects.ann\] needs key_sha256, 64 hexadecimal digits"),
    (f"[projects.default]\nkey_sha256 = '{HASH}'\n", "is not 'default', which is the server's owner"),
    (f"[projects.'a b']\nkey_sha256 = '{HASH}'\n", "1 to 64 letters"),
    (f"[projects.ann]\nkey_sha256 = '{HASH}'\nrequests = 5\n", "requests is not known; the limits are requests_per_minute, tokens"),
    ("[limits]\nstored_bytes = 0\n", r"\[limits\]: stored_bytes must be a whole number of at least 1, not 0"),
    ("[limits]\nstored_bytes = true\n", "not True"), ("[limits]\nstored_bytes = '5 MB'\n", "not '5 MB'"),
    ("[project.ann]\n", r"project is not known here; a keys file has \[limits\] and \[projects.NAME\]"),
    ("limits = 3\n", "limits is not known here"), ("[", "is no TOML file"), ("projects = 1", "projects is not known here")])
def test_what_a_file_may_not_hold_is_named_with_its_place(path, text, message):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(KeysFileError, match=message) as refusal:
        KeysFile(path)
    assert str(path) in str(refusal.value)


def test_the_command_prints_each_key_once(path, capsys):
    assert keys.main(["add", "--keys", str(path), "ann", "bob"]) == 0
    said = capsys.readouterr()
    printed = dict(line.split() for line in said.out.splitlines())
    shared = Keys({}, KeysFile(path))
    assert {name: shared.project(bearer(key)) for name, key in printed.items()} == {"ann": "ann", "bob": "bob"}
    assert "shown this once" in said.err
    assert keys.main(["list", "--keys", str(path)]) == 0 and capsys.readouterr().out == "ann\nbob\n"
    assert keys.main(["remove", "--keys", str(path), "ann"]) == 0 and keys.read(path).limits.keys() == {"bob"}


@pytest.mark.parametrize(("arguments", "message"), [
    (["add", "bob"], "has a key for bob: remove it first"), (["add", "no/slash"], "1 to 64 letters"),
    (["remove", "cem"], "has no key for cem"), (["remove", "BOB"], "has no key for BOB")])
def test_the_command_says_what_cannot_be(path, capsys, arguments, message):
    keys.add(path, "bob")
    before = path.read_text()
    assert keys.main([*arguments, "--keys", str(path)]) == 1
    assert message in capsys.readouterr().err and path.read_text() == before
    assert [found.name for found in path.parent.iterdir()] == ["keys.toml"], "nothing half written is left"


def test_a_file_that_is_not_there_is_named_with_advice(path, capsys):
    assert keys.main(["list", "--keys", str(path)]) == 1
    assert "cookbook keys add NAME" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        keys.main(["add", "--keys", str(path)])
