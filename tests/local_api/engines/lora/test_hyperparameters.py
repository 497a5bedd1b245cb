"""Each hyperparameter does what it says, to the numbers and to the weights; and a seed decides what is left to chance."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local_api.engines.lora.export import read_adapter
from local_api.engines.lora.trainer import LoraTrainer
from local_api.engines.protocols import Hyperparameters, Preference, TrainingSpec

from .conftest import checkpoints, examples, steps

pytestmark = pytest.mark.lora

Make = Callable[..., TrainingSpec]
MakeTrainer = Callable[..., LoraTrainer]


def test_the_first_step_moves_the_weights_by_the_learning_rate(make_trainer: MakeTrainer, make_spec: Make, tmp_path: Path) -> None:
    """B starts at zero, and AdamW's first step has the size of its rate: 0.01 x the multiplier, for B eight times that."""
    for multiplier in (0.1, 0.4):
        spec = make_spec(examples("yes")[:4], epochs=1, lrm=multiplier, work_dir=tmp_path / str(multiplier))
        [checkpoint] = checkpoints(list(make_trainer().train(spec)))
        _, weights = read_adapter(checkpoint.adapter)
        moved = max(float(matrix.abs().max()) for name, matrix in weights.items() if name.endswith("lora_B"))
        assert moved == pytest.approx(8 * 0.01 * multiplier, rel=0.01)


def test_a_prompt_with_a_weight_counts_in_the_loss_but_not_in_the_accuracy(make_trainer: MakeTrainer, make_spec: Make, tmp_path: Path) -> None:
    told = [steps(list(make_trainer().train(make_spec(
        examples("yes")[:4], hyperparameters=Hyperparameters(1, 4, 0.5, prompt_loss_weight=weight), work_dir=tmp_path / str(weight)))))
        for weight in (0.0, 1.0)]
    assert told[0][0].train_loss != pytest.approx(told[1][0].train_loss, rel=0.05)
    assert told[0][0].train_accuracy == told[1][0].train_accuracy


def test_a_larger_beta_makes_more_of_the_same_preference(make_trainer: MakeTrainer, make_spec: Make, tmp_path: Path) -> None:
    """AdamW's first step is the same for every beta; the loss after it is -log sigmoid(beta x what was gained)."""
    rows = [Preference([{"role": "user", "content": row.prompt}], [{"role": "assistant", "content": "Of course, gladly."}],
                       [{"role": "assistant", "content": "No. Go away."}]) for row in examples("x")[:4]]
    weak, strong = (steps(list(make_trainer().train(make_spec(
        rows, method="dpo", hyperparameters=Hyperparameters(2, 4, 0.1, beta=beta), work_dir=tmp_path / str(beta))))) for beta in (0.1, 1.0))
    assert weak[0].train_loss == pytest.approx(strong[0].train_loss, abs=1e-4)
    assert strong[1].train_loss < weak[1].train_loss < weak[0].train_loss


def test_going_on_from_an_adapter_is_repeatable_too(make_trainer: MakeTrainer, make_spec: Make, adapters: dict[str, Path], tmp_path: Path) -> None:
    first, again, other = (list(make_trainer().train(make_spec(
        examples("no"), epochs=1, seed=seed, start_from=adapters["yes"], work_dir=tmp_path / name)))
        for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert steps(first) == steps(again) != steps(other)
    files = [(checkpoints(run)[-1].adapter / "adapter.gguf").read_bytes() for run in (first, again, other)]
    assert files[0] == files[1] != files[2]
