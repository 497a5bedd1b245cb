"""Measures of written answers, checked by hand on texts that are short enough for it."""

import json

import httpx2
import pandas as pd
import pytest

from helpers.errors import FormatError
from helpers.measures import (
    ask,
    ask_again,
    chrf,
    claims,
    details,
    entity_counts,
    entity_errors,
    entity_names,
    entity_scores,
    entity_types,
    f1_of,
    fact_items,
    invented,
    read_entities,
    recall_by_type,
    score_ads,
    score_replies,
    share,
    write_entities,
)

TRUTH = [["Lund Kestrels", "2027"], ["Iowa"], []]
SAID = [["Lund Kestrels", "Lund Kestrels", "Aarhus"], [], ["Oslo"]]


def completion(request):
    """The prompt in capitals, and after it the seed, if there is one."""
    body = json.loads(request.content)
    prompt, seed = body["prompt"], body.get("seed", "")
    return httpx2.Response(200, json={
        "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": f" {prompt.upper()}{seed} ", "finish_reason": "stop" if prompt == "a" else "length",
                     "logprobs": None}],
        "usage": {"prompt_tokens": len(prompt), "completion_tokens": 4, "total_tokens": 4 + len(prompt)}})


def test_asking_keeps_texts_ends_tokens_and_time_in_order(client_of):
    asked = ask(client_of(completion), ["a", "bcd"], model="m", temperature=0)
    assert asked.texts == ["A", "BCD"] and asked.stopped == [True, False]
    cost = asked.cost()
    assert (cost["tokens read"], cost["tokens written"]) == (2, 4) and cost["ms"] == 1000 * asked.seconds / 2


def test_asking_again_asks_only_what_failed_and_counts_all_tries(client_of):
    met, prompts, client = [], ["a", "bcd", "ef"], client_of(completion)

    def passes(place, text, stopped):
        met.append((place, text, stopped))
        return text in ("A", "BCD2")

    first = ask(client, prompts, model="m")
    asked = ask_again(client, first, prompts, passes, model="m", tries=2)
    assert asked.texts == ["A", "BCD2", "EF2"], "one passed at once, one at the third try, one never"
    assert asked.tokens_read == [1, 9, 6] and asked.tokens_written == [4, 12, 12]
    assert met[:3] == [(0, "A", True), (1, "BCD", False), (2, "EF", False)]
    assert asked.seconds > first.seconds and first.texts == ["A", "BCD", "EF"], "the first answers stay as they are"


def test_where_all_have_passed_nothing_is_asked_again(client_of):
    client = client_of(completion)
    first = ask(client, ["a"], model="m")
    assert ask_again(client, first, ["a"], lambda place, text, stopped: True, model="m", tries=9) == first


def test_a_share_is_written_with_its_interval_and_without_wholes_there_is_none():
    assert share([1, 1, 1]) == "1.00 (1.00 to 1.00)"
    assert share([1, 0], [2, 2]).startswith("0.25 (0.00 to 0.50")
    assert share([0, 0], [0, 0]) == "none"


def test_one_text_alone_has_no_interval():
    assert share([1], [4]) == "0.25"
    assert entity_scores([["Oslo"]], [["Oslo"]]).isna().tolist() == [False, False, False, True, True]


def test_a_share_is_the_ratio_of_sums_and_not_the_mean_of_ratios():
    assert share([1, 0, 0], [1, 4, 5]).startswith("0.10 ")


def test_chrf_is_100_for_the_same_text_and_0_for_one_without_a_common_letter():
    same, other, near = chrf(["a ripe cheese", "xyz", "a ripe pear"], ["a ripe cheese", "a ripe cheese", "a ripe cheese"])
    assert same == pytest.approx(100) and other == 0 and 20 < near < 90


@pytest.mark.parametrize(("cell", "names"), [
    (["Oslo", "May"], ["Oslo", "May"]),
    ([{"text": "Oslo", "type": "place"}], ["Oslo"]),
    ("Oslo; Anna Vik;May", ["Oslo", "Anna Vik", "May"]),
    ("Oslo\nMay", ["Oslo", "May"]),
    ([], []),
    ("none", []),
    (None, []),
    (float("nan"), []),
])
def test_a_cell_may_hold_its_names_in_several_ways(cell, names):
    assert entity_names(cell) == names
    assert len(entity_types(cell)) == len(names)


def test_types_stand_beside_the_names_and_a_name_without_one_is_an_entity():
    assert entity_types([{"text": "Oslo", "type": "place"}, {"text": "May"}]) == ["place", "entity"]


def test_a_cell_of_another_kind_is_refused_with_what_was_met():
    with pytest.raises(FormatError, match=r"met 7: convert"):
        entity_names(7)


def test_what_is_written_is_read_back_and_nothing_is_none():
    for names in (["Oslo", "Anna Vik"], []):
        assert read_entities(write_entities(names)) == names
    assert write_entities([]) == "none"
    assert read_entities(" - Oslo\n\n* May \nnone") == ["Oslo", "May", "none"]
    assert read_entities("3-0\n-5") == ["3-0", "-5"], "a hyphen that belongs to the name is no bullet"


def test_counts_precision_recall_and_f1_by_hand():
    counts = entity_counts(TRUTH, SAID)
    assert counts.to_numpy().tolist() == [[2, 3, 1], [1, 0, 0], [0, 1, 0]], "a name said twice is right once"
    scores = entity_scores(TRUTH, SAID)
    assert scores["precision"] == 1 / 4 and scores["recall"] == 1 / 3 and scores["f1"] == pytest.approx(2 / 7)
    assert scores["from"] <= scores["f1"] <= scores["to"]


