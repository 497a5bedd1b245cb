"""A layer of a Llama-family model, with LoRA or without, for small batches on few cores.

transformers' own layer computes the same from about five times as many calls of PyTorch, which costs as much as the
arithmetic where a batch has a few hundred tokens. Here projections that read the same are one product (query, key and
value; gate and up), their LoRA is one step forward and one back, and the heads that share a key share a product.
Knows tensors, and no files, tokens or losses.

    layer = Layer(transformers_layer, config)
    layer(hidden, Place(cos, sin, mask))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from local_api.engines.protocols import EngineError


class _Adapted(torch.autograd.Function):
    """Linear layers side by side that read the same, each with LoRA: y = x Wt + scale * [x A1t B1t, x A2t B2t, ...].

    `first` [layers * rank, in] holds A1, A2, ... below each other. `wide` [out, in + layers * rank] holds W and, beside it,
    scale * B1, scale * B2, ... each in the rows of its layer and columns of its own. So y = [x, x firstt] widet is one
    product, and so are the gradients of x and of x firstt.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, wide: torch.Tensor, first: torch.Tensor, scale: float, *sides: torch.Tensor,
                ) -> torch.Tensor:
        """x [n, in]; sides A1, A2, ..., B1, B2, ... with A [rank, in] and B [own out, rank], whose values the others hold."""
        thin = functional.linear(x, first)
        ctx.save_for_backward(x, wide, first, thin)
        ctx.scale, ctx.sizes = scale, [len(second) for second in sides[len(sides) // 2 :]]
        return functional.linear(torch.cat([x, thin], 1), wide)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = gradients
        x, wide, first, thin = ctx.saved_tensors
        width = x.shape[1]
        if ctx.needs_input_grad[0]:
            both = gradient @ wide
            of_thin = both[:, width:]
            of_x = torch.addmm(both[:, :width], of_thin, first)
        else:
            of_thin, of_x = gradient @ wide[:, width:], None
        of_firsts = (of_thin.t() @ x).float().chunk(len(ctx.sizes))
        parts = zip(gradient.split(ctx.sizes, 1), thin.chunk(len(ctx.sizes), 1), strict=True)
        of_seconds = [(part.t() @ own).float().mul_(ctx.scale) for part, own in parts]
        return of_x, None, None, None, *of_firsts, *of_seconds


class _Norm(torch.autograd.Function):
    """Root-mean-square norm over the last dimension, computed in 32 bits; the gain is not trained."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        inverse = torch.rsqrt(size.square_().div_(x.shape[-1]).add_(epsilon))
        plain = (x * inverse).to(x.dtype)
        ctx.save_for_backward(plain, inverse, gain)
        return plain * gain

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        plain, inverse, gain = ctx.saved_tensors
        scaled = gradients[0] * gain
        along = (scaled * plain).mean(-1, keepdim=True, dtype=torch.float32)
        return torch.addcmul(scaled.float(), plain.float(), along, value=-1).mul_(inverse).to(scaled.dtype), None, None


class _Gated(torch.autograd.Function):
    """silu(gate) * up, the two side by side in x [n, 2 * width]."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        gate, up = x.chunk(2, -1)
        opened = functional.silu(gate)
        ctx.save_for_backward(x, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        x, opened = ctx.saved_tensors
        gate, up = x.chunk(2, -1)
        result = torch.empty_like(x)
        of_gate, of_up = result.chunk(2, -1)
        torch.mul(opened, gradients[0], out=of_up)
        torch.ops.aten.silu_backward.grad_input(gradients[0] * up, gate, grad_input=of_gate)
        return result


class _Rotated(torch.autograd.Function):
    """Rotary positions, halves of each head against each other: x [rows, time, heads, size], cos and sin [time, 1, size / 2]."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _rotated(gradients[0], cos, -sin), None, None


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    low, high = x.chunk(2, -1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)


@dataclass(frozen=True, slots=True)
class Place:
    """What a layer needs to know of positions, the same for all layers of a pass."""

    cos: torch.Tensor  # [time, 1, head size / 2]
    sin: torch.Tensor
    mask: torch.Tensor | None  # [time, time], 0 or -inf; None: PyTorch's fused attention, which is causal by itself


class Joined(nn.Module):
    """Linear layers that read the same, as one: `weight` is [out, in], and with LoRA [out, in + layers * rank].

    LoRA comes to all of them or to none. What is computed with are copies of its matrices: see `follow`.
    """

    def __init__(self, linears: dict[str, nn.Linear]) -> None:
        super().__init__()
        if any(linear.bias is not None for linear in linears.values()):
            raise EngineError("this base model has linear layers with a bias, which the Llama family does not")
        self.sizes = {name: linear.out_features for name, linear in linears.items()}
        self.in_features = next(iter(linears.values())).in_features
        weights = [linear.weight.detach() for linear in linears.values()]
        self.register_buffer("weight", torch.cat(weights) if len(weights) > 1 else weights[0], persistent=False)
        self.register_buffer("first", None, persistent=False)
        self.weight: torch.Tensor
        self.first: torch.Tensor
        self.scale = 1.0
        self.firsts, self.seconds = nn.ParameterList(), nn.ParameterList()

    def add_lora(self, scale: float, matrices: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """An A [rank, in] and a B [out, rank] for each of the layers."""
        self.scale = scale
        self.firsts = nn.ParameterList(first for first, _ in matrices)
        self.seconds = nn.ParameterList(second for _, second in matrices)
        columns = sum(len(first) for first, _ in matrices)
        self.weight = torch.cat([self.weight, self.weight.new_zeros(len(self.weight), columns)], 1)
        self.first = self.weight.new_zeros(columns, self.in_features)
        self.follow()

    @torch.no_grad()
    def follow(self) -> None:
        """Copy A and B to where they are computed with, in the precision of W. To be called when they have changed, with no
        backward pass to come of what was computed before."""
        self.first.copy_(torch.cat(list(self.firsts)))
        row, column = 0, self.in_features
        for second in self.seconds:
            out, rank = second.shape
            self.weight[row : row + out, column : column + rank] = second * self.scale
            row, column = row + out, column + rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not len(self.firsts):
            return functional.linear(x, self.weight)
        found = _Adapted.apply(x.flatten(0, -2), self.weight, self.first, self.scale, *self.firsts, *self.seconds)
        return found.view(*x.shape[:-1], -1)


class Layer(nn.Module):
    """Attention, then the feed-forward part. Raises EngineError for what the Llama family does not have."""

    def __init__(self, layer: Any, config: Any) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = Joined({kind: getattr(attention, kind) for kind in ("q_proj", "k_proj", "v_proj")})
        self.output = Joined({"o_proj": attention.o_proj})
        self.gate_up = Joined({kind: getattr(mlp, kind) for kind in ("gate_proj", "up_proj")})
        self.down = Joined({"down_proj": mlp.down_proj})
        self.heads, self.shared, self.head_size = config.num_attention_heads, config.num_key_value_heads, attention.head_dim
        self.epsilon = config.rms_norm_eps
        self.register_buffer("before_attention", layer.input_layernorm.weight.detach(), persistent=False)
        self.register_buffer("before_mlp", layer.post_attention_layernorm.weight.detach(), persistent=False)
        self.before_attention: torch.Tensor
        self.before_mlp: torch.Tensor

    @property
    def joined(self) -> list[tuple[str, Joined]]:
        """Each with the name of its place in transformers' layer, in a fixed order."""
        return [("self_attn", self.qkv), ("self_attn", self.output), ("mlp", self.gate_up), ("mlp", self.down)]

    def forward(self, hidden: torch.Tensor, place: Place, positions: torch.Tensor | None = None) -> torch.Tensor:
        """[rows, time, width] -> the same; with `positions` of [rows * time]: what comes out there alone, [positions, width]."""
        found = self._attention(_Norm.apply(hidden, self.before_attention, self.epsilon), place)
        if positions is not None:
            hidden, found = hidden.flatten(0, 1)[positions], found.flatten(0, 1)[positions]
        hidden = hidden + self.output(found)
        gated = _Gated.apply(self.gate_up(_Norm.apply(hidden, self.before_mlp, self.epsilon)))
        return hidden + self.down(gated)

    def _attention(self, x: torch.Tensor, place: Place) -> torch.Tensor:
        rows, time, _ = x.shape
        heads = self.qkv(x).view(rows, time, self.heads + 2 * self.shared, self.head_size)
        turned = _Rotated.apply(heads[:, :, : self.heads + self.shared], place.cos, place.sin)
        query, key, value = turned[:, :, : self.heads], turned[:, :, self.heads :], heads[:, :, self.heads + self.shared :]
        if place.mask is None:
            query, key, value = (some.transpose(1, 2) for some in (query, key, value))
            found = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
            return found.transpose(1, 2).reshape(rows, time, -1)
        # Heads that share a key are rows of one product.
        group = self.heads // self.shared
        query = query.view(rows, time, self.shared, group, self.head_size).permute(0, 2, 3, 1, 4)
        query = query.reshape(rows * self.shared, group * time, self.head_size)
        key, value = (some.transpose(1, 2).reshape(rows * self.shared, time, self.head_size) for some in (key, value))
        scores = torch.baddbmm(place.mask.repeat(group, 1), query, key.transpose(1, 2), alpha=self.head_size**-0.5)
        found = torch.bmm(scores.softmax(-1), value).view(rows, self.shared, group, time, self.head_size)
        return found.permute(0, 3, 1, 2, 4).reshape(rows, time, -1)
