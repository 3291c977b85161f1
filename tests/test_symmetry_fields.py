"""Norm, dropout, gate, pool and joins of fields: what they mean, and turning along exactly."""

import numpy as np
import pytest
import torch
from torch import nn

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import BatchNorm, MaxPool, SqueezeExcite, activation, channels_last, resize
from foveal.layers.centred import CentredPool
from foveal.layers.symmetry import (
    FieldDropout,
    FieldGate,
    FieldNorm,
    FieldPool,
    join,
    symmetry_of,
)
from foveal.layers.symmetry.norm import _add_scaled, _each
from turns import NAMED, SIZES, error, fields, randomised, run, turning_error

named = pytest.mark.parametrize("symmetry", NAMED.values(), ids=NAMED)
EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}
# Layers on two fields that must turn along, in training and in evaluation.
LAYERS = {
    "batch norm": lambda s: FieldNorm(s, 2),
    "group norm": lambda s: FieldNorm(s, 2, "group"),
    "channel norm": lambda s: FieldNorm(s, 2, "channel"),
    "dropout": lambda s: FieldDropout(s, 0.4),
    "gate": lambda s: FieldGate(s, 2, 2),
    "activation": lambda s: activation("gelu"),
    "max": lambda s: CentredPool(s.rank, "max", 2),
    "average": lambda s: CentredPool(s.rank, "average", 2),
    "blur": lambda s: CentredPool(s.rank, "blur", 2),
    "max by 3": lambda s: CentredPool(s.rank, "max", 3, kernel=4),
    "blur on a ring": lambda s: CentredPool(s.rank, "blur", 1, kernel=3, padding="circular"),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@named
@each_layer
@pytest.mark.parametrize("training", [True, False])
def test_turns_along_exactly(symmetry, make, training):
    layer = randomised(make(symmetry)).train(training)
    for size in SIZES[symmetry.rank]:
        x = fields(symmetry, 2, size)
        for dtype, limit in EXACT.items():
            found = turning_error(layer.to(dtype), symmetry, x.to(dtype))
            assert found <= limit, (size, dtype)
        layer.double()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_joined_fields_lie_in_memory_as_their_parts_do(rank):
    symmetry = symmetry_of(rank, "full")
    n = len(symmetry)
    a, b = torch.randn(2, 2 * n, *[4] * rank), torch.randn(2, 3 * n, *[4] * rank)
    flat = join(symmetry, a, b)
    assert flat.is_contiguous()
    last = join(symmetry, channels_last(a), channels_last(b))
    assert last.stride(1) == 1
    assert torch.equal(last, flat)
    assert torch.equal(join(symmetry, channels_last(a), b), flat)


@named
@pytest.mark.parametrize("kind", ["average", "max"])
def test_a_pooled_answer_stays(symmetry, kind):
    for size in SIZES[symmetry.rank]:
        x = fields(symmetry, 3, size)
        for dtype, limit in EXACT.items():
            pool = FieldPool(symmetry, kind)
            assert turning_error(pool, symmetry, x.to(dtype), outside="still") <= limit
        assert pool(x).shape == (2, 3)


@named
def test_growing_the_grid_turns_along(symmetry):
    size = [2 * n + 1 for n in SIZES[symmetry.rank][-1]]
    x = fields(symmetry, 1, SIZES[symmetry.rank][-1])
    for number in range(len(symmetry)):
        moved = symmetry.move_fields(number, x)
        to = symmetry.move(number, torch.empty(1, 1, *size)).shape[2:]
        expected = symmetry.move_fields(number, resize(x, size))
        assert error(resize(moved, to), expected) <= 1e-12


@named
def test_joined_fields_turn_along_and_a_plain_cat_does_not(symmetry):
    size = SIZES[symmetry.rank][-1]
    a, b = fields(symmetry, 1, size), fields(symmetry, 2, size, seed=1)
    joined = join(symmetry, a, b)
    for number in range(len(symmetry)):
        parts = [symmetry.move_fields(number, part) for part in (a, b)]
        assert torch.equal(join(symmetry, *parts), symmetry.move_fields(number, joined))
    if len(symmetry) > 1:  # planted: channels of one turn beside those of another
        parts = [symmetry.move_fields(1, part) for part in (a, b)]
        wrong = symmetry.move_fields(1, torch.cat([a, b], 1))
        assert error(torch.cat(parts, 1), wrong) > 1e-2
    apart = symmetry.apart(joined)
    assert torch.equal(apart[:, :, 0].flatten(1), a.flatten(1))
    assert torch.equal(apart[:, :, 1:].flatten(1), b.flatten(1))


@named
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("count", [3, 4])  # 4 float64 fill the lanes of a plain kernel
def test_batch_norm_has_one_mean_and_variance_for_each_field(symmetry, last, count):
    norm = randomised(FieldNorm(symmetry, count)).train()
    x = 2 * fields(symmetry, count, SIZES[symmetry.rank][-1]) + 1
    x = channels_last(x) if last else x
    cells = symmetry.apart(x).movedim(2, 1).flatten(2).numpy()  # (B, K, everything else)
    mean, var = norm.norm.running_mean.clone(), norm.norm.running_var.clone()
    mask = np.ones((2, 1, cells.shape[2]))
    weight, bias = norm.norm.weight.detach().numpy(), norm.norm.bias.detach().numpy()
    expected = reference.batch_norm(cells, mask, weight, bias, norm.norm.eps)
    found = symmetry.apart(norm(x)).movedim(2, 1).flatten(2)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)
    new, _, unbiased = (torch.tensor(t) for t in reference.batch_statistics(cells, mask))
    torch.testing.assert_close(norm.norm.running_mean, mean.lerp(new, 0.1))
    torch.testing.assert_close(norm.norm.running_var, var.lerp(unbiased, 0.1))


