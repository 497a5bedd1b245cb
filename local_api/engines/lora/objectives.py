"""What a batch is trained for: the likelihood of its completions (supervised).

It knows losses, and neither optimizers nor files. `dpo` has the other objective.

    tally = Supervised(network, kept).measure(parts, train=True)   # gradients are now in the network's sides
"""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch.nn import functional

from local_api.engines.lora.batches import Part
from local_api.engines.lora.metrics import Tally
from local_api.engines.lora.network import Network
from local_api.engines.lora.workers import Workers


class Kept:
    """What the frozen layers made of each part, kept within a bound of memory; computed anew beyond it. For several threads."""

    def __init__(self, network: Network, limit: int) -> None:
        """`limit`: bytes."""
        self._network, self._free = network, limit
        self._kept: dict[tuple[str, int, int], torch.Tensor] = {}
        self._lock = threading.Lock()

    def hidden(self, part: Part) -> torch.Tensor:
        """What enters the lowest trained layer."""
        if part.key in self._kept:
            return self._kept[part.key]
        hidden = self._network.frozen(part.ids)
        size = hidden.numel() * hidden.element_size()
        with self._lock:
            if size <= self._free and self._network.first:  # with LoRA in all layers it is one lookup: not worth the memory
                self._free -= size
                self._kept[part.key] = hidden
        return hidden


class Gatherer:
    """Measures the parts of a batch at the same time, and adds up what comes of them in their order: same numbers each run."""

    def __init__(self, network: Network) -> None:
        self._weights, self._sides = list(network.weights().values()), network.sides
        self.workers = Workers(network.device)

    def gather(self, parts: Sequence[Part], read: Callable[[Part], tuple[torch.Tensor, Tally]], *, train: bool) -> Tally:
        """`read` gives a part's share of the batch's loss, and its tally; `train` adds the loss's gradients to the weights."""

        def one(part: Part) -> tuple[Tally, list[torch.Tensor]]:
            with torch.set_grad_enabled(train):
                loss, tally = read(part)
            if not train:
                return tally, []
            found = torch.autograd.grad(loss, self._weights)
            return tally, [torch.cat([found[place].flatten() for place in side.places]) for side in self._sides]

        total = Tally()
        for tally, gradients in self.workers.map(one, parts):
            total += tally
            for side, gradient in zip(self._sides, gradients, strict=train):
                side.whole.grad = gradient if side.whole.grad is None else side.whole.grad.add_(gradient)
        return total


class Objective(Protocol):
    """Measures a batch, given in parts; `train` adds its gradients to the weights."""

    at_once: int  # rows of an example: 1, or 2 for a pair

    def prepare(self, parts: Sequence[Part]) -> None:
        """Called with all parts before the first step, the weights being those that training starts from."""
        ...

    def measure(self, parts: Sequence[Part], *, train: bool) -> Tally: ...


class Supervised:
    """Mean over the batch of each token's negative log-likelihood, weighted by the tokens' loss weights."""

    at_once = 1
    watch: Callable[[Part, torch.Tensor], None] | None = None  # gets each part that is measured without training, and its scores

    def __init__(self, network: Network, kept: Kept) -> None:
        self._network, self._kept, self._gatherer = network, kept, Gatherer(network)

    def prepare(self, parts: Sequence[Part]) -> None:
        return None

    def measure(self, parts: Sequence[Part], *, train: bool) -> Tally:
        total = sum(float(part.weights.sum()) for part in parts)

        def read(part: Part) -> tuple[torch.Tensor, Tally]:
            logits = self._network.logits(self._kept.hidden(part), part.positions)
            losses = functional.cross_entropy(logits, part.targets.to(logits.device), reduction="none")
            loss = (losses * part.weights.to(losses.device)).sum()
            if self.watch and not train:
                self.watch(part, logits)
            predictions = logits.detach().argmax(-1).tolist()
            tally = Tally.of(part.by_row(predictions), part.by_row(part.targets.tolist()), loss=loss.item(),
                             weight=float(part.weights.sum()))
            return loss / total, tally

        return self._gatherer.gather(parts, read, train=train)
