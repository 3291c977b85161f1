"""Planted cases: what is decided about flips and turns, with the evidence that is printed."""

import gzip
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from foveal.grid import IMAGE_AXES, TEXT_AXES, Axis, time_axis
from foveal.planner.aim import of_classes, of_values
from foveal.planner.make import make_plan
from foveal.planner.symmetry import Evidence, mirror_evidence, mirror_evidence_of_values
from foveal.planner.turns import Found, Tried, turn_evidence
from test_planner import MACHINE, card

SCAN = (Axis("z", 5.0, "mm"), Axis("y", 1.0, "mm"), Axis("x", 1.0, "mm"))
CUBE = (Axis("z", 1.0, "mm"), Axis("y", 1.0, "mm"), Axis("x", 1.0, "mm"))
DIGITS = tuple(map(str, range(10)))


def decided(x, labels, names, axes=IMAGE_AXES, train=None, seed=0):
    """The plan for samples ``(N, C, *S)``, as `foveal plan` makes it, and what turns did."""
    mirrors = mirror_evidence(x, labels, [(a.name, a.mirrors) for a in axes], seed, names)
    turns = turn_evidence(x, of_classes(labels, names), axes, seed)
    size = x.shape[2:]
    described = card(size, train or len(x), axes=axes, channels=x.shape[1], classes=tuple(names))
    plan = make_plan(described, MACHINE, budget=60.0, evidence=mirrors, turns=turns)
    return plan, turns


def refuses_turns(plan):
    return (plan.net.symmetry, plan.augment.turn) == ("none", 0.0)


def mnist(shared, count, seed=0):
    def read(name):
        data = gzip.decompress((shared / "data" / "mnist" / name).read_bytes())
        sides = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
        return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sides)

    x, y = read("t10k-images-idx3-ubyte.gz"), read("t10k-labels-idx1-ubyte.gz")
    rows = np.random.default_rng(seed).permutation(len(x))[:count]
    return x[rows], y[rows].astype(np.int64)


def at_random_angles(x, seed=0):
    angles = np.random.default_rng(seed).uniform(0, 360, len(x))
    turned = [
        ndimage.rotate(one, angle, reshape=False, order=1)
        for one, angle in zip(x, angles, strict=True)
    ]
    return np.stack(turned)


def on_noise(count, size, seed=0, level=12.0):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(60, level, (count, 1, *size))


def as_bytes(x):
    return x.clip(0, 255).astype(np.uint8)


HAND = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]], float)


def hands(count, every_way, seed=0):
    """The letter F and its mirror image, upright or in all quarter turns."""
    rng, x = on_noise(count, (16, 16), seed)
    y = rng.integers(0, 2, count)
    for one, label in zip(x, y, strict=True):
        shape = HAND[:, ::-1] if label else HAND
        shape = np.rot90(np.kron(shape, np.ones((2, 2))), rng.integers(4) if every_way else 0)
        high, wide = shape.shape
        up, across = rng.integers(1, 16 - high), rng.integers(1, 16 - wide)
        one[0, up : up + high, across : across + wide] += 150 * shape
    return as_bytes(x), y


def arrows(count, seed=0):
    """Arrows to the right, up, left and down."""
    rng, x = on_noise(count, (16, 16), seed)
    y = rng.integers(0, 4, count)
    shape = np.zeros((11, 11))
    shape[5, 1:10] = 1
    for i in range(4):
        shape[5 - i, 9 - i] = shape[5 + i, 9 - i] = 1
    for one, label in zip(x, y, strict=True):
        up, across = rng.integers(0, 6, 2)
        one[0, up : up + 11, across : across + 11] += 150 * np.rot90(shape, label)
    return as_bytes(x), y


