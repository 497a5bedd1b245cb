"""Direct preference optimisation: the preferred answer is to become likelier than the rejected one, against a reference.

The loss is the one of Rafailov et al., "Direct Preference Optimization" (2023), equation 7: for a pair with log-likelihoods
p (preferred) and r (rejected) of whole answers, -log sigmoid(beta * ((p - p_ref) - (r - r_ref))), in mean over the
pairs. The reference is the model that training starts from; it is read once, before the first step.

    Preferences(network, kept, beta=0.1).measure(parts, train=True)
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from local_api.engines.lora.batches import Part
from local_api.engines.lora.metrics import Tally
from local_api.engines.lora.network import Network
from local_api.engines.lora.objectives import Gatherer, Kept


class Preferences:
    """Rows of a part come in pairs, the preferred answer first. Accuracy is the share of pairs that are ordered right.

    A pair counts as one sequence of one token, so both accuracies are that share.
    """

    at_once = 2

    def __init__(self, network: Network, kept: Kept, beta: float) -> None:
        self._network, self._kept, self._beta, self._gatherer = network, kept, beta, Gatherer(network)
        self._reference: dict[tuple[str, int, int], torch.Tensor] = {}

    def prepare(self, parts: Sequence[Part]) -> None:
        def read(part: Part) -> tuple[torch.Tensor, Tally]:
            self._reference[part.key] = found = self._likelihoods(part)
            return found, Tally()

        self._gatherer.gather(parts, read, train=False)

    def measure(self, parts: Sequence[Part], *, train: bool) -> Tally:
        pairs = sum(part.rows // 2 for part in parts)

        def read(part: Part) -> tuple[torch.Tensor, Tally]:
            gained = self._likelihoods(part) - self._reference[part.key]
            margins = self._beta * (gained[0::2] - gained[1::2])
            loss = -functional.logsigmoid(margins).sum()
            right, n = int((margins > 0).sum()), part.rows // 2
            return loss / pairs, Tally(loss.item(), float(n), right, n, right, n)

        return self._gatherer.gather(parts, read, train=train)

    def _likelihoods(self, part: Part) -> torch.Tensor:
        """Log-likelihood of each row's answer [rows]."""
        logits = self._network.logits(self._kept.hidden(part), part.positions)
        each = -functional.cross_entropy(logits, part.targets.to(logits.device), reduction="none")
        rows = torch.tensor(part.row_of, device=each.device)
        return torch.zeros(part.rows, device=each.device).index_add(0, rows, each)
