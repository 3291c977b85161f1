"""Pictures that are frames of clips, told from their names: ride_0001.png, ride_0002.png, ..."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .listing import numbered
from .owners import owners

# What cameras and scanners count by: such a word in front of a number names no clip.
_COUNTERS = frozenset(
    {
        *("", "img", "image", "images", "dsc", "dscn", "dscf", "dscnx", "pic", "picture", "photo"),
        *("frame", "f", "p", "scan", "file", "screenshot", "sample", "slice", "im", "no", "wp"),
    }
)
_NAME = re.compile(r"(.*?)[-_. ]*(?:frame|f)?[-_. ]?(\d+)", re.IGNORECASE)
LEAST_FRAMES = 4  # of a clip, as a rule: half of the frames or more lie in such clips
LEAST_CLIPS = 2  # of each class; one name alone only counts the pictures of its class
LEAST_WORDS = 4  # where clips are called by words alone, which may be kinds of things as well
MOST_OF_CLASS = 0.5  # that one clip may hold of a class
TOLD = 0.9  # share of names, and of steps from frame to frame, that must be as told


def owners_or_clips(
    keys: Sequence[str], labels: NDArray[np.integer]
) -> tuple[NDArray[np.int64] | None, str]:
    """What names say of groups: whose a sample is; if they do not, which clip's frame."""
    groups, why = owners(keys)
    return clips(keys, labels) if groups is None else (groups, why)


def clips(keys: Sequence[str], labels: NDArray[np.integer]) -> tuple[NDArray[np.int64] | None, str]:
    """The clip of each picture ``(N,)``, -1 where its name tells none, and how that was told.

    Names are alike but for the number behind, and numbers follow each other in even steps. The same
    name in several folders is one clip, unless a number comes twice: then each folder has its own.
    None where one name counts all of a class, or most of it, or few words without a number do;
    where clips are shorter than four frames; or where names are such as cameras give (IMG_0412).
    """
    found = {i: pair for i, pair in enumerate(map(_name, keys)) if pair is not None}
    told = list(found)
    if not told or len(told) < TOLD * len(keys):
        return None, ""
    stems = [stem for stem, _ in found.values()]
    numbers = np.array([number for _, number in found.values()], np.float64)
    if len({*zip(stems, numbers.tolist(), strict=True)}) < len(told):
        stems = [
            f"{keys[i].rpartition('/')[0]}/{stem}" for i, stem in zip(told, stems, strict=True)
        ]
    names, member = set(stems), numbered(stems)
    digits = [any(map(str.isdecimal, name.rpartition("/")[2])) for name in names]
    least = LEAST_CLIPS if np.mean(digits) >= TOLD else LEAST_WORDS
    if not _in_order(member, numbers) or not _spread(member, np.asarray(labels)[told], least):
        return None, ""
    groups = np.full(len(keys), -1, np.int64)
    groups[told] = member
    example = keys[told[0]].rpartition("/")[2][:60]
    return groups, f"frames of {len(names)} clips, told from names such as {example!r}"


def _name(key: str) -> tuple[str, int] | None:
    """The clip's name and the number of the frame, where it can have both."""
    last = key.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    match = _NAME.fullmatch(last)
    if match is None or match[1].strip("-_. ()").lower() in _COUNTERS:
        return None
    return match[1].lower(), int(match[2][-15:])


def _in_order(member: NDArray[np.integer], numbers: NDArray[np.float64]) -> bool:
    """Whether half of the frames or more lie in clips of four, in steps that are the same."""
    sizes = np.bincount(member)
    if sizes[sizes >= LEAST_FRAMES].sum() < 0.5 * len(member):
        return False
    order = np.lexsort((numbers, member))
    within = np.diff(member[order]) == 0
    steps, clip = np.diff(numbers[order])[within], member[order][1:][within]
    even = 0
    for part in np.split(steps, np.flatnonzero(np.diff(clip)) + 1):
        values, counts = np.unique(part, return_counts=True)
        even += int(counts.max()) if values[counts.argmax()] > 0 else 0
    return even >= TOLD * len(steps)


def _spread(member: NDArray[np.integer], labels: NDArray[np.integer], least: int) -> bool:
    """Whether each class has frames of several clips, none of which holds most of it."""
    for label in np.unique(labels[labels >= 0]):
        sizes = np.bincount(member[labels == label])
        if (sizes > 0).sum() < least or sizes.max() > MOST_OF_CLASS * sizes.sum():
            return False
    return bool((labels >= 0).any())
