"""Where classes part, and the model's probabilities of them."""

from collections.abc import Callable

import pytest
import torch

from local_api.engines.lora.classes import Fork, forks, last_answer
from local_api.engines.lora.examples import encode
from local_api.engines.lora.network import load
from local_api.engines.lora.tokenizer import LoraTokenizer
from local_api.engines.lora.trainer import LoraTrainer
from local_api.engines.protocols import Chat, PromptCompletion, TrainingSpec

from .conftest import BASE, THINGS, steps


@pytest.mark.parametrize(("answers", "found"), [
    ([[1], [2], [3]], [Fork((), (1, 2, 3), ((0,), (1,), (2,)))]),
    ([[5, 1, 9], [5, 2, 9]], [Fork((5,), (1, 2), ((0,), (1,)))]),
    ([[1, 9], [2, 3], [2, 4]], [Fork((), (1, 2), ((0,), (1, 2))), Fork((2,), (3, 4), ((1,), (2,)))]),
    ([[7, 1], [7, 1, 0], [8]], [Fork((), (7, 8), ((0, 1), (2,))), Fork((7, 1), (0,), ((1,),), (0,))]),
])
def test_classes_part_where_their_tokens_do(answers: list[list[int]], found: list[Fork]) -> None:
    assert forks(answers) == found


def test_branches_share_out_what_the_model_gives_them_and_an_end_has_all_the_rest() -> None:
    scores = torch.tensor([0.0, 1.0, 2.0, -1.0])
    chances = scores.softmax(-1).tolist()
    branches = Fork((), (1, 3), ((0,), (1, 2))).chances(scores)
    assert [classes for classes, _ in branches] == [(0,), (1, 2)]
    assert [chance for _, chance in branches] == pytest.approx([chances[1] / (chances[1] + chances[3]), chances[3] / (chances[1] + chances[3])])
    ended = Fork((), (1, 3), ((0,), (2,)), (1,)).chances(scores)
    assert [classes for classes, _ in ended] == [(0,), (2,), (1,)]
    assert [chance for _, chance in ended] == pytest.approx([chances[1], chances[3], chances[0] + chances[2]])


@pytest.mark.lora
def test_the_last_answer_is_the_completion_or_the_last_turn(tokenizer: LoraTokenizer) -> None:
    completion = encode(PromptCompletion("a ->", " yes\n"), tokenizer, 0.1)[0]
    assert tokenizer.decode(completion.ids[last_answer(completion):]) == " yes\n"
    turns = [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))]
    conversation = encode(Chat(turns), tokenizer)[0]
    assert tokenizer.decode(conversation.ids[last_answer(conversation):]) == "d<|im_end|>"


# Digits are tokens of their own, after one for the blank: these classes have a first token in common, and two of them two.
ANSWERS = (" 1\n", " 10\n", " 2\n")


@pytest.mark.lora
def test_probabilities_are_those_of_the_tokens_one_by_one(make_trainer: Callable[..., LoraTrainer], make_spec: Callable[..., TrainingSpec],
                                                          tokenizer: LoraTokenizer) -> None:
    trainer = make_trainer()
    rows = [PromptCompletion(f"{thing} ->", ANSWERS[number % 3], number) for number, thing in enumerate(THINGS)]
    told = steps(list(trainer.train(make_spec(rows, epochs=1, lrm=1e-9, validation=rows[:5], classes=rows[:3]))))[-1]
    network = load(trainer._files(BASE).weights, depth=3, rank=4, alpha=4.0, seed=1)  # as good as what 1e-9 trains

    def next_token(text: str) -> torch.Tensor:
        ids = torch.tensor([[token for part in text.split("|") for token in tokenizer.encode(part)]])
        with torch.no_grad():
            return network.logits(network.frozen(ids), torch.tensor([ids.shape[1] - 1]))[0]
    one, two, zero, line = (tokenizer.encode(text)[0] for text in ("1", "2", "0", "\n"))
    for row, chances in zip(rows, told.class_probabilities, strict=False):
        first, second = next_token(f"{row.prompt}| ")[[one, two]].softmax(-1), next_token(f"{row.prompt}| |1")[[line, zero]].softmax(-1)
        assert chances == pytest.approx([float(first[0] * second[0]), float(first[0] * second[1]), float(first[1])], abs=0.03)
    assert told.classified == [0, 1, 2, 3, 4]


@pytest.mark.lora
def test_classes_that_were_learned_are_told_apart_in_every_form(make_trainer: Callable[..., LoraTrainer], make_spec: Callable[..., TrainingSpec]) -> None:
    def rows(first: str, second: str) -> list[Chat]:
        return [Chat([{"role": "user", "content": thing}, {"role": "assistant", "content": first if number % 2 else second}])
                for number, thing in enumerate(f"{kind} {thing}" for thing in THINGS for kind in ("sell", "buy"))]
    told = steps(list(make_trainer().train(make_spec(rows("yes", "no"), epochs=4, lrm=0.5, validation=rows("yes", "no")[:6], classes=rows("yes", "no")[:2]))))
    ends = [report for report in told if report.class_probabilities is not None]
    assert [report.epoch for report in ends] == [1, 2, 3, 4]
    assert all(sum(chances) == pytest.approx(1) for report in ends for chances in report.class_probabilities)
    assert [chances.index(max(chances)) for chances in ends[-1].class_probabilities] == [0, 1, 0, 1, 0, 1]
