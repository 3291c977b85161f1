"""Text files: encodings told, nothing taken for text that is none."""

import numpy as np
import pytest

from foveal.datasets.tokens import text_of
from foveal.errors import DataError
from foveal.grid import TEXT_AXES
from foveal.readers.text import MOST_BYTES, as_sample, decode, is_text, read

FRENCH = "Très bien, déjà vu"


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (FRENCH.encode(), "UTF-8"),
        (b"\xef\xbb\xbf" + FRENCH.encode(), "UTF-8 with mark"),
        (FRENCH.encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + FRENCH.encode("utf-16-be"), "UTF-16"),
        (FRENCH.encode("latin-1"), "Latin-1"),
        (f"\u201c{FRENCH}\u201d".encode("cp1252"), "Windows-1252"),
    ],
)
def test_the_encoding_is_told_and_the_text_is_the_same(content, mode):
    sample = read(content, "a.txt")
    assert sample.mode == mode
    assert text_of(sample.x).strip("\u201c\u201d") == FRENCH
    assert sample.x.dtype == np.uint8
    assert sample.grid.axes == TEXT_AXES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the text is empty"),
        (b" \n\t ", "the text is empty"),
        (b"a\0b", "holds bytes that no text has"),
        (b"\x89PNG\r\n\x1a\n\x01\x02", "holds bytes that no text has"),
        (b"\xff\xfea", "not text in UTF-16 [(]byte"),
        ("Привет, мир".encode("koi8-r"), "text neither in UTF-8 .* nor in Latin-1"),
        (b"\xef\xbb\xbf" + b"abc \xe9 def", "text neither in UTF-8"),
        (b"a" * (MOST_BYTES + 1), "more than one text may have"),
    ],
)
def test_what_is_no_text_is_refused_by_name(content, reason):
    with pytest.raises(DataError, match=reason) as caught:
        read(content, "set/a.txt")
    assert caught.value.where == "set/a.txt"


def test_a_few_bytes_tell_whether_a_file_may_be_text():
    assert is_text(b"a line\n")
    assert is_text("Bär".encode("utf-16"))
    assert not is_text(b"")
    assert not is_text(b"PK\x03\x04")


def test_a_lone_surrogate_survives():
    assert as_sample("a\ud800b", "k").x.shape == (1, 5)


def test_decode_gives_windows_quotes_not_controls():
    assert decode(b"it\x92s a rather long and plain line", "k") == (
        "it\u2019s a rather long and plain line",
        "Windows-1252",
    )
