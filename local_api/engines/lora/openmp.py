"""Threads that wait for each other without taking the processor from those they wait for.

PyTorch and llama.cpp compute with GNU OpenMP, whose threads wait for each other hundreds of times a step (or token), by
default in a loop that does not yield for milliseconds. As soon as anything else runs (a job beside the server, a notebook),
each wait costs a slice of time. Measured on two cores with one other busy process: training 71 to 193 tokens/s, and
358 to 421 with a bound of 1,000 turns; llama.cpp's answers 2 to 7 tokens/s, and 11 to 19 (two other processes). On idle
cores the bound costs training up to a tenth, and llama.cpp nothing.

    with yielding_threads():
        import torch
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_SPIN = "GOMP_SPINCOUNT"
_TURNS = "1000"


@contextmanager
def yielding_threads() -> Iterator[None]:
    """For the first import of a library: OpenMP reads the setting when it is loaded, and only then.

    The setting is taken back after that, as processes that are started from here may have other wishes. Where the user
    has set it, nothing is changed.
    """
    own = _SPIN in os.environ
    os.environ.setdefault(_SPIN, _TURNS)
    try:
        yield
    finally:
        if not own:
            del os.environ[_SPIN]
