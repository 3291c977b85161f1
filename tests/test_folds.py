"""Folds: disjoint, covering everything, tearing no group, with each class in equal shares."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.datasets.folds import AWAY, dealt, folds, of_all, of_fold
from foveal.datasets.layouts import from_arrays
from foveal.datasets.survey import survey
from foveal.datasets.targets import brought
from foveal.errors import PlanError
from foveal.evaluation.folds import figures_of, fold_table, spread_of
from foveal.report import Report, Score
from roads import shades


@st.composite
def sets(draw):
    """(labels, hashes, groups or None) with copies, groups and rows without either."""
    count = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    labels = rng.integers(-1, draw(st.integers(1, 6)), count).astype(np.int32)
    hashes = rng.integers(0, draw(st.integers(1, 2 * count)), count).astype(np.uint64)
    groups = rng.integers(-1, draw(st.integers(1, 40)), count) if draw(st.booleans()) else None
    return labels, hashes * np.uint64(7919), groups


@given(sets(), st.integers(2, 6))
def test_copies_and_groups_lie_in_one_fold(case, count):
    labels, hashes, groups = case
    fold = dealt(labels, hashes, groups, count, seed=0)
    assert set(fold) <= set(range(count))
    for value in set(hashes):
        assert len(set(fold[hashes == value])) == 1
    for group in set(() if groups is None else groups[groups >= 0]):
        assert len(set(fold[groups == group])) == 1


@given(sets(), st.integers(2, 6), st.integers(0, 99))
def test_the_order_of_the_files_does_not_matter(case, count, seed):
    labels, hashes, groups = case
    order = np.random.default_rng(seed).permutation(len(labels))
    fold = dealt(labels, hashes, groups, count, seed=1)
    moved = dealt(
        labels[order], hashes[order], None if groups is None else groups[order], count, seed=1
    )
    np.testing.assert_array_equal(fold[order], moved)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(2, 6))
def test_single_samples_are_dealt_out_evenly_class_by_class(sizes, count):
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    hashes = np.random.default_rng(0).permutation(len(labels)).astype(np.uint64)
    fold = dealt(labels, hashes, None, count, seed=3)
    for label in range(len(sizes)):
        held = np.bincount(fold[labels == label], minlength=count)
        assert held.max() - held.min() <= 1
    held = np.bincount(fold, minlength=count)
    assert held.max() - held.min() <= 1  # leftovers of the classes do not pile up in the first


def test_large_groups_are_dealt_out_before_small_ones():
    sizes = [30, 10, 10, 10, 20, 20]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels, hashes = np.zeros(100, np.int32), np.arange(100).astype(np.uint64)
    fold = dealt(labels, hashes, groups, 2, seed=0)
    assert sorted(np.bincount(fold)) == [50, 50]


def test_another_seed_deals_otherwise():
    labels, hashes = np.zeros(60, np.int32), np.arange(60).astype(np.uint64)
    one, two = (dealt(labels, hashes, None, 3, seed=seed) for seed in (0, 1))
    assert (one != two).any()


def surveyed(parts=None, **changes):
    x, y = shades()
    listing = from_arrays(x, np.array([f"s{k}" for k in y]))
    if parts is not None:
        names = ("train", "validation", "test")
        changes |= {"parts": parts, "has_parts": tuple(names[k] for k in sorted(set(parts)))}
    return survey(replace(listing, **changes), remember=False)


def test_a_fold_is_a_survey_of_its_own():
    seen = surveyed()
    fold = folds(seen, 4, seed=0)
    tested = []
    for number in range(4):
        own = of_fold(seen, fold, number)
        assert own.card.parts == {"train": 54, "test": 18}
        assert own.card.counts == {"train": (18, 18, 18), "test": (6, 6, 6)}
        assert own.store is seen.store
        tested.append(np.flatnonzero(own.parts == 2))
        np.testing.assert_array_equal(
            np.flatnonzero(own.parts == 0), np.flatnonzero(fold != number)
        )
    assert sorted(np.concatenate(tested)) == list(range(72))


def test_a_given_test_part_stays_away_and_validation_is_dealt_out():
    parts = np.repeat([0, 1, 2], [40, 12, 20]).astype(np.int8)
    seen = surveyed(parts=parts)
    fold = folds(seen, 2, seed=0)
    np.testing.assert_array_equal(fold < 0, parts == 2)
    own = of_fold(seen, fold, 1)
    assert own.card.parts == {"train": 26, "test": 26}
    np.testing.assert_array_equal(own.parts == AWAY, parts == 2)
    assert of_all(seen).card.parts == {"train": 52, "test": 20}
    assert of_all(seen).listing.has_parts == ("train", "test")


def test_numbers_are_measured_on_what_a_fold_learns_from():
    x, y = shades()
    seen = survey(brought(from_arrays(x, y * 10), "numbers"), remember=False)
    fold = np.where(y == 2, 1, 0)
    (number,) = of_fold(seen, fold, 1).card.numbers
    assert (number.mean, number.std) == (5.0, 5.0)


def test_more_folds_than_groups_are_refused():
    seen = surveyed(groups=np.repeat([0, 1, 2], 24))
    with pytest.raises(PlanError) as caught:
        folds(seen, 5, seed=0)
    assert "5 folds were asked for, but 2 of them would hold no sample" in caught.value.what
    assert caught.value.where == "--folds"
    assert caught.value.mend == "give at most --folds 3"


def test_one_group_cannot_be_folded():
    with pytest.raises(PlanError) as caught:
        folds(surveyed(groups=np.zeros(72, np.int64)), 2, seed=0)
    assert caught.value.mend == "train without --folds"


def report_of(value, rows):
    score = Score(value, value - 0.1, value + 0.1)
    return Report(
        task="classify", main="accuracy", data={"train": 6, "validation": 1, "test": 3},
        test={"accuracy": score}, baselines={}, verdict="", calibration={},
        cost={"seconds": 2.0}, details={"per_class": rows},
    )  # fmt: skip


def test_the_table_holds_each_fold_their_mean_and_spread():
    one = report_of(
        0.6, [{"name": "cat", "count": 2, "f1": 0.5, "iou": {"value": 0.2, "low": 0.1}}]
    )
    two = report_of(0.8, [{"name": "cat", "count": 1, "f1": 0.7, "iou": None}])
    pooled = report_of(0.7, [{"name": "cat", "f1": 0.6}])
    table = fold_table([one, two], "per_class", pooled.test, pooled.details)
    assert table["count"] == 2
    first = table["each"][0]
    assert (first["fold"], first["train"], first["test"], first["seconds"]) == (1, 6, 3, 2.0)
    assert first["rows"] == {"cat": {"f1": 0.5, "iou": 0.2}}
    accuracy = table["mean"]["accuracy"]
    assert accuracy["mean"] == pytest.approx(0.7)
    assert accuracy["spread"] == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert table["mean_rows"]["cat"]["iou"] == {"mean": 0.2, "spread": 0.0, "folds": 1}
    assert table["pooled"]["accuracy"]["value"] == 0.7
    assert table["pooled_rows"] == {"cat": {"f1": 0.6}}


def test_counts_are_no_figures():
    assert figures_of([{"name": "a", "count": 3, "judged": True, "auroc": None}]) == {"a": {}}
    assert spread_of([{}, {}]) == {}
