"""Rows that are longer than the model takes, in tokens.

Knows tokens. Knows nothing of what texts say.
"""

import numpy as np

from helpers.preparation.findings import Finding, plural, the
from helpers.preparation.fixes import drop
from helpers.preparation.look import Look
from helpers.tokens import is_exact

# By how much other models' tokenizers count more than ours, as a rule, on texts in Latin letters and on others: measured
# with that of SmolLM2.
MORE, MORE_FOREIGN = 1.35, 2.8
FOREIGN = 0.1  # bytes beyond one for each character


def overlong(look: Look) -> Finding | None:
    """Rows with more tokens than the model takes."""
    limit = look.options.max_tokens
    places = np.flatnonzero(look.overlong)
    if not len(places):
        return None
    about = "" if is_exact(look.options.model) else "about "
    return Finding("too-long", "error",
                   f"{plural(len(places), 'row has', 'rows have')} more than {limit:,} tokens, the longest {about}"
                   f"{int(look.content_tokens.max()):,}.", "The model takes no more, prompt and completion together.",
                   look.table.lines[places],
                   fix=drop(look, places, f"Drop {the(len(places), 'row')}.", f"it has more than {limit:,} tokens",
                            foreseen=False))


def nearly_overlong(look: Look) -> Finding | None:
    """Rows that may be too long for a model whose own tokenizer is not known here."""
    if is_exact(look.options.model):
        return None
    limit, tokens = look.options.max_tokens, look.content_tokens
    places = np.flatnonzero((tokens * MORE_FOREIGN > limit) & ~look.overlong)
    texts = {place: "".join(look.table.texts(place)) for place in places.tolist()}
    places = np.array([place for place, text in texts.items()
                       if tokens[place] * (MORE_FOREIGN if len(text.encode()) > (1 + FOREIGN) * len(text) else MORE) > limit],
                      dtype=int)
    if not len(places):
        return None
    return Finding("maybe-too-long", "warning", f"{plural(len(places), 'row')} may have more than {limit:,} tokens.",
                   f"{look.options.model or 'A model'} has a tokenizer of its own, which may count more than ours. Its API will "
                   "say so when the job begins.", look.table.lines[places],
                   fix=drop(look, places, f"Drop {the(len(places), 'row')}.", f"it may have more than {limit:,} tokens",
                            recommended=False))
