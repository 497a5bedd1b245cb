"""The base model with LoRA in its top layers, cut in two: what never changes, and what is trained.

Only the top `depth` layers get LoRA, so what enters the lowest of them is the same in every epoch: `frozen` makes it, and
the caller keeps it. `logits` goes on from there, and answers only where an answer is wanted: the vocabulary is a
quarter of the model. It knows tensors, and neither examples, nor losses, nor files but the base model's.

    network = load(weights, depth=12, rank=16, alpha=16, seed=1)
    network.logits(network.frozen(ids), positions)
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from local_api.engines.lora.llama_gguf import LINEAR
from local_api.engines.protocols import EngineError

# Up to this many tokens plain attention is faster on a CPU than PyTorch's fused one; beyond it the memory of its scores matters.
_PLAIN_ATTENTION = 512


class LoraLinear(nn.Module):
    """A linear layer whose weights stay, plus a trained product of two thin matrices: y = Wx + (alpha / rank) B A x.

    PEFT's own layer does the same and takes a fifth more time for a step: it converts types for each of them.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        if base.bias is not None:
            raise EngineError("this base model has linear layers with a bias, which the Llama family does not")
        self.base = base
        self.scale = alpha / rank
        first = torch.empty(rank, base.in_features)
        nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generator)
        self.lora_A = nn.Parameter(first.to(base.weight.device))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank, device=base.weight.device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(0, -2)
        thin = functional.linear(flat, self.lora_A.to(x.dtype))
        whole = torch.addmm(functional.linear(flat, self.base.weight), thin, self.lora_B.to(x.dtype).t(), alpha=self.scale)
        return whole.view(*x.shape[:-1], -1)


class Network:
    """The two halves of the model, and its trained weights."""

    def __init__(self, model: Any, depth: int, rank: int, alpha: float, seed: int) -> None:
        self.model = model
        self.core, self.head = model.model, model.lm_head
        self.device = self.core.embed_tokens.weight.device
        model.requires_grad_(False)
        self.first = model.config.num_hidden_layers - depth  # the lowest layer with LoRA
        generator = torch.Generator().manual_seed(seed)
        self._plain = True  # the attention that the model was loaded with
        self._adapted: dict[str, LoraLinear] = {}
        for number in range(self.first, model.config.num_hidden_layers):
            self._adapt(number, rank, alpha, generator)

    def _adapt(self, number: int, rank: int, alpha: float, generator: torch.Generator) -> None:
        layer = self.core.layers[number]
        for place in ("self_attn", "mlp"):
            room = getattr(layer, place)
            for kind, linear in list(room.named_children()):
                if kind in LINEAR:
                    adapted = LoraLinear(linear, rank, alpha, generator)
                    setattr(room, kind, adapted)
                    self._adapted[f"model.layers.{number}.{place}.{kind}"] = adapted

    def weights(self) -> dict[str, nn.Parameter]:
        """{"model.layers.29.mlp.up_proj.lora_A": ...}: what is trained, in a fixed order."""
        sides = ("lora_A", "lora_B")
        return {f"{name}.{side}": getattr(linear, side) for name, linear in self._adapted.items() for side in sides}

    @torch.no_grad()
    def set_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Raises EngineError where names or shapes are others than `weights()` has."""
        own = self.weights()
        if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
            raise EngineError("the adapter's matrices are not those of this base model, depth and rank")
        for name, parameter in own.items():
            parameter.copy_(weights[name])

    @torch.no_grad()
    def frozen(self, ids: torch.Tensor) -> torch.Tensor:
        """[rows, time] -> what enters the lowest trained layer, [rows, time, width]."""
        hidden = self.core.embed_tokens(ids.to(self.device))
        for layer, inputs in self._layers(0, self.first, hidden):
            hidden = _first(layer(hidden, **inputs))
        return hidden

    def logits(self, hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Scores of the next token [positions, vocabulary] at `positions` of [rows * time], in 32 bits.

        In the last layer only those positions go through the feed-forward part.
        """
        hidden = hidden.to(self.device)
        *lower, (last, inputs) = self._layers(self.first, len(self.core.layers), hidden)
        for layer, given in lower:
            hidden = _first(layer(hidden, **given))
        hidden = hidden + _first(last.self_attn(hidden_states=last.input_layernorm(hidden), **inputs))
        hidden = hidden.flatten(0, 1)[positions.to(self.device)]
        hidden = hidden + last.mlp(last.post_attention_layernorm(hidden))
        return self.head(self.core.norm(hidden)).float()

    def _layers(self, start: int, end: int, hidden: torch.Tensor) -> Iterator[tuple[nn.Module, dict[str, Any]]]:
        """Layers, each with what it takes beside the hidden states.

        Padding is on the right and carries no loss, so the causal mask is all that is needed.
        """
        time = hidden.shape[1]
        rotary = self.core.rotary_emb(hidden, torch.arange(time, device=self.device)[None])
        plain = time <= _PLAIN_ATTENTION
        if plain != self._plain:
            self.model.set_attn_implementation("eager" if plain else "sdpa")
            self._plain = plain
        mask = None
        if plain:
            lowest = torch.finfo(hidden.dtype).min
            mask = torch.full((time, time), lowest, dtype=hidden.dtype, device=self.device).triu_(1)[None, None]
        for layer in self.core.layers[start:end]:
            yield layer, {"attention_mask": mask, "position_embeddings": rotary}


def _first(out: Any) -> torch.Tensor:
    return out[0] if isinstance(out, tuple) else out


def choose_device() -> torch.device:
    """A GPU where PyTorch has one (CUDA, Apple's MPS, ...), else the processor."""
    found = torch.accelerator.current_accelerator(check_available=True) if hasattr(torch, "accelerator") else None
    return found or torch.device("cpu")


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it quickly, else float32: emulated, it would be slower than that."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type != "cpu":
        return torch.float32
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(able.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16")) else torch.float32


def load(weights: Path, *, depth: int | None, rank: int, alpha: float, seed: int, device: torch.device | None = None) -> Network:
    """The base model from a transformers folder, with fresh LoRA weights in its top `depth` layers (None: in all)."""
    device = device or choose_device()
    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(weights, dtype=choose_dtype(device), attn_implementation="eager")
    except (OSError, ValueError) as error:
        raise EngineError(f"the base model in {weights} cannot be loaded: {error}") from error
    layers = model.config.num_hidden_layers
    return Network(model.to(device).eval(), min(depth or layers, layers), rank, alpha, seed)
