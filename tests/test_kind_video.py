"""The plan of a set of clips: blocks, stem, depth, memory, and what never happens to time."""

import dataclasses
import itertools

import numpy as np
import pytest

from films import movements
from foveal.errors import PlanError
from foveal.grid import Axis, time_axis
from foveal.networks.build import build
from foveal.networks.cost import cost
from foveal.plan import Plan
from foveal.planner import network
from foveal.planner.kinds import Means, video
from foveal.planner.make import make_plan
from foveal.planner.pooled import FINEST, coarse
from foveal.planner.symmetry import mirror_evidence
from test_planner import MACHINE, card

AXES = (time_axis(0.04), Axis("y"), Axis("x"))


def clip_card(size=(16, 64, 64), train=1000, axes=AXES, **changes):
    return card(size, train, axes=axes, **changes)


def planned(size=(16, 64, 64), train=1000, budget=600.0, **changes):
    return make_plan(clip_card(size, train, **changes), MACHINE, budget=budget)


def test_few_clips_are_shifted_and_many_factored():
    few, many = planned(train=4000), planned(train=20000)
    assert (few.net.block, many.net.block) == ("shifted", "factored")
    assert "under 5,000" in few.why["net.block"]
    assert "from 5,000 on" in many.why["net.block"]
    assert {k[0] for k in few.net.kernels} == {1}
    assert {k[0] for k in many.net.kernels} == {3}
    assert video.block(4999)[0] == "shifted"
    assert video.block(5000)[0] == "factored"


@pytest.mark.parametrize("size", [(16, 64, 64), (4, 28, 28), (1, 9, 9), (17, 56, 72), (24, 6, 200)])
@pytest.mark.parametrize("train", [100, 20000])
@pytest.mark.parametrize("budget", [20.0, 600.0, 36000.0])
def test_every_plan_can_be_built_and_its_cost_is_known(size, train, budget):
    plan = planned(size, train, budget)
    built = cost(build(plan), plan.data.channels, size)
    assert built.macs == network.macs(plan.net, size, plan.data.channels, plan.outputs, 0)
    assert Plan.from_dict(plan.to_dict()) == plan
    for part in ("data", "augment", "net", "fit", "judge"):
        for field in dataclasses.fields(getattr(plan, part)):
            assert plan.why.get(f"{part}.{field.name}"), f"{part}.{field.name}"


@pytest.mark.parametrize("budget", [20.0, 600.0, 36000.0])
def test_stages_halve_space_and_never_time(budget):
    net = planned(budget=budget).net
    assert len(net.strides) >= 2
    assert {s[0] for s in net.strides} == {1}
    assert {s[1:] for s in net.strides} == {(2, 2)}


def test_time_may_stand_anywhere():
    first = planned((16, 48, 64))
    last = planned((48, 64, 16), axes=(AXES[1], AXES[2], AXES[0]))
    for field in ("strides", "kernels"):
        turned = tuple((*c[1:], c[0]) for c in getattr(first.net, field))
        assert getattr(last.net, field) == turned
    assert last.net.widths == first.net.widths
    assert last.data.sampled == (2,)
    assert last.augment.translate == (*first.augment.translate[1:], 0)
    build(last)


def means(seconds, train=1000, epochs=None):
    return Means(MACHINE, train, seconds, epochs)


def test_less_time_makes_space_coarser_first_and_then_leaves_out_frames():
    found = [video.stem(16, (64, 64), most) for most in (1e10, 1e9, 2e8, 5e7, 1e6)]
    assert [(stride, step) for _, stride, step, _ in found] == [
        *(((1, 1), 1), ((2, 2), 1), ((2, 2), 2), ((2, 2), 2), ((2, 2), 2))
    ]
    assert video.stem(16, (128, 128), 5e8)[1:3] == ((4, 4), 1)
    assert [kernel for kernel, *_ in found[:2]] == [(2, 2), (4, 4)]
    words = [why for *_, why in found]
    assert words[0] == "every frame is seen at every cell: the time pays for it"
    assert words[1] == "every frame is seen; a finer grid would leave too few channels"
    assert words[3].startswith("every second frame is seen; a finer")
    assert words[4].endswith("much for the time given")


