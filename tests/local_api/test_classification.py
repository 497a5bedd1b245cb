"""Classification metrics: the classes of a job's files, and figures that equal scikit-learn's."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from local_api.engines.protocols import Chat, PromptCompletion
from local_api.training_files import InvalidTrainingFile
from local_api.worker.classification import answer_of, find_classes, measure

MANY = {"n_classes": 3, "positive_class": None, "betas": None}
TWO = {"n_classes": None, "positive_class": " yes", "betas": None}


def rows(*completions):
    return [PromptCompletion(f"{number} ->", completion, line=number) for number, completion in enumerate(completions, 1)]


def chat(content, **message):
    return Chat([{"role": "user", "content": "?"}, {"role": "assistant", "content": content, **message}], line=3)


def test_classes_are_the_different_completions_of_both_files():
    classes = find_classes(MANY, rows(" b", " a", " b"), rows(" c", " a"))
    assert classes.names == (" a", " b", " c") and classes.labels == (2, 0) and classes.positive is None
    assert [answer_of(example) for example in classes.examples] == [" a", " b", " c"]


def test_a_conversations_class_is_what_its_last_message_says():
    parts = chat([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    assert [answer_of(example) for example in (chat("ab"), parts)] == ["ab", "ab"]
    for unusable in (chat("ab", weight=0), Chat([*chat("ab").messages, {"role": "user", "content": "!"}], line=3), chat(None, tool_calls=[{}])):
        with pytest.raises(InvalidTrainingFile, match="Line 3: the last message must be the assistant's"):
            answer_of(unusable)


def test_another_number_of_classes_than_asked_for_is_refused_naming_them():
    with pytest.raises(InvalidTrainingFile, match=r"hold 2 different completions.*\(' no', ' yes'\), but 3 classes were asked") as refusal:
        find_classes(MANY, rows(" yes", " no"), rows(" yes"))
    assert refusal.value.code == "invalid_n_classes"
    with pytest.raises(InvalidTrainingFile, match=r"hold 50 different .* and 38 more"):
        find_classes(TWO, rows(*map(str, range(50))), [])


@pytest.mark.parametrize(("given_class", "number"), [(" yes\n", 1), (" yes", 1), ("yes", 1), (" no END", 0), ("no", 0)])
def test_the_positive_class_is_known_without_its_blanks_and_stop_sequence(given_class, number):
    assert find_classes(TWO | {"positive_class": given_class}, rows(" yes\n", " no END"), []).positive == number


def test_an_exact_positive_class_wins_over_one_that_only_begins_like_it():
    assert find_classes(TWO | {"positive_class": " a"}, rows(" ab", " a"), []).positive == 0


@pytest.mark.parametrize("given_class", ["maybe", "", " ", "y\n\n"])
def test_a_positive_class_that_is_none_or_several_is_refused_naming_the_classes(given_class):
    with pytest.raises(InvalidTrainingFile, match="' yea', ' yes'") as refusal:
        find_classes(TWO | {"positive_class": given_class}, rows(" yes", " yea"), [])
    assert refusal.value.code == "invalid_positive_class"


@settings(max_examples=25)  # scikit-learn takes milliseconds for each figure
@given(data=st.data(), n_classes=st.integers(2, 5))
def test_figures_of_many_classes_are_those_of_scikit_learn(data, n_classes):
    names = [f" class {number}" for number in range(n_classes)]
    labels = data.draw(st.lists(st.integers(0, n_classes - 1), min_size=1, max_size=12))
    chosen = data.draw(st.lists(st.integers(0, n_classes - 1), min_size=len(labels), max_size=len(labels)))
    classes = find_classes(MANY | {"n_classes": n_classes}, rows(*names), rows(*(names[label] for label in labels)))
    figures = measure(classes, list(range(len(labels))), [[0.9 if choice == number else 0.1 for number in range(n_classes)] for choice in chosen])
    precision, recall, f_score, _ = metrics.precision_recall_fscore_support(labels, chosen, average="weighted", zero_division=0)
    assert figures == pytest.approx({
        "classification/accuracy": metrics.accuracy_score(labels, chosen), "classification/weighted_precision": precision,
        "classification/weighted_recall": recall, "classification/weighted_f1_score": f_score})


@settings(max_examples=25)
@given(pairs=st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=12))
def test_figures_of_two_classes_are_those_of_scikit_learn(pairs):
    labels, chances = zip(*pairs, strict=True)
    assume(len(set(labels)) == 2)
    classes = find_classes(TWO | {"betas": [0.5, 2.0]}, rows(" yes", " no"), rows(*(" yes" if label else " no" for label in labels)))
    figures = measure(classes, list(range(len(labels))), [[1 - chance, chance] for chance in chances])
    chosen = [chance > 0.5 for chance in chances]
    assert figures == pytest.approx({
        "classification/accuracy": metrics.accuracy_score(labels, chosen),
        "classification/precision": metrics.precision_score(labels, chosen, zero_division=0),
        "classification/recall": metrics.recall_score(labels, chosen, zero_division=0),
        "classification/auroc": metrics.roc_auc_score(labels, chances), "classification/auprc": metrics.average_precision_score(labels, chances),
        "classification/f0.5": metrics.fbeta_score(labels, chosen, beta=0.5, zero_division=0),
        "classification/f2.0": metrics.fbeta_score(labels, chosen, beta=2, zero_division=0)})


def test_what_one_class_alone_cannot_define_is_left_out_and_f1_is_given_unless_other_betas_are():
    figures = measure(find_classes(TWO, rows(" yes", " no"), rows(" yes", " yes")), [0, 1], [[0.2, 0.8], [0.6, 0.4]])
    assert figures == {"classification/accuracy": 0.5, "classification/precision": 1.0, "classification/recall": 0.5,
                       "classification/auroc": None, "classification/auprc": None, "classification/f1.0": pytest.approx(2 / 3)}


def test_an_engine_that_classified_some_examples_alone_is_measured_on_those():
    classes = find_classes(MANY, rows(" a", " b", " c"), rows(" a", " b", " c"))
    assert measure(classes, [2, 0], [[0, 0, 1], [0, 0, 1]])["classification/accuracy"] == 0.5
