"""The planner's rules, one by one, and the whole plan: complete, reasoned, editable."""

import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from foveal.card import Card
from foveal.errors import PlanError
from foveal.grid import Axis, time_axis
from foveal.networks import geometry
from foveal.networks.build import build
from foveal.networks.cost import cost
from foveal.plan import Plan
from foveal.planner import data, fitting, invariance, network
from foveal.planner.machine import Machine, _threads, cores, measure
from foveal.planner.make import make_plan
from foveal.planner.symmetry import Evidence, mirror_evidence, mirror_evidence_of_values

MACHINE = Machine("cpu", "a test", 2, "fp32", True, 100.0, {"fp32": 100.0}, 8192)


def card(size=(32, 32), train=45000, **changes):
    channels = changes.pop("channels", 3)
    axes = changes.pop("axes", tuple(Axis(n) for n in "zyx"[-len(size) :]))
    base = Card(
        path="photos",
        layout="class folders",
        target="label",
        channels=channels,
        dtype="uint8",
        parts={"train": train, "test": 1000},
        smallest=size,
        median=size,
        largest=size,
        low=(0.0,) * channels,
        high=(255.0,) * channels,
        mean=(120.0,) * channels,
        std=(60.0,) * channels,
        classes=("cat", "dog", "owl"),
        counts={"train": (train // 3,) * 3},
        digest="0",
        size=size,
        axes=axes,
        why={"size": "as large as the pictures", "fit": "all of one shape"},
    )
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize(
    ("steps", "size", "pools"),
    [
        ((1, 1, 1), (128, 128, 128), (5, 5, 5)),
        ((1, 1, 1), (64, 64, 64), (4, 4, 4)),
        ((1, 1, 1), (28, 28, 28), (2, 2, 2)),
        ((5, 1.5, 1.5), (14, 256, 224), (1, 5, 5)),
        ((10, 1.25, 1.25), (10, 256, 256), (1, 6, 6)),
        ((3, 0.8, 0.8), (64, 192, 192), (4, 5, 5)),
        ((1, 1), (512, 512), (7, 7)),
        ((1, 1), (224, 224), (5, 5)),
        ((1, 1), (32, 32), (3, 3)),
        ((1, 1), (28, 28), (2, 2)),
        ((1, 1), (12, 12), (1, 1)),
        ((1, 1), (8, 8), (1, 1)),
        ((1, 1), (7, 7), (0, 0)),
    ],
)
def test_halvings_follow_the_published_vectors(steps, size, pools):
    stages, why = geometry.strides(list(steps), list(size))
    counted = tuple(sum(s[i] == 2 for s in stages) for i in range(len(size)))
    assert counted == pools
    assert re.search("halvings? leave" if max(pools) else "0 halvings leave", why)


def test_coarse_axes_wait_for_their_kernel():
    steps, size = [5, 1.5, 1.5], [14, 256, 224]
    stages, _ = geometry.strides(steps, size)
    found, _ = geometry.kernels(steps, size, stages)
    assert stages[:3] == [(1, 2, 2), (2, 2, 2), (1, 2, 2)]
    assert found[0] == (1, 3, 3)
    assert found[1] == (3, 3, 3)
    steps, size = [10, 1.25, 1.25], [10, 256, 256]
    stages, _ = geometry.strides(steps, size)
    assert geometry.kernels(steps, size, stages)[0][:3] == [(1, 3, 3)] * 3


SIZES = [(8, 8), (28, 28), (32, 32), (64, 48), (128, 128), (40,), (9, 9, 9)]


@pytest.mark.parametrize("size", SIZES)
def test_the_receptive_field_covers_the_object_or_says_how_far_it_reaches(size):
    plan = make_plan(card(size), MACHINE, epochs=3.0)
    net = plan.net
    seen = network.reach(
        net.stem_kernel, net.stem_stride, list(net.strides), list(net.kernels), list(net.depths)
    )
    assert min(seen) >= max(size) or net.depths[-1] == 4
    assert str(seen[0]) in plan.why["net.depths"]


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (33, 32), (128, 96), (40,), (12, 10, 9)])
def test_planned_multiply_adds_are_those_of_the_built_network(size):
    plan = make_plan(card(size), MACHINE, epochs=3.0)
    counted = cost(build(plan), plan.data.channels, size).macs
    assert counted == network.macs(plan.net, size, plan.data.channels, len(plan.classes))