def test_a_clip_counts_as_half_as_many_pictures_as_it_has_frames():
    rate = 0.85 * MACHINE.gflops * 1e9
    picture, told = network.affordable(1000, rate, 3600.0, None)
    assert video.target(16, means(3600.0)) == (8 * picture, told)
    assert video.target(1, means(3600.0))[0] == picture


def test_every_clip_is_to_be_seen_ten_times():
    rate = 0.85 * MACHINE.gflops * 1e9
    assert video.target(16, means(60.0, train=10**6))[0] == rate * 60 / (3e6 * 10)


@pytest.mark.parametrize("size", [(16, 64, 64), (24, 32, 32), (8, 128, 128)])
def test_the_last_stage_sees_whole_frames_and_half_a_clip_or_is_as_deep_as_it_may(size):
    plan = planned(size)
    wide = [(3, *k[1:]) for k in plan.net.kernels]
    net = plan.net
    seen = network.reach(
        net.stem_kernel, net.stem_stride, list(net.strides), wide, list(net.depths)
    )
    wanted = (-(-size[0] // 2), *size[1:])
    deep = net.depths[-1] == video.DEEPEST
    assert deep or all(s >= n for s, n in zip(seen, wanted, strict=True))
    assert f"sees {seen[0]} frames" in plan.why["net.depths"]


def test_a_step_fits_in_memory():
    small, large = planned((8, 8, 8), 100000, 60.0), planned((24, 96, 96), 100000, 36000.0)
    for plan in (small, large):
        each = video.held(plan.net, plan.data.size, plan.data.channels, 0)
        assert plan.fit.batch * each <= video.HELD
    assert small.fit.batch == 500
    assert large.fit.batch < 500
    assert "MB of activations" in large.why["fit.batch"]


def test_what_a_step_keeps_is_about_what_its_layers_give():
    plan = planned()
    layers = [la for la in cost(build(plan), 3, plan.data.size).layers if la.kind == "convolution"]
    exact = 4 * sum(np.prod(layer.size) for layer in layers)
    assert exact < video.held(plan.net, plan.data.size, 3, 0) < 4 * exact


def test_time_is_never_shifted_or_mirrored():
    plan = make_plan(clip_card(), MACHINE, budget=600.0, symmetry="flips")
    assert plan.augment.translate == (0, 4, 4)
    assert plan.augment.flip == (False, True, True)
    assert plan.judge.shift == 0
    assert "never in time" in plan.why["augment.translate"]


def test_edits_are_kept_and_what_follows_from_the_size_follows():
    changes = {"data.size": "[8, 32, 32]", "net.block": "factored"}
    plan = make_plan(clip_card(), MACHINE, budget=600.0, changes=changes)
    assert (plan.data.size, plan.net.block) == ((8, 32, 32), "factored")
    assert plan.why["net.block"] == "set by you to factored"
    with pytest.raises(PlanError, match="does not fit a grid of rank 3"):
        make_plan(clip_card(), MACHINE, budget=60.0, changes={"data.size": "[8, 32]"})


@pytest.mark.parametrize("ways", [("left", "right"), ("up", "down"), ("left", "right", "up")])
def test_directions_refuse_the_mirror_that_would_turn_them_round(ways):
    x, way = movements(60 // len(ways) * 3, 8, ways=ways)
    axes = [(a.name, a.mirrors) for a in AXES]
    found = {
        e.axis: e for e in mirror_evidence(x[:, None], np.unique(way, return_inverse=True)[1], axes)
    }
    assert not found["time"].allowed
    assert "never mirrored" in found["time"].why
    turned = "x" if "left" in ways else "y"
    assert found[turned].plain > 0.8
    assert not found[turned].allowed


def test_large_samples_are_made_coarse_alike_in_both_hands():
    x = np.random.default_rng(0).random((2, 1, 9, 101, 77)).astype(np.float32)
    out = coarse(x)
    assert np.prod(out.shape[2:]) <= FINEST
    for axes in itertools.combinations((2, 3, 4), 2):
        np.testing.assert_allclose(coarse(np.flip(x, axes)), np.flip(out, axes), rtol=1e-5)
    small = x[..., :20, :20]
    assert np.array_equal(coarse(small), small)
