"""Tokens: laws of the split into tokens, of ids and of hashed pieces."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from foveal.datasets.tokens import (
    FIRST,
    UNKNOWN,
    counted,
    excerpt,
    ids,
    shape,
    text_of,
    tokens,
    vocabulary,
)
from foveal.forms import TextPart

PART = TextPart("words", True, ("the", "cat", "sat"), (3, 4), 2, 4096)


def numbers(text, part=PART, length=8):
    return ids(np.frombuffer(text.encode(), np.uint8)[None], part, length)


@pytest.mark.parametrize(
    ("text", "unit", "found"),
    [
        ("Don't stop , OK?", "words", ["don't", "stop", ",", "ok", "?"]),
        ("x_y 3.5%", "words", ["x", "_", "y", "3", ".", "5", "%"]),
        ("हिन्दी में", "words", ["हिन्दी", "में"]),
        ("猫 が", "characters", ["猫", "が"]),
        ("é", "bytes", ["\xc3", "\xa9"]),
        ("", "words", []),
    ],
)
def test_tokens_of_each_unit(text, unit, found):
    assert tokens(text, unit, lower=True) == found


def test_counts_and_vocabulary_do_not_depend_on_the_order_of_texts():
    texts = ["b a", "a c", "c a"]
    count, lengths = counted(texts, "words", lower=True)
    assert count == Counter(a=3, c=2, b=1)
    assert lengths == [2, 2, 2]
    assert vocabulary(count, 10) == vocabulary(counted(texts[::-1], "words", True)[0], 10)
    assert vocabulary(count, 10) == ("a", "c", "b")
    assert vocabulary(count, 2) == ("a", "c")
    assert vocabulary(count, 9, least=2) == ("a", "c")


def test_ids_follow_the_vocabulary_and_zero_is_padding():
    found = numbers("The cat dozed")
    assert found.shape == (PART.rows, 8) == (6, 8)
    assert found.dtype == np.int32
    assert found[0].tolist() == [FIRST, FIRST + 1, UNKNOWN, 0, 0, 0, 0, 0]
    assert not found[:, 3:].any()


def test_unknown_words_keep_their_beginnings_and_endings():
    one, other = numbers("walked"), numbers("walker")
    assert one[0, 0] == other[0, 0] == UNKNOWN
    assert one[1, 0] == other[1, 0] > 0
    assert one[3, 0] == other[3, 0] > 0
    assert one[2, 0] != other[2, 0]  # -ked, -ker
    assert numbers("cat")[1:-1, 0].tolist() == [0] * 4  # no longer than its beginnings


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("cat", ""),
        ("Cat", "\0Capital"),
        ("A", "\0Capital"),
        ("NASA", "\0CAPITALS"),
        ("1984", "\0digits"),
        ("5th", "\0mixed"),
        ("?", ""),
    ],
)
def test_shapes_of_tokens(token, found):
    assert shape(token) == found


def test_capitals_have_an_id_beside_the_word_of_small_letters():
    part = dataclasses.replace(PART, shape=True)
    assert part.rows == PART.rows + 1
    place = part.pieces
    small, name, loud = (numbers(t, part)[:, 0] for t in ("cat", "Cat", "CAT"))
    assert small[0] == name[0] == loud[0] == FIRST + 1
    assert small[place] == 0 < name[place] != loud[place] > 0
    others = [i for i in range(part.rows) if i != place]
    assert (small[others] == loud[others]).all()
    assert (numbers("Cat")[:, 0] == numbers("cat")[:, 0]).all()  # not asked for


def test_runs_know_their_order_and_their_place():
    one, other = numbers("cat sat the"), numbers("sat cat the")
    run = PART.rows - 1
    assert one[run, 1] > 0
    assert one[run, 1] != other[run, 1]
    later = numbers("the cat sat")
    assert one[run, 1] == later[run, 2]
    assert one[run, 0] != later[run, 1]  # the first token's run begins before the text
    assert one[run, 0] == numbers("cat")[run, 0] > 0


def test_long_texts_are_cut_and_blank_ones_are_one_unknown_token():
    assert np.array_equal(numbers("the cat sat the", length=2), numbers("the cat", length=2))
    blank = numbers(" ")
    assert blank[0].tolist() == [UNKNOWN] + [0] * 7
    assert not blank[1:].any()


def test_hashes_are_the_same_in_every_process():
    part = TextPart("words", True, (), (3,), 3, 1 << 16)
    found = numbers("walked slowly home", part, 3)
    assert found[0].tolist() == [1, 1, 1]
    assert found.tolist() == numbers("walked slowly home", part, 3).tolist()
    assert int(found[1, 0]) == 1 + _known("<wal") % (2**16 - 1)
    assert found[1:].max() < 1 << 16


def _known(piece):
    import hashlib

    return int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=8).digest(), "little")


def test_a_cut_letter_and_padding_are_no_text():
    x = np.frombuffer("é".encode()[:1] + b"\0\0", np.uint8)[None]
    assert text_of(x) == ""
    assert text_of(np.frombuffer("ab\u00e9\0\0".encode(), np.uint8)[None]) == "abé"


def test_an_excerpt_is_the_first_words_on_one_line():
    def of(text):
        return excerpt(np.frombuffer(text.encode(), np.uint8)[None])

    assert of("two\n  words") == "two words"
    long = of("many words " * 100)
    assert long.endswith("words ...")
    assert 190 < len(long) <= 204
    assert of("é" * 300) == "é" * 200 + " ..."  # no blank to cut at
