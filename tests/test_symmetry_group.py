"""Symmetries: the laws of a group by exhaustion, what turns do to tensors, and messages."""

import numpy as np
import pytest
import torch

from foveal.errors import PlanError
from foveal.layers.symmetry import KINDS, Symmetry, Turn, closure, still, symmetry_of
from turns import NAMED, ORDERS, every_subgroup, fields, matrix, moved, signed_permutations

RANKS = [1, 2, 3]
SUBGROUPS = {1: 2, 2: 10, 3: 98}  # of the line, the square and the cube
named = pytest.mark.parametrize("symmetry", NAMED.values(), ids=NAMED)


@pytest.mark.parametrize("rank", RANKS)
def test_the_largest_symmetry_is_every_signed_permutation(rank):
    found = {matrix(turn).tobytes() for turn in symmetry_of(rank, "full").turns}
    assert found == {m.tobytes() for m in signed_permutations(rank)}


@pytest.mark.parametrize("rank", RANKS)
def test_turns_multiply_as_their_matrices_do(rank):
    for a in symmetry_of(rank, "full").turns:
        assert (matrix(a.back) == np.linalg.inv(matrix(a))).all()
        assert a.mirrors == (np.linalg.det(matrix(a)) < 0)
        for b in symmetry_of(rank, "full").turns:
            assert (matrix(a.after(b)) == matrix(a) @ matrix(b)).all()


@pytest.mark.parametrize("rank", RANKS)
def test_every_subgroup_keeps_the_laws(rank):
    subgroups = every_subgroup(rank)
    assert len(subgroups) == SUBGROUPS[rank]
    for symmetry in subgroups:
        check_table(symmetry)


def check_table(symmetry):
    n, table = len(symmetry), np.array(symmetry.product)
    everyone = np.arange(n)
    assert symmetry.turns[0] == still(symmetry.rank)
    assert (table[0] == everyone).all()
    assert (table[:, 0] == everyone).all()
    for line in (*table, *table.T):
        assert sorted(line) == list(everyone)
    assert (table[table] == table[:, table]).all()  # (ab)c = a(bc), for all at once
    assert (table[everyone, list(symmetry.inverse)] == 0).all()
    assert (table[list(symmetry.inverse), everyone] == 0).all()


@named
def test_named_symmetries_have_the_order_they_should(symmetry):
    name = next(name for name, other in NAMED.items() if other is symmetry)
    assert len(symmetry) == ORDERS[name]
    check_table(symmetry)


@pytest.mark.parametrize("rank", RANKS)
def test_kinds_contain_each_other(rank):
    none, flips, rotations, full = (set(symmetry_of(rank, kind).turns) for kind in KINDS)
    assert none <= flips <= full
    assert none <= rotations <= full
    assert rotations == {turn for turn in full if not turn.mirrors}
    assert flips == {turn for turn in full if turn.to == still(rank).to}


def test_only_axes_that_are_alike_are_exchanged():
    turns = symmetry_of(3, "full", alike=((1, 2),)).turns
    assert {turn.to for turn in turns} == {(0, 1, 2), (0, 2, 1)}
    assert {turn.sign[0] for turn in turns} == {1, -1}
    alone = symmetry_of(3, "full", alike=()).turns
    assert set(alone) == set(symmetry_of(3, "flips").turns)
    assert len(symmetry_of(3, "rotations", alike=((1, 2),))) == 8
    assert len(symmetry_of(2, "rotations", alike=())) == 2  # half turns are all that is left


def test_a_fixed_axis_stays_as_it_is():
    for kind in KINDS:
        for turn in symmetry_of(3, kind, fixed=(0,)).turns:
            assert turn.to[0] == 0
            assert turn.sign[0] == 1
    assert len(symmetry_of(1, "full", fixed=(0,))) == 1


def test_orbits_are_the_axes_that_are_exchanged():
    assert symmetry_of(3, "full").orbits == ((0, 1, 2),)
    assert symmetry_of(3, "flips").orbits == ((0,), (1,), (2,))
    assert symmetry_of(3, "full", alike=((0, 2),)).orbits == ((0, 2), (1,))


def test_the_closure_of_generators_is_the_group():
    quarter = Turn((1, 0), (1, -1))
    assert closure(2, [quarter]) == symmetry_of(2, "rotations")
    assert closure(2, [quarter, Turn((0, 1), (-1, 1))]) == symmetry_of(2, "full")
    assert closure(2, []) == symmetry_of(2, "none")


