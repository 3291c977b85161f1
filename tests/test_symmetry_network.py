"""Networks of these layers: no answer changes under any turn, nor under any circular shift."""

import itertools

import pytest
import torch
from torch import nn

from foveal.layers import Dense, DropPath, MaxPool, activation, resize
from foveal.layers.centred import CentredPool
from foveal.layers.polyphase import Polyphase
from foveal.layers.symmetry import (
    FieldDropout,
    FieldGate,
    FieldNorm,
    FieldPool,
    GroupConvolution,
    LiftingConvolution,
    ReadOut,
    SeparableGroupConvolution,
    fold,
    join,
    symmetry_of,
)
from turns import NAMED, SIZES, fields, randomised, run, turning_error

named = pytest.mark.parametrize("symmetry", NAMED.values(), ids=NAMED)
SAMPLES = 200
BIG = {1: (16,), 2: (8, 8), 3: (4, 4, 4)}


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.drop = DropPath(0.2)

    def forward(self, x):
        return x + self.drop(self.layers(x))


def classifier(symmetry, down, padding="zeros", classes=6):
    """``down(fields)`` gives what halves the grid."""
    width = 4 if len(symmetry) <= 8 else 2
    net = nn.Sequential(
        LiftingConvolution(symmetry, 2, width, 3, padding=padding, bias=False),
        FieldNorm(symmetry, width),
        activation("relu"),
        down(width),
        Residual(
            GroupConvolution(symmetry, width, width, 3, padding=padding),
            FieldNorm(symmetry, width),
            activation("gelu"),
            FieldGate(symmetry, width),
        ),
        FieldDropout(symmetry, 0.2),
        down(width),
        SeparableGroupConvolution(symmetry, width, 8, 3, padding=padding),
        FieldNorm(symmetry, 8),
        activation("relu"),
        FieldPool(symmetry),
        Dense(8, classes),
    )
    net = randomised(net).eval()
    with torch.no_grad():
        # Answers of all classes, as different from each other as those of a trained network.
        answers = net(noise(symmetry, 100))
        net[-1].weight.mul_((1 / answers.std(0))[:, None])
        net[-1].bias.copy_((net[-1].bias - answers.mean(0)) / answers.std(0))
    return net


def noise(symmetry, count):
    made = torch.Generator().manual_seed(1)
    return torch.randn(count, 2, *BIG[symmetry.rank], generator=made, dtype=torch.float64)


def decided(net, x, count=SAMPLES):
    """Samples whose two best classes lie further apart than float32 rounds."""
    with torch.no_grad():
        best = net(x).topk(2, 1).values
    chosen = x[best[:, 0] - best[:, 1] > 1e-4]
    assert len(chosen) >= count
    return chosen[:count]


def changed(net, x, transforms):
    """How many of the samples get another class from some transform, and how many classes."""
    with torch.no_grad():
        answers = net(x).argmax(1)
        moved = torch.zeros(len(x), dtype=torch.bool)
        for transform in transforms:
            moved |= net(transform(x)).argmax(1) != answers
    return int(moved.sum()), len(answers.unique())


def turns_of(symmetry):
    return [lambda x, u=u: symmetry.move(u, x) for u in range(len(symmetry))]


def shifts_of(symmetry):
    axes = tuple(range(2, 2 + symmetry.rank))
    every = itertools.product(*[range(n) for n in BIG[symmetry.rank]])
    return [lambda x, s=s: x.roll(s, axes) for s in every]


def centred(symmetry, kind="max"):
    return lambda fields_: CentredPool(symmetry.rank, kind, 2)


def sampled(symmetry):
    n, rank = len(symmetry), symmetry.rank
    return lambda fields_: Polyphase(rank, n * fields_, 2, symmetry=symmetry)


@named
@pytest.mark.parametrize("kind", ["max", "blur"])
def test_the_answer_is_exact_at_every_size_trained_or_not_folded_or_not(symmetry, kind):
    net = classifier(symmetry, centred(symmetry, kind))
    for dtype, limit in {torch.float64: 1e-12, torch.float32: 1e-5}.items():
        for training, folds in [(True, False), (False, False), (False, True)]:
            made = fold(net) if folds else net.train(training)
            for size in SIZES[symmetry.rank]:
                x = fields(symmetry, 2, size, batch=3)[:, :2].to(dtype)
                found = turning_error(made.to(dtype), symmetry, x, inside="plain", outside="still")
                assert found <= limit, (size, dtype, training, folds)


@named
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_answer_of_200_changes_under_any_turn(symmetry, dtype):
    net = classifier(symmetry, centred(symmetry))
    x = decided(net, noise(symmetry, SAMPLES + 20)).to(dtype)
    for made in (net.to(dtype), fold(net)):
        wrong, classes = changed(made, x, turns_of(symmetry))
        assert wrong == 0
        assert classes == 6


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_answers_of_a_network_without_the_symmetry_do_change(rank):
    still, full = symmetry_of(rank, "none"), symmetry_of(rank, "full")
    net = classifier(still, centred(still))
    assert changed(net, noise(still, SAMPLES), turns_of(full))[0] > 20


