"""The base models of 2021 by their old names: here they all stand for the engine's first base model.

Knows no jobs, stores or routes.

    base_named("ada", engine)    # the engine's first BaseModel
"""

from local_api.engines.protocols import BaseModel, Engine

OLD_NAMES = ("ada", "babbage", "curie", "davinci")


def base_named(name: str, engine: Engine) -> BaseModel | None:
    """The base model of this name, its own or an old one; None where there is none."""
    bases = {base.id: base for base in engine.base_models()}
    if name in bases:
        return bases[name]
    return engine.base_models()[0] if name in OLD_NAMES else None
