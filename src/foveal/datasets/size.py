"""The size that samples are brought to, and how their shape gets there. Pure rules with reasons."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..plan import Fit

ALIKE = 1.3
LONGEST = 2**18
ABOVE = 1.5625  # (160 / 128) ** 2: sets a little above the cap are left as they are
FRAMES = 16


def of_lengths(sizes: NDArray[np.integer]) -> tuple[tuple[int, ...], Fit, str, str]:
    """Size and fit of samples that have a length, not a shape (texts, recordings), and why.

    Lengths are never scaled: the grid holds the longest of 200 samples, at most 262,144 cells;
    what is longer is cut, and what is shorter is padded and masked.

    Args:
        sizes: ``(N, 1)`` cells of the samples, N at least 1.
    """
    longest = min(int(np.quantile(sizes, 0.995, method="higher")), LONGEST)
    cells = f"{longest:,} cells hold 199 of 200 samples whole"
    if bool((sizes == longest).all()):
        return (longest,), "stretch", f"every sample has {longest:,} cells", "all have one length"
    return (longest,), "ragged", cells, "lengths differ: shorter ones are padded and masked"


def of_clips(sizes: NDArray[np.integer], time: int) -> tuple[tuple[int, ...], Fit, str, str]:
    """Size and fit of clips, and why; frames are picked along ``time``, each is scaled by itself.

    The median number of frames, or 16 where it is over 24: a movement shows in few. As many cells
    as any grid of this kind has at most, shared out over the frames, shape each of them.

    Args:
        sizes: ``(N, rank)`` cells of the samples, N at least 1. time: the axis of time.
    """
    usual = int(np.median(sizes[:, time]))
    frames = usual if usual <= ABOVE * FRAMES else FRAMES
    space = np.delete(sizes, time, axis=1)
    size, why_size = working_size(space, most_cells(sizes.shape[1]) // frames)
    fit, why_fit = working_fit(space)
    count = (
        f"{frames} frames, as the median clip has"
        if frames == usual
        else (f"{frames} frames at even distances, of {usual} in the median clip")
    )
    why_size = f"{count}; of each frame: {why_size}"
    return (*size[:time], frames, *size[time:]), fit, why_size, f"of each frame: {why_fit}"


def working_size(sizes: NDArray[np.integer], cap: int | None = None) -> tuple[tuple[int, ...], str]:
    """Cells along each axis after `prepare`, and why.

    The median along each axis; never more, so that a typical sample is not blown up. Where the
    median holds over 1.56 times the cap, it shrinks to the cap's number of cells, keeping its
    aspect, in multiples of 8. The cap is 4,096 cells for one axis and four times as many for each
    further one, 128 x 128 for pictures, unless it is given.

    Args:
        sizes: ``(N, rank)`` cells of the samples, N at least 1.
    """
    median = tuple(int(m) for m in np.median(sizes, axis=0))
    cap = most_cells(len(median)) if cap is None else cap
    cells = math.prod(median)
    if cells <= ABOVE * cap:
        same = bool((sizes == sizes[0]).all())
        return median, f"{'every' if same else 'the median'} sample has {_words(median)} cells"
    scale = (cap / cells) ** (1 / len(median))
    size = tuple(min(m, max(8, 8 * round(m * scale / 8))) for m in median)
    return size, (
        f"the median of {_words(median)} cells is more than a net of this kind needs: "
        f"brought to about {_words((round(cap ** (1 / len(size))),) * len(size))}"
    )


def most_cells(axes: int) -> int:
    """Cells that a sample of so many axes is brought to at most: 4,096, 16,384, 65,536."""
    return int(4 ** (5 + axes))


def working_fit(sizes: NDArray[np.integer]) -> tuple[Fit, str]:
    """How samples of other shapes are brought to one size, and why.

    "stretch" where aspect ratios agree within 1.3 for all but a fortieth at either end; "pad"
    where stretching would bend shapes. "crop" loses cells and is never chosen, only set by hand.

    Args:
        sizes: ``(N, rank)`` cells of the samples, N at least 1.
    """
    spread = aspect_spread(sizes)
    if spread <= ALIKE:
        agree = "have one shape" if spread < 1.005 else f"agree in aspect within {spread:.2f}"
        return "stretch", f"the samples {agree} (up to {ALIKE} is stretched)"
    return "pad", f"aspects differ by {spread:.2f} (over {ALIKE}): stretching would bend shapes"


def aspect_spread(sizes: NDArray[np.integer]) -> float:
    """Largest ratio between the aspects of two samples, without a fortieth at either end."""
    logs = np.log(np.maximum(sizes, 1).astype(np.float64))
    logs -= logs.mean(axis=1, keepdims=True)
    low, high = np.quantile(logs, [0.025, 0.975], axis=0)
    # log(h / w) differs from log(h) - mean by (h against w): twice that for two axes
    return float(np.exp(np.max(high - low) * sizes.shape[1] / max(sizes.shape[1] - 1, 1)))


def _words(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
