"""Is this folder an adapter that can be handed to llama.cpp? Looked at here, because what its C++ cannot read ends the process.

It reads files and compares shapes; it loads no model.

    adapter = read_adapter(Path("work/checkpoint-3"), shapes)   # AdapterError says what is wrong
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_api.engines.lora.llama_gguf import LINEAR
from local_api.engines.protocols import AdapterError

GGUF = "adapter.gguf"
PEFT_CONFIG = "adapter_config.json"
PEFT_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """An adapter that was looked at. Two are equal when path, size and time of change are: the content was not replaced."""

    path: Path
    size: int
    changed: int


def linear_shapes(config: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """{GGUF's name of a linear layer: (inputs, outputs)} of a Llama-family model, from transformers' config.json."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    queries, keys = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    sizes = {
        "q_proj": (width, queries),
        "k_proj": (width, keys),
        "v_proj": (width, keys),
        "o_proj": (queries, width),
        "gate_proj": (width, inner),
        "up_proj": (width, inner),
        "down_proj": (inner, width),
    }
    layers = range(config["num_hidden_layers"])
    return {f"blk.{layer}.{LINEAR[kind]}": size for layer in layers for kind, size in sizes.items()}


def read_config(weights: Path) -> dict[str, Any]:
    """transformers' config.json of a base model's folder."""
    return json.loads((weights / "config.json").read_text(encoding="utf-8"))


def file_of(folder: Path) -> AdapterFile:
    """Which file would be served from this folder; AdapterError where there is none."""
    path = folder / GGUF
    try:
        found = path.stat()
    except OSError as error:
        raise AdapterError(f"the adapter {path} cannot be read ({error.strerror}): was its model deleted?") from error
    return AdapterFile(path, found.st_size, found.st_mtime_ns)


def check(adapter: AdapterFile, shapes: dict[str, tuple[int, int]]) -> None:
    """AdapterError unless the file is a whole LoRA adapter in GGUF whose every matrix fits the base model and is finite."""
    import gguf
    import numpy

    try:
        reader = gguf.GGUFReader(adapter.path)
        kind = [reader.fields[name].contents() for name in ("general.architecture", "general.type", "adapter.type")]
        found = {tensor.name: numpy.asarray(tensor.data) for tensor in reader.tensors}
    except Exception as error:  # a broken file makes the reader fail in any way there is
        raise AdapterError(f"{adapter.path} is not a whole GGUF file ({type(error).__name__}: {error})") from error
    if kind != ["llama", "adapter", "lora"]:
        raise AdapterError(f"{adapter.path} holds {kind}, expected a LoRA adapter for the llama architecture")
    if not found:
        raise AdapterError(f"{adapter.path} has no tensors")
    for name, matrix in found.items():
        _check_tensor(adapter.path, name, matrix, found, shapes)


def _check_tensor(path: Path, name: str, matrix: Any, found: dict[str, Any], shapes: dict[str, tuple[int, int]]) -> None:
    import numpy

    layer, _, side = name.partition(".weight.")
    if layer not in shapes or side not in ("lora_a", "lora_b"):
        raise AdapterError(f"{path}: the base model has no place for the tensor {name}; it was trained for another one")
    other = found.get(f"{layer}.weight.{'lora_b' if side == 'lora_a' else 'lora_a'}")
    if other is None or matrix.ndim != 2 or other.ndim != 2:
        raise AdapterError(f"{path}: {name} has no counterpart, or is no matrix")
    inputs, outputs = shapes[layer]
    rank = other.shape[1] if side == "lora_a" else other.shape[0]
    expected = (rank, inputs) if side == "lora_a" else (outputs, rank)
    if matrix.shape != expected:
        raise AdapterError(f"{path}: {name} is {matrix.shape}, the base model needs {expected}; it was trained for another one")
    if matrix.dtype not in (numpy.float32, numpy.float16) or not numpy.isfinite(matrix).all():
        raise AdapterError(f"{path}: {name} holds numbers that are not finite floats")
