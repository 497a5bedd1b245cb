"""The adapter of the mock engine on disk: a folder with `adapter.json`, the examples with a count each.

The n-gram counts are not kept beside them: they follow from the examples' counts, so the two cannot disagree. Knows
nothing of training or requests.

    write_adapter(folder, model)
    model = read_adapter(folder)
"""

import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_api.engines.mock.model import Entry, Model
from local_api.engines.mock.tokenizer import VOCABULARY_SIZE
from local_api.engines.protocols import AdapterError

BASE_MODEL_ID = "mock-base"
FILE = "adapter.json"


class AdapterExample(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    tokens: Annotated[tuple[Annotated[int, Field(ge=0, lt=VOCABULARY_SIZE)], ...], Field(min_length=1)]
    count: Annotated[float, Field(allow_inf_nan=False)]


class AdapterFile(BaseModel):
    """What `adapter.json` holds. `version` goes up when an older engine could not read a newer file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    base_model: Literal["mock-base"] = BASE_MODEL_ID
    examples: list[AdapterExample]


def write_adapter(folder: Path, model: Model) -> None:
    """Write all entries that were ever counted. The folder appears whole or not at all; an older one is replaced."""
    examples = [AdapterExample.model_construct(prompt=entry.prompt, tokens=entry.tokens, count=count)
                for entry, count in zip(model.entries, model.counts, strict=True) if count]
    text = AdapterFile.model_construct(version=1, base_model=BASE_MODEL_ID, examples=examples).model_dump_json()
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    (unfinished / FILE).write_text(text, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)


def read_examples(folder: Path) -> AdapterFile:
    """The checked content of an adapter folder. AdapterError says what is wrong with it."""
    path = folder / FILE
    try:
        return AdapterFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AdapterError(f"cannot read the adapter {path}: {error.strerror}; train the model again") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise AdapterError(f"the adapter {path} is corrupt or not one of the mock engine ({where}: {first['msg']}): "
                           "train the model again") from None


def read_adapter(folder: Path) -> Model:
    """A model with the counts of an adapter folder. AdapterError says what is wrong with it."""
    examples = read_examples(folder).examples
    model = Model([Entry(example.prompt, example.tokens) for example in examples])
    for number, example in enumerate(examples):
        model.count(number, example.count)
    return model
