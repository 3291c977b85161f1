"""What the names of clips tell: that a set is one of clips, and which share a source video."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...readers import readers
from ..names import natural

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Each pattern's first group names the video. A clip's own number is what is left away.
_PATTERNS = (
    re.compile(r"(.+[_-]g\d+)[_-]c\d+"),  # UCF-101: v_Archery_g05_c02
    re.compile(r"(?:clip|part|seg|segment|scene|shot|chunk)[-_ ]?\d+[-_ ](?:of|from)[-_ ](.+)"),
    re.compile(r"(.+?)[-_ ](?:clip|part|seg|segment|scene|shot|chunk)[-_ ]?\d+"),
)
_MOST_ALONE = 0.1  # share of clips whose name may tell nothing
_LEAST = 2  # videos of each class, for fewer cannot lie on two sides of a split


def moves(keys: Sequence[str]) -> bool:
    """Whether a set is one of clips: over half of its files are videos."""
    endings = readers()["video"].suffixes
    return 2 * sum(key.lower().endswith(endings) for key in keys) > len(keys) > 0


def sources(
    keys: Sequence[str], labels: NDArray[np.int32], classes: Sequence[str]
) -> tuple[NDArray[np.int64] | None, str]:
    """The video that each clip was cut from ``(N,)``, -1 where its name tells none, and a reason.

    None where fewer than nine of ten names tell one, where each clip has its own, or where a
    class comes from one video alone. A clip's class belongs to its video's name, so that equal
    names under two classes are two videos.
    """
    for pattern in _PATTERNS:
        names = [_video(pattern, key) for key in keys]
        known = [name for name in names if name]
        if len(known) < (1 - _MOST_ALONE) * len(keys) or not known:
            continue
        pairs = [(int(k), name) for k, name in zip(labels, names, strict=True) if name]
        videos = sorted(set(pairs), key=lambda pair: (pair[0], natural(pair[1])))
        per_class = Counter(k for k, _ in videos)
        if len(videos) == len(pairs) or any(per_class[int(k)] < _LEAST for k in set(labels)):
            return None, ""
        place = {pair: i for i, pair in enumerate(videos)}
        found = [place[int(k), name] if name else -1 for k, name in zip(labels, names, strict=True)]
        why = f"clips of one source video, told from names such as {_shown(keys[0])!r}"
        return np.array(found, np.int64), why
    return None, ""


def _video(pattern: re.Pattern[str], key: str) -> str:
    name = key.rpartition("/")[2].rpartition(".")[0] or key.rpartition("/")[2]
    found = pattern.fullmatch(name.lower())
    # A bare number ("clip_03_of_12") counts clips; it names no video.
    return "" if found is None or found[1].isdigit() else found[1]


def _shown(key: str) -> str:
    return key.rpartition("/")[2][:60]
