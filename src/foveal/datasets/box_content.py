"""What lies inside boxes and what lies elsewhere; and whether the two can be told apart at all."""

from __future__ import annotations

from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from ..layers.resample import resize
from ..metrics.boxes import overlap

EACH = 6  # boxes of one sample at most, so that all samples are heard
CELLS = 6  # cells along each axis that a box is brought to
LEAST = 40  # boxes, below which nothing is asked
SURE = 3.0  # standard errors above guessing that make sure

Boxes = NDArray[np.float64]


def inside(x: NDArray[np.generic], box: Boxes, edge: int) -> torch.Tensor:
    """What lies in a box ``(2 R,)`` of a sample ``(C, *S)``, at ``edge`` cells along each axis."""
    low, high = np.split(box, 2)
    part = torch.from_numpy(np.ascontiguousarray(x))[None]
    for axis, (a, b) in enumerate(zip(low, high, strict=True)):
        count = x.shape[1 + axis]
        first = min(max(int(a), 0), count - 1)
        part = part.narrow(2 + axis, first, max(1, min(int(np.ceil(b)), count) - first))
    return resize(part.float().nan_to_num(), (edge,) * len(low))


def elsewhere(
    box: Boxes, known: Boxes, size: tuple[int, ...], rng: np.random.Generator
) -> Boxes | None:
    """A box of the same sides that hardly meets a known one; None where a few throws find none."""
    low, high = np.split(box, 2)
    room = np.maximum(np.array(size) - (high - low), 0)
    for _ in range(8):
        start = rng.random(len(low)) * room
        trial = np.concatenate([start, start + high - low])
        if overlap(trial[None], known).max(initial=0) < 0.1:
            return trial
    return None


def content_doubt(x: NDArray[np.generic], boxes: NDArray[np.floating], seed: int = 0) -> str:
    """A sentence where what lies in boxes looks like what lies elsewhere; "" where it does not.

    Then files may be paired with the annotations of others. A linear model of six cells along
    each axis, and of their squares, learns from half of the samples and is asked about the rest.

    Shapes: x ``(N, C, *S)``, boxes ``(N, M, 1 + 2 R)`` with NaN behind the last of a sample.
    """
    rng = np.random.default_rng(seed)
    rows: list[NDArray[np.float32]] = []
    there: list[tuple[int, bool]] = []
    for i, (one, all_) in enumerate(zip(x, boxes, strict=True)):
        known = all_[np.isfinite(all_[:, 0])][:, 1:].astype(np.float64)
        for row in rng.permutation(len(known))[:EACH]:
            empty = elsewhere(known[row], known, one.shape[1:], rng)
            for box, full in ((known[row], True), (empty, False)):
                if box is not None:
                    rows.append(inside(one, box, CELLS).mean(1).flatten().numpy())
                    there.append((i % 2, full))
    half, kinds = np.array(there, np.int64).reshape(-1, 2).T
    if min((kinds[half == part] == kind).sum() for part in (0, 1) for kind in (0, 1)) < LEAST // 4:
        return ""
    cells = np.stack(rows).astype(np.float64)
    cells = (cells - cells.mean()) / (cells.std() + 1e-9)
    features = np.column_stack([cells, cells**2, np.ones(len(cells))])
    right = [_right(features, np.where(kinds > 0, 1.0, -1.0), half == part) for part in (0, 1)]
    share = float(np.concatenate(right).mean())
    if share > 0.5 + SURE * sqrt(0.25 / len(kinds)):
        return ""
    return (
        f"what lies in boxes looks like what lies elsewhere (told apart in {share:.0%} of "
        f"{len(kinds)} cases): annotations may belong to other files"
    )


def _right(features: Boxes, sign: Boxes, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a ridge regression on the others tells those ``asked`` rightly."""
    known, weight = (
        features[~asked],
        np.array([1 / max((sign[~asked] == s).sum(), 1) for s in sign]),
    )
    scaled = known * weight[~asked, None]
    square = known.T @ scaled + 0.01 * np.eye(known.shape[1])
    found = np.linalg.solve(square, scaled.T @ sign[~asked])
    return np.asarray((features[asked] @ found) * sign[asked] > 0)
