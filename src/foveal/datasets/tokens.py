"""Text to tokens, and tokens to numbers: rows of ids that a network looks up in its tables.

One text becomes ``(rows, T)`` numbers, one column per token:

* row 0: the token's own id; 0 is padding, 1 any token that is not in the vocabulary;
* then its beginnings and endings (of words alone), hashed: what is left of an unknown word;
* then its shape, where capitals count as small letters: names and numbers still show;
* then the run of two tokens that ends here, the run of three, ..., hashed.

0 stands where there is no such piece. Hashes depend on nothing but the letters.

Source: hashed pieces after Bojanowski et al., "Enriching Word Vectors with Subword Information",
arXiv:1607.04606, and Weinberger et al., "Feature Hashing", arXiv:0902.2206; here only beginnings
and endings, which hold what inflection and derivation change.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..forms import TextPart

PADDING, UNKNOWN, FIRST = 0, 1, 2  # ids; the first token of the vocabulary is FIRST
Unit = Literal["words", "characters", "bytes"]
Ids = NDArray[np.int32]
EXCERPT = 200  # letters of a text that a report shows
_REMEMBERED = 500_000  # tokens whose pieces are remembered, about 200 bytes each
_START = np.array([0x2545F4914F6CDD1D], np.uint64)  # stands before the first token in runs
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9)


def tokens(text: str, unit: Unit, lower: bool) -> list[str]:
    """The tokens of a text in their order.

    "words": letters and digits together, with apostrophes inside; every other sign alone.
    "characters": each but blanks. "bytes": of the UTF-8, each as the character of that number.
    """
    text = text.lower() if lower else text
    if unit == "words":
        return _words().findall(text)
    if unit == "characters":
        return [c for c in text if not c.isspace()]
    return list(text.encode("utf-8", "surrogatepass").decode("latin-1"))


def counted(texts: Iterable[str], unit: Unit, lower: bool) -> tuple[Counter[str], list[int]]:
    """How often each token occurs in ``texts``, and how many tokens each text has."""
    count: Counter[str] = Counter()
    lengths = []
    for text in texts:
        found = tokens(text, unit, lower)
        count.update(found)
        lengths.append(len(found))
    return count, lengths


def vocabulary(count: Counter[str], most: int, least: int = 1) -> tuple[str, ...]:
    """Tokens seen ``least`` times or more, the commonest first, equally common ones by letters."""
    known = [(-n, token) for token, n in count.items() if n >= least]
    return tuple(token for _, token in sorted(known)[:most])


def text_of(x: NDArray[np.generic]) -> str:
    """The text whose bytes are ``x`` ``(1, L)``, without zeros behind it and a cut last letter."""
    content = np.ascontiguousarray(x, np.uint8).tobytes().rstrip(b"\0")
    return content.decode("utf-8", "ignore")


def excerpt(x: NDArray[np.generic]) -> str:
    """The first words of a text whose bytes are ``x``, on one line."""
    line = " ".join(text_of(x[:, : 8 * EXCERPT]).split())
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT].rsplit(' ', 1)[0]} ..."


def ids(x: NDArray[np.generic], part: TextPart, length: int) -> Ids:
    """The numbers of one text.

    Shapes: x ``(1, L)``, bytes of UTF-8 -> ``(part.rows, length)``; what is longer is cut.
    """
    return _coder(part).ids(text_of(x), length)


class Coder:
    """A vocabulary ready for use: looks tokens up, hashes their pieces and remembers them."""

    def __init__(self, part: TextPart) -> None:
        self.part = part
        self.place = {token: i for i, token in enumerate(part.words, FIRST)}
        self.known: dict[str, tuple[int, ...]] = {}

    def ids(self, text: str, length: int) -> Ids:
        part = self.part
        lower = part.lower and not part.shape
        found = [self._one(t) for t in tokens(text, part.unit, lower)[:length]]
        out = np.zeros((part.rows, length), np.int32)
        if not found:
            out[0, 0] = UNKNOWN  # blanks alone: still a text, of one token that nobody knows
            return out
        columns = np.array(found, np.uint64).T
        own, width = columns[1:], len(found)
        out[: len(own), :width] = own
        run = columns[0]
        for row in range(len(own), part.rows):
            before = np.concatenate([_START, run[:-1]])
            run = _mixed(before, columns[0])
            out[row, :width] = 1 + run % np.uint64(part.buckets - 1)
        return out

    def _one(self, token: str) -> tuple[int, ...]:
        """Hash, id and hashed pieces of a token."""
        found = self.known.get(token)
        if found is None:
            word = token.lower() if self.part.lower else token
            pieces = [*self._affixes(word), *([shape(token)] if self.part.shape else ())]
            buckets = [_bucket(p, self.part.buckets) for p in pieces]
            found = (_hash(word), self.place.get(word, UNKNOWN), *buckets)
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[token] = found
        return found

    def _affixes(self, token: str) -> Iterable[str]:
        """Beginnings and endings; "" where the token is no longer than they are."""
        for n in self.part.affixes:
            yield f"<{token[:n]}" if len(token) > n else ""
            yield f"{token[-n:]}>" if len(token) > n else ""


def shape(token: str) -> str:
    """What capitals and digits tell of a token, as a piece's name; "" for small letters."""
    if any(c.isdigit() for c in token):
        return "\0digits" if token.isdigit() else "\0mixed"
    if not token[:1].isupper():
        return ""
    return "\0CAPITALS" if len(token) > 1 and token.isupper() else "\0Capital"


_CODERS: dict[int, Coder] = {}


def _coder(part: TextPart) -> Coder:
    """The coder of a plan's part. It keeps the part alive, so that its address names it."""
    found = _CODERS.get(id(part))
    if found is None or found.part is not part:
        if len(_CODERS) >= 4:
            _CODERS.clear()
        found = _CODERS[id(part)] = Coder(part)
    return found


def _hash(piece: str) -> int:
    content = piece.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _bucket(piece: str, buckets: int) -> int:
    return 1 + _hash(piece) % (buckets - 1) if piece else 0


def _mixed(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash of two in this order, ``(N,)``."""
    z = (left ^ (left >> np.uint64(29))) * np.uint64(_MIX[0]) + right
    z = (z ^ (z >> np.uint64(32))) * np.uint64(_MIX[1])
    return z ^ (z >> np.uint64(31))


@functools.cache
def _words() -> re.Pattern[str]:
    """Letters, digits and the marks that belong to them; other signs one by one.

    Marks (the vowels of Hindi, accents that stand alone) are no letters to `re`.
    """
    marks, start = "", None
    for code in range(0x300, 0x10000):
        is_mark = unicodedata.category(chr(code)).startswith("M")
        if is_mark and start is None:
            start = code
        elif not is_mark and start is not None:
            marks += f"{chr(start)}-{chr(code - 1)}"
            start = None
    letter = f"(?:[^\\W_]|[{marks}])"
    return re.compile(f"{letter}+(?:['\u2019]{letter}+)*|[^\\w\\s]|_")
