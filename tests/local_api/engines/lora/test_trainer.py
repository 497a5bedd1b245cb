"""A run: its reports, its checkpoints, and going on after it was stopped."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from local_api.engines.lora.trainer import LoraTrainer
from local_api.engines.protocols import (
    Chat,
    CheckpointReport,
    EngineError,
    Hyperparameters,
    Preference,
    PromptCompletion,
    Report,
    TrainingSpec,
)

from .conftest import checkpoints, examples, steps

pytestmark = pytest.mark.lora

Make = Callable[..., TrainingSpec]
MakeTrainer = Callable[..., LoraTrainer]


def numbers(reports: list[Report]) -> list[tuple]:
    return [dataclasses.astuple(report) for report in steps(reports)]


def test_the_loss_falls_and_the_answers_become_right(make_trainer: MakeTrainer, make_spec: Make) -> None:
    told = steps(list(make_trainer().train(make_spec(epochs=5, lrm=0.8))))
    assert told[-1].train_loss < told[0].train_loss / 4
    assert (told[0].train_sequence_accuracy, told[-1].train_sequence_accuracy, told[-1].train_accuracy) == (0, 1, 1)


def test_steps_epochs_tokens_and_examples_are_counted(make_trainer: MakeTrainer, make_spec: Make) -> None:
    rows = examples("yes")[:10]
    trainer = make_trainer()
    told = steps(list(trainer.train(make_spec(rows, batch_size=4))))
    tokenizer = trainer._tokenizer("smollm2-135m-instruct")
    assert [(report.step, report.epoch, report.total_steps) for report in told] == [(step, (step + 2) // 3, 6) for step in range(1, 7)]
    assert told[-1].elapsed_tokens == 2 * sum(tokenizer.n_training_tokens(row) for row in rows)
    assert told[-1].elapsed_examples == 20


def test_a_checkpoint_follows_the_last_step_of_each_epoch(make_trainer: MakeTrainer, make_spec: Make) -> None:
    reports = list(make_trainer().train(make_spec()))
    assert [type(report) is CheckpointReport for report in reports] == [False, False, False, True] * 2
    for report in checkpoints(reports):
        assert report.metrics.step == report.step
        assert (report.adapter / "adapter.gguf").exists()
        assert report.adapter.is_relative_to(make_spec().work_dir)


def test_the_learning_rate_warms_up_and_then_falls(make_trainer: MakeTrainer, make_spec: Make) -> None:
    rates = [report.learning_rate for report in steps(list(make_trainer().train(make_spec(epochs=7, lrm=0.2))))]
    assert rates[0] == max(rates) == pytest.approx(0.002)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.0001


def test_the_same_run_gives_the_same_numbers_and_another_seed_others(make_trainer: MakeTrainer, make_spec: Make, tmp_path: Path) -> None:
    first, again, other = (numbers(list(make_trainer().train(make_spec(work_dir=tmp_path / name, seed=seed, epochs=1)))) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first == again
    assert first != other


def test_a_run_stopped_in_the_midst_of_an_epoch_goes_on_with_the_same_numbers(make_trainer: MakeTrainer, make_spec: Make, tmp_path: Path) -> None:
    whole = list(make_trainer(save_every=0.0).train(make_spec(work_dir=tmp_path / "whole", validation=examples("no")[:5])))
    broken = make_spec(work_dir=tmp_path / "broken", validation=examples("no")[:5])
    run = make_trainer(save_every=0.0).train(broken)
    heard = [next(run) for _ in range(6)]  # 3 steps and a checkpoint of the first epoch, 2 steps of the second
    run.close()
    rest = list(make_trainer(save_every=0.0).train(broken))
    assert numbers(rest) == numbers(whole)
    assert numbers(heard) == numbers(whole)[:5]
    assert [report.step for report in checkpoints(rest)] == [3, 6]
    for ours, theirs in zip(checkpoints(rest), checkpoints(whole), strict=True):
        assert (ours.adapter / "adapter.gguf").read_bytes() == (theirs.adapter / "adapter.gguf").read_bytes()


def test_a_finished_run_tells_everything_again_without_training(make_trainer: MakeTrainer, make_spec: Make) -> None:
    spec = make_spec()
    first = list(make_trainer().train(spec))
    shutil.rmtree(checkpoints(first)[-1].adapter)
    again = list(make_trainer().train(spec))
    assert numbers(again) == numbers(first)
    assert (checkpoints(again)[-1].adapter / "adapter.gguf").exists()


def test_a_torn_state_means_a_fresh_start(make_trainer: MakeTrainer, make_spec: Make) -> None:
    spec = make_spec(epochs=1)
    first = numbers(list(make_trainer().train(spec)))
    state = spec.work_dir / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    assert numbers(list(make_trainer().train(spec))) == first


def test_the_state_of_another_run_is_not_gone_on_from(make_trainer: MakeTrainer, make_spec: Make, tmp_path: Path) -> None:
    list(make_trainer().train(make_spec(epochs=1)))
    other = numbers(list(make_trainer().train(make_spec(examples("no"), epochs=1))))
    assert other == numbers(list(make_trainer().train(make_spec(examples("no"), epochs=1, work_dir=tmp_path / "elsewhere"))))


def test_validation_is_measured_on_some_steps_and_in_full_at_an_epochs_end(make_trainer: MakeTrainer, make_spec: Make) -> None:
    rows = [PromptCompletion(f"{number} ->", " yes\n", number) for number in range(1, 33)]
    told = steps(list(make_trainer().train(make_spec(rows, validation=examples("yes")[:6], epochs=1, lrm=0.8))))
    assert [report.step for report in told if report.valid_loss is not None] == [2, 4, 6, 8]
    assert [report.step for report in told if report.full_valid_loss is not None] == [8]
    assert told[-1].full_valid_loss < told[1].valid_loss
    assert 0 <= told[-1].full_valid_sequence_accuracy <= told[-1].full_valid_accuracy <= 1


def test_a_run_can_start_from_an_adapter_and_knows_what_that_learned(make_trainer: MakeTrainer, make_spec: Make, adapters: dict[str, Path]) -> None:
    spec = make_spec(epochs=1, lrm=1e-6, start_from=adapters["yes"])
    reports = list(make_trainer(depth=1, rank=2).train(spec))
    assert steps(reports)[0].train_sequence_accuracy == 1
    assert (checkpoints(reports)[-1].adapter / "adapter_config.json").read_text() == (adapters["yes"] / "adapter_config.json").read_text()


def test_conversations_are_learned(make_trainer: MakeTrainer, make_spec: Make) -> None:
    rows = [Chat([{"role": "user", "content": row.prompt}, {"role": "assistant", "content": "Certainly not"}]) for row in examples("x")]
    told = steps(list(make_trainer().train(make_spec(rows, epochs=3))))
    assert told[-1].train_loss < told[0].train_loss / 2


def test_preferences_are_learned_and_the_reference_is_where_training_began(make_trainer: MakeTrainer, make_spec: Make) -> None:
    ask = [[{"role": "user", "content": row.prompt}] for row in examples("x")]
    polite, rude = [{"role": "assistant", "content": "Of course, gladly."}], [{"role": "assistant", "content": "No. Go away."}]
    rows = [Preference(messages, polite, rude) for messages in ask]
    spec = make_spec(rows[:8], validation=rows[8:], epochs=3, lrm=0.4, method="dpo")
    told = steps(list(make_trainer().train(spec)))
    assert told[0].train_loss == pytest.approx(0.6931, abs=1e-4)  # log 2: nothing is preferred yet
    assert told[0].train_accuracy == 0
    assert told[-1].train_loss < 0.5
    assert (told[-1].train_accuracy, told[-1].full_valid_accuracy) == (1, 1)


def test_a_preference_run_stopped_and_gone_on_with_keeps_its_reference(make_trainer: MakeTrainer, make_spec: Make, tmp_path: Path) -> None:
    rows = [Preference([{"role": "user", "content": row.prompt}], [{"role": "assistant", "content": "Yes"}], [{"role": "assistant", "content": "No"}]) for row in examples("x")[:8]]
    whole = numbers(list(make_trainer(save_every=0.0).train(make_spec(rows, method="dpo", work_dir=tmp_path / "whole"))))
    broken = make_spec(rows, method="dpo", work_dir=tmp_path / "broken")
    run = make_trainer(save_every=0.0).train(broken)
    for _ in range(3):
        next(run)
    run.close()
    assert numbers(list(make_trainer().train(broken))) == whole


def test_a_batch_is_read_in_parts_with_the_same_result(make_trainer: MakeTrainer, make_spec: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = steps(list(make_trainer().train(make_spec(epochs=1, batch_size=12, work_dir=tmp_path / "whole"))))
    monkeypatch.setattr("local_api.engines.lora.batches.split.__defaults__", (1, 20))
    parted = steps(list(make_trainer().train(make_spec(epochs=1, batch_size=12, work_dir=tmp_path / "parted"))))
    assert parted[0].train_loss == pytest.approx(whole[0].train_loss, rel=0.01)


def test_all_layers_may_be_trained(make_trainer: MakeTrainer, make_spec: Make) -> None:
    [checkpoint] = checkpoints(list(make_trainer(depth=None).train(make_spec(examples("yes")[:4], epochs=1))))
    assert '"layers_to_transform": [\n  0,' in (checkpoint.adapter / "adapter_config.json").read_text()


@pytest.mark.parametrize(("rows", "changes", "said"), [
    ([], {}, "no examples"),
    ([PromptCompletion("word " * 2100, " x", 4)], {}, r"line 4: the example has \d+ tokens"),
    ([PromptCompletion("a", " b", 4)], {"method": "dpo"}, "line 4: PromptCompletion does not go with the method 'dpo'"),
    ([Preference([{"role": "user", "content": "a"}], [{"role": "assistant", "content": "b"}], [{"role": "assistant", "content": "c"}], 4)], {}, "line 4: Preference does not go with the method 'supervised'"),
    ([PromptCompletion("a", " b", 1)], {"base_model": "gpt-4"}, "gpt-4"),
])
def test_what_cannot_be_trained_is_said_before_training(make_trainer: MakeTrainer, make_spec: Make, rows: list, changes: dict, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        next(make_trainer().train(make_spec(rows, **changes)))


def test_a_learning_rate_that_breaks_the_model_is_said_to_be_too_large(make_trainer: MakeTrainer, make_spec: Make) -> None:
    spec = make_spec(hyperparameters=Hyperparameters(30, 4, 1e38))
    with pytest.raises(EngineError, match="smaller learning_rate_multiplier"):
        list(make_trainer().train(spec))
