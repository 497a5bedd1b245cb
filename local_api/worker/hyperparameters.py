"""What "auto" means. One place, for validation, for the job's answer and for training.

Source of the shape: the hosted rule for epochs (3; more for few examples, fewer for very many). Ours asks for at least
`MINIMUM_STEPS` optimiser steps besides, because a small model that starts from fresh LoRA weights has not learnt
anything after twenty.
"""

import math
from collections.abc import Mapping
from typing import Any

from local_api.engines.protocols import Hyperparameters

MINIMUM_STEPS = 70
MAXIMUM_EPOCHS = 25
MANY_EXAMPLES = 25_000
OLD_SHARE, OLD_LARGEST_BATCH = 0.002, 256
# The old API's multipliers by the final batch size. The guide names the three, and that larger batches do better with larger
# ones; where one ends and the next begins is ours.
OLD_MULTIPLIERS = ((8, 0.05), (64, 0.1), (math.inf, 0.2))
DEFAULTS = {"batch_size": 8, "learning_rate_multiplier": 0.1, "beta": 0.1, "prompt_loss_weight": 0.0}


def resolve(requested: Mapping[str, Any], n_examples: int) -> Hyperparameters:
    """Numbers for every hyperparameter that is missing or "auto"; what was asked for is kept. `n_examples` >= 1."""
    given = {name: value for name, value in requested.items() if value not in (None, "auto")}
    values = {**DEFAULTS, **given}
    values["batch_size"] = min(values["batch_size"], n_examples)
    return Hyperparameters(**{"n_epochs": default_epochs(n_examples, values["batch_size"]), **values})


def resolve_old(requested: Mapping[str, Any], n_examples: int) -> Hyperparameters:
    """The same by the old API's rules: a batch of 0.2 % of the examples, and a multiplier that goes with it."""
    given = {name: value for name, value in requested.items() if value not in (None, "auto")}
    batch_size = given.get("batch_size", min(OLD_LARGEST_BATCH, max(1, round(OLD_SHARE * n_examples))))
    batch_size = min(batch_size, n_examples)
    multiplier = next(value for below, value in OLD_MULTIPLIERS if batch_size < below)
    return Hyperparameters(**{"learning_rate_multiplier": multiplier, **given, "batch_size": batch_size})


def default_epochs(n_examples: int, batch_size: int) -> int:
    """3, but never fewer than about MINIMUM_STEPS steps, and never more than about MANY_EXAMPLES examples in all."""
    if 3 * n_examples > MANY_EXAMPLES:
        return max(1, MANY_EXAMPLES // n_examples)
    steps_in_an_epoch = math.ceil(n_examples / batch_size)
    return min(MAXIMUM_EPOCHS, max(3, math.ceil(MINIMUM_STEPS / steps_in_an_epoch)))