@pytest.mark.parametrize("name", ["1 full", "2 rotations", "3 plane full"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("count", [3, 4])
def test_batch_norm_has_right_gradients_in_training(name, last, count):
    symmetry = NAMED[name]
    norm = randomised(FieldNorm(symmetry, count)).train()
    x = fields(symmetry, count, [4, 3, 2][: symmetry.rank])
    laws.has_right_gradients(norm, channels_last(x) if last else x)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("count", [3, 16])
def test_batch_norm_in_half_precision_is_as_good_as_the_plain_one(last, count):
    """Statistics in float32, and gradients as near to those of float64 as the plain norm's."""
    symmetry = symmetry_of(2, "full")
    exact = 2 * fields(symmetry, count, (6, 5), batch=8) + 1
    up = fields(symmetry, count, (6, 5), batch=8, seed=1)

    def gradient(norm, x):
        x = (channels_last(x) if last else x).requires_grad_()
        out = norm(x)
        assert out.dtype == x.dtype
        return torch.autograd.grad(out, x, up.to(x.dtype))[0].double()

    half = exact.to(torch.bfloat16)
    turned = gradient(FieldNorm(symmetry, count).double(), half.double())
    found = error(gradient(FieldNorm(symmetry, count), half), turned)
    plain = gradient(BatchNorm(8 * count).double(), half.double())
    beside = error(gradient(BatchNorm(8 * count), half), plain)
    assert found < 2 * beside < 0.02


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("channels", [1, 8, 24, 48, 64, 80])
@pytest.mark.parametrize("size", [(4, 4), (5, 3), (2, 3, 3), (1, 7)])
def test_several_cells_are_scaled_as_each_of_them_is(dtype, channels, size):
    out, x = (channels_last(torch.randn(3, 2 * channels, *size)).to(dtype) for _ in range(2))
    factor = torch.rand(channels).to(dtype)
    wide = factor.view(-1, *[1] * len(size))
    for cut in (lambda t: channels_last(t[:, :channels]), lambda t: t[:, ::2]):  # dense, and not
        found, other = cut(out).clone(), cut(x)
        expected = found.clone().addcmul_(other, wide)
        _add_scaled(found, other, factor)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_batch_norm_keeps_channels_last_memory(rank):
    symmetry = symmetry_of(rank, "full")
    for count in (2, 8):
        x = channels_last(fields(symmetry, count, [4] * rank).float())
        for training in (True, False):
            assert FieldNorm(symmetry, count).train(training)(x).stride(1) == 1


def test_batch_norm_of_one_value_says_so():
    with pytest.raises(PlanError, match=r"one value per channel has no variance"):
        FieldNorm(symmetry_of(2, "none"), 3)(torch.zeros(1, 3, 1, 1))
    two = FieldNorm(symmetry_of(1, "full"), 1)(torch.tensor([[[1.0], [3.0]]]))
    torch.testing.assert_close(two.flatten(), torch.tensor([-1.0, 1.0]), atol=1e-4, rtol=0)


@named
@pytest.mark.parametrize("kind", ["batch", "group", "channel"])
@pytest.mark.parametrize("training", [True, False])
def test_norms_do_not_see_padding(symmetry, kind, training):
    norm = randomised(FieldNorm(symmetry, 2, kind)).train(training)
    small = fields(symmetry, 2, [3] * symmetry.rank)
    wide = nn.functional.pad(small, [0, 2] * symmetry.rank, value=7.0)
    mask = nn.functional.pad(torch.ones(2, 1, *[3] * symmetry.rank), [0, 2] * symmetry.rank)
    inner = (slice(None), slice(None), *[slice(3)] * symmetry.rank)
    torch.testing.assert_close(norm(wide, mask)[inner], norm(small), atol=1e-12, rtol=1e-12)
    gate = randomised(FieldGate(symmetry, 2))
    torch.testing.assert_close(gate(wide, mask)[inner], gate(small), atol=1e-12, rtol=1e-12)
    for pool in (FieldPool(symmetry), FieldPool(symmetry, "max")):
        torch.testing.assert_close(pool(wide, mask), pool(small), atol=1e-12, rtol=1e-12)


@named
def test_dropout_leaves_out_whole_fields_and_keeps_the_mean(symmetry):
    torch.manual_seed(0)
    x = torch.ones(600, 5 * len(symmetry), *[2] * symmetry.rank)
    out = symmetry.apart(FieldDropout(symmetry, 0.25)(x)).movedim(2, 1).flatten(2)
    assert (out == out[..., :1]).all()
    torch.testing.assert_close(out.unique(), torch.tensor([0, 4 / 3]))
    assert out.mean().item() == pytest.approx(1, abs=0.05)
    assert (out[:, 0] != out[:, 1]).any()


def test_dropout_does_nothing_outside_training():
    symmetry = symmetry_of(2, "full")
    x = fields(symmetry, 1, (3, 3))
    assert FieldDropout(symmetry, 0.5).eval()(x) is x
    assert FieldDropout(symmetry, 0.0)(x) is x
    assert repr(FieldDropout(symmetry, 0.5)) == "FieldDropout(Symmetry(rank 2, 8 turns), 0.5)"


@named
def test_a_gate_is_that_of_the_house_on_means_over_turns(symmetry):
    gate = randomised(FieldGate(symmetry, 3, 2))
    plain = SqueezeExcite(3, 2).double()
    plain.load_state_dict(gate.state_dict())
    x = fields(symmetry, 3, SIZES[symmetry.rank][-1])
    apart = symmetry.apart(x).movedim(2, 1).flatten(2)  # turns as cells
    found = symmetry.apart(gate(x)).movedim(2, 1).flatten(2)
    torch.testing.assert_close(found, plain(apart), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", ["1 full", "2 rotations", "3 plane rotations"])
@pytest.mark.parametrize("make", [LAYERS["gate"], FieldPool, lambda s: FieldPool(s, "max")])
def test_keeps_the_laws_of_every_layer(name, make):
    symmetry = NAMED[name]
    laws.all_of_them(make(symmetry), fields(symmetry, 2, [4, 3, 2][: symmetry.rank]))


@pytest.mark.parametrize("name", ["1 full", "2 rotations", "3 plane rotations"])
@pytest.mark.parametrize("kind", ["batch", "group", "channel"])
@pytest.mark.parametrize("training", [True, False])
def test_norms_keep_the_laws(name, kind, training):
    symmetry = NAMED[name]
    norm = randomised(FieldNorm(symmetry, 2, kind)).train(training)
    x = fields(symmetry, 2, [4, 3, 2][: symmetry.rank])
    laws.ignores_memory_layout(norm, x)
    if not training:
        laws.all_of_them(norm, x)
    for gradient in torch.autograd.grad(norm(x).square().sum(), list(norm.parameters())):
        assert gradient.isfinite().all()


class PerChannel(nn.Module):
    """Planted: batch statistics of single channels, which a turn of the batch exchanges."""

    def __init__(self, symmetry):
        super().__init__()
        self.norm = randomised(BatchNorm(2 * len(symmetry)))

    def forward(self, x):
        return self.norm(x)


@pytest.mark.parametrize(
    ("fault", "size"),
    [
        (PerChannel, (6, 6)),
        (lambda s: MaxPool(2, 3, 2), (6, 6)),  # windows from -1, 1, 3: a border on one side only
        (lambda s: MaxPool(2, 2, 2), (7, 7)),
        (lambda s: randomised(SqueezeExcite(2 * len(s))), (6, 6)),
        (lambda s: nn.Dropout1d(0.4), (6,)),
    ],
)
def test_planted_faults_are_caught(fault, size):
    symmetry = symmetry_of(len(size), "full")
    layer = fault(symmetry).double()
    assert turning_error(layer, symmetry, fields(symmetry, 2, size)) > 1e-2


def test_the_same_chance_gives_the_same_answer():
    """What the tests in training rest on: `run` seeds."""
    symmetry = symmetry_of(2, "full")
    layer, x = FieldDropout(symmetry, 0.5), fields(symmetry, 8, (2, 2))
    assert torch.equal(run(layer, x), run(layer, x))


def test_says_how_to_mend():
    symmetry = symmetry_of(2, "rotations")
    odd = torch.zeros(1, 6, 2, 2)
    for layer in (FieldNorm(symmetry, 1), FieldGate(symmetry, 1), FieldPool(symmetry)):
        with pytest.raises(PlanError, match=r"does not hold fields of 4 channels"):
            layer(odd)
    with pytest.raises(PlanError, match=r"does not hold fields of 4 channels"):
        join(symmetry, odd)
    with pytest.raises(PlanError, match=r"does not hold fields of 4 channels"):
        FieldDropout(symmetry, 0.5)(odd)
    with pytest.raises(PlanError, match=r"rate is 1(.|\n)*where: FieldDropout(.|\n)*\[0, 1\)"):
        FieldDropout(symmetry, 1)
    with pytest.raises(PlanError, match=r"no norm called 'batches'(.|\n)*'batch'\?"):
        FieldNorm(symmetry, 1, "batches")
    with pytest.raises(PlanError, match=r"kind is 'mean'"):
        FieldPool(symmetry, "mean")
    with pytest.raises(PlanError, match=r"fields is 0(.|\n)*where: FieldGate"):
        FieldGate(symmetry, 0)
    with pytest.raises(PlanError, match=r"reduction is 0(.|\n)*where: FieldGate"):
        FieldGate(symmetry, 1, 0)


@pytest.mark.parametrize("fields", [1, 3])
def test_numbers_of_fields_are_repeated_in_memory_of_their_own(fields):
    """Of one field a view with steps of 0 would do, and send norms the slow way."""
    numbers = torch.arange(fields) + 1.0
    found = _each(numbers, 4)
    assert torch.equal(found, numbers.repeat(4))
    assert found.is_contiguous()