def test_every_number_has_a_reason():
    plan = make_plan(card(), MACHINE, budget=600.0)
    for part in ("data", "augment", "net", "fit", "judge"):
        for field in dataclasses.fields(getattr(plan, part)):
            assert len(plan.why[f"{part}.{field.name}"]) > 5, f"{part}.{field.name} has no reason"
    assert Plan.from_dict(plan.to_dict()) == plan


def operations(plan):
    return network.macs(plan.net, plan.data.size, plan.data.channels, len(plan.classes))


def test_more_time_or_a_faster_machine_plans_a_larger_network():
    plans = [make_plan(card(), MACHINE, budget=b) for b in (30.0, 120.0, 600.0, 7200.0)]
    sizes = [operations(p) for p in plans]
    assert sizes == sorted(sizes)
    assert 4 * sizes[0] < sizes[-1]
    fast = dataclasses.replace(MACHINE, gflops=5000.0)
    assert operations(make_plan(card(), fast, budget=120.0)) > 2 * sizes[1]


def test_edits_are_taken_and_recorded_and_the_geometry_follows_an_edited_size():
    plan = make_plan(
        card(), MACHINE, budget=60.0, changes={"data.size": "16", "fit.batch": "64", "seed": "7"}
    )
    assert plan.data.size == (16, 16)
    assert plan.why["data.size"] == "set by you to 16"
    assert plan.fit.batch == 64
    assert plan.seed == 7
    assert len(plan.net.strides) == 2  # 16, 8, 4


def test_the_stem_keeps_the_finest_grid_that_the_time_can_pay():
    strides = {b: make_plan(card(), MACHINE, budget=b).net.stem_stride for b in (60.0, 900.0)}
    assert strides == {60.0: (2, 2), 900.0: (1, 1)}
    assert make_plan(card((8, 8)), MACHINE, budget=20.0).net.stem_stride == (1, 1)
    large = make_plan(card((128, 40)), MACHINE, budget=120.0).net
    assert large.stem_stride == (4, 2)
    assert large.stem_kernel == (4, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net.width": "3"}, r"unknown key 'net.width'(.|\n)*did you mean 'net.widths'"),
        ({"fit.batch": "many"}, r"'many' is not a whole number(.|\n)*fit: batch"),
        ({"data.size": "[3, 3, 3]"}, r"does not fit a grid of rank 2(.|\n)*give one number"),
        ({"data.size": "0"}, r"size \[0, 0\] does not fit"),
        ({"net.down": "pool"}, r"'pool' is not one of 'max'"),
    ],
)
def test_impossible_edits_are_explained(changes, message):
    with pytest.raises(PlanError, match=message):
        make_plan(card(), MACHINE, budget=60.0, changes=changes)


def test_one_class_is_refused():
    with pytest.raises(PlanError, match=r"only 1 class: cat(.|\n)*at least two class folders"):
        make_plan(card(classes=("cat",)), MACHINE)


def test_flips_follow_the_evidence_and_the_user():
    seen = (Evidence("y", 0.9, 0.3, False, "no"), Evidence("x", 0.9, 0.9, True, "yes"))
    assert make_plan(card(), MACHINE, evidence=seen).augment.flip == (False, True)
    assert make_plan(card(), MACHINE).augment.flip == (False, False)
    assert make_plan(card(), MACHINE, symmetry="none", evidence=seen).augment.flip == (False, False)
    assert make_plan(card(), MACHINE, symmetry="flips").augment.flip == (True, True)
    with pytest.raises(PlanError, match=r"symmetry 'spin' is not known(.|\n)*rotations or full"):
        make_plan(card(), MACHINE, symmetry="spin")


