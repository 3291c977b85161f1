"""Targets on the grid: laid onto the prepared grid, kept, gathered and moved with their samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.datasets.augment import augment, augment_both
from foveal.datasets.batches import Batches
from foveal.datasets.cache import Store
from foveal.datasets.joined import joined
from foveal.datasets.placement import placed
from foveal.datasets.prepare import prepare
from foveal.datasets.survey import stored, survey
from foveal.datasets.targets import brought, renaming
from foveal.datasets.truth_store import TruthStore
from foveal.datasets.truths import truth_of
from foveal.errors import DataError
from foveal.grid import Axis, Grid, Sample
from foveal.plan import AugmentPart, DataPart
from foveal.target import VOID
from made import listing_of

MASK = truth_of("mask")
FITS = ["stretch", "pad", "crop", "ragged", "spacing"]
SIZES = [((20,), (8,)), ((12, 30), (9, 11)), ((5, 8, 7), (6, 4, 9)), ((9, 9), (9, 9))]


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def part_for(size, fit, channels=1, **changes):
    zeros, ones = (0.0,) * channels, (1.0,) * channels
    step = (2.0,) * len(size) if fit == "spacing" else ()
    return replace(
        DataPart(size, channels, fit, zeros, ones, zeros, ones, 0.1, 0.1, "float32", step=step),
        **changes,
    )


def grid_of(size, step=1.0):
    return Grid(tuple(Axis(n, step, "mm") for n in "zyx"[-len(size) :]), size)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_cells_lie_where_prepare_lays_them(fit, before, after):
    """A ramp along an axis, prepared, reads at every cell the place that the cell came from."""
    data, grid = part_for(after, fit), grid_of(before)
    where = placed(before, data, grid)
    for axis, count in enumerate(before):
        shape = [1] * len(before)
        shape[axis] = count
        ramp = np.broadcast_to((np.arange(count) + 0.5).reshape(shape), before)
        seen = prepare(ramp[None].astype(np.float32), data, grid=grid)[0]
        there = where.sources(axis)
        expected = np.broadcast_to((there + 0.5).reshape(shape_of(there, axis, after)), after)
        inside = np.ones(after, bool)
        for other in range(len(after)):
            cells = where.sources(other)
            inside &= (cells >= 0).reshape(shape_of(cells, other, after))
        reach = 0.5 + max(1.0, 1 / where.scale[axis])
        edge = (there > reach) & (there < count - 1 - reach)
        sure = inside & edge.reshape(shape_of(there, axis, after))
        assert np.abs(seen - expected)[sure].max(initial=0) <= 0.5 + 0.5 / where.scale[axis]


def shape_of(values, axis, size):
    shape = [1] * len(size)
    shape[axis] = len(values)
    return shape


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_forth_and_back_is_the_same_where_cells_grow(before, after):
    data = part_for(tuple(3 * n for n in before), "stretch")
    mask = np.random.default_rng(0).integers(0, 5, before).astype(np.uint8)
    where = placed(before, data)
    assert np.array_equal(where.back(where.forth(mask, VOID), VOID), mask)
    assert placed(before, part_for(before, "stretch")).whole
    assert not where.whole


def test_what_lies_outside_is_void():
    mask = np.zeros((4, 8), np.uint8)
    there = placed((4, 8), part_for((8, 8), "pad")).forth(mask, VOID)
    assert (there[[0, 1, 6, 7]] == VOID).all()
    assert (there[2:6] == 0).all()
    behind = placed((3, 8), part_for((5, 8), "ragged")).forth(mask[:3], VOID)
    assert (behind[3:] == VOID).all()
    back = placed((4, 8), part_for((2, 2), "crop")).back(np.zeros((2, 2), np.uint8), VOID)
    assert (back[:, :2] == VOID).all()
    assert (back[:, 2:6] == 0).all()


def test_a_mask_of_another_size_is_refused_by_name():
    sample = Sample("a.png", np.zeros((1, 4, 6)), grid_of((4, 6)), np.zeros((6, 4), np.uint8))
    with pytest.raises(DataError, match=r"6 x 4 cells where it has 4 x 6(.|\n)*a.png(.|\n)*wrong"):
        MASK.rows(sample, part_for((4, 6), "stretch"))


def test_classes_and_numbers_of_a_sample_do_not_move():
    assert [truth_of(kind) for kind in ("label", "labels", "numbers")] == [None] * 3


def masked(count=30, size=(8, 6), known=None, classes=("sky", "road", "car")):
    """Samples whose mask is told by their first channel: dark, middle, bright; void in a corner."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (count, *size)).astype(np.uint8)
    truth[::3, 1, 1] = 2
    items = [np.stack([100 * t, rng.integers(0, 255, size)]).astype(np.uint8) for t in truth]
    truth[:, 0, 0] = VOID
    listing = listing_of(items, known, classes=classes)
    read = listing.read

    def both(i):
        return replace(read(i), y=None if listing.labels[i] < 0 else truth[i])

    return replace(listing, target="mask", read=both), truth


def test_a_survey_keeps_masks_in_the_rows_of_their_samples():
    listing, truth = masked()
    found = survey(listing)
    assert len(found.truths) == len(found.store) == 30
    assert np.array_equal(found.targets(np.array([4, 0])), truth[[4, 0]])
    assert found.card.target == "mask"
    assert found.card.counts == {"train": (30, 30, 10)}
    assert set(found.strata[::3]) != set(found.strata[1::3])  # the rarest class is a kind
    again = survey(replace(listing, read=None))  # remembered: nothing is read
    assert np.array_equal(again.targets(np.arange(30)), truth)
    assert again.card == found.card