@named
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_answer_of_200_changes_under_any_circular_shift(symmetry, dtype):
    net = classifier(symmetry, sampled(symmetry), padding="circular")
    x = decided(net, noise(symmetry, SAMPLES + 20)).to(dtype)
    shifts = shifts_of(symmetry)
    some = shifts if len(symmetry) <= 8 else shifts[::7]  # 7 visits every start of every axis
    wrong, classes = changed(fold(net).to(dtype), x, some)
    assert wrong == 0
    assert classes == 6


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_answers_of_a_strided_network_do_change_under_shifts(rank):
    still = symmetry_of(rank, "none")
    net = classifier(still, lambda _: MaxPool(rank, 2), padding="circular")
    assert changed(net, noise(still, SAMPLES), shifts_of(still))[0] > 20


@pytest.mark.parametrize("name", ["1 full", "2 full", "3 slices"])
@pytest.mark.parametrize("kind", ["noise", "binary"])
def test_turns_and_shifts_at_once(name, kind):
    symmetry = NAMED[name]
    x = noise(symmetry, 100)
    x = x if kind == "noise" else (x > 0).double()
    net = fold(classifier(symmetry, sampled(symmetry), padding="circular"))
    turns, shifts = turns_of(symmetry), shifts_of(symmetry)
    both = [lambda x, t=t, s=s: s(t(x)) for t, s in itertools.product(turns, shifts)]
    with torch.no_grad():
        answers = net(x)
        for transform in both[:: max(1, len(both) // 100)]:
            assert (net(transform(x)) - answers).abs().max() <= 1e-12 * answers.abs().max()


@pytest.mark.parametrize("rank", [1, 2])
def test_an_object_on_an_even_ground_may_stand_anywhere(rank):
    """Replicate padding and polyphase sampling: shifts that are not circular."""
    still = symmetry_of(rank, "none")
    net = classifier(still, sampled(still), padding="replicate")
    made = torch.Generator().manual_seed(0)
    thing = torch.randn(1, 2, *[4] * rank, generator=made, dtype=torch.float64)

    def place(at):
        x = torch.full((1, 2, *[32] * rank), 0.7, dtype=torch.float64)
        x[(slice(None), slice(None), *[slice(a, a + 4) for a in at])] = thing
        return x

    expected = net(place([14] * rank))
    for at in itertools.product(range(10, 19), repeat=rank):
        assert (net(place(at)) - expected).abs().max() <= 1e-12 * expected.abs().max()


class Segmenter(nn.Module):
    """Down, up again with a way around, and a score for every cell."""

    def __init__(self, symmetry, gives="scalar"):
        super().__init__()
        self.symmetry = symmetry
        self.lift = LiftingConvolution(symmetry, 2, 3, 3)
        self.down = CentredPool(symmetry.rank, "average", 2)
        self.deep = GroupConvolution(symmetry, 3, 3, 3)
        self.read = ReadOut(symmetry, 6, 2, 3, gives=gives)

    def forward(self, x):
        fine = self.lift(x).relu()
        coarse = self.deep(self.down(fine)).relu()
        return self.read(join(self.symmetry, fine, resize(coarse, fine.shape[2:])))


@named
@pytest.mark.parametrize("gives", ["scalar", "faces"])
def test_a_turned_input_gives_the_turned_map(symmetry, gives):
    net = randomised(Segmenter(symmetry, gives)).eval()
    for made in (net, fold(net)):
        made.move = net.read.move
        for size in SIZES[symmetry.rank]:
            x = fields(symmetry, 2, size)[:, :2]
            assert turning_error(made, symmetry, x, inside="plain", outside="read") <= 1e-12


class ShiftingSegmenter(nn.Module):
    """The same on a ring: what was sampled goes back to where it came from."""

    def __init__(self, symmetry):
        super().__init__()
        self.symmetry = symmetry
        self.lift = LiftingConvolution(symmetry, 2, 2, 3, padding="circular")
        self.down = Polyphase(symmetry.rank, 2 * len(symmetry), 2, symmetry=symmetry)
        self.deep = GroupConvolution(symmetry, 2, 2, 3, padding="circular")
        self.up = GroupConvolution(symmetry, 2, 2, 3, padding="circular")
        self.read = ReadOut(symmetry, 4, 2)

    def forward(self, x):
        fine = self.lift(x).relu()
        start = self.down.choose(fine)
        coarse = self.deep(self.down.take(fine, start)).relu()
        back = self.up(self.down.put(coarse, start)).relu()
        return self.read(join(self.symmetry, fine, back))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_shifted_input_gives_the_shifted_map(rank):
    symmetry = symmetry_of(rank, "flips")
    net = randomised(ShiftingSegmenter(symmetry))
    x = noise(symmetry, 2)
    expected = net(x)
    for shift in shifts_of(symmetry):
        assert (net(shift(x)) - shift(expected)).abs().max() <= 1e-12 * expected.abs().max()
    assert turning_error(net, symmetry, x, inside="plain", outside="plain") <= 1e-12


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_training_sees_every_turn_alike(rank):
    """One step from a batch and from the turned batch leads to the same weights."""
    symmetry = symmetry_of(rank, "full")
    x, y = noise(symmetry, 8), torch.arange(8) % 6

    def step(x):
        net = classifier(symmetry, centred(symmetry)).train()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
        nn.functional.cross_entropy(run(net, x), y).backward()
        optimiser.step()
        return torch.cat([value.detach().flatten() for value in net.state_dict().values()])

    expected = step(x)
    for number in range(0, len(symmetry), max(1, len(symmetry) // 8)):
        assert (step(symmetry.move(number, x)) - expected).abs().max() <= 1e-12
