"""A base model of one's own choice: a folder in transformers' format, or a name on the Hugging Face Hub.

It is trained as it is, and written once as a GGUF for serving (`convert` says which models that works for). A name is
looked for in the cache first, so that the network is needed only once.

    files = find_other("HuggingFaceTB/SmolLM2-360M-Instruct", cache_dir)
"""

import hashlib
import tempfile
from pathlib import Path

from filelock import FileLock

from local_api.engines.lora.adapters import read_config
from local_api.engines.lora.base_models import CONTEXT_LENGTH, ModelFiles, Say
from local_api.engines.protocols import BaseModel, EngineError

_WANTED = ["*.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]


def describe(name: str) -> BaseModel:
    """What is told of a model before it is loaded; its id is the last part of its name."""
    return BaseModel(
        Path(name).name.lower(), f"{name}, fine-tuned and served on this machine", CONTEXT_LENGTH, CONTEXT_LENGTH
    )


def find_other(name: str, cache_dir: Path, report: Say = lambda text: None) -> ModelFiles:
    """The model's files, fetched and converted the first time. EngineError where that cannot be done."""
    folder = Path(name) if Path(name).is_dir() else _from_hub(name, cache_dir, report)
    try:
        limit = read_config(folder)["max_position_embeddings"]
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"{folder} is no model in transformers' format: {error!r}") from error
    if limit < CONTEXT_LENGTH:
        raise EngineError(f"{name} reads at most {limit} tokens, this engine needs a base model that reads {CONTEXT_LENGTH}")
    gguf = cache_dir / "converted" / f"{folder.name}-{_hash(folder)}.gguf"
    gguf.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(gguf.with_suffix(".lock")):
        if not gguf.exists():
            from local_api.engines.lora.convert import write_gguf

            report(f"Writing {name} as a GGUF for serving; seconds to minutes, by its size")
            with tempfile.TemporaryDirectory(dir=gguf.parent) as temporary:
                draft = Path(temporary) / "model.gguf"
                write_gguf(folder, draft)
                draft.replace(gguf)
    return ModelFiles(gguf, folder, name)


def _from_hub(name: str, cache_dir: Path, report: Say) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, cache_dir=cache_dir / "hub", allow_patterns=_WANTED, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        report(f"Fetching {name} from the Hugging Face Hub")
    try:
        return Path(snapshot_download(name, cache_dir=cache_dir / "hub", allow_patterns=_WANTED))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise EngineError(
            f"{name} is no folder, and cannot be fetched from the Hugging Face Hub: {error}. Give a folder, or leave the"
            " setting out: the default model needs no Hub"
        ) from error


def _hash(folder: Path) -> str:
    """Changes with the content, as far as sizes and times tell: hashing gigabytes at each start would take too long."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for path in sorted([*folder.glob("*.safetensors"), folder / "config.json", folder / "tokenizer.json"]):
        if path.exists():
            digest.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