def test_capitals_count_in_an_exact_match():
    assert entity_scores([["Oslo"]], [["oslo"]])["f1"] == 0


def test_f1_of_nothing_is_zero_and_of_all_right_one():
    assert f1_of([0, 0], [0, 0], [0, 0]) == 0
    assert entity_scores(TRUTH, TRUTH)[["precision", "recall", "f1", "from", "to"]].tolist()[:3] == [1, 1, 1]


def test_recall_by_type_counts_the_true_entities_of_each_type():
    types = [["organisation", "date"], ["place"], []]
    table = recall_by_type([*TRUTH, ["Ohio"]], [*types, ["place"]], [*SAID, ["Ohio"]])
    assert table.loc["place", ["entities", "found", "recall"]].tolist() == [2, 1, 0.5]
    assert table.index[0] == "place", "the commonest type comes first"
    assert table.loc["date", "recall"] == 0 and table.loc["organisation", "recall"] == 1


def test_recall_by_type_of_no_entities_is_an_empty_table():
    assert recall_by_type([[]], [[]], [["Oslo"]]).empty


def test_each_error_has_a_kind():
    text = "Dr. Amina Osei met Lund Kestrels in Iowa on Monday."
    errors = entity_errors([text], [["Amina Osei", "Iowa", "Monday"]],
                           [["Dr. Amina Osei", "Lund Kestrels", "Ohio", "Iowa", "Iowa"]])
    assert errors[["said", "true", "kind"]].to_numpy().tolist() == [
        ["Dr. Amina Osei", "Amina Osei", "wrong bounds"], ["Lund Kestrels", "", "no entity"], ["Ohio", "", "not in the text"],
        ["Iowa", "", "said twice"], ["", "Monday", "missed"]]


def test_right_answers_have_no_errors():
    assert entity_errors(["x", "y", "z"], TRUTH, TRUTH).empty


def test_claims_are_numbers_and_capitals_inside_sentences():
    assert claims("Built by Ada in 1912. Visitors love it! I'd go: The Tower's 3,000 steps") == ["1912", "3,000", "Ada", "Tower's"]


def test_what_the_source_has_in_another_form_is_not_invented():
    source = "the rye-bread of Ada costs 3000 and is sold on Fridays"
    assert invented("So try Ada's Rye for 3,000 every Friday, or 12 in Peru", source) == ["12", "Peru"]


def test_an_ad_is_scored_by_what_can_be_counted():
    table = score_ads(["Come to Lagune now", "Buy it in 1999"], [True, False], names=["lagune", "Lagune"], articles=["Lagune is a mirror", "Lagune"],
                      ads=["Come to Lagune now", "Look into Lagune"], words=(4, 5))
    assert table["stopped"].tolist() == [True, False] and table["length"].tolist() == [4, 4]
    assert table["length fits"].all() and table["named"].tolist() == [True, False]
    assert table["claims"].tolist() == [1, 1] and table["invented"].tolist() == [0, 1]
    assert table["chrf"].iloc[0] == pytest.approx(100) and table["chrf"].iloc[1] < 50


def test_details_are_words_with_a_digit_without_currency_and_punctuation():
    assert details("It costs £21.60 (PR-48213), 10:15–12:15; no. 5!") == ["21.60", "pr-48213", "10:15", "12:15", "5"]
    assert details("nothing here") == []


def test_the_items_of_facts_are_their_details_or_the_whole_value():
    assert fact_items({"Order": "#90317", "Wood": "Cherry", "Size": "180 x 260 cm", "Again": "90317"}) == ["90317", "cherry", "180", "260"]


FACTS = {"Order number": "PR-7", "Price": "£21.60", "Wood": "cherry"}


def test_a_reply_is_scored_by_the_facts_that_the_person_gave_and_nobody_had_said():
    table = score_replies(["It costs 21.60, order PR-7.", "It costs £26.10. Customer: thanks", "Cherry, of course"], [True, False, True],
                          references=["PR-7 costs £21.60.", "£21.60, and it is cherry.", "It is cherry wood."],
                          facts=[FACTS] * 3, said=["Customer: PR-7, how much?", "Customer: how much?", "Customer: what wood?"])
    assert table["asked for"].tolist() == [1, 2, 1], "the order number of the first had been said by the customer"
    assert table["copied"].tolist() == [1, 0, 1]
    assert table["as customer"].tolist() == [False, True, False] and table["stopped"].tolist() == [True, False, True]
    assert table["details"].tolist() == [2, 1, 0] and table["strays"].tolist() == [0, 1, 0]


def test_who_says_nothing_has_not_stopped_properly():
    replies = score_replies(["", "Yes."], [True, True], references=["Yes."] * 2, facts=[FACTS] * 2, said=[""] * 2)
    ads = score_ads(["", "Yes."], [True, True], names=["x"] * 2, articles=["x"] * 2, ads=["Yes."] * 2, words=(0, 9))
    assert replies["stopped"].tolist() == ads["stopped"].tolist() == [False, True]


def test_a_value_without_digits_must_stand_as_whole_words():
    table = score_replies(["a cherrywood stand"], [True], references=["cherry"], facts=[FACTS], said=[""])
    assert table["copied"].sum() == 0


def test_scores_of_answers_and_truths_of_different_lengths_are_refused():
    for call in (lambda: chrf(["a"], []), lambda: entity_counts([[]], []),
                 lambda: score_replies(["a"], [True], references=["a"], facts=[], said=[""])):
        with pytest.raises(ValueError, match="shorter"):
            call()


def test_no_errors_and_no_replies_still_have_their_columns():
    assert list(entity_errors([], [], []).columns) == ["text", "said", "true", "kind"]
    assert isinstance(score_replies([], [], references=[], facts=[], said=[]), pd.DataFrame)
