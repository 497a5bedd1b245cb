"""The data sets are what data/README.md says of them, and no two of their texts are alike."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest

from helpers import dataset

SHINGLE = 5  # words


def shingles(text: str) -> set[tuple[str, ...]]:
    """The five-word sequences of a text; a shorter text is one sequence."""
    words = re.findall(r"[\w']+", text.lower())
    return {tuple(words[i:i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)} or {tuple(words)}


def closest(texts: Iterable[str]) -> tuple[float, str, str]:
    """The two texts that share most of the smaller one's shingles, and that share."""
    texts = list(texts)
    sets = [shingles(text) for text in texts]
    owners = defaultdict(list)
    for number, found in enumerate(sets):
        for shingle in found:
            owners[shingle].append(number)
    shared = Counter((one, other) for numbers in owners.values() for i, one in enumerate(numbers) for other in numbers[i + 1:])
    if not shared:
        return 0.0, "", ""
    share = {pair: count / min(len(sets[pair[0]]), len(sets[pair[1]])) for pair, count in shared.items()}
    (one, other), most = max(share.items(), key=lambda item: item[1])
    return most, texts[one], texts[other]


def answers() -> list[tuple[str, str]]:
    """The preferred and the rejected answer of each pair."""
    pairs = dataset("preferences")
    return [(good[0]["content"], bad[0]["content"])
            for good, bad in zip(pairs["preferred_output"], pairs["non_preferred_output"], strict=True)]


TEXTS = {"triage": lambda: dataset("triage")["text"], "ads: articles": lambda: dataset("ads")["article"],
         "ads: ads": lambda: dataset("ads")["ad"], "entities": lambda: dataset("entities")["text"],
         "support: conversations": lambda: [" ".join(turn["text"] for turn in turns) for turns in dataset("support")["turns"]],
         "support: agents": lambda: [turn["text"] for turns in dataset("support")["turns"] for turn in turns[1::2]],
         "preferences: questions": lambda: [messages[0]["content"] for messages in dataset("preferences")["input"].str["messages"]],
         "preferences: answers": lambda: [answer for pair in answers() for answer in pair]}


@pytest.mark.parametrize("name", TEXTS)
def test_no_two_texts_share_half_of_their_five_word_sequences(name):
    share, one, other = closest(TEXTS[name]())
    assert share <= 0.5, f"{one!r} and {other!r} share {share:.0%}"


def test_the_measure_finds_a_near_duplicate():
    share, *pair = closest(["my parcel has not come and I want it now", "nothing alike at all in this one, not a word",
                            "my parcel has not come and I want it today"])
    assert share > 0.5 and all("parcel" in text for text in pair)


def test_triage_has_six_uneven_departments_and_urgency_in_each():
    messages = dataset("triage")
    sizes = messages["department"].value_counts()
    assert len(messages) >= 600 and len(sizes) == 6 and sizes.max() > 3 * sizes.min()
    assert set(messages["urgent"]) == {"yes", "no"}
    urgent = (messages["urgent"] == "yes").groupby(messages["department"]).mean()
    assert urgent.between(0.1, 0.35).all(), "urgency does not give the department away"
    assert not messages["text"].str.contains("###").any() and messages["text"].str.strip().eq(messages["text"]).all()


def test_ads_use_the_names_and_numbers_of_their_articles():
    ads = dataset("ads")
    assert len(ads) >= 400 and ads["name"].is_unique and ads["kind"].nunique() >= 100
    for ad in ads.itertuples():
        assert ad.name in ad.article and ad.name in ad.ad
        assert 40 <= len(ad.article.split()) <= 165 and "###" not in ad.article and " END" not in ad.ad
        strays = [number for number in re.findall(r"\d[\d.,]*\d|\d", ad.ad) if number not in ad.article]
        assert not strays, f"{ad.name}: {strays}"


def test_entities_stand_in_their_texts_in_order_once():
    texts = dataset("entities")
    assert len(texts) >= 500 and texts["register"].nunique() == 8
    for row in texts.itertuples():
        names = [entity["text"] for entity in row.entities]
        places = [re.search(rf"(?<!\w){re.escape(name)}(?!\w)", row.text) for name in names]
        assert all(places), (row.text, names)
        starts = [place.start() for place in places]
        assert starts == sorted(starts) and len(set(names)) == len(names), (row.text, names)
        assert {entity["type"] for entity in row.entities} <= {"person", "organisation", "place", "product", "event", "date", "other"}
    assert 0.05 < (texts["entities"].map(len) == 0).mean() < 0.15


def test_support_conversations_alternate_and_agents_give_known_numbers():
    conversations = dataset("support")
    assert len(conversations) >= 220 and conversations["id"].is_unique
    for row in conversations.itertuples():
        assert [turn["speaker"] for turn in row.turns] == ["customer", "agent"] * (len(row.turns) // 2)
        assert 2 <= len(row.turns) // 2 <= 6 and all("summary" in turn for turn in row.turns[1::2])
        said = json.dumps(row.facts, ensure_ascii=False)
        for turn in row.turns:
            if turn["speaker"] == "agent":
                strays = [number for number in re.findall(r"\d+", turn["text"]) if number not in said]
                assert not strays, f"{row.id}: {strays} in {turn['text']!r}"
            said += turn["text"]
    assert sum(len(turns) // 2 for turns in conversations["turns"]) >= 800


def test_preferences_are_one_question_and_two_answers_that_length_alone_does_not_tell_apart():
    pairs = dataset("preferences")
    assert len(pairs) >= 350 and list(pairs) == ["input", "preferred_output", "non_preferred_output"]
    assert all([message["role"] for message in row["messages"]] == ["user"] for row in pairs["input"])
    for column in ("preferred_output", "non_preferred_output"):
        assert all([message["role"] for message in messages] == ["assistant"] for messages in pairs[column])
    lengths = [(len(preferred.split()), len(rejected.split())) for preferred, rejected in answers()]
    assert 1 / 3 <= sum(rejected <= preferred for preferred, rejected in lengths) / len(pairs) <= 1 / 2
    # A forced answer is told as a JSON string: without these characters it is the answer's own text between quotation marks.
    assert all(text.isascii() and not set('"\\\n') & set(text) for pair in answers() for text in pair)
