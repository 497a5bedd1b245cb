"""How good written answers are: entities found, ads written, a customer answered, and what each answer took.

Knows texts, and what a good one has. Knows nothing of how models are trained. `helpers/metrics.py` has the scores for
classes and the bootstrap.

    asked = ask(client, prompts, model=model, stop=" END", max_tokens=60, temperature=0)
    entity_scores(truth, [read_entities(text) for text in asked.texts])
"""

from helpers.measures.ads import claims, invented, score_ads
from helpers.measures.asking import Asked, ask, ask_again, chrf, share
from helpers.measures.entities import (
    entity_counts,
    entity_errors,
    entity_names,
    entity_scores,
    entity_types,
    f1_of,
    read_entities,
    recall_by_type,
    write_entities,
)
from helpers.measures.replies import details, fact_items, score_replies

__all__ = ["Asked", "ask", "ask_again", "chrf", "claims", "details", "entity_counts", "entity_errors", "entity_names",
           "entity_scores", "entity_types", "f1_of", "fact_items", "invented", "read_entities", "recall_by_type", "score_ads",
           "score_replies", "share", "write_entities"]
