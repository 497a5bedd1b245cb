"""How many tokens an example may have, prompt and completion together, by the model's name.

Knows what providers publish. Knows nothing of rows.

    limit_of("gpt-4.1-mini")      # 65536
"""

LIMITS = {"gpt-4.1": 65_536, "gpt-4o": 65_536, "gpt-4": 8_192, "gpt-3.5": 16_385, "babbage-002": 16_384, "davinci-002": 16_384}
LIMIT_OF_OTHERS = 2_048  # of the models of the old guide, and of the local API's


def limit_of(model: str) -> int:
    """The limit of a model or of one fine-tuned from it; of one that is not known, that of the local API's."""
    base = model.split(":")[1] if model.startswith("ft:") else model
    return next((limit for name, limit in LIMITS.items() if base.startswith(name)), LIMIT_OF_OTHERS)
