"""odd_masks: planted masks stand out, hard classes and backgrounds are not blamed."""

import numpy as np
import pytest

from foveal.metrics.cells import count_cells
from foveal.metrics.odd_masks import odd_masks

NAMES = ("background", "head", "body")
JUDGED = np.array([False, True, True])


def scenes(count=60, rank=2, seed=0):
    """True masks of two blocks, and answers that are wrong on a few cells."""
    rng = np.random.default_rng(seed)
    size = (12,) * rank
    true = np.zeros((count, *size), np.uint8)
    for mask in true:
        at = rng.integers(0, 4, rank)
        mask[tuple(slice(a, a + 4) for a in at)] = 1
        mask[tuple(slice(a + 4, a + 8) for a in at)] = 2
    said = np.where(rng.random(true.shape) < 0.03, rng.integers(0, 3, true.shape), true)
    return said.astype(np.uint8), true


def told(said, true):
    counts = [count_cells(s, t, 3) for s, t in zip(said, true, strict=True)]
    return odd_masks(np.array(counts, np.float64), JUDGED, NAMES)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_planted_masks_come_first_and_say_what_is_wrong(rank):
    said, true = scenes(rank=rank)
    given = true.copy()
    given[3] = np.array([0, 2, 1])[true[3]]  # names exchanged
    given[8][true[8] == 2] = 0  # one structure forgotten
    given[20] = np.roll(true[20], 3, tuple(range(rank)))  # elsewhere
    found = told(said, given)
    order = np.argsort([-doubt.score for doubt in found], kind="stable")
    assert set(order[:3].tolist()) == {3, 8, 20}
    assert all(found[i].suspect for i in (3, 8, 20))
    assert {found[3].given, found[3].likely} == {"head", "body"}
    assert (found[8].given, found[8].likely) == ("background", "body")
    assert "Dice 0" in found[8].why
    assert "are seen as 'body'" in found[8].why
    assert sum(doubt.suspect for doubt in found) <= 5


def test_masks_like_all_others_raise_no_doubt():
    found = told(*scenes(seed=3))
    assert sum(doubt.suspect for doubt in found) <= 2
    assert all(0 <= doubt.score <= 0.3 for doubt in found)
    same = told(*[scenes(seed=3)[1]] * 2)
    assert not any(doubt.suspect or doubt.score or doubt.why for doubt in same)


def test_a_class_that_all_find_hard_is_not_blamed():
    said, true = scenes()
    rng = np.random.default_rng(5)
    said[(true == 2) & (rng.random(true.shape) < 0.7)] = 0
    given = true.copy()
    given[7][true[7] == 1] = 0
    found = told(said, given)
    assert max(range(60), key=lambda i: found[i].score) == 7
    assert found[7].likely == "head"


def test_the_background_does_not_count_and_order_does_not_matter():
    said, true = scenes(20)
    plain = told(said, true)
    places = np.random.default_rng(1).permutation(20)
    moved = told(said[places], true[places])
    assert [plain[i] for i in places] == moved
    counts = np.zeros((4, 3, 3))
    counts[:, 0, 0] = 10
    counts[1, 0, 0], counts[1, 0, 1] = 5, 5
    found = odd_masks(counts, JUDGED, NAMES)  # no sample has a judged class
    assert not any(doubt.suspect for doubt in found)
    assert odd_masks(np.zeros((0, 3, 3)), JUDGED, NAMES) == []
