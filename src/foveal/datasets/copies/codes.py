"""What sets a thumbnail apart from the others of its set, as a few numbers of length 1.

In a set of faces or scans all thumbnails look alike. What they share says nothing of copies, so it
is taken away: principal directions of the set, each brought to spread 1. Two copies keep nearly
the same code, two samples that are merely of one kind do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

MOST = 64  # directions
LEAST = 16  # in fewer, random codes come to lie side by side
FLOOR = 0.01  # of the mean variance: smaller ones are noise and are not blown up
LEARNED = 8192  # thumbnails that directions are learned from

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """mean ``(D,)`` and directions ``(D, K)`` of the thumbnails of a set."""

    mean: Floats
    directions: Floats

    def __call__(self, thumbs: Floats) -> Floats:
        """Codes ``(N, K)`` of length 1; 0 for a constant sample."""
        flat = thumbs.reshape(len(thumbs), -1)
        codes = (flat - self.mean) @ self.directions
        length = np.linalg.norm(codes, axis=1, keepdims=True)
        codes /= np.where(length > 0, length, 1)
        codes[~flat.any(1)] = 0
        return np.asarray(codes, np.float32)


def coding(thumbs: Floats) -> Coding:
    """Learned from thumbnails ``(N, ...)``: at most half as many directions as samples.

    Source: whitening by principal components; Kessy, Lewin and Strimmer, "Optimal whitening and
        decorrelation", arXiv:1512.00809.
    """
    flat = thumbs.reshape(len(thumbs), prod(thumbs.shape[1:])).astype(np.float64)
    flat = flat[flat.any(1)]
    if not len(flat):
        width = prod(thumbs.shape[1:])
        return Coding(np.zeros(width, np.float32), np.zeros((width, 1), np.float32))
    mean = flat.mean(0)
    away = flat - mean
    values, vectors = np.linalg.eigh(away.T @ away / len(flat))
    count = min(MOST, max(LEAST, len(flat) // 2), len(mean))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    floor = FLOOR * float((away**2).sum(1).mean()) / len(mean)
    scaled = vectors / np.sqrt(np.maximum(values, 0) + max(floor, 1e-12))
    return Coding(np.asarray(mean, np.float32), np.asarray(scaled, np.float32))
