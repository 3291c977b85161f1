"""Plans of volumes: anisotropic axes as published, narrow networks, boxes that keep extents."""

import dataclasses

import pytest

from foveal.grid import Axis
from foveal.networks import geometry
from foveal.planner.make import make_plan
from test_planner import MACHINE, card


def scans(size=(40, 56, 44), steps=(1.0, 1.0, 1.0), train=200, **changes):
    axes = tuple(Axis(n, s, "mm") for n, s in zip("zyx", steps, strict=True))
    return card(
        size, train, channels=1, axes=axes, fit="spacing", scale="sample", dtype="float32",
        low=(-2.0,), high=(4.0,), mean=(0.0,), std=(1.0,),
        why={"size": "a box", "fit": "steps", "scale": "MR: no unit"}, **changes,
    )  # fmt: skip


def words(stages):
    return ["".join(map(str, stage)) for stage in stages]


def test_anisotropic_strides_and_kernels_are_the_published_ones():
    """Test vectors of nnU-Net's topology; its first stage of stride 1 is our first convolution."""
    steps, size = [5, 1.5, 1.5], [14, 256, 224]
    stages, _ = geometry.strides(steps, size)
    assert words(stages) == ["122", "222", "122", "122", "122"]
    kernels, _ = geometry.kernels(steps, size, stages)
    assert words(kernels) == ["133", "333", "333", "333", "333"]
    steps, size = [10, 1.25, 1.25], [10, 256, 256]
    stages, _ = geometry.strides(steps, size)
    kernels, _ = geometry.kernels(steps, size, stages)
    assert words(kernels) == ["133", "133", "133", "333", "333", "333"]
    assert [sum(s[i] == 2 for s in stages) for i in range(3)] == [1, 6, 6]
    stages, _ = geometry.strides([3, 0.8, 0.8], [64, 192, 192])
    assert [sum(s[i] == 2 for s in stages) for i in range(3)] == [4, 5, 5]


def test_the_step_and_the_scale_reach_the_data_part():
    plan = make_plan(scans(steps=(2.0, 1.0, 0.5)), MACHINE, epochs=3.0)
    assert plan.data.step == (2.0, 1.0, 0.5)
    assert (plan.data.fit, plan.data.scale) == ("spacing", "sample")
    assert "MR" in plan.why["data.scale"]
    assert plan.sees == "volume"


def test_another_size_keeps_the_extent():
    plan = make_plan(scans(), MACHINE, epochs=3.0, changes={"data.size": "[20, 28, 22]"})
    assert plan.data.size == (20, 28, 22)
    assert plan.data.step == (2.0, 2.0, 2.0)
    assert tuple(a.step for a in plan.axes) == plan.data.step


@pytest.mark.parametrize("epochs", [None, 50.0])
def test_few_volumes_get_a_narrow_network(epochs):
    budget = None if epochs else 36000.0
    strong = dataclasses.replace(MACHINE, gflops=20000.0)
    few = make_plan(scans((16, 16, 16)), strong, budget=budget, epochs=epochs)
    assert few.net.widths[0] <= 16
    assert "never run" in few.why["net.stem"]
    many = make_plan(scans((16, 16, 16), train=20000), strong, budget=36000.0)
    assert many.net.widths[0] > 16
    if epochs is None:
        assert "by heart" in few.why["net.widths"]
        assert "epochs of" in few.why["fit.steps"]
        assert few.fit.epochs <= 250


def test_pictures_are_planned_as_before():
    plan = make_plan(card(), MACHINE, budget=60.0)
    assert plan.data.step == ()
    assert plan.data.scale == "set"
    assert "never run" not in plan.why["net.stem"]