def glyphs(rng, n):
    """Bars leaning left or right: mirroring in x swaps the classes, mirroring in y as well."""
    x = rng.normal(0, 20, (n, 1, 16, 16)) + 60
    labels = rng.integers(0, 2, n)
    for i, label in enumerate(labels):
        for step in range(10):
            x[i, 0, 3 + step, (3 + step) if label else (12 - step)] += 160
    return x.clip(0, 255).astype(np.uint8), labels


def test_mirroring_is_refused_where_it_swaps_classes_and_allowed_where_it_does_not():
    rng = np.random.default_rng(0)
    x, labels = glyphs(rng, 900)
    leaning = mirror_evidence(x, labels, [("y", True), ("x", True)])
    assert [e.allowed for e in leaning] == [False, False]
    assert "orientation carries the label" in leaning[1].why
    bright = rng.integers(0, 60, (900, 1, 16, 16)).astype(np.uint8)
    bright[labels == 1, :, 4:12, 4:12] += 120
    same = mirror_evidence(bright, labels, [("y", True), ("x", True)])
    assert [e.allowed for e in same] == [True, True]


def test_mirroring_needs_evidence_and_an_axis_that_can_be_mirrored():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (600, 1, 12, 12)).astype(np.uint8)
    labels = rng.integers(0, 2, 600)
    found = mirror_evidence(noise, labels, [("time", False), ("x", True)])
    assert not any(e.allowed for e in found)
    assert "never mirrored" in found[0].why
    assert "no better than guessing" in found[1].why
    assert "too few" in mirror_evidence(noise[:9], labels[:9], [("x", True)])[0].why


def test_held_back_shares_depend_on_the_set_and_on_what_it_brings():
    alone = card(train=1000, parts={"train": 1000})
    validation, test, _, why = data.held_back(alone)
    assert (validation, test) == (0.1, 0.2)
    assert "used once" in why
    validation, test, _, why = data.held_back(card())
    assert test == 0.0
    assert 0 < validation <= 0.05
    for train, share in ((20_000, 0.05), (40_000, 0.025), (200_000, 0.02)):
        many = card(train=train, parts={"train": train, "test": 10})
        assert data.held_back(many)[0] == share
    assert "its own test part" in why


def test_wide_values_are_scaled_by_their_percentiles():
    values = {"low": (100.0,), "high": (4100.0,), "mean": (1100.0,), "std": (400.0,)}
    part = make_plan(card(channels=1, dtype="uint16", **values), MACHINE).data
    assert (part.low, part.high) == ((100.0,), (4100.0,))
    assert part.mean == pytest.approx((0.25,))
    assert part.std == pytest.approx((0.1,))


def test_epochs_are_capped_and_the_users_own_number_is_kept():
    assert fitting.epochs(100, 1000, 100.0, 3600.0, None)[0] == fitting.MOST_EPOCHS
    assert fitting.epochs(100, 1000, 100.0, 3600.0, 3.0) == (3.0, "set by you")


def test_this_machine_is_measured_once():
    first = measure("cpu")
    assert first.gflops > 0.1
    assert first.precision in ("fp32", "bf16")
    assert "GFLOP/s" in first.why
    assert measure("cpu") is first


@pytest.mark.skipif(cores() < 2, reason="one core has one thread in any case")
def test_beside_busy_processes_one_thread_does_not_wait_for_others():
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * cores())
    ]
    try:
        assert _threads("cpu", 16)[0] == 1
    finally:
        for process in busy:
            process.kill()
            process.wait()
        torch.set_num_threads(1)


def test_short_trainings_begin_on_smaller_pictures():
    plan = make_plan(card((32, 32)), MACHINE, budget=120.0)
    assert plan.fit.coarse_size == (24, 24)
    assert 0 < plan.fit.coarse < 1
    assert "24 x 24" in plan.why["fit.coarse"]


