"""Muon turns updates into rotations; the rest is plain Nesterov momentum; vectors never decay."""

from math import prod, sqrt

import pytest
import torch
from torch import nn

from foveal.errors import RunError
from foveal.training import optimiser
from foveal.training.optimiser import build_optimiser, orthogonal
from toy import FIT, Net

SHAPES = [(8, 4, 5), (8, 4, 3, 3), (6, 2, 3, 3, 3), (32, 1, 3, 3), (5, 7), (16, 16, 1, 1)]


def fit_part(**changes):
    from dataclasses import replace

    return replace(FIT, **changes)


def gradients_like(network, seed):
    chance = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=chance)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_singular_values_come_near_one(shape):
    update = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    rows, columns = shape[0], prod(shape[1:])
    turned = orthogonal([update])[0].reshape(rows, columns) / sqrt(max(1, rows / columns))
    values = torch.linalg.svdvals(turned)
    assert turned.reshape(shape).shape == update.shape
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_directions_stay(shape):
    """Singular vectors are kept: against U V' of a full decomposition the angle is small."""
    update = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(update.flatten(1), full_matrices=False)
    turned = orthogonal([update])[0].flatten(1)
    assert torch.cosine_similarity(turned.flatten(), (u @ v).flatten(), 0) > 0.95


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_the_size_of_a_gradient_does_not_matter(factor):
    update = torch.randn(8, 4, 3, 3)
    torch.testing.assert_close(
        orthogonal([update * factor])[0], orthogonal([update])[0], atol=1e-3, rtol=1e-3
    )


def test_equal_shapes_go_together_and_come_back_in_place():
    updates = [torch.randn(s) for s in [(8, 4, 3), (8, 2, 3), (8, 4, 3), (4, 8, 3), (8, 4, 3)]]
    alone = [orthogonal([u])[0] for u in updates]
    torch.testing.assert_close(orthogonal(updates), alone, atol=1e-4, rtol=1e-4)


def test_an_update_of_zeros_stays_finite():
    assert torch.equal(orthogonal([torch.zeros(4, 3, 3)])[0], torch.zeros(4, 3, 3))


def test_half_precision_comes_close():
    update = torch.randn(16, 8, 3, 3)
    half = orthogonal([update], torch.bfloat16)[0]
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(half.flatten(), orthogonal([update])[0].flatten(), 0) > 0.99


def test_nesterov_momentum_equals_that_of_torch():
    ours, theirs = Net(), Net()
    mine = build_optimiser(ours, fit_part(optimiser="sgd", lr=0.1, other_lr=0.1, weight_decay=0.0))
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.6, nesterov=True)
    for step in range(5):
        gradients_like(ours, step)
        gradients_like(theirs, step)
        mine.step(1.0)
        reference.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_kernels_learn_by_rotation_and_keep_their_length():
    network = Net()
    before = network.body[3].weight.detach().clone()
    optimiser = build_optimiser(network, fit_part(lr=0.24))
    gradients_like(network, 0)
    optimiser.step(1.0)
    kernel = network.body[3].weight.detach()
    unit = before * sqrt(8) / before.norm()
    values = torch.linalg.svdvals((unit - kernel).flatten(1)) / 0.24
    assert values.min() > 0.5
    assert values.max() < 1.3
    for _ in range(50):
        optimiser.step(0.0)  # at rate zero only the length is set
    assert network.body[3].weight.norm().item() == pytest.approx(sqrt(8), rel=1e-5)


def test_norms_and_biases_never_decay():
    network = Net()
    for parameter in network.parameters():
        parameter.data.fill_(1.0)
        parameter.grad = torch.zeros_like(parameter)
    build_optimiser(network, fit_part(optimiser="sgd", lr=0.1, weight_decay=0.5)).step(1.0)
    for name, parameter in network.named_parameters():
        expected = 1.0 if parameter.ndim < 2 else 1 - 0.1 * 0.5
        torch.testing.assert_close(parameter.data, torch.full_like(parameter, expected), msg=name)


def test_decay_follows_the_rate_and_leaves_momentum_alone():
    network = nn.Linear(2, 2)
    network.weight.data.fill_(1.0)
    optimiser = build_optimiser(network, fit_part(other_lr=0.1, weight_decay=0.5))
    network.weight.grad = torch.zeros(2, 2)
    optimiser.step(0.5)
    torch.testing.assert_close(network.weight.data, torch.full((2, 2), 1 - 0.1 * 0.5 * 0.5))
    assert not optimiser.state()["weight"].any()


def test_the_head_and_dense_layers_are_not_rotated():
    network = Net()
    network.head = nn.Conv2d(8, 2, 1)
    groups = build_optimiser(network, FIT).groups
    rotated = [name for group in groups if group.muon for name in group.names]
    assert rotated == ["body.0.weight", "body.3.weight"]
    assert [g.lr for g in groups] == [FIT.lr, FIT.other_lr, FIT.other_lr]


def test_frozen_parameters_and_those_without_gradient_stay():
    network = Net()
    network.body[0].weight.requires_grad_(False)
    optimiser = build_optimiser(network, FIT)
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    network.head.weight.grad = torch.ones_like(network.head.weight)
    optimiser.step(1.0)
    changed = [n for n, p in network.named_parameters() if not torch.equal(p, before[n])]
    assert changed == ["head.weight"]
    assert "body.0.weight" not in optimiser.state()


def test_state_goes_out_and_comes_back():
    network = Net()
    optimiser = build_optimiser(network, FIT)
    gradients_like(network, 0)
    optimiser.step(1.0)
    state = {n: t.clone() for n, t in optimiser.state().items()}
    again = build_optimiser(network, FIT)
    again.load(state)
    torch.testing.assert_close(again.state(), state, rtol=0, atol=0)
    assert len(state) == len(list(network.parameters()))


def test_a_foreign_state_is_refused_by_name():
    optimiser = build_optimiser(Net(), FIT)
    state = optimiser.state()
    del state["head.weight"]
    with pytest.raises(RunError, match=r"does not fit the network \(head.weight\)(.|\n)*plan.json"):
        optimiser.load(state)
    with pytest.raises(RunError, match="shapes"):
        optimiser.load({n: t[:1] for n, t in optimiser.state().items()})


def test_clear_forgets_gradients():
    network = Net()
    optimiser = build_optimiser(network, FIT)
    gradients_like(network, 0)
    assert len(optimiser.gradients()) == len(list(network.parameters()))
    optimiser.clear()
    assert optimiser.gradients() == []


@pytest.mark.parametrize("rank", [3, 40])
def test_iterating_the_products_of_rows_is_the_same(rank):
    """Also where most singular values are next to nothing."""
    chance = torch.Generator().manual_seed(2)
    low = torch.randn(2, 40, rank, generator=chance) @ torch.randn(2, rank, 360, generator=chance)
    x = low + 1e-4 * torch.randn(2, 40, 360, generator=chance)
    x = x / x.norm(dim=(1, 2), keepdim=True)
    exact = optimiser._by_itself(x.double())
    assert torch.allclose(optimiser._by_gram(x.double()), exact, atol=1e-9)
    assert torch.allclose(optimiser._by_gram(x).double(), exact, atol=1e-3)
