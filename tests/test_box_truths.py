"""Boxes as targets: laid onto the prepared grid, and moving as their samples do."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.datasets.augment import augment, augment_both
from foveal.datasets.moved import zoomed
from foveal.datasets.truths import truth_of
from foveal.errors import DataError
from foveal.grid import Axis, Grid, Sample
from foveal.plan import AugmentPart
from toy import plan

TRUTH = truth_of("boxes")
RANKS = pytest.mark.parametrize("rank", [1, 2, 3])
SIZE = 24


def scene(rank: int, samples: int = 3):
    """Dark grids with one bright block each, and its box; a second, absent box behind it."""
    rng = np.random.default_rng(rank)
    x = np.zeros((samples, 1, *(SIZE,) * rank), np.float32)
    y = np.full((samples, 2, 1 + 2 * rank), np.nan, np.float32)
    for i in range(samples):
        low = rng.integers(4, 10, rank)
        high = low + rng.integers(4, 9, rank)
        x[(i, 0, *(slice(a, b) for a, b in zip(low, high, strict=True)))] = 1
        y[i, 0] = [i, *low, *high]
    return torch.from_numpy(x), torch.from_numpy(y)


def bounds(x: torch.Tensor) -> list[float]:
    """Corners of what is bright in one sample ``(1, *S)``."""
    where = (x[0] > 0.5).nonzero()
    return [*where.min(0).values.tolist(), *(where.max(0).values + 1).tolist()]


def part(rank: int, **changes) -> AugmentPart:
    none = AugmentPart((0,) * rank, (False,) * rank, False, 0, 0.0, 0.0)
    return replace(none, **changes)


def check(x: torch.Tensor, y: torch.Tensor, within: float) -> None:
    for one, boxes in zip(x, y, strict=True):
        np.testing.assert_allclose(bounds(one), boxes[0, 1:].tolist(), atol=within)
        assert bool(boxes[1].isnan().any())


@RANKS
def test_boxes_are_mirrored_and_shifted_with_their_samples(rank: int) -> None:
    x, y = scene(rank)
    asked = part(rank, flip=(True,) * rank, translate=(3,) * rank)
    seen = set()
    for seed in range(6):
        one, two = (torch.Generator().manual_seed(seed) for _ in range(2))
        moved, boxes = augment_both(x, y, TRUTH, asked, generator=one)
        assert torch.equal(moved, augment(x, asked, generator=two))
        check(moved, boxes, 0)
        assert boxes[:, 0, 0].tolist() == [0, 1, 2]
        seen.add(tuple(boxes[0, 0].tolist()))
    assert len(seen) > 1


@RANKS
def test_boxes_are_zoomed_with_their_samples(rank: int) -> None:
    x, y = scene(rank)
    for seed in range(6):
        chance = torch.Generator().manual_seed(seed)
        moved, boxes = augment_both(x, y, TRUTH, part(rank, zoom=0.3), generator=chance)
        assert moved.shape == x.shape
        inside = [i for i in range(len(x)) if not boxes[i, 0].isnan().any()]
        whole = [i for i in inside if boxes[i, 0, 1:].min() > 0 and boxes[i, 0, 1:].max() < SIZE]
        assert whole
        check(moved[whole], boxes[whole], 0.75)


@RANKS
def test_a_zoom_by_one_changes_nothing_and_by_two_doubles(rank: int) -> None:
    x = torch.rand(2, 3, *(8,) * rank)
    one, none = torch.ones(2, rank), torch.zeros(2, rank)
    torch.testing.assert_close(zoomed(x, one, none), x)
    twice = zoomed(x, 2 * one, none)
    middle = twice[(slice(None), slice(None), *(slice(1, 3),) * rank)]
    corner = x[(slice(None), slice(None), *(slice(0, 2),) * rank)]
    weights = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
    for axis in range(rank):
        corner = (corner.movedim(2 + axis, -1) @ weights.T).movedim(-1, 2 + axis)
    torch.testing.assert_close(middle, corner)


@RANKS
def test_what_a_smaller_frame_leaves_empty_holds_the_mean(rank: int) -> None:
    x = torch.randint(0, 256, (2, 3, *(8,) * rank), dtype=torch.uint8)
    half = torch.full((2, rank), 0.5)
    found = zoomed(x, half, torch.full((2, rank), 4.0))
    assert found.dtype == torch.uint8
    mean = x.float().flatten(2).mean(-1).round().to(torch.uint8)
    first = found[(slice(None), slice(None), *(0,) * rank)]
    assert torch.equal(first, mean)


def test_a_box_that_is_mostly_gone_is_gone() -> None:
    y = torch.tensor([[[1.0, 2, 2, 6, 6], [0.0, 10, 10, 12, 12]]])
    found = TRUTH.translate(y, [4, 4], torch.tensor([[8, 4]]), (12, 12))  # 4 cells up
    assert found[0, 0].tolist() == [1, 0, 2, 2, 6]
    assert found[0, 1].tolist() == [0, 6, 10, 8, 12]
    gone = TRUTH.translate(y, [6, 4], torch.tensor([[11, 4]]), (12, 12))
    assert bool(gone[0, 0].isnan().all())


@RANKS
def test_resized_boxes_keep_their_share(rank: int) -> None:
    _, y = scene(rank)
    found = TRUTH.resize(y, (SIZE,) * rank, (12,) * rank)
    torch.testing.assert_close(found[:, 0, 1:], y[:, 0, 1:] / 2)
    assert found[:, 0, 0].tolist() == [0, 1, 2]


def sample(size: tuple[int, ...], boxes) -> Sample:
    grid = Grid(tuple(Axis(n) for n in "zyx"[-len(size) :]), size)
    return Sample("s", np.zeros((1, *size), np.uint8), grid, np.array(boxes, float))


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("stretch", [[0, 1, 2, 4, 8]]),
        ("pad", [[0, 4, 2, 7, 8]]),  # 10 x 20 becomes 8 x 16, four cells below and above
        ("crop", [[0, 2, 0, 8, 12]]),  # it becomes 16 x 32: 8 cells are cut at either side
    ],
)
def test_boxes_are_laid_onto_the_prepared_grid(fit, expected) -> None:
    data = replace(plan().data, size=(16, 16), fit=fit)
    scale = {"stretch": (1.6, 0.8), "pad": (0.8, 0.8), "crop": (1.6, 1.6)}[fit]
    offset = {"stretch": (0, 0), "pad": (4, 0), "crop": (0, -8)}[fit]
    corners = [(value - offset[i % 2]) / scale[i % 2] for i, value in enumerate(expected[0][1:])]
    found = TRUTH.rows(sample((10, 20), [[0, *corners]]), data)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_was_cut_off_is_no_target_and_other_shapes_are_errors() -> None:
    data = replace(plan().data, size=(16, 16), fit="crop")
    found = TRUTH.rows(sample((10, 20), [[0, 1, 0, 9, 4], [1, 1, 1, 9, 9]]), data)
    assert found[:, 0].tolist() == [1]
    assert TRUTH.cover(found, 3).tolist() == [0, 1, 0]
    assert TRUTH.cover(found[:0], 3).tolist() == [0, 0, 0]
    with pytest.raises(DataError, match=r"its boxes have the shape \(1, 4\) where \(n, 5\)"):
        TRUTH.rows(sample((10, 20), [[0, 1, 2, 3]]), data)


def test_classes_are_renamed_by_a_table() -> None:
    rows = np.array([[0.0, 1, 2, 3, 4], [2.0, 1, 2, 3, 4]], np.float32)
    table = np.full(256, 255)
    table[[0, 2]] = 5, 1
    assert TRUTH.renamed(rows, table)[:, 0].tolist() == [5, 1]
    assert TRUTH.sides(rows).tolist() == [[2, 2], [2, 2]]
