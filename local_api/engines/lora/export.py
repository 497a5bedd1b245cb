"""Trained weights as a folder that others can read: PEFT's own format, and a GGUF for llama.cpp beside it.

It knows formats, and nothing of training. A folder appears whole or not at all.

    export(network.weights(), folder, shape=LoraShape(rank=16, alpha=16, first=18, layers=30), config=config, base=base)
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_api.engines.lora.adapters import GGUF, PEFT_CONFIG, PEFT_WEIGHTS
from local_api.engines.lora.llama_gguf import LINEAR, gguf_name, heads_of, to_gguf_rows
from local_api.engines.protocols import AdapterError

if TYPE_CHECKING:
    import torch

_PREFIX = "base_model.model."  # PEFT's, before the base model's own names


@dataclass(frozen=True, slots=True)
class LoraShape:
    """`first`: the lowest of `layers` layers that has LoRA."""

    rank: int
    alpha: float
    first: int
    layers: int


def export(
    weights: "Mapping[str, torch.Tensor]", folder: Path, *, shape: LoraShape, config: Mapping[str, Any], base: str
) -> None:
    """Write `folder`, replacing one that is there. `config`: the base model's config.json; `base`: its name on the Hub."""
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    matrices = {name: tensor.detach().float().cpu().contiguous() for name, tensor in weights.items()}
    _write_peft(matrices, draft, shape, base)
    write_gguf(matrices, draft / GGUF, alpha=shape.alpha, config=config)
    for path in draft.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _write_peft(matrices: "Mapping[str, torch.Tensor]", folder: Path, shape: LoraShape, base: str) -> None:
    from safetensors.torch import save_file

    about = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": shape.rank,
        "lora_alpha": shape.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(LINEAR),
        "layers_to_transform": list(range(shape.first, shape.layers)),
        "layers_pattern": "layers",
        "inference_mode": True,
    }
    (folder / PEFT_CONFIG).write_text(json.dumps(about, indent=1), encoding="utf-8")
    named = {f"{_PREFIX}{name}.weight": matrix for name, matrix in matrices.items()}
    save_file(named, folder / PEFT_WEIGHTS, metadata={"format": "pt"})


def write_gguf(
    matrices: "Mapping[str, torch.Tensor]", path: Path, *, alpha: float, config: Mapping[str, Any], reorder: bool = True
) -> None:
    """`reorder` off leaves the rows of q and k as PyTorch has them: wrong, and there for the test that must notice it."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, tensor in matrices.items():
        layer, _, side = name.rpartition(".")
        kind, matrix = layer.rpartition(".")[2], tensor.numpy()
        heads = heads_of(kind, config["num_attention_heads"], config["num_key_value_heads"])
        if heads and side == "lora_B" and reorder:
            matrix = to_gguf_rows(matrix, heads)
        writer.add_tensor(f"{gguf_name(f'{layer}.weight')}.{side.lower()}", matrix.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_adapter(folder: Path) -> "tuple[LoraShape, dict[str, torch.Tensor]]":
    """The weights of an adapter that this module wrote, to go on training from. AdapterError where they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        about = json.loads((folder / PEFT_CONFIG).read_text(encoding="utf-8"))
        named = load_file(folder / PEFT_WEIGHTS)
        layers = about["layers_to_transform"]
        shape = LoraShape(about["r"], about["lora_alpha"], min(layers), max(layers) + 1)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"the adapter in {folder} cannot be continued from: {type(error).__name__}: {error}") from error
    return shape, {name.removeprefix(_PREFIX).removesuffix(".weight"): matrix for name, matrix in named.items()}
