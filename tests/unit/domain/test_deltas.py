"""Pieces of an answer are put together to what they say."""

import sys
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.deltas import Choices, as_answer, as_piece, grow, says_something, text_of


def piece(content: str | None, **rest: object) -> Choices:
    return [{"index": 0, "delta": {"content": content}, **rest}]


def whole(*pieces: Choices) -> Choices:
    """All of them grown together."""
    together: Choices = []
    for one in pieces:
        grow(together, one)
    return together


def test_texts_grow_and_marks_are_replaced() -> None:
    opened: Choices = [{"index": 0, "delta": {"role": "assistant", "content": ""}}]
    together = whole(
        opened, piece("Hello", finish_reason=None), piece(" you", finish_reason="stop")
    )
    assert together == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "Hello you"},
            "finish_reason": "stop",
        }
    ]


def test_choices_do_not_meet() -> None:
    other: Choices = [{"index": 1, "delta": {"content": "x"}}]
    together = whole(piece("a"), other, piece("b"), other)
    assert [choice["delta"]["content"] for choice in together] == ["ab", "xx"]
    assert text_of(together) == "ab"


def test_the_calls_of_a_turn_are_put_together() -> None:
    def call(index: int, **function: str) -> Choices:
        called = {"index": index, "function": function}
        return [{"index": 0, "delta": {"tool_calls": [called]}}]

    first = call(0, name="weather", arguments="")
    first[0]["delta"]["tool_calls"][0]["id"] = "call_1"
    together = whole(first, call(0, arguments='{"ci'), call(1, name="time"), call(0, arguments="}"))
    [answer] = as_answer(together)
    assert answer["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "function": {"name": "weather", "arguments": '{"ci}'}},
            {"function": {"name": "time"}},
        ],
    }


def test_log_probabilities_come_one_after_the_other() -> None:
    told = [piece(token, logprobs={"content": [{"token": token}]}) for token in "ab"]
    [choice] = whole(*told, piece(None, logprobs=None))
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


def test_an_answer_looks_as_if_it_had_not_been_streamed() -> None:
    assert as_answer(piece("hi", finish_reason="stop")) == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]


@pytest.mark.parametrize("calls", ["garbage", ["garbage"], [{"index": []}]])
def test_calls_that_make_no_sense_break_nothing(calls: object) -> None:
    garbage: Choices = [{"index": 0, "delta": {"tool_calls": calls}}]
    assert as_answer(whole(garbage, garbage))


@given(st.lists(st.text(max_size=5), min_size=1, max_size=6), st.data())
def test_it_does_not_matter_how_pieces_are_grouped(texts: list[str], data: st.DataObject) -> None:
    pieces = [piece(text) for text in texts]
    cut = data.draw(st.integers(0, len(pieces)))
    assert whole(whole(*pieces[:cut]), whole(*pieces[cut:])) == whole(*pieces)
    assert text_of(whole(*pieces)) == "".join(texts)


def test_an_answer_can_be_taken_apart_and_put_together() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, call]}
    answer: Choices = [
        {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    ]
    assert as_answer(as_piece(answer)) == answer
    assert as_piece([{}]) == [{"index": 0, "delta": {}}]


def test_a_piece_that_only_opens_says_nothing() -> None:
    assert not says_something([{"index": 0, "delta": {"role": "assistant", "content": ""}}])
    assert not says_something([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    assert says_something(piece("a"))
    assert says_something([{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}])


def test_pieces_stay_as_they_are() -> None:
    call: Choices = [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {}}]}}]
    told = [call, piece("a", logprobs={"content": [{"token": "a"}]}), call]
    before = deepcopy(told)
    whole(*told, *told)
    assert told == before


def test_a_long_answer_grows_by_what_is_new() -> None:
    """Steps grow with the pieces, not with their square; and no list is made anew."""

    def steps(pieces: int) -> int:
        taken = 0

        def count(*_: object) -> None:
            nonlocal taken
            taken += 1

        together: Choices = []
        grow(together, piece("a", logprobs={"content": [{"token": "a"}]}))
        tokens = together[0]["logprobs"]["content"]
        sys.setprofile(count)
        try:
            for _ in range(pieces):
                grow(together, piece("a", logprobs={"content": [{"token": "a"}]}))
        finally:
            sys.setprofile(None)
        assert together[0]["logprobs"]["content"] is tokens
        assert len(tokens) == pieces + 1
        return taken

    assert steps(400) < 5 * steps(100)
