"""Threads that compute the parts of a batch at the same time, each with its share of the processor's cores.

A small batch makes hundreds of small products a step. Two threads that take half of the rows each wait for each other once a
step; two cores that share each product wait for each other hundreds of times, and one of them rests in all that is not
a product. Measured on two cores: 3 to 20 % more tokens a second, and 40 to 65 % where other processes took turns with it.

    workers = Workers(network.device)
    results = list(workers.map(function, parts))
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from local_api.engines.lora.batches import PART_TOKENS, Part

THREADS = 2

Result = TypeVar("Result")


class Workers:
    """Two threads on a processor of several cores; elsewhere, and on a GPU, the caller's own."""

    def __init__(self, device: torch.device) -> None:
        cores = torch.get_num_threads()
        self.count = THREADS if device.type == "cpu" and cores >= THREADS else 1
        share = cores // self.count
        # The setting is of the thread that makes it.
        self._pool = ThreadPoolExecutor(self.count, "parts", lambda: torch.set_num_threads(share)) if self.count > 1 else None

    def map(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
        """Results in the order of `parts`. Parts beyond the bound, single long rows, are computed one at a time: for memory."""
        if self._pool is None or len(parts) == 1 or any(part.ids.numel() > PART_TOKENS for part in parts):
            return map(function, parts)
        return self._pool.map(function, parts)
