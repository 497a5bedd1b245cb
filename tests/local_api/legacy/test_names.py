"""The old names of base models, and the names of models that the old API makes."""

import pytest

from local_api.engines.protocols import BaseModel
from local_api.legacy.names import OLD_NAMES, base_named
from local_api.store.ids import old_model_name

MOMENT = 1_795_359_861  # 2026-11-22 15:04:21 UTC


def test_an_old_name_stands_for_the_first_base_model(engine):
    engine.models.append(BaseModel("second", "another", 16, 8))
    assert [base_named(name, engine).id for name in OLD_NAMES] == ["tiny"] * 4
    assert base_named("second", engine).id == "second" and base_named("gpt-4", engine) is None


def test_a_base_model_that_has_an_old_name_keeps_it(engine):
    engine.models.append(BaseModel("ada", "really called so", 16, 8))
    assert base_named("ada", engine).description == "really called so"


@pytest.mark.parametrize(("suffix", "name"), [
    ("custom model name", "ada:ft-local:custom-model-name-2026-11-22-15-04-21"),
    (" My -- Model_3! ", "ada:ft-local:my-model-3-2026-11-22-15-04-21"),
    ("Größe", "ada:ft-local:größe-2026-11-22-15-04-21"),
    ("!?", "ada:ft-local-2026-11-22-15-04-21"),
    (None, "ada:ft-local-2026-11-22-15-04-21"),
])
def test_a_models_name_holds_the_suffix_and_the_time(suffix, name):
    assert old_model_name("ada", "local", suffix, MOMENT) == name