def textures(count, size, seed=0):
    """Noise that is fine, middling or coarse, alike along all axes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    grains = [ndimage.gaussian_filter(rng.normal(size=size), (0.5, 1.0, 2.0)[k]) for k in y]
    x = np.stack([grain / grain.std() for grain in grains])
    return as_bytes(128 + 40 * x)[:, None], y


def organs(count, seed=0):
    """A bright organ in the left or in the right half of a volume, at any height and depth."""
    rng, x = on_noise(count, (10, 12, 12), seed)
    y = rng.integers(0, 2, count)
    for one, label in zip(x, y, strict=True):
        z, up = rng.integers(1, 6), rng.integers(1, 8)
        across = rng.integers(6, 9) if label else rng.integers(1, 4)
        one[0, z : z + 3, up : up + 3, across : across + 3] += 120
    return as_bytes(x), y


def blood(shared, each=360):
    """What is inside the boxes of blood cells, as many of each class."""
    root = shared / "data" / "bccd" / "BCCD"
    found = {}
    for file in sorted((root / "Annotations").glob("*.xml")):
        tree, whole = ElementTree.parse(file), None
        for thing in tree.iter("object"):
            kept = found.setdefault(thing.findtext("name"), [])
            box = [int(thing.findtext(f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax")]
            if len(kept) >= each or min(box[2] - box[0], box[3] - box[1]) < 8:
                continue
            whole = whole or Image.open(root / "JPEGImages" / f"{file.stem}.jpg").convert("RGB")
            kept.append(np.asarray(whole.crop(box).resize((32, 32))).transpose(2, 0, 1))
    names = sorted(found)
    y = np.concatenate([[i] * len(found[name]) for i, name in enumerate(names)])
    return np.stack([one for name in names for one in found[name]]), y, names


def test_upright_digits_refuse_the_half_turn_that_makes_a_9_of_a_6(shared):
    x, y = mnist(shared, 3000)
    plan, turns = decided(x[:, None], y, DIGITS)
    assert refuses_turns(plan)
    assert plan.augment.flip == (False, False)
    half = next(t for t in turns.tried if t.name == "half turn y-x")
    assert not half.fine
    assert half.turned < 0.5
    assert half.plain > 0.9
    assert {(a, b) for a, b, _ in half.merges} == {("6", "9")}
    why = plan.why["net.symmetry"]
    assert "half turn y-x refused: of held-back samples 9" in why
    assert "it carries the label, 6 and 9 turn into each other (" in why
    assert "quarter turn y-x (90 degrees) refused" in why


def test_small_digits_refuse_too():
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = digits.images[:, None].astype(np.float32)
    plan, turns = decided(x, digits.target, DIGITS)
    assert refuses_turns(plan)
    assert plan.augment.flip == (False, False)
    assert not any(t.fine for t in turns.tried if "turn" in t.name or t.name.startswith("flip"))
    half = next(t for t in turns.tried if t.name == "half turn y-x")
    assert ("6", "9") in {(a, b) for a, b, _ in half.merges}


def test_mirrored_labels_refuse_flips_and_name_the_pair():
    x, y = hands(1500, every_way=False)
    plan, turns = decided(x, y, ("left", "right"))
    assert plan.augment.flip == (False, False)
    assert refuses_turns(plan)
    assert "left and right turn into each other" in plan.why["augment.flip"]
    assert not next(t for t in turns.tried if t.name == "flip x").fine


def test_hands_in_all_orientations_accept_turns_and_refuse_mirrors():
    x, y = hands(3000, every_way=True)
    plan, turns = decided(x, y, ("left", "right"))
    assert (turns.group.kind, turns.free) == ("rotations", True)
    assert (plan.net.symmetry, plan.net.turned) == ("rotations", ((0, 1),))
    assert plan.augment.flip == (False, False)
    assert not any(t.fine for t in turns.tried if t.name.startswith(("flip", "swap")))


@pytest.mark.parametrize("seed", [0, 1])
def test_digits_at_all_angles_accept_turns_and_refuse_mirrors(shared, seed):
    x, y = mnist(shared, 2000, seed)
    plan, turns = decided(at_random_angles(x, seed)[:, None], y, DIGITS, train=12000)
    assert plan.net.symmetry == "rotations"
    assert turns.free  # so also where there are many
    assert turns.angle.fine
    assert plan.augment.turn == 45.0
    assert plan.augment.flip == (False, False)
    assert plan.why["net.symmetry"].startswith("4 orientations by construction: 3 turns together")
    assert "turn y-x by 45 degrees accepted" in plan.why["augment.turn"]


def test_blood_cells_accept_although_light_comes_from_one_side(shared):
    x, y, names = blood(shared)
    plan, turns = decided(x, y, names)
    assert plan.net.symmetry in {"rotations", "full"}
    assert all(t.fine for t in turns.tried if t.name.startswith(("quarter", "half")))
    assert not turns.free  # told apart by their shading
    assert "they have a way up" in plan.why["net.symmetry"]
    many, _ = decided(x, y, names, train=100_000)
    assert many.net.symmetry == "none"
    assert many.augment.turn == 180.0
    assert "chosen for few samples, or for those without a way up" in many.why["net.symmetry"]


def test_arrows_refuse_everything():
    x, y = arrows(1500)
    plan, turns = decided(x, y, ("right", "up", "left", "down"))
    assert plan.augment.flip == (False, False)
    assert refuses_turns(plan)
    assert not any(t.fine for t in turns.tried)
    tried = {t.name: {frozenset(m[:2]) for m in t.merges} for t in turns.tried}
    assert tried["flip x"] == {frozenset(("left", "right"))}
    assert {frozenset(("left", "right")), frozenset(("up", "down"))} <= tried["half turn y-x"]
    assert len(tried["quarter turn y-x (90 degrees)"]) == 4  # each becomes the next


def test_textures_accept_everything():
    x, y = textures(1200, (24, 24))
    plan, turns = decided(x, y, ("fine", "middle", "coarse"), train=60_000)
    assert all(t.fine for t in turns.tried)
    assert (plan.net.symmetry, plan.net.turned) == ("full", ((0, 1),))
    assert plan.augment.flip == (False, False)  # the layers hold them
    assert "alike by construction" in plan.why["augment.flip"]
    assert not plan.judge.mirror


def test_signals_and_texts_are_never_turned_round():
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(300, 1, 40)).astype(np.float32)
    y = rng.integers(0, 2, 300)
    signals[y == 1, :, 10:20] += 2
    for axes in ((time_axis(0.01),), TEXT_AXES, (Axis("mel", kind="order", mirrors=False),)):
        plan, turns = decided(signals, y, ("a", "b"), axes=axes)
        assert turns is None
        assert plan.augment.flip == (False,)
        assert refuses_turns(plan)
        assert "axes are not exchanged" in plan.why["net.symmetry"]


def test_an_organ_on_the_left_is_not_mirrored_to_the_right():
    x, y = organs(900)
    plan, turns = decided(x, y, ("left", "right"), axes=SCAN)
    assert plan.augment.flip[2] is False
    assert "left and right turn into each other" in plan.why["augment.flip"]
    assert plan.net.symmetry == "none"
    bad = [t for t in turns.tried if t.name == "flip x"]
    assert not bad[0].fine


@pytest.mark.parametrize(("axes", "most"), [(SCAN, 16), (CUBE, 48)], ids=("scan", "cube"))
def test_volumes_exchange_only_axes_of_one_step(axes, most):
    x, y = textures(500, (12, 12, 12))
    plan, turns = decided(x, y, ("fine", "middle", "coarse"), axes=axes)
    assert len(turns.group.symmetry) == most
    names = [t.name for t in turns.tried if t.name.startswith(("quarter turn z", "swap z"))]
    assert bool(names) == (axes is CUBE)
    assert plan.why["net.symmetry"].count(" accepted: ") <= 8
    assert "more: " in plan.why["net.symmetry"]


def test_what_cannot_be_told_is_no_evidence():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 1, 12, 12)), rng.integers(0, 2, 500)
    plan, turns = decided(x, y, ("a", "b"))
    assert turns.group is None
    assert "no better than guessing, so no evidence for turns" in plan.why["net.symmetry"]
    plan, turns = decided(x[:30], y[:30], ("a", "b"))
    assert plan.why["net.symmetry"] == "too few samples to test turns: 30"
    plan, turns = decided(x, np.zeros(500, int), ("a", "b"))
    assert turns.group is None


def test_values_are_asked_about_in_the_same_way():
    rng, x = on_noise(900, (14, 14))
    place, size = rng.integers(1, 8, 900), rng.integers(2, 6, 900)
    for one, at, edge in zip(x, place, size, strict=True):
        one[0, at : at + edge, 4 : 4 + edge] += 100
    axes = [(a.name, True) for a in IMAGE_AXES]
    for values, free in ((place, False), (size, True)):
        values = values[:, None].astype(float)
        found = turn_evidence(as_bytes(x), of_values(values), IMAGE_AXES)
        half = next(t for t in found.tried if t.name == "half turn y-x")
        assert half.fine is free
        assert found.tried[0].merges == ()
        if not free:
            assert half.why == "it carries the value"
            assert not mirror_evidence_of_values(as_bytes(x), values, axes)[0].allowed


def tried(name, fine=True, loss=0.0):
    return Tried(name, 0.9, 0.9 - loss, 0.9, fine, "made up")


FLIPS = (Evidence("y", 0.9, 0.89, True, "y"), Evidence("x", 0.9, 0.9, True, "x"))


def test_two_flips_stand_only_with_the_half_turn_that_they_make():
    both = Found((tried("half turn y-x"),), None, 1.0, "none")
    plan = make_plan(card(), MACHINE, evidence=FLIPS, turns=both)
    assert plan.augment.flip == (True, True)
    bad = replace(both, tried=(tried("half turn y-x", False),))
    plan = make_plan(card(), MACHINE, evidence=FLIPS, turns=bad)
    assert plan.augment.flip == (False, True)  # the dearer of both is left alone
    assert "y is left alone, since together: half turn y-x refused" in plan.why["augment.flip"]


@pytest.mark.parametrize(
    ("wished", "net", "flip"),
    [
        ("none", "none", (False, False)),
        ("flips", "none", (True, True)),
        ("rotations", "rotations", (False, False)),
        ("full", "full", (False, False)),
    ],
)
def test_a_wish_is_kept_and_the_data_has_its_say(wished, net, flip):
    refused = tuple(replace(e, allowed=False, why=f"{e.axis} costs 60 points") for e in FLIPS)
    found = Found((tried("half turn y-x", False, 0.6),), None, 1.0, "no exchange passes")
    plan = make_plan(card(), MACHINE, symmetry=wished, evidence=refused, turns=found)
    assert (plan.net.symmetry, plan.augment.flip) == (net, flip)
    assert plan.why["net.symmetry"].startswith(f"set by you with --symmetry {wished}")
    if net != "none":
        assert "; the data say: y costs 60 points; x costs 60 points" in plan.why["net.symmetry"]
        assert "half turn y-x refused: of held-back samples 90.0% are" in plan.why["net.symmetry"]
        assert plan.net.turned == ((0, 1),)
    if wished == "flips":
        assert "; the data say: y costs 60 points" in plan.why["augment.flip"]


def test_a_wish_that_the_axes_cannot_keep_is_explained():
    plan = make_plan(card((40,), axes=(time_axis(0.01),)), MACHINE, symmetry="full")
    assert plan.net.symmetry == "none"
    assert plan.why["net.symmetry"].endswith("but the meaning of the axes allows none")
