"""Maps that turn with their input: scores, displacements, sizes and boxes around cells."""

import numpy as np
import pytest
import torch

import laws
from foveal.errors import PlanError
from foveal.layers.symmetry import ReadOut, symmetry_of
from turns import NAMED, SIZES, fields, matrix, randomised, read, turning_error

named = pytest.mark.parametrize("symmetry", NAMED.values(), ids=NAMED)
each = pytest.mark.parametrize("gives", ["scalar", "vector", "size", "faces"])
EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}


def faces(m):
    """What a turn does to (low_1, ..., low_n, high_1, ..., high_n)."""
    to, away = (m > 0).astype(int), (m < 0).astype(int)
    return np.block([[to, away], [away, to]])


ACTS = {
    "scalar": lambda m: np.ones((1, 1), int),
    "vector": lambda m: m,
    "size": abs,
    "faces": faces,
}


@named
@each
@pytest.mark.parametrize("kernel", [1, 3])
def test_turns_along_exactly(symmetry, gives, kernel):
    layer = randomised(ReadOut(symmetry, 2, 2, kernel, gives=gives))
    for size in SIZES[symmetry.rank]:
        x = fields(symmetry, 2, size)
        for dtype, limit in EXACT.items():
            found = turning_error(layer.to(dtype), symmetry, x.to(dtype), outside="read")
            assert found <= limit, (size, dtype)
        layer.double()


@pytest.mark.parametrize("name", [n for n in NAMED if NAMED[n].rank < 3] + ["3 plane rotations"])
@each
def test_equals_the_definition(name, gives):
    symmetry, size = NAMED[name], [4, 3, 2][: NAMED[name].rank]
    layer = randomised(ReadOut(symmetry, 2, 2, 3, gives=gives, bias=False))
    x = fields(symmetry, 2, size, batch=1)
    turns_ = [matrix(turn) for turn in symmetry.turns]
    apart, weight = symmetry.apart(x).numpy(), layer.weight.detach().numpy()
    slow = read(apart, weight, turns_, ACTS[gives])
    np.testing.assert_allclose(layer(x).detach().numpy(), slow.reshape(layer(x).shape), atol=1e-12)


@named
@each
def test_moving_an_answer_is_what_the_matrix_says(symmetry, gives):
    layer = ReadOut(symmetry, 1, 2, gives=gives)
    made = torch.Generator().manual_seed(0)
    out = torch.randn(1, 2 * layer.numbers, *[3] * symmetry.rank, generator=made)
    for number, turn in enumerate(symmetry.turns):
        acts = torch.tensor(ACTS[gives](matrix(turn)), dtype=torch.float32)
        apart = turn.move(out).view(1, layer.numbers, 2, *[3] * symmetry.rank)
        expected = torch.einsum("ij,bj...->bi...", acts, apart)
        assert torch.equal(layer.move(number, out), expected.flatten(1, 2))


def boxes(distances):
    """Low and high corners around every cell, ``(n, 2, cells)``, in cells from the middle."""
    rank, size = distances.shape[1] // 2, distances.shape[2:]
    places = np.indices(size).reshape(rank, -1) - (np.array(size)[:, None] - 1) / 2
    apart = distances[0].reshape(2, rank, -1)
    return np.stack([places - apart[0], places + apart[1]], 1)