@pytest.mark.parametrize(
    ("size", "wish"),
    [((16, 16), {"budget": 120.0}), ((32, 32), {"epochs": 200.0}), ((18, 40), {"budget": 120.0})],
)
def test_others_see_every_cell_in_every_step(size, wish):
    plan = make_plan(card(size), MACHINE, **wish)
    assert (plan.fit.coarse, plan.fit.coarse_size) == (0.0, size)


def test_mirrors_are_tested_on_values_too():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (300, 1, 12, 12)).astype(np.float32)
    place = rng.integers(2, 10, 300)
    x[np.arange(300), 0, :, place] += 3  # a bar; where it stands is the number
    axes = [("y", True), ("x", True)]
    up, across = mirror_evidence_of_values(x, place[:, None].astype(np.float32), axes)
    assert up.allowed
    assert not across.allowed
    assert "orientation carries the value" in across.why
    width = rng.integers(1, 6, 300)
    wide = rng.normal(0, 0.3, (300, 1, 12, 12)).astype(np.float32)
    for i, w in enumerate(width):
        wide[i, 0, :, 6 - w : 6 + w] += 3
    both = mirror_evidence_of_values(wide, width[:, None].astype(np.float32), axes)
    assert all(e.allowed for e in both), both
    noise = mirror_evidence_of_values(x, rng.normal(size=(300, 2)), [("time", False), ("x", True)])
    assert noise[0].why == "time is never mirrored"
    assert "no evidence" in noise[1].why
    few = mirror_evidence_of_values(x[:9], place[:9, None].astype(float), [("x", True)])
    assert "too few" in few[0].why
    flat = mirror_evidence_of_values(x, np.ones((300, 1)), [("x", True)])
    assert not flat[0].allowed


def test_a_head_that_reads_parts_costs_what_is_counted():
    plan = make_plan(card(channels=1), MACHINE, changes={"net.pool": "grid"})
    counted = cost(build(plan), plan.data.channels, plan.data.size).macs
    assert network.macs(plan.net, plan.data.size, plan.data.channels, plan.outputs) == counted
    assert plan.net.places == 16


def test_the_axes_that_a_symmetry_may_move_follow_from_their_meaning():
    y, x, z = Axis("y", 1.0, "mm"), Axis("x", 1.02, "mm"), Axis("z", 5.0, "mm")
    sets, why = invariance.turned((z, y, x))
    assert sets == ((0,), (1, 2))
    assert why == "z may be reversed; y and x mean the same and have like steps, so they may " + (
        "be exchanged"
    )
    assert invariance.turned((time_axis(0.1), Axis("y"), Axis("x")))[0] == ((1, 2),)
    rows = Axis("position", kind="order")
    assert invariance.turned((rows, rows))[0] == ((0,), (1,))
    assert invariance.turned((time_axis(0.1),)) == (
        (),
        "no axis can be mirrored, so a symmetry could move none",
    )


def test_a_symmetry_and_exact_shifts_can_be_asked_for():
    wish = {"net.symmetry": "full", "net.turned": "[[0]]", "net.shift": "blur"}
    plan = make_plan(card(), MACHINE, epochs=3.0, changes=wish)
    assert (plan.net.symmetry, plan.net.turned, plan.net.shift) == ("full", ((0,),), "blur")
    assert plan.net.down == "energy"
    assert "positive" in plan.why["net.down"]
    mine = make_plan(card(), MACHINE, changes={"net.shift": "blur", "net.down": "max"})
    assert (mine.net.down, mine.by_user("net.down")) == ("max", True)
    assert make_plan(card(), MACHINE, changes={"net.shift": "exact"}).net.down == "max"
    assert plan.why["net.symmetry"] == "set by you to full"
    assert plan.augment.plane == (0, 1)
    with pytest.raises(PlanError, match="'round' is not one of 'none', 'flips', 'rotations'"):
        make_plan(card(), MACHINE, changes={"net.symmetry": "round"})


def asked(size=(32, 32), **wish):
    changes = {f"net.{key}": value for key, value in wish.items()}
    return make_plan(card(size), MACHINE, budget=60.0, changes=changes)


