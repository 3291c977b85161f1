"""The whole network: raw values in, raw answers out, in ranks 1 to 3."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim, export

from foveal.errors import PlanError
from foveal.networks.build import Normalise, build
from foveal.networks.head import PooledHead
from plans import RANKS, SIZE, lived, plan_for, raw_for

WAYS = [
    {},
    {
        "block": "residual",
        "stem": "convolution",
        "gate": True,
        "down": "stride",
        "norm": "group",
        "widths": (12, 16),
    },
    {"down": "blur", "norm": "channel", "activation": "silu", "hidden": (7,), "pool": "max"},
    {"block": "residual", "down": "average", "activation": "hardswish", "stem": "convolution"},
]
each_way = pytest.mark.parametrize("way", WAYS, ids=["plain", "gates", "blur", "average"])
each_rank = pytest.mark.parametrize("rank", RANKS)


@each_rank
@each_way
def test_raw_values_in_raw_answers_out(rank, way):
    network, x = build(plan_for(rank, **way)).eval(), raw_for(rank)
    raw, features = network(x), network.features(x)
    assert raw.shape == (4, 3)
    assert raw.dtype == torch.float32
    assert features.shape[:2] == (4, network.backbone.outputs)
    torch.testing.assert_close(network.head(features), raw)


@each_rank
def test_normalises_as_the_plan_says(rank):
    data = plan_for(rank).data
    x = raw_for(rank)
    got = Normalise(data).double()(x)
    for i in range(2):
        unit = (x[:, i].double() - data.low[i]) / (data.high[i] - data.low[i])
        by_hand = (unit - data.mean[i]) / data.std[i]
        torch.testing.assert_close(got[:, i], by_hand, atol=1e-5, rtol=1e-5)


@each_rank
def test_normalising_keeps_the_memory_layout_and_never_minds_it(rank):
    normalise, x = Normalise(plan_for(rank).data), raw_for(rank)
    turned = x.movedim(1, -1).contiguous().movedim(-1, 1)
    out, want = normalise(turned), normalise(x)
    assert torch.equal(out, want)
    assert out.stride() == turned.stride()
    assert want.is_contiguous()


@each_rank
def test_answers_do_not_depend_on_the_memory_layout(rank):
    network, x = lived(build(plan_for(rank))), raw_for(rank)
    turned = x.movedim(1, -1).contiguous().movedim(-1, 1)
    torch.testing.assert_close(network(turned), network(x), atol=1e-5, rtol=1e-5)


@each_rank
@each_way
def test_gradients_reach_every_trained_parameter(rank, way):
    network = build(plan_for(rank, **way)).train()
    torch.manual_seed(0)
    F.cross_entropy(network(raw_for(rank)), torch.tensor([0, 1, 2, 0])).backward()
    for name, value in network.named_parameters():
        if not value.requires_grad:
            assert name == "backbone.stem.whiten.convolution.weight"
            continue
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.abs().sum() > 0, name


@each_rank
@each_way
def test_padding_never_changes_an_answer(rank, way):
    network, x = lived(build(plan_for(rank, **way))), raw_for(rank)
    size = [n + 2 + i for i, n in enumerate(SIZE[rank])]
    real = tuple(slice(0, n) for n in SIZE[rank])
    mask = torch.zeros(4, 1, *size)
    mask[(..., *real)] = 1
    for fill in (0, 255):
        wide = torch.full((4, 2, *size), fill, dtype=torch.uint8)
        wide[(..., *real)] = x
        torch.testing.assert_close(network(wide, mask), network(x), atol=1e-5, rtol=1e-5)


def test_samples_of_different_sizes_share_a_batch():
    network = lived(build(plan_for(2)))
    alone = [raw_for(2, 1, size=size) for size in [(11, 9), (7, 12), (3, 3)]]
    wide, mask = torch.zeros(3, 2, 11, 12), torch.zeros(3, 1, 11, 12)
    for row, x in enumerate(alone):
        wide[row, :, : x.shape[2], : x.shape[3]] = x[0]
        mask[row, :, : x.shape[2], : x.shape[3]] = 1
    together = network(wide, mask)
    torch.testing.assert_close(together, torch.cat([network(x) for x in alone]))


def test_padding_may_hold_anything():
    network, x = lived(build(plan_for(1))), raw_for(1).float()
    wide = F.pad(x, [0, 4], value=torch.nan)
    mask = F.pad(torch.ones(4, 1, *SIZE[1]), [0, 4])
    torch.testing.assert_close(network(wide, mask), network(x))


@each_rank
@each_way
def test_traces_for_export_with_any_number_of_samples(rank, way):
    network, x = lived(build(plan_for(rank, **way))), raw_for(rank)
    program = export(network, (x,), dynamic_shapes=({0: Dim("batch")},))
    other = raw_for(rank, count=7).flip(0)
    torch.testing.assert_close(program.module()(other), network(other), atol=1e-5, rtol=1e-5)


@each_way
def test_same_seed_same_network_and_nobody_elses_dice_move(way):
    plan = plan_for(2, **way)
    torch.manual_seed(5)
    one, then = build(plan), torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(then, torch.rand(1))
    two, other = build(plan), build(replace(plan, seed=1))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name
    differ = [n for n, v in one.state_dict().items() if not torch.equal(v, other.state_dict()[n])]
    assert "head.last.weight" in differ


@each_rank
def test_plain_stages_begin_as_the_identity(rank):
    network = build(plan_for(rank, widths=(20, 8), kernels=((3,) * rank, (2,) * rank)))
    for kernel in (b.convolution for s in network.backbone.stages for b in s.blocks):
        same = min(kernel.inputs, kernel.outputs)
        assert same < max(kernel.inputs, kernel.outputs) or kernel.inputs == kernel.outputs
        x = torch.randn(2, kernel.inputs, *SIZE[rank])
        torch.testing.assert_close(kernel(x)[:, :same], x[:, :same])


def test_residual_stages_do_not():
    kernel = build(plan_for(2, block="residual")).backbone.stages[0].blocks[0].convolution
    assert 0.5 < kernel.weight.std() / (2 / (kernel.inputs * 9)) ** 0.5 < 1.5


@each_rank
def test_the_stem_whitens_what_it_sees(rank):
    network, x = build(plan_for(rank)), raw_for(rank, count=16)
    before = network(x)
    network.fit_stem(x)
    stem = network.backbone.stem.whiten
    flat = stem(network.normalise(x))
    half = flat[:, : stem.outputs // 2]
    inside = (..., *[slice(0, -1)] * rank)  # windows of two cells that do not leave the grid
    cells = half[inside].movedim(1, 0).flatten(1)
    torch.testing.assert_close(
        torch.cov(cells, correction=0), torch.eye(len(cells)), atol=0.02, rtol=0
    )
    assert not torch.equal(network(x), before)


def test_an_ordinary_stem_needs_no_fitting():
    network, x = build(plan_for(2, stem="convolution")).eval(), raw_for(2)
    before = network(x)
    network.fit_stem(x)
    assert torch.equal(network(x), before)


def test_the_prior_reaches_the_head():
    prior = torch.tensor([0.6, 0.3, 0.1])
    network = build(plan_for(2), prior=prior)
    torch.testing.assert_close(network.head.last.bias.softmax(0), prior)


def test_another_head_takes_the_features():
    head = PooledHead(8, 5)
    network = build(plan_for(2), head)
    assert network.head is head
    assert network(raw_for(2)).shape == (4, 5)


@pytest.mark.parametrize("field", ["low", "high", "mean", "std"])
def test_normalisation_needs_every_number_of_every_channel(field):
    data = replace(plan_for(2).data, **{field: (1.0,)})
    with pytest.raises(PlanError, match=r"cannot normalise 2 channels(.|\n)*plan\.json: data"):
        Normalise(data)


@pytest.mark.parametrize("change", [{"std": (0.0, 1.0)}, {"high": (10.0, 300.0)}])
def test_a_channel_without_a_spread_is_refused(change):
    with pytest.raises(PlanError, match=r"one low below its high, one mean and one std above 0"):
        Normalise(replace(plan_for(2).data, **change))


def test_a_sample_with_other_channels_is_refused():
    with pytest.raises(PlanError, match=r"built for 2 channels, this has 3(.|\n)*prepare the"):
        build(plan_for(2))(raw_for(2, channels=3))


class Sums(nn.Module):
    """A head that reads every level."""

    every_stage = True

    def forward(self, features, masks):
        assert len(features) == len(masks)
        return torch.stack([f.flatten(1).sum(1) for f in features], 1)


def test_a_head_may_read_every_level():
    plan = plan_for(2)
    network = build(plan, Sums()).eval()
    x = raw_for(2)
    assert network(x).shape == (4, 3)
    last = network.features(x).flatten(1).sum(1)
    torch.testing.assert_close(network(x)[:, 2], last)
