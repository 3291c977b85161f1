"""Whole networks that see time: with the axis of time in any place, in ranks 2 and 3."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.export import Dim, export

from foveal.errors import PlanError
from foveal.grid import Axis
from foveal.layers import Convolution, Shift
from foveal.networks.build import build
from foveal.networks.cost import cost
from foveal.networks.fold import fold, unfolded
from foveal.networks.graph import fields_of
from foveal.planner import network as rules
from plans import SIZE, film_for, lived, raw_for

PLACES = [(rank, time) for rank in (2, 3) for time in range(rank)]
each_place = pytest.mark.parametrize(("rank", "time"), PLACES)
each_block = pytest.mark.parametrize("block", ["factored", "shifted"])
each_down = pytest.mark.parametrize("down", ["max", "energy", "average", "stride", "blur"])


def flat(rank, time):
    return tuple(1 if i == time else 3 for i in range(rank))


@each_place
@each_block
def test_gradients_reach_every_trained_parameter(rank, time, block):
    network = build(film_for(rank, time, block=block)).train()
    torch.manual_seed(0)
    F.cross_entropy(network(raw_for(rank)), torch.tensor([0, 1, 2, 0])).backward()
    for name, value in network.named_parameters():
        if value.requires_grad:
            assert value.grad.isfinite().all(), name
            assert value.grad.abs().sum() > 0, name


@each_place
@each_block
def test_padding_never_changes_an_answer(rank, time, block):
    network, x = lived(build(film_for(rank, time, block=block))), raw_for(rank)
    size = [n + 2 + i for i, n in enumerate(SIZE[rank])]
    real = tuple(slice(0, n) for n in SIZE[rank])
    mask = torch.zeros(4, 1, *size)
    mask[(..., *real)] = 1
    wide = torch.full((4, 2, *size), 255, dtype=torch.uint8)
    wide[(..., *real)] = x
    torch.testing.assert_close(network(wide, mask), network(x), atol=1e-5, rtol=1e-5)


@each_place
@each_block
def test_traces_for_export_with_any_number_of_samples(rank, time, block):
    network, x = lived(build(film_for(rank, time, block=block))), raw_for(rank)
    program = export(network, (x,), dynamic_shapes=({0: Dim("batch")},))
    other = raw_for(rank, count=7).flip(0)
    torch.testing.assert_close(program.module()(other), network(other), atol=1e-5, rtol=1e-5)


@each_place
@each_block
def test_answers_do_not_depend_on_the_memory_layout(rank, time, block):
    network, x = lived(build(film_for(rank, time, block=block))), raw_for(rank)
    turned = x.movedim(1, -1).contiguous().movedim(-1, 1)
    torch.testing.assert_close(network(turned), network(x), atol=1e-5, rtol=1e-5)


@each_place
@each_block
@each_down
def test_folding_keeps_the_answers(rank, time, block, down):
    network = lived(build(film_for(rank, time, block=block, down=down, stem="convolution")))
    folded, x = fold(network), raw_for(rank)
    torch.testing.assert_close(folded(x), network(x), atol=1e-5, rtol=1e-5)
    assert bool(unfolded(folded)) == (down == "energy")


@each_place
@each_block
@each_down
def test_the_planned_cost_is_that_of_the_built_network(rank, time, block, down):
    plan = film_for(rank, time, block=block, down=down, hidden=(9,))
    found = cost(build(plan), 2, SIZE[rank])
    kernels = {layer.name: layer.macs for layer in found.layers if layer.kind != "blur"}
    assert sum(kernels.values()) == rules.macs(plan.net, SIZE[rank], 2, 3, time)
    assert found.parameters == sum(p.numel() for p in build(plan).parameters())


def test_a_shift_costs_nothing_and_two_kernels_less_than_one():
    plain = film_for(3, 0, block="plain", kernels=((1, 3, 3),) * 2)
    shifted = film_for(3, 0, kernels=((1, 3, 3),) * 2)
    whole, factored = film_for(3, 0, block="plain"), film_for(3, 0, block="factored")
    macs = [rules.macs(p.net, (16, 32, 32), 3, 4, 0) for p in (plain, shifted, factored, whole)]
    assert macs[0] == macs[1] < macs[2] < macs[3]


@each_place
@each_block
def test_the_receptive_field_is_the_support_of_gradients(rank, time, block):
    changes = {"down": "average", "activation": "tanh", "stem": "convolution"}
    if block == "shifted":
        changes["kernels"] = (flat(rank, time),) * 2
    plan = film_for(rank, time, block=block, widths=(8, 8), **changes)
    network = lived(build(plan))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Convolution):  # positive, so that no path cancels another
                module.weight.uniform_(0.001, 0.01)
    *_, field = fields_of(network).values()
    index = tuple(-(u // s) for u, s in zip(field.first, field.stride, strict=True))
    x = torch.randn(1, 2, *[s * (i + 1) + n for s, i, n in zip(*_room(field, index), strict=True)])
    x.requires_grad_()
    out, _ = network.backbone(x)
    out[(0, slice(None), *index)].sum().backward()
    seen = x.grad[0].abs().sum(0).nonzero()
    ends = zip(seen.min(0).values.tolist(), seen.max(0).values.tolist(), strict=True)
    assert tuple(ends) == field.window(index)


def _room(field, index):
    return field.stride, index, field.size


@each_place
@each_block
def test_stages_begin_as_the_identity_on_what_they_are_given(rank, time, block):
    network = build(film_for(rank, time, block=block, widths=(20, 8)))
    for kernel in network.backbone.stages.modules():
        if isinstance(kernel, Convolution):
            same = min(kernel.inputs, kernel.outputs)
            x = torch.randn(2, kernel.inputs, *SIZE[rank])
            torch.testing.assert_close(kernel(x)[:, :same], x[:, :same])


def test_channels_move_along_time_and_no_other_axis():
    network = build(film_for(3, 1))
    shifts = [m for m in network.modules() if isinstance(m, Shift)]
    assert len(shifts) == sum(film_for(3, 1).net.depths)
    assert {shift.axis for shift in shifts} == {1}


@each_block
def test_a_grid_without_time_and_space_is_refused(block):
    plan = film_for(3, 0, block=block)
    for axes in [tuple(Axis(n) for n in "zyx"), (plan.axes[0],) * 3]:
        with pytest.raises(PlanError, match=f"blocks that are {block} need an axis of time"):
            build(replace(plan, axes=axes))
