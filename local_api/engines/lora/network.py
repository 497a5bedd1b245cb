"""The base model with LoRA in its top layers, cut in two: what never changes, and what is trained.

Only the top `depth` layers get LoRA, so what enters the lowest of them is the same in every epoch: `frozen` makes it, and
the caller keeps it. `logits` goes on from there, and answers only where an answer is wanted: the vocabulary is a
quarter of the model. It knows tensors, and neither examples, nor losses, nor files but the base model's.

    network = load(weights, depth=12, rank=16, alpha=16, seed=1)
    network.logits(network.frozen(ids), positions)
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from local_api.engines.lora.layers import Layer, Place
from local_api.engines.protocols import EngineError

# Up to this many tokens plain attention is faster on a CPU than PyTorch's fused one; beyond it the memory of its scores matters.
_PLAIN_ATTENTION = 512


class _Scored(torch.autograd.Function):
    """x [n, width] against the vocabulary. oneDNN takes half the time for the gradient where the weights lie as it reads them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(across)
        return functional.linear(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (across,) = ctx.saved_tensors
        return functional.linear(gradients[0], across), None, None


@dataclass(frozen=True, slots=True)
class Side:
    """All A, or all B."""

    name: str  # "lora_A" or "lora_B"
    whole: nn.Parameter  # [numbers]: one after the other, sharing memory with the matrices of `Network.weights()`
    places: list[int]  # of those matrices


class Network:
    """The two halves of the model, and its trained weights."""

    def __init__(self, model: Any, depth: int, rank: int, alpha: float, seed: int) -> None:
        core, config = model.model, model.config
        model.requires_grad_(False)
        self._embedding, self._rotary, self._norm, self._head = core.embed_tokens, core.rotary_emb, core.norm, model.lm_head
        self.device = core.embed_tokens.weight.device
        self._head_across = self._head.weight.detach().t().contiguous() if self.device.type == "cpu" else self._head.weight.t()
        self.first = config.num_hidden_layers - depth  # the lowest layer with LoRA
        self._weights: dict[str, nn.Parameter] = {}
        self._layers: list[Layer] = []
        generator = torch.Generator().manual_seed(seed)
        for number in range(config.num_hidden_layers):
            # The joined weights are copies: the model's own layer goes.
            layer, core.layers[number] = Layer(core.layers[number], config), nn.Identity()
            if number >= self.first:
                self._adapt(layer, number, rank, alpha, generator)
            self._layers.append(layer)
        self.sides = [self._together(side) for side in ("lora_A", "lora_B")]

    def _together(self, side: str) -> Side:
        """Moves one side's matrices into one stretch of memory: an optimizer then has one tensor to handle instead of 84."""
        places = [place for place, name in enumerate(self._weights) if name.endswith(side)]
        matrices = [list(self._weights.values())[place] for place in places]
        whole = nn.Parameter(torch.cat([matrix.detach().flatten() for matrix in matrices]))
        for matrix, part in zip(matrices, whole.detach().split([matrix.numel() for matrix in matrices]), strict=True):
            matrix.data = part.view_as(matrix)
        return Side(side, whole, places)

    def _adapt(self, layer: Layer, number: int, rank: int, alpha: float, generator: torch.Generator) -> None:
        for place, joined in layer.joined:
            sides = []
            for kind, size in joined.sizes.items():
                first = torch.empty(rank, joined.in_features)
                nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generator)
                pair = nn.Parameter(first.to(self.device)), nn.Parameter(torch.zeros(size, rank, device=self.device))
                for side, weight in zip(("lora_A", "lora_B"), pair, strict=True):
                    self._weights[f"model.layers.{number}.{place}.{kind}.{side}"] = weight
                sides.append(pair)
            joined.add_lora(alpha / rank, sides)

    def weights(self) -> dict[str, nn.Parameter]:
        """{"model.layers.29.mlp.up_proj.lora_A": ...}: what is trained, in a fixed order. After a change: `follow`."""
        return dict(self._weights)

    @torch.no_grad()
    def set_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Raises EngineError where names or shapes are others than `weights()` has."""
        own = self._weights
        if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
            raise EngineError("the adapter's matrices are not those of this base model, depth and rank")
        for name, parameter in own.items():
            parameter.copy_(weights[name])
        self.follow()

    def follow(self) -> None:
        """To be called when the trained weights have changed, before the next `logits`: the layers hold copies of them."""
        for layer in self._layers[self.first :]:
            for _, joined in layer.joined:
                joined.follow()

    @torch.no_grad()
    def frozen(self, ids: torch.Tensor) -> torch.Tensor:
        """[rows, time] -> what enters the lowest trained layer, [rows, time, width]."""
        hidden = self._embedding(ids.to(self.device))
        place = self._place(hidden)
        for layer in self._layers[: self.first]:
            hidden = layer(hidden, place)
        return hidden

    def logits(self, hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Scores of the next token [positions, vocabulary] at `positions` of [rows * time], in 32 bits.

        In the last layer only those positions go through what comes after the attention.
        """
        hidden, positions = hidden.to(self.device), positions.to(self.device)
        place = self._place(hidden)
        *lower, last = self._layers[self.first :]
        for layer in lower:
            hidden = layer(hidden, place)
        found = self._norm(last(hidden, place, positions))
        return _Scored.apply(found, self._head.weight, self._head_across).float()

    def _place(self, hidden: torch.Tensor) -> Place:
        """Padding is on the right and carries no loss, so the causal mask is all that is needed."""
        time = hidden.shape[1]
        places = torch.arange(time, device=self.device)[None]
        cos, sin = (turn[0, :, None].chunk(2, -1)[0] for turn in self._rotary(hidden, places))
        if time > _PLAIN_ATTENTION:
            return Place(cos, sin, None)
        lowest = torch.finfo(hidden.dtype).min
        return Place(cos, sin, torch.full((time, time), lowest, dtype=hidden.dtype, device=self.device).triu_(1))


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
