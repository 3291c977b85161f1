"""split: nothing is lost, copies stay together, order does not matter, given parts stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.datasets.split import split, together
from foveal.errors import DataError, PlanError


@st.composite
def sets(draw):
    """(labels, hashes) of a set with classes of any size and some copies."""
    count = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    labels = rng.integers(-1, draw(st.integers(1, 6)), count).astype(np.int32)
    pool = rng.integers(0, 2**63, max(1, draw(st.integers(1, count))), dtype=np.uint64)
    return labels, rng.choice(pool, count)


def distinct(labels):
    return np.random.default_rng(0).permutation(len(labels)).astype(np.uint64) * np.uint64(7919)


def parts_of(labels, hashes, **choices):
    return split(labels, np.zeros(len(labels), np.int8), hashes, **choices)


@given(sets())
def test_every_row_lies_on_one_side(case):
    labels, hashes = case
    found = parts_of(labels, hashes)
    rows = np.concatenate([found.train, found.validation, found.test])
    assert sorted(rows) == list(range(len(labels)))


@given(sets())
def test_copies_never_lie_on_two_sides(case):
    labels, hashes = case
    found = parts_of(labels, hashes, validation=0.3, test=0.3)
    sides = [set(hashes[rows]) for rows in (found.train, found.validation, found.test)]
    assert not sides[0] & (sides[1] | sides[2])
    assert not sides[1] & sides[2]


@given(sets())
def test_every_class_keeps_a_sample_in_training(case):
    labels, hashes = case
    # A copy under two classes counts for the commoner one (of two as common, the lower), so ask
    # of the groups, not of the rows.
    first = {h: np.bincount(labels[hashes == h] + 1).argmax() - 1 for h in set(hashes)}
    found = parts_of(labels, hashes, validation=0.4, test=0.4)
    assert {first[h] for h in hashes[found.train]} == set(first.values())


@given(sets(), st.integers(0, 99))
def test_the_order_of_the_files_does_not_matter(case, seed):
    labels, hashes = case
    order = np.random.default_rng(seed).permutation(len(labels))
    once, again = parts_of(labels, hashes), parts_of(labels[order], hashes[order])
    for name in ("train", "validation", "test"):
        rows, other = getattr(once, name), getattr(again, name)
        assert sorted(hashes[rows]) == sorted(hashes[order][other])


def test_shares_are_kept_in_every_class():
    labels = np.repeat([0, 1, 2], [1000, 200, 40]).astype(np.int32)
    found = parts_of(labels, distinct(labels), validation=0.1, test=0.15)
    assert np.bincount(labels[found.test]).tolist() == [150, 30, 6]
    assert np.bincount(labels[found.validation]).tolist() == [100, 20, 4]


def test_a_small_class_is_still_judged():
    labels = np.repeat([0, 1], [300, 3]).astype(np.int32)
    found = parts_of(labels, distinct(labels))
    for rows in (found.train, found.validation, found.test):
        assert (labels[rows] == 1).sum() == 1


def test_parts_are_capped():
    labels = np.zeros(100_000, np.int32)
    found = parts_of(labels, distinct(labels))
    assert len(found.test) == len(found.validation) == 5000


def test_another_seed_draws_others_and_the_same_seed_the_same():
    labels = np.zeros(500, np.int32)
    draws = [parts_of(labels, distinct(labels), seed=s).test.tolist() for s in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_a_new_file_moves_few_others():
    labels = np.zeros(1000, np.int32)
    hashes = distinct(labels)
    before = set(hashes[parts_of(labels, hashes).test])
    hashes = np.append(hashes, np.uint64(12345678901))
    after = set(hashes[parts_of(np.append(labels, np.int32(0)), hashes).test])
    assert len(before ^ after) <= 2


@pytest.mark.parametrize("brought", [1, 2])
def test_a_given_part_is_never_touched(brought):
    labels = np.zeros(400, np.int32)
    parts = np.where(np.arange(400) % 4 == 0, brought, 0).astype(np.int8)
    found = split(labels, parts, distinct(labels), validation=0.1, test=0.1)
    kept = {1: found.validation, 2: found.test}
    assert kept[brought].tolist() == np.flatnonzero(parts == brought).tolist()
    assert len(kept[3 - brought]) == 30
    assert (parts[found.train] == 0).all()


def test_with_all_parts_given_nothing_is_drawn():
    parts = np.repeat([0, 1, 2], 10).astype(np.int8)
    found = split(np.zeros(30, np.int32), parts, np.arange(30, dtype=np.uint64))
    assert len(found.train) == len(found.validation) == len(found.test) == 10


def test_a_large_group_of_copies_does_not_block_the_rest():
    hashes = np.concatenate([np.full(50, 7), np.arange(100, 150)]).astype(np.uint64)
    found = parts_of(np.zeros(100, np.int32), hashes, validation=0.1, test=0.1)
    assert len(found.test) == len(found.validation) == 10


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.1, 1.0)])
def test_says_which_shares_are_impossible(validation, test):
    with pytest.raises(PlanError, match=r"leave nothing to train on(.|\n)*sum is below 1"):
        parts_of(
            np.zeros(9, np.int32), np.arange(9, dtype=np.uint64), validation=validation, test=test
        )


def test_a_set_without_training_rows_is_refused():
    with pytest.raises(DataError, match=r"training part is empty(.|\n)*train/"):
        split(np.zeros(3, np.int32), np.full(3, 2, np.int8), np.arange(3, dtype=np.uint64))


def test_groups_never_lie_on_two_sides():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 600).astype(np.int32)
    groups = rng.integers(0, 30, 600)
    hashes = distinct(labels)
    found = split(labels, np.zeros(600, np.int8), hashes, groups=groups, test=0.2, validation=0.1)
    sides = [set(groups[rows].tolist()) for rows in (found.train, found.validation, found.test)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert 80 <= len(found.test) <= 140


def test_copies_tie_their_groups_together():
    groups = np.array([0, 0, 1, 1, 2, 2, -1, -1])
    hashes = np.array([5, 9, 9, 7, 1, 2, 3, 4], np.uint64)  # rows 1 and 2 are copies
    joined = together(hashes, groups)
    assert joined.tolist() == [5, 5, 5, 5, 1, 1, 3, 4]


def test_few_large_groups_still_give_every_part_one():
    """Six speakers of 250: one is more than the quota of validation, and is taken all the same."""
    groups = np.repeat(np.arange(6), 250)
    labels = np.tile(np.arange(10), 150).astype(np.int32)
    found = split(
        labels,
        np.zeros(1500, np.int8),
        distinct(labels),
        groups=groups,
        test=0.2,
        validation=0.15,
    )
    assert [len(found.test), len(found.validation), len(found.train)] == [250, 250, 1000]


def test_who_is_drawn_does_not_depend_on_the_order_of_rows_or_names_of_groups():
    labels = np.tile(np.arange(3), 40).astype(np.int32)
    groups, hashes = np.repeat(np.arange(24), 5), distinct(labels)
    first = split(labels, np.zeros(120, np.int8), hashes, groups=groups)
    order = np.random.default_rng(1).permutation(120)
    renamed = (groups * 7 + 3)[order]
    again = split(labels[order], np.zeros(120, np.int8), hashes[order], groups=renamed)
    assert set(hashes[first.test].tolist()) == set(hashes[order][again.test].tolist())
