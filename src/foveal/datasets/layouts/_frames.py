"""Frames that follow each other in time, told from their names: which must stay together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRETCHES = 20
LEAST = 5 * STRETCHES  # frames from which stretches are worth cutting
CLOSE = 10.0  # seconds between neighbours, at most, of frames that show nearly the same
_CLOCK = re.compile(
    r"(?<!\d)(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})[-_. T]?(\d{2})[-_.:]?(\d{2})[-_.:]?(\d{2})"
    r"(?:[-_.](\d{1,6}))?(?!\d)"
)
_NUMBER = re.compile(r"^(.*?)(\d+)\D*$")


def stretches(
    names: Sequence[str], values: NDArray[np.floating] | None
) -> tuple[NDArray[np.int64], str] | None:
    """The stretch of each frame ``(N,)`` and how that was told; None where names show no time.

    Frames a moment apart look alike, so a split that tears them apart judges on what was learned.
    They are cut into about twenty stretches in order of time, each of which goes to one side.

    Told from times in the names, at most ten seconds apart as a rule; or from numbers in names
    that are otherwise alike, when also neighbours' ``values`` (N, K) are half as far from each
    other as those of any two.
    """
    if len(names) < LEAST:
        return None
    last = [name.replace("\\", "/").rpartition("/")[2] for name in names]
    clock = [_seconds(name) for name in last]
    known = np.array([np.nan if t is None else t for t in clock])
    if np.isfinite(known).all():
        gap = float(np.median(np.diff(np.sort(known))))
        if gap <= CLOSE:
            return _cut(known), f"frames {gap:.2g} s apart by the times in their names, {_words()}"
        return None
    numbers = _numbered(last)
    if numbers is None or values is None or not _alike(values[np.argsort(numbers, kind="stable")]):
        return None
    return _cut(numbers), f"numbered frames whose targets change little by little, {_words()}"


def _words() -> str:
    return f"in {STRETCHES} stretches that stay whole"


def _cut(times: NDArray[np.float64]) -> NDArray[np.int64]:
    groups = np.empty(len(times), np.int64)
    for i, part in enumerate(np.array_split(np.argsort(times, kind="stable"), STRETCHES)):
        groups[part] = i
    return groups


def _seconds(name: str) -> float | None:
    """The time in a name such as "center_2018_07_16_17_11_43_382.jpg", in seconds."""
    match = _CLOCK.search(name)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    # Three digits are thousandths, six are millionths; a program may leave out leading zeros.
    digits = match[7] or "0"
    return whole.timestamp() + int(digits) / (1e3 if len(digits) <= 3 else 1e6)


def _numbered(names: Sequence[str]) -> NDArray[np.float64] | None:
    """The number of each frame, where names differ in nothing else and no number is twice."""
    found = [_NUMBER.match(name.rpartition(".")[0] or name) for name in names]
    if None in found or len({match[1] for match in found if match}) > 1:
        return None
    numbers = np.array([float(match[2]) for match in found if match])
    return numbers if len(np.unique(numbers)) == len(numbers) else None


def _alike(values: NDArray[np.floating]) -> bool:
    """Whether neighbours differ half as much as any two rows, in every column that varies."""
    table = values.astype(np.float64)
    mixed = table[np.random.default_rng(0).permutation(len(table))]
    near, far = np.abs(np.diff(table, axis=0)).mean(0), np.abs(np.diff(mixed, axis=0)).mean(0)
    varies = far > 0
    return bool(varies.any() and (near[varies] < 0.5 * far[varies]).all())