def test_other_masks_are_other_data():
    listing, _ = masked()
    first = survey(listing)
    read = listing.read

    def changed(i):
        item = read(i)
        return replace(item, y=np.where(item.y == 1, 0, item.y).astype(np.uint8))

    other = survey(replace(listing, read=changed, stamp="other"))
    assert other.card.digest != first.card.digest
    assert other.store.key == first.store.key  # the values are the same, and kept once
    assert (other.targets(np.arange(30)) != 1).all()


def test_equal_samples_under_other_masks_are_named():
    listing, _ = masked()
    read = listing.read
    same = replace(listing, read=lambda i: replace(read(min(i, 28)), y=read(i).y))
    doubts = survey(same, remember=False).card.doubts
    assert any("copies under different" in doubt for doubt in doubts)


def test_unknown_masks_are_counted_and_void():
    known = np.zeros(30, np.int32)
    known[3] = -1
    found = survey(masked(known=known)[0], remember=False)
    assert (found.targets(np.array([3])) == VOID).all()
    assert any("1 sample has no known target" in doubt for doubt in found.card.doubts)


def test_another_size_lays_the_masks_anew():
    found = survey(masked()[0])
    card = found.card
    data = part_for((4, 3), card.fit, 2, dtype=card.dtype)
    for _ in range(2):
        small = stored(found, data)
        assert small.store.size == (4, 3)
        assert small.targets(np.arange(30)).shape == (30, 4, 3)
    expected = placed((8, 6), data).forth(found.targets(np.array([7]))[0], VOID)
    assert np.array_equal(small.targets(np.array([7]))[0], expected)


def test_batches_bring_masks_with_their_samples():
    listing, truth = masked()
    found = survey(listing, remember=False)
    batches = Batches(found.store, np.arange(30)[::-1].copy(), found.truths, batch=8, seed=3)
    for batch in batches.epoch(0):
        assert batch.y.shape == (8, 8, 6)
        inner = (batch.x[:, 0] == 100 * batch.y) | (batch.y == VOID) | (batch.y == 2)
        assert bool(inner.all())
        assert torch.equal(batch.y, torch.from_numpy(truth[29 - batch.index.numpy()]))


@pytest.mark.parametrize("size", [(9,), (6, 7), (4, 5, 6)])
def test_masks_move_with_their_samples(size):
    chance = torch.Generator().manual_seed(0)
    y = torch.randint(0, 250, (16, *size), generator=chance, dtype=torch.uint8)
    x = torch.stack([y, 255 - y], -1).movedim(-1, 1)
    part = AugmentPart((2,) * len(size), (True,) * len(size), False, 0, 0.0, 0.0)
    both = augment_both(x, y, MASK, part, generator=torch.Generator().manual_seed(5))
    alone = augment(x, part, generator=torch.Generator().manual_seed(5))
    assert torch.equal(both[0], alone)
    assert torch.equal(both[0][:, 0], both[1])
    assert not torch.equal(both[1], y)
    part = replace(part, alternate=True)
    index = torch.arange(16)
    for epoch in (0, 1):
        out = augment_both(x, y, MASK, part, generator=chance, epoch=epoch, index=index)
        assert torch.equal(out[0][:, 0], out[1])


def test_a_coarser_mask_takes_the_middle_of_each_cell():
    y = torch.arange(16, dtype=torch.uint8).view(1, 4, 4)
    assert MASK.resize(y, (4, 4), (2, 2)).tolist() == [[[5, 7], [13, 15]]]
    assert MASK.resize(y, (4, 4), (4, 4)) is y


def test_things_of_a_sample_come_padded_with_nan():
    rows = np.arange(12, dtype=np.float32).reshape(4, 3, 1)
    truths = TruthStore(Store.from_array(rows), np.array([0, 2, 2, 3, 4]))
    got = truths.gather(torch.tensor([3, 1, 0]))
    assert (len(truths), truths.most, got.shape) == (4, 2, (3, 2, 3))
    assert got[0, 0].tolist() == [9, 10, 11]
    assert got[2].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert bool(got[1].isnan().all())
    assert bool(got[0, 1].isnan().all())


def test_a_test_set_kept_elsewhere_is_matched_by_class():
    first, _ = masked(classes=("car", "road", "sky"))
    test, truth = masked(classes=("road", "car", "sky"))
    both = joined(first, replace(test, stamp="test"))
    assert (both.target, both.classes, both.values) == ("mask", ("car", "road", "sky"), None)
    swapped = np.array([1, 0, 2])[np.minimum(truth[5], 2)]
    seen = both.read(35).y
    assert np.array_equal(seen[truth[5] != VOID], swapped[truth[5] != VOID])
    assert np.array_equal(seen == VOID, truth[5] == VOID)
    with pytest.raises(DataError, match=r"class 'sky' is unknown(.|\n)*car, road"):
        renaming(test, ("car", "road"))


def test_masks_become_nothing_else():
    listing, _ = masked()
    assert brought(listing, "mask") is listing
    with pytest.raises(DataError, match=r"of the kind 'mask' cannot become 'label'"):
        brought(listing, "label")
