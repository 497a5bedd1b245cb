"""Training: figures that follow from the data, what the hyperparameters do, going on after a crash."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from math import log
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from local_api.engines.mock import create
from local_api.engines.mock.adapter import read_examples
from local_api.engines.mock.tokenizer import VOCABULARY_SIZE
from local_api.engines.mock.trainer import MockTrainer
from local_api.engines.protocols import AdapterError, Chat, CheckpointReport, EngineError, Preference, PromptCompletion

ASK = [{"role": "user", "content": "Which drink?"}]
TEA, MUD = ({"role": "assistant", "content": text} for text in ("A cup of tea", "Some mud"))


def test_losses_fall_and_accuracies_rise_from_epoch_to_epoch(train, steps, checkpoints) -> None:
    reports = train()
    epochs = [checkpoint.metrics for checkpoint in checkpoints(reports)]
    means = [fmean(report.train_loss for report in steps(reports) if report.epoch == epoch) for epoch in (1, 2, 3)]
    assert means == sorted(means, reverse=True)
    assert [metrics.full_valid_loss for metrics in epochs] == sorted((m.full_valid_loss for m in epochs), reverse=True)
    assert epochs[-1].train_accuracy == epochs[-1].train_sequence_accuracy == 1
    assert epochs[-1].full_valid_accuracy > 0.8


def test_the_first_batch_is_measured_before_anything_was_learned(train, steps) -> None:
    first = steps(train())[0]
    assert first.train_loss == pytest.approx(log(VOCABULARY_SIZE))
    assert first.train_accuracy == first.train_sequence_accuracy == 0


def test_labels_without_a_pattern_are_not_foreseen(train, checkpoints, make_spec) -> None:
    spec, random = make_spec(), Random(3)
    noise, fresh = ([PromptCompletion(row.prompt, random.choice((" red", " green", " blue", " black", " white")))
                     for row in rows] for rows in (spec.examples, spec.validation))
    assert checkpoints(train(examples=noise, validation=fresh))[-1].metrics.full_valid_accuracy < 0.5


def test_steps_epochs_tokens_and_examples_are_counted(train, steps, checkpoints, make_spec, engine) -> None:
    spec = make_spec()
    n, tokenizer = len(spec.examples), engine.tokenizer("mock-base")
    reports = train(hyperparameters={"batch_size": 10, "n_epochs": 2})
    per_epoch = -(-n // 10)
    told = steps(reports)
    assert [report.step for report in told] == list(range(1, 2 * per_epoch + 1))
    assert {report.total_steps for report in told} == {2 * per_epoch}
    assert [report.step for report in checkpoints(reports)] == [per_epoch, 2 * per_epoch]
    assert told[per_epoch - 1].elapsed_examples == n
    assert told[-1].elapsed_tokens == 2 * sum(map(tokenizer.n_training_tokens, spec.examples))
    assert told[0].learning_rate == pytest.approx(0.001)
    assert isinstance(reports[-1], CheckpointReport)


def test_validation_is_told_on_some_steps_and_in_full_at_the_end_of_an_epoch(train, steps) -> None:
    told = steps(train(hyperparameters={"batch_size": 4}))
    per_epoch = told[-1].total_steps // 3
    with_batch = [report for report in told if report.valid_loss is not None]
    with_all = [report for report in told if report.full_valid_loss is not None]
    assert [report.step for report in with_all] == [per_epoch, 2 * per_epoch, 3 * per_epoch]
    assert 3 * 4 <= len(with_batch) < len(told)
    assert all(report.valid_loss is not None for report in with_all)


def test_without_a_validation_file_no_validation_is_told(train, steps) -> None:
    assert all(report.valid_loss is report.full_valid_accuracy is None for report in steps(train(validation=[])))


def test_the_same_spec_gives_the_same_numbers_and_another_seed_others(train, steps, tmp_path: Path) -> None:
    one, two, other = (steps(train(work_dir=tmp_path / name, seed=seed))
                       for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert one == two
    assert one != other


def test_a_larger_batch_makes_fewer_steps_and_a_higher_rate_learns_faster(train, steps, checkpoints, tmp_path: Path) -> None:
    def run(name: str, **hyperparameters: float):
        return train(work_dir=tmp_path / name, hyperparameters=hyperparameters)
    small, large = run("small", batch_size=4), run("large", batch_size=32)
    assert len(steps(small)) > 4 * len(steps(large))
    slow, fast = (checkpoints(run(f"rate-{rate}", learning_rate_multiplier=rate))[0].metrics for rate in (0.01, 0.2))
    assert fast.full_valid_loss < slow.full_valid_loss


def test_going_on_from_an_adapter_starts_with_what_it_knows(train, steps, checkpoints, tmp_path: Path) -> None:
    first = checkpoints(train(work_dir=tmp_path / "first"))[-1]
    more = train(work_dir=tmp_path / "second", start_from=first.adapter)
    assert steps(more)[0].train_accuracy == 1
    counts = {example.count for example in read_examples(more[-1].adapter).examples}
    assert counts == {6.0}


@pytest.mark.parametrize("taken", [1, 9, 10, 11, 15, 28])
def test_a_run_that_was_cut_off_goes_on_with_the_same_numbers(taken: int, train, steps, engine, make_spec, tmp_path) -> None:
    whole = train(work_dir=tmp_path / "whole")
    spec = make_spec(work_dir=tmp_path / "cut")
    interrupted = engine.trainer().train(spec)
    before = [next(interrupted) for _ in range(taken)]
    interrupted.close()
    after = list(create(tmp_path).trainer().train(spec))
    merged = {report.step: report for report in (*steps(before), *steps(after))}
    assert list(merged.values()) == steps(whole)
    assert all(merged[report.step] == report for report in steps(before))
    assert (after[-1].adapter / "adapter.json").read_bytes() == (whole[-1].adapter / "adapter.json").read_bytes()


def test_a_finished_epoch_is_not_trained_again_but_its_checkpoint_is_told_again(engine, make_spec, steps) -> None:
    spec = make_spec()
    interrupted = engine.trainer().train(spec)
    checkpoint = next(report for report in interrupted if isinstance(report, CheckpointReport))
    interrupted.close()
    again = list(engine.trainer().train(spec))
    assert again[0] == checkpoint
    assert steps(again)[0].epoch == 2


@pytest.mark.parametrize("damage", ["torn state", "foreign state", "torn adapter", "no adapter"])
def test_a_state_that_cannot_be_used_means_a_fresh_start(damage: str, engine, make_spec, steps) -> None:
    spec = make_spec()
    whole = list(engine.trainer().train(spec))
    state, adapter = spec.work_dir / "state.json", whole[-1].adapter / "adapter.json"
    if damage == "torn state":
        state.write_text(state.read_text()[:40])
    elif damage == "foreign state":
        spec = replace(spec, seed=99)
    elif damage == "torn adapter":
        adapter.write_bytes(adapter.read_bytes()[:-20])
    else:
        adapter.unlink()
    assert steps(list(engine.trainer().train(spec)))[0].step == 1


def test_each_weighted_assistant_turn_is_learned_from_the_conversation_before_it(train, ask, engine) -> None:
    turns = [{"role": "user", "content": "Ping"}, {"role": "assistant", "content": "Pong"},
             {"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Silence", "weight": 0},
             {"role": "user", "content": "Again"}, {"role": "assistant", "content": "Pong pong"}]
    adapter = train(examples=[Chat(turns, line=1)], validation=[])[-1].adapter
    tokenizer = engine.tokenizer("mock-base")
    answers = [ask(tokenizer.render(turns[:number]), adapter)[-1] for number in (1, 5)]
    assert [(piece.text, piece.finish_reason) for piece in answers] == [("Pong", "stop"), ("Pong pong", "stop")]
    assert len(read_examples(adapter).examples) == 2


def test_preferences_start_at_log_two_and_end_with_the_preferred_answer(train, steps, ask, engine, tmp_path) -> None:
    both = train(examples=[Chat([*ASK, answer]) for answer in (TEA, MUD, MUD)], validation=[], work_dir=tmp_path / "both")
    prompt = engine.tokenizer("mock-base").render(ASK)
    assert ask(prompt, both[-1].adapter)[-1].text == "Some mud"
    pairs = [Preference(ASK, [TEA], [MUD], line) for line in range(1, 11)]
    reports = train(examples=pairs, validation=pairs, method="dpo", start_from=both[-1].adapter, work_dir=tmp_path / "dpo")
    told = steps(reports)
    assert told[0].train_loss == pytest.approx(log(2))
    assert told[0].train_accuracy == 0
    assert told[-1].train_loss < told[0].train_loss
    assert told[-1].full_valid_accuracy == 1
    assert ask(prompt, reports[-1].adapter)[-1].text == "A cup of tea"


def test_a_preference_run_that_was_cut_off_goes_on_with_the_same_numbers(train, steps, engine, make_spec, tmp_path) -> None:
    pairs = [Preference(ASK, [TEA], [MUD], line) for line in range(1, 11)]
    whole = train(examples=pairs, validation=[], method="dpo", work_dir=tmp_path / "whole")
    spec = make_spec(examples=pairs, validation=[], method="dpo", work_dir=tmp_path / "cut")
    interrupted = engine.trainer().train(spec)
    before = [next(interrupted) for _ in range(4)]
    interrupted.close()
    after = list(engine.trainer().train(spec))
    merged = {report.step: report for report in (*steps(before), *steps(after))}
    assert steps(after)[0].epoch == 2
    assert list(merged.values()) == steps(whole)


@pytest.mark.parametrize(("given", "message"), [
    ({"examples": [PromptCompletion("a", "", 3)]}, "line 3: nothing to learn"),
    ({"examples": [Chat([*ASK, {**TEA, "weight": 0}], line=4)]}, "line 4: nothing to learn"),
    ({"examples": [PromptCompletion("a b " * 5000, " c", 5)]}, r"line 5: the example has \d+ tokens, the limit is 8192"),
    ({"examples": [Preference(ASK, [TEA], [MUD], 6)]}, "line 6: the method supervised trains on prompt-completion"),
    ({"method": "dpo"}, "line 2: the method dpo trains on preference rows"),
    ({"method": "dpo", "examples": [Preference(ASK, [ASK[0]], [MUD], 8)], "validation": []}, "line 8: the answer must begin"),
    ({"examples": []}, "no examples"),
    ({"base_model": "curie"}, "not 'curie'"),
])
def test_what_cannot_be_trained_is_refused_with_its_line(given: dict, message: str, train) -> None:
    with pytest.raises(EngineError, match=message):
        train(**given)


def test_a_start_that_is_no_adapter_is_refused(train, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="cannot read the adapter"):
        train(start_from=tmp_path / "nowhere")


def test_the_pace_is_slept_at_each_step(make_spec: Callable, steps, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    told = steps(list(MockTrainer(step_seconds=0.5).train(make_spec())))
    assert slept == [0.5] * len(told)


def test_an_adapter_is_readable_json_that_says_what_it_is(train) -> None:
    content = json.loads((train()[-1].adapter / "adapter.json").read_text())
    assert (content["version"], content["base_model"]) == (1, "mock-base")
    assert {"prompt", "tokens", "count"} == set(content["examples"][0])


def test_each_validation_example_gets_probabilities_of_the_classes_at_an_epochs_end(train, steps, make_spec) -> None:
    spec = make_spec()
    classes = list({row.completion: row for row in spec.examples}.values())
    told = steps(train(classes=classes))
    ends = [report for report in told if report.full_valid_loss is not None]
    assert len(ends) == 3 and [report for report in told if report.class_probabilities is not None] == ends
    assert all(report.classified == list(range(len(spec.validation))) for report in ends)
    for chances, row in zip(ends[-1].class_probabilities, spec.validation, strict=True):
        assert sum(chances) == pytest.approx(1) and len(chances) == 3
        assert classes[chances.index(max(chances))].completion == row.completion, "as its answers are, which are right here"
    assert ends[0].class_probabilities != ends[-1].class_probabilities
    assert all(report.class_probabilities is None for report in steps(train(work_dir=spec.work_dir.parent / "plain")))
