"""Whose a sample is, where its path says so in words: patient_012/slice_03.png, sub-07_T1w.nii."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORDS = (
    *("patient", "subject", "sub", "person", "speaker", "participant", "case", "animal", "mouse"),
    *("slide", "specimen", "donor", "video", "clip", "track", "sequence", "seq", "scene"),
)
# The word at the start of a step or behind a sign, then a number, perhaps with letters before it.
_OWNER = re.compile(
    rf"(?:^|[/_\-. ])({'|'.join(_WORDS)})[_\-. ]?(?:id|no)?[_\-. ]?([a-z]{{0,3}}\d+)(?=$|[/_\-. ])"
)
LEAST = 3  # owners; with fewer a split has nothing to choose from
MOST_ALONE = 0.1  # share of paths that may tell none


def owners(keys: Sequence[str]) -> tuple[NDArray[np.int64] | None, str]:
    """The owner of each sample ``(N,)``, -1 where its path tells none, and how that was told.

    Of several such words in a path the first in the list counts: a patient before a slide. None
    where over a tenth of the paths tell none, there are under three owners, or each has one sample.
    """
    found = [_owner(key) for key in keys]
    words = {word for word, _ in filter(None, found)}
    known = [pair for pair in found if pair]
    places = {pair: i for i, pair in enumerate(sorted(set(known)))}
    if len(words) != 1 or len(places) < LEAST or len(places) == len(known):
        return None, ""
    if len(known) < (1 - MOST_ALONE) * len(keys):
        return None, ""
    groups = np.array([places[pair] if pair else -1 for pair in found], np.int64)
    example = next(key for key, pair in zip(keys, found, strict=True) if pair)
    return groups, f"one {next(iter(words))} each, told from paths such as {example[-60:]!r}"


def _owner(key: str) -> tuple[str, str] | None:
    """The word and the number that a path names, the most telling word first."""
    met = dict(reversed([(m[1], m[2]) for m in _OWNER.finditer(key.lower())]))
    word = next((word for word in _WORDS if word in met), None)
    return None if word is None else (word, met[word])
