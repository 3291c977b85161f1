"""Wrappers hold what they promise, for any function, in ranks 1 to 3."""

import numpy as np
import pytest
import torch

from foveal.errors import PlanError
from foveal.layers.symmetry import symmetry_of
from foveal.wrappers import averaged, canonical

SIZES = ((8,), (6, 6), (4, 4, 4))
EVERY = pytest.mark.parametrize("size", SIZES, ids=str)


def odd(batch):
    """A function that no turn leaves alone."""
    flat = torch.as_tensor(batch).double().flatten(1)
    weight = torch.linspace(-1, 2, flat.shape[1], dtype=torch.float64).square()
    return torch.stack([(flat * weight).mean(1), (flat.square() * weight).mean(1)], 1).softmax(1)


def batch_of(size):
    return torch.from_numpy(np.random.default_rng(1).normal(size=(5, 2, *size)))


@EVERY
@pytest.mark.parametrize("wrap", [averaged, canonical])
def test_no_turn_changes_the_answer(size, wrap):
    turns, x = symmetry_of(len(size), "full"), batch_of(size)
    steady = wrap(odd, turns)
    first = steady(x)
    plain_moves = steady_moves = 0.0
    for turn in turns.turns[1:]:
        steady_moves = max(steady_moves, float((steady(turn.move(x)) - first).abs().max()))
        plain_moves = max(plain_moves, float((odd(turn.move(x)) - odd(x)).abs().max()))
    assert steady_moves <= 1e-12
    assert plain_moves > 1e-3  # what is wrapped does move


@EVERY
def test_the_mean_is_the_mean_of_a_slow_loop(size):
    turns, x = symmetry_of(len(size), "full"), batch_of(size)
    found = averaged(odd, turns)(x)
    for row in range(len(x)):
        each = [odd(turn.move(x[row : row + 1]))[0].numpy() for turn in turns.turns]
        assert np.allclose(found[row].numpy(), np.mean(each, 0), atol=1e-14)


@EVERY
def test_the_canonical_answer_is_that_of_one_orientation(size):
    turns, x = symmetry_of(len(size), "full"), batch_of(size)
    found = canonical(odd, turns)(x)
    for row in range(len(x)):
        each = [odd(turn.move(x[row : row + 1]))[0] for turn in turns.turns]
        assert any(torch.allclose(found[row], one, atol=1e-14) for one in each)


@pytest.mark.parametrize("wrap", [averaged, canonical])
def test_arrays_go_in_as_arrays(wrap):
    seen = []

    def answer(batch):
        seen.append(type(batch))
        return np.asarray(odd(batch))

    x = np.random.default_rng(0).integers(0, 9, (3, 1, 6, 6)).astype(np.uint8)
    found = wrap(answer, symmetry_of(2, "rotations"))(x)
    assert isinstance(found, np.ndarray)
    assert found.shape == (3, 2)
    assert set(seen) == {np.ndarray}


def test_turns_that_change_the_shape_are_refused():
    with pytest.raises(PlanError, match=r"a turn makes samples of \[4, 6\] cells into \[6, 4\]"):
        canonical(odd, symmetry_of(2, "full"))(batch_of((4, 6)))
    flips = symmetry_of(2, "flips")
    assert canonical(odd, flips)(batch_of((4, 6))).shape == (5, 2)
    assert averaged(odd, symmetry_of(2, "full"))(batch_of((4, 6))).shape == (5, 2)