def as_list(corners):
    """Boxes ``(n, 2, cells)`` as sorted rows of low, then high corners."""
    flat = np.stack([corners.min(1), corners.max(1)]).reshape(-1, corners.shape[-1])
    return np.array(sorted(map(tuple, flat.T.round(9))))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_boxes_around_cells_turn_with_the_picture(rank):
    symmetry = symmetry_of(rank, "full")
    layer = randomised(ReadOut(symmetry, 2, 1, gives="faces"))
    layer.bias.data.fill_(9)  # so that low corners are low
    x = fields(symmetry, 2, [4, 3, 2][:rank], batch=1)
    upright = as_list(boxes(layer(x).detach().numpy()))
    for number, turn in enumerate(symmetry.turns):
        turned = boxes(layer(symmetry.move_fields(number, x)).detach().numpy())
        back = np.einsum("ij,jsc->isc", matrix(turn.back), turned)
        np.testing.assert_allclose(as_list(back), upright, atol=1e-8)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_displacement_turns_with_the_picture(rank):
    symmetry = symmetry_of(rank, "full")
    layer = randomised(ReadOut(symmetry, 2, 1, gives="vector"))
    x = fields(symmetry, 2, [3] * rank, batch=1)
    upright = layer(x)[0].flatten(1)
    for number, turn in enumerate(symmetry.turns):
        turned = layer(symmetry.move_fields(number, x))
        back = turn.back.move(turned)[0].flatten(1)
        m = torch.tensor(matrix(turn), dtype=torch.float64)
        torch.testing.assert_close(back, m @ upright, atol=1e-12, rtol=1e-12)


def test_one_tap_of_a_scalar_is_the_mean_over_turns():
    symmetry = symmetry_of(2, "full")
    layer = ReadOut(symmetry, 3, 2, bias=False).double()
    x = fields(symmetry, 3, (3, 4))
    mean = symmetry.apart(x).mean(1)
    expected = torch.einsum("kc,bcyx->bkyx", layer.weight[0, :, :, 0, 0] * 8, mean)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("name", ["1 full", "2 rotations", "3 plane rotations"])
@each
def test_keeps_the_laws_of_every_layer(name, gives):
    symmetry = NAMED[name]
    layer = ReadOut(symmetry, 2, 2, 3, gives=gives)
    laws.all_of_them(layer, fields(symmetry, 2, [4, 3, 2][: symmetry.rank]))


@named
def test_has_the_channels_and_weights_it_says(symmetry):
    rank = symmetry.rank
    for gives, m in {"scalar": 1, "vector": rank, "size": rank, "faces": 2 * rank}.items():
        layer = ReadOut(symmetry, 3, 2, 1, gives=gives)
        assert layer.numbers == m
        assert layer.weight.shape == (m, 2, 3, *[1] * rank)
        assert (layer.bias is None) == (gives == "vector")
        assert layer(fields(symmetry, 3, [2] * rank).float()).shape[1] == 2 * m


def test_a_planted_wrong_sign_is_caught():
    symmetry = symmetry_of(2, "rotations")
    layer = randomised(ReadOut(symmetry, 2, 1, gives="vector"))
    x = fields(symmetry, 2, (5, 5))
    assert turning_error(layer, symmetry, x, outside="read") <= 1e-12
    layer.sign = layer.sign.abs()
    assert turning_error(layer, symmetry, x, outside="read") > 1e-2


def test_planted_low_for_high_is_caught():
    symmetry = symmetry_of(2, "full")
    layer = randomised(ReadOut(symmetry, 2, 1, gives="faces"))
    x = fields(symmetry, 2, (5, 5))
    assert turning_error(layer, symmetry, x, outside="read") <= 1e-12
    layer.layout = layer.layout[[2, 1, 0, 3]]
    assert turning_error(layer, symmetry, x, outside="read") > 1e-2


def test_says_how_to_mend():
    symmetry = symmetry_of(2, "full")
    with pytest.raises(PlanError, match=r"gives is 'sizes'(.|\n)*ReadOut(.|\n)*'size'\?"):
        ReadOut(symmetry, 2, 2, gives="sizes")
    with pytest.raises(
        PlanError, match=r"gives is '7'(.|\n)*give one of scalar, vector, size, faces"
    ):
        ReadOut(symmetry, 2, 2, gives="7")
    with pytest.raises(PlanError, match=r"outputs is 0"):
        ReadOut(symmetry, 2, 0)
    with pytest.raises(PlanError, match=r"kernel \(1, 3\) differs on axes \(0, 1\)"):
        ReadOut(symmetry, 2, 2, (1, 3))
