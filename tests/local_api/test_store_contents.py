"""Bytes on disk under their hash: complete or not there."""

import hashlib
import io

import pytest

from local_api.store.contents import Contents, file_hash, folder_hash


@pytest.fixture
def contents(tmp_path):
    return Contents(tmp_path / "data")


@pytest.fixture
def make_adapter(tmp_path):
    """A folder with files of these contents."""
    def make(name="adapter", **files):
        folder = tmp_path / name
        for path, text in (files or {"adapter_model": "weights", "sub/config": "{}"}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder
    return make


def keep(contents, content):
    with contents.receive(io.BytesIO(content)) as path:
        return contents.keep(path)


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"hello", bytes(3 * 1024 * 1024 + 1)])
def test_a_file_is_kept_under_the_hash_of_its_bytes(contents, content):
    digest = keep(contents, content)
    assert digest == hashlib.sha256(content).hexdigest() == file_hash(contents.file(digest))
    assert contents.file(digest).read_bytes() == content
    assert listed(contents.incoming) == [] and listed(contents.files) == [digest]


def test_the_same_bytes_are_kept_once(contents):
    assert keep(contents, b"x") == keep(contents, b"x")
    assert len(listed(contents.files)) == 1


def test_what_is_not_kept_is_gone_after_the_block(contents):
    with pytest.raises(ZeroDivisionError), contents.receive(io.BytesIO(b"x")) as path:
        assert path.read_bytes() == b"x" and path.stat().st_mode & 0o077 == 0, "nobody else may read it"
        _ = 1 / 0
    assert listed(contents.incoming) == listed(contents.files) == []


def test_a_source_that_breaks_off_leaves_nothing(contents):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError("the client went away")
    with pytest.raises(OSError, match="the client went away"), contents.receive(Broken()):
        pytest.fail("an incomplete file was handed out")
    assert listed(contents.incoming) == []


def test_an_adapter_is_copied_whole_and_its_source_stays(contents, make_adapter):
    folder = make_adapter()
    digest = contents.keep_adapter(folder)
    kept = contents.adapter(digest)
    assert digest == folder_hash(kept) == folder_hash(folder)
    assert (kept / "sub" / "config").read_text() == "{}" and (kept / "adapter_model").read_text() == "weights"
    assert listed(contents.incoming) == []


def test_the_same_adapter_is_kept_once_and_is_not_touched_again(contents, make_adapter):
    digest = contents.keep_adapter(make_adapter())
    before = (contents.adapter(digest) / "adapter_model").stat().st_mtime_ns
    assert contents.keep_adapter(make_adapter("again")) == digest
    assert (contents.adapter(digest) / "adapter_model").stat().st_mtime_ns == before and listed(contents.adapters) == [digest]


def test_an_adapter_that_another_process_kept_in_the_meantime_is_fine(contents, make_adapter, monkeypatch):
    folder = make_adapter()
    rival = contents.adapter(folder_hash(folder))
    monkeypatch.setattr("local_api.store.contents.shutil.copytree",
                        lambda source, target: [path.mkdir() or (path / "adapter_model").write_text("weights") for path in (target, rival)])
    assert contents.adapter(contents.keep_adapter(folder)) == rival and listed(contents.incoming) == []


def test_the_hash_of_a_folder_tells_names_and_contents_apart(make_adapter):
    folders = [make_adapter("a", x="1", y="2"), make_adapter("b", x="2", y="1"), make_adapter("c", x="1"), make_adapter("d", z="1"),
               make_adapter("e", **{"x/y": "1"}), make_adapter("f", x="12")]
    assert len({folder_hash(folder) for folder in folders}) == len(folders)


def test_only_what_a_row_names_stays(contents, make_adapter):
    used, unused = keep(contents, b"used"), keep(contents, b"unused")
    adapter, stale = contents.keep_adapter(make_adapter()), contents.keep_adapter(make_adapter("stale", x="1"))
    (contents.incoming / "half").write_bytes(b"x")
    (contents.incoming / "half an adapter").mkdir()
    contents.drop_unused([used], {adapter})
    assert listed(contents.files) == [used] and listed(contents.adapters) == [adapter] and listed(contents.incoming) == []
    assert unused != used and stale != adapter
