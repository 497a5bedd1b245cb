"""Keys: who is let in, and the key that is kept in the data directory."""

import pytest

from local_api.auth import Keys, key_in
from local_api.errors import Unauthorized

KEYS = Keys({"sk-ann": "ann", "sk-bob": "bob"})


@pytest.mark.parametrize(("header", "project"), [("Bearer sk-ann", "ann"), ("bearer sk-bob", "bob"), ("BEARER  sk-ann ", "ann")])
def test_a_key_opens_its_own_project(header, project):
    assert KEYS.project(header) == project


@pytest.mark.parametrize(("header", "message"), [
    (None, "didn't provide an API key"), ("", "didn't provide an API key"), ("Bearer", "didn't provide an API key"),
    ("Bearer  ", "didn't provide an API key"), ("Basic sk-ann", "didn't provide an API key"),
    ("sk-ann", "didn't provide an API key"), ("Bearer sk-an", "Incorrect API key"), ("Bearer sk-annn", "Incorrect API key"),
    ("Bearer SK-ANN", "Incorrect API key"), ("Bearer sk-\xe4\xff", "Incorrect API key")])
def test_anything_else_is_refused(header, message):
    with pytest.raises(Unauthorized, match=message) as refusal:
        KEYS.project(header)
    assert refusal.value.status == 401 and "sk-ann" not in refusal.value.message


def test_keys_are_not_kept_as_they_are():
    assert "sk-ann" not in repr(vars(KEYS))


def test_the_key_of_a_folder_is_made_once_for_its_owner_alone(tmp_path):
    key = key_in(tmp_path)
    assert key.startswith("sk-local-") and len(key) > 30
    assert key_in(tmp_path) == key
    assert (tmp_path / "api_key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    assert key_in(tmp_path / "other") != key


def test_a_key_that_the_owner_wrote_is_taken(tmp_path):
    (tmp_path / "api_key").write_text("sk-mine\r\n")
    assert key_in(tmp_path) == "sk-mine"


def test_an_empty_key_file_gets_a_key(tmp_path):
    (tmp_path / "api_key").touch(0o600)
    key = key_in(tmp_path)
    assert len(key) > 30 and key_in(tmp_path) == key