@named
@pytest.mark.parametrize("even", [True, False])
def test_moving_equals_the_definition(symmetry, even):
    size = [6, 4, 2] if even else [5, 4, 3]
    x = np.arange(2 * 3 * np.prod(size[: symmetry.rank])).reshape(2, 3, *size[: symmetry.rank])
    for number, turn in enumerate(symmetry.turns):
        found = symmetry.move(number, torch.tensor(x))
        assert np.array_equal(found.numpy(), moved(matrix(turn), x))


@named
def test_doing_one_turn_after_another_is_their_product(symmetry):
    size = [4, 3, 2][: symmetry.rank]
    x, features = fields(symmetry, 1, size), fields(symmetry, 2, size)
    numbers = range(len(symmetry))
    for a in numbers:
        for b in numbers if len(symmetry) < 48 else range(0, 48, 5):
            both = symmetry.product[a][b]
            assert torch.equal(symmetry.move(a, symmetry.move(b, x)), symmetry.move(both, x))
            twice = symmetry.move_fields(a, symmetry.move_fields(b, features))
            assert torch.equal(twice, symmetry.move_fields(both, features))


def test_a_quarter_turn_is_that_of_torch():
    x = fields(symmetry_of(2, "none"), 3, (4, 5))
    assert torch.equal(Turn((1, 0), (1, -1)).move(x), torch.rot90(x, 1, (2, 3)))
    assert torch.equal(Turn((1, 0), (-1, 1)).move(x), torch.rot90(x, -1, (2, 3)))


def test_orientations_move_with_the_grid():
    symmetry = symmetry_of(1, "full")
    x = torch.tensor([[[1.0, 2], [3, 4], [5, 6], [7, 8]]])  # (turn, field): 2 x 2 channels
    assert symmetry.move_fields(1, x).tolist() == [[[6, 5], [8, 7], [2, 1], [4, 3]]]


def test_apart_is_a_view():
    symmetry = symmetry_of(2, "rotations")
    x = fields(symmetry, 3, (2, 2)).contiguous(memory_format=torch.channels_last)
    apart = symmetry.apart(x)
    assert apart.shape == (2, 4, 3, 2, 2)
    assert apart.data_ptr() == x.data_ptr()
    assert torch.equal(apart[:, 1, 2], x[:, 5])


def test_shows_what_it_is():
    assert repr(symmetry_of(2, "full")) == "Symmetry(rank 2, 8 turns)"


@pytest.mark.parametrize(
    ("make", "says", "mend"),
    [
        (lambda: symmetry_of(4, "full"), r"rank is 4", "give 1 (signal), 2"),
        (lambda: symmetry_of(2, "rotation"), r"no symmetry called 'rotation'", "'rotations'?"),
        (lambda: symmetry_of(2, "xyz"), r"no symmetry called 'xyz'", "take one of none, flips"),
        (lambda: symmetry_of(2, "full", fixed=(2,)), r"axes \[0, 1, 2\]", "count from 0 to 1"),
        (lambda: symmetry_of(2, "full", alike=((0,), (0, 1))), r"stands twice", "axis once"),
        (lambda: symmetry_of(2, "full", alike=((0, 1),), fixed=(0,)), r"stands twice", "once"),
        (lambda: closure(2, [Turn((0,), (1,))]), r"does not turn a grid of rank 2", "place of its"),
        (lambda: closure(2, [Turn((0, 0), (1, 1))]), r"does not turn", "a sign of 1 or -1"),
        (lambda: closure(1, [Turn((0,), (2,))]), r"does not turn", "a sign of 1 or -1"),
        (lambda: Symmetry(1, ()), r"first turn moves", "put the turn that moves nothing first"),
        (lambda: Symmetry(1, (Turn((0,), (-1,)),)), r"first turn moves", "nothing first"),
        (lambda: Symmetry(1, (still(1), still(1))), r"a turn occurs twice", "give each turn once"),
        (
            lambda: Symmetry(2, (still(2), Turn((1, 0), (1, -1)))),
            r"2 turns lead to Turn\(to=\(0, 1\), sign=\(-1, -1\)\)",
            "take closure(rank, turns)",
        ),
    ],
)
def test_says_how_to_mend(make, says, mend):
    with pytest.raises(PlanError, match=says) as caught:
        make()
    assert mend in caught.value.mend
    assert caught.value.where == "Symmetry"


def test_says_what_cannot_be_moved():
    with pytest.raises(PlanError, match=r"shape \(3,\) has no 2 axes(.|\n)*last 2 axes"):
        still(2).move(torch.zeros(3))
    with pytest.raises(PlanError, match=r"\(1, 6, 2\) does not hold fields of 4(.|\n)*4 \* fields"):
        symmetry_of(2, "flips").apart(torch.zeros(1, 6, 2))
