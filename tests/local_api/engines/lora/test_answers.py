"""Stop sequences, whole characters and log-probabilities, put together piece by piece."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local_api.engines.lora.answers import Assembler, StopFilter, told
from local_api.engines.protocols import Piece

TEXTS = {1: " Hello", 2: " wor", 3: "ld", 4: "##", 5: "#", 6: "!", 99: "<|end|>"}


def entry(token: int, *others: int) -> dict[str, Any]:
    """What llama.cpp reports of a token."""
    return {"id": token, "logprob": -0.5, "top_logprobs": [{"id": other, "logprob": -1.0} for other in (token, *others)]}


def assembler(stop: tuple[str, ...] = (), top: int | None = 1) -> Assembler:
    return Assembler(stop=stop, token_bytes=lambda token: TEXTS[token].encode(), top=top)


def feed(answer: Assembler, *tokens: int) -> list[Piece]:
    return [answer.add(TEXTS[token], reported=entry(token), n_tokens=number) for number, token in enumerate(tokens, 1)]


@given(st.text("ab#", max_size=30), st.lists(st.text("ab#", min_size=1, max_size=4), max_size=3), st.data())
def test_however_the_text_is_cut_into_pieces_what_is_shown_ends_before_the_first_stop_sequence(text: str, stop: list[str], data: st.DataObject) -> None:
    found = [at for at in (text.find(sequence) for sequence in stop) if at >= 0]
    shown, rest, filtered = "", text, StopFilter(stop)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        shown, rest = shown + filtered.add(rest[:size]), rest[size:]
        assert text.startswith(shown)
        if filtered.stopped:
            break
    whole = shown if filtered.stopped else shown + filtered.flush()
    if found:
        # Cut into pieces, a longer stop sequence that begins earlier may end later than a shorter one that is in full already.
        assert filtered.stopped
        assert whole == text[:len(whole)]
        assert any(text.startswith(sequence, len(whole)) for sequence in stop)
    else:
        assert whole == text


def test_text_that_might_begin_a_stop_sequence_waits_and_comes_when_it_does_not() -> None:
    answer = assembler(("###",))
    assert [piece.text for piece in feed(answer, 1, 4, 6)] == [" Hello", "", "##!"]


def test_at_the_end_by_length_the_text_that_waited_is_given_back() -> None:
    answer = assembler(("###",))
    feed(answer, 1, 4)
    last = answer.finish("length", n_tokens=2)
    assert (last.text, last.finish_reason, [token.token for token in last.tokens]) == ("##", "length", ["##"])


def test_a_stop_sequence_over_two_tokens_never_shows_and_neither_do_its_tokens() -> None:
    answer = assembler(("###",))
    pieces = [*feed(answer, 1, 4, 5), answer.finish("stop", n_tokens=3)]
    assert "".join(piece.text for piece in pieces) == " Hello"
    assert [token.token for piece in pieces for token in piece.tokens] == [" Hello"]
    assert pieces[-1].finish_reason == "stop"


def test_every_generated_token_is_counted_once_those_of_the_stop_sequence_too() -> None:
    answer = assembler(("###",))
    pieces = [*feed(answer, 1, 4, 5), answer.finish("stop", n_tokens=3)]
    assert sum(piece.n_tokens for piece in pieces) == 3


def test_a_token_comes_with_the_piece_that_shows_its_text() -> None:
    answer = assembler(("world!",))
    pieces = feed(answer, 1, 2, 3, 1)
    assert [[token.id for token in piece.tokens] for piece in pieces] == [[1], [2], [], [3, 1]]  # the space of " wor" is shown at once


def test_the_token_that_ends_an_answer_is_told_by_name_and_adds_no_bytes() -> None:
    answer = assembler()
    feed(answer, 1)
    answer.add("", reported=entry(99, 2), n_tokens=2)
    [token] = answer.finish("stop", n_tokens=2).tokens
    assert (token.token, token.bytes, token.top[0][0]) == ("<|end|>", b"", "<|end|>")


def test_alternatives_are_as_many_as_were_asked_for_and_none_without_asking() -> None:
    assert feed(assembler(top=0), 1)[0].tokens[0].top == ()
    assert feed(assembler(top=None), 1)[0].tokens == ()


def test_what_a_model_finds_impossible_is_told_as_the_hosted_service_tells_it() -> None:
    lowest = -3.4028234663852886e38  # what llama.cpp says of a probability of 0
    found = told({"id": 5, "logprob": lowest, "top_logprobs": [{"id": 6, "logprob": lowest}]}, b"a", lambda token: b"b", 1)
    assert found.logprob == -9999.0 and found.top[0][2] == -9999.0