@pytest.mark.parametrize(
    ("size", "kind", "n"),
    [
        ((40,), "flips", 2),
        ((28, 28), "rotations", 4),
        ((33, 32), "full", 8),
        ((24, 24, 24), "full", 48),
    ],
)
def test_widths_follow_a_symmetry_and_the_network_can_be_built(size, kind, n):
    bare, plan = asked(size), asked(size, symmetry=kind)
    for before, after in zip(bare.net.widths, plan.net.widths, strict=True):
        assert after % n == after % 16 == 0
        step, law = max(n, 16), before * n**0.25
        least = max(4 * n, step)
        assert after >= least
        over = after - law
        assert over >= -step / 4
        assert after == least or over < 3 * step / 4
    assert plan.net.stem == "convolution"
    assert plan.net.stem_width % n == 0
    assert f"fields of {n} moves" in plan.why["net.widths"]
    assert plan.fit.steps < bare.fit.steps
    built = build(plan)
    if n < 48:
        counted = cost(built, plan.data.channels, size).macs
        assert counted == network.macs(plan.net, size, plan.data.channels, len(plan.classes))
    with torch.no_grad():
        assert built.eval()(torch.zeros(1, 3, *size)).shape == (1, len(plan.classes))


def test_windows_are_alike_on_axes_that_are_exchanged():
    plan = asked((128, 20), symmetry="full")
    net = plan.net
    for cells in (net.stem_kernel, net.stem_stride, *net.strides, *net.kernels):
        assert len(set(cells)) == 1
    build(plan)
    loose = asked((128, 20), symmetry="flips").net
    assert any(len(set(stride)) > 1 for stride in loose.strides)


def test_what_a_symmetry_answers_alike_is_neither_augmented_nor_averaged():
    free = Evidence("y", 0.9, 0.9, True, "nothing is lost")
    both = (free, dataclasses.replace(free, axis="x"))

    def planned(**wish):
        changes = {f"net.{key}": value for key, value in wish.items()}
        return make_plan(card(), MACHINE, budget=60.0, evidence=both, changes=changes)

    assert planned().augment.flip == (True, True)
    full = planned(symmetry="full")
    assert full.augment.flip == (False, False)
    assert not full.augment.alternate
    assert not full.judge.mirror
    assert full.judge.shift == 0
    assert "by construction" in full.why["augment.flip"]
    one = planned(symmetry="flips", turned="[[1]]")
    assert one.augment.flip == (True, False)
    assert one.judge.mirror
    turns = planned(symmetry="rotations")
    assert turns.augment.flip == (True, True)


def test_exact_shifts_leave_the_rest_of_a_plan_as_it_is():
    plan, plain = asked((28, 30), shift="exact"), asked((28, 30))
    assert plan.data == plain.data
    assert plan.fit == plain.fit
    assert dataclasses.replace(plan.net, shift="plain") == plain.net
    assert plan.why["net.shift"] == "set by you to exact"
    build(plan)


def test_the_users_widths_stand_behind_those_of_a_symmetry():
    plan = asked(symmetry="full", widths="[32, 64, 64]")
    assert plan.net.widths == (32, 64, 64)
    assert plan.why["net.widths"] == "set by you to [32, 64, 64]"


def test_wide_layers_where_they_take_fewer_multiplications():
    machine = dataclasses.replace(MACHINE, gflops=280.0, winograd=True)
    plan = make_plan(card(), machine, budget=600.0)
    assert plan.net.widths == (32, 128, 256)
    assert plan.net.stem_width == 16  # channels that a processor takes at once
    assert "fourfold" in plan.why["net.widths"]
    plain = make_plan(card(), dataclasses.replace(machine, winograd=False), budget=600.0)
    assert plain.net.widths[1] == 2 * plain.net.widths[0]
    halves = dataclasses.replace(machine, winograd=False, precision="bf16")
    assert make_plan(card(), halves, budget=600.0).net.widths == (32, 128, 256)
    coarse = make_plan(card(), machine, budget=60.0)
    assert coarse.net.stem_stride == (2, 2)
    assert coarse.net.widths[1] == 2 * coarse.net.widths[0]
