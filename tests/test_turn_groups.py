"""Pooled maps move along exactly with every turn; which groups the meaning of axes allows."""

import numpy as np
import pytest
import torch

from foveal.grid import IMAGE_AXES, TEXT_AXES, Axis, time_axis
from foveal.layers.symmetry import Turn, symmetry_of
from foveal.planner.aim import lost, merged, of_classes, of_values
from foveal.planner.pooled import maps, moved
from foveal.planner.turn_groups import exchanges, groups, sets_of, told

MM = {n: Axis(n, 1.0, "mm") for n in "zyx"}


@pytest.mark.parametrize(
    ("size", "cells"), [((13,), 5), ((10, 10), 5), ((11, 11), 4), ((9,) * 3, 4)]
)
def test_pooled_maps_move_along_with_every_turn(size, cells):
    x = np.random.default_rng(0).normal(size=(3, 2, *size)).astype(np.float32)
    plain = maps(x, cells)
    for turn in symmetry_of(len(size), "full").turns:
        really = maps(turn.move(torch.from_numpy(x)).numpy(), cells)
        np.testing.assert_allclose(moved(plain, turn), really, atol=1e-5, err_msg=str(turn))


def test_moving_maps_there_and_back_is_nothing():
    plain = maps(np.random.default_rng(0).normal(size=(2, 1, 8, 9, 7)), 4)
    for turn in symmetry_of(3, "full").turns:
        assert np.array_equal(moved(moved(plain, turn), turn.back), plain)


@pytest.mark.parametrize(
    ("axes", "sets"),
    [
        (IMAGE_AXES, ((0, 1),)),
        ((MM["z"], MM["y"], MM["x"]), ((0, 1, 2),)),
        ((Axis("z", 5.0, "mm"), MM["y"], MM["x"]), ((0,), (1, 2))),
        ((MM["y"], Axis("x", 1.04, "mm")), ((0, 1),)),
        ((MM["y"], Axis("x", 1.06, "mm")), ((0,), (1,))),
        (tuple(Axis(n) for n in "zyx"), ((0,), (1, 2))),  # slices without a known distance
        ((time_axis(0.1), *IMAGE_AXES), ((1, 2),)),
        (TEXT_AXES, ()),
        ((Axis("row", kind="order"), Axis("column", kind="order")), ((0,), (1,))),
    ],
)
def test_only_axes_that_mean_the_same_are_exchanged(axes, sets):
    assert sets_of(axes) == sets


def test_groups_come_largest_first_and_exchange_axes():
    found = groups(IMAGE_AXES, (5, 5))
    assert [(g.kind, len(g.symmetry)) for g in found] == [("full", 8), ("rotations", 4)]
    assert groups(IMAGE_AXES, (5, 3)) == []
    assert groups((time_axis(0.1),), (5,)) == []
    scan = groups((Axis("z", 5.0, "mm"), MM["y"], MM["x"]), (4, 4, 4))
    assert [len(g.symmetry) for g in scan] == [16, 8, 8, 4]
    cube = groups((MM["z"], MM["y"], MM["x"]), (4, 4, 4))
    assert (len(cube[0].symmetry), cube[0].kind) == (48, "full")
    assert {len(g.symmetry) for g in cube} == {48, 24, 16, 8, 4}
    for group in (*scan, *cube):
        assert exchanges(group.symmetry.turns)
        assert len(group.turns) == len(group.symmetry) - 1


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (Turn((0, 1), (-1, -1)), "half turn y-x"),
        (Turn((0, 1), (1, -1)), "flip x"),
        (Turn((1, 0), (1, -1)), "quarter turn y-x (90 degrees)"),
        (Turn((1, 0), (1, 1)), "swap y-x"),
    ],
)
def test_turns_in_a_sentence(turn, name):
    assert told(turn, IMAGE_AXES) == name


def test_scores_of_classes_and_values():
    aim = of_classes(np.array([0, 1, 1, 2]), "abc")
    said = np.eye(3, dtype=np.float32)[[0, 1, 0, 2]]
    scores = aim.scores(said)
    assert np.nanmean(scores, 1).tolist() == [1, 1, 0, 1]
    assert np.nanmean(scores, 0).tolist() == [1, 0.5, 1]
    values = of_values(np.array([[1.0, 7.0], [3.0, 7.0]]))
    assert values.target.tolist() == [[-1], [1]]  # what never varies is left out
    assert values.scores(np.zeros((2, 1), np.float32)).tolist() == [[0], [0]]
    assert not of_values(np.ones((5, 2))).varies


def test_a_loss_is_judged_in_all_and_by_class():
    aim = of_classes(np.arange(400) % 2, "ab")
    plain = aim.scores(np.eye(2, dtype=np.float32)[aim.labels])
    same = lost(plain, plain, aim)
    assert (same.mean, same.plain, same.after, same.worst) == (0, 1, 1, "")
    assert same.within(0.04, 3.0, 1.64)
    said = aim.labels.copy()
    said[::4] = 1  # half of the first class
    after = aim.scores(np.eye(2, dtype=np.float32)[said])
    found = lost(plain, after, aim)
    assert found.mean == 0.25
    assert found.worst == "class 'a'"
    assert not found.within(1.0, 100.0)


def test_pairs_merge_only_both_ways_and_only_with_each_other():
    labels = np.repeat(np.arange(4), 50)
    aim = of_classes(labels, "6978")
    plain = np.eye(4)[labels]
    swapped = np.eye(4)[np.array([1, 0, 2, 3])[labels]]
    assert merged(plain, swapped, swapped, aim) == (("6", "9", 1.0),)
    dump = np.eye(4)[np.array([1, 1, 1, 1])[labels]]
    assert merged(plain, dump, dump, aim) == ()
    cycle, undone = (np.eye(4)[np.array(way)[labels]] for way in ((1, 2, 3, 0), (3, 0, 1, 2)))
    assert len(merged(plain, cycle, undone, aim)) == 4
    assert merged(plain, swapped, swapped, of_values(np.eye(4)[labels])) == ()
