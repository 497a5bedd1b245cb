"""How likely a text is: by an adapter's n-gram counts, without looking for examples; without an adapter all tokens are alike.

Knows no requests.

    score([40, 41, 42], model, load_tokenizer(), top=2)   # three tokens: the first has nothing before it
"""

from collections.abc import Sequence
from math import log, nan

import numpy as np

from local_api.engines.mock.counts import START
from local_api.engines.mock.model import Model
from local_api.engines.mock.tokenizer import VOCABULARY_SIZE, MockTokenizer
from local_api.engines.protocols import TokenLogprob


def score(tokens: Sequence[int], model: Model | None, tokenizer: MockTokenizer, *, top: int) -> list[TokenLogprob]:
    """Each token, with the `top` likeliest known ones at its place; the first has NaN and none."""
    def shown(token: int) -> tuple[str, bytes]:
        data = tokenizer.token_bytes(token)
        return data.decode("utf-8", "replace"), data

    known = model.known if model else np.array([], dtype=np.int64)
    before, last = START, tokens[0] if tokens else START
    result = [TokenLogprob(token, *shown(token), nan) for token in tokens[:1]]
    for token in tokens[1:]:
        p, unknown = model.distribution(before, last, (), 0, 0.0) if model else (np.array([]), 1 / VOCABULARY_SIZE)
        place = int(np.searchsorted(known, token))
        chance = float(p[place]) if place < len(known) and known[place] == token else unknown
        ranked = np.argsort(-p, kind="stable")[:top]
        result.append(TokenLogprob(token, *shown(token), log(chance),
                                   tuple((*shown(int(known[other])), log(p[other])) for other in ranked)))
        before, last = last, token
    return result
