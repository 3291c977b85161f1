"""The audit of a function against an independent slow computation; its rows, words and page."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

import foveal
from foveal import Axis, DataError
from foveal.evaluation.audit import remedy as mend
from foveal.evaluation.audit.asked import checked
from foveal.evaluation.audit.changes import Kind, changes
from foveal.evaluation.audit.found import Exact, Row
from foveal.evaluation.audit.page import page
from foveal.evaluation.audit.words import change, sentences
from foveal.grid import IMAGE_AXES, time_axis
from foveal.layers.symmetry import Turn
from foveal.planner.turn_groups import called
from foveal.report import Score

VOLUME = (Axis("z", 5.0, "mm"), Axis("y", 1.0, "mm"), Axis("x", 1.0, "mm"))


def plain_net(classes=4):
    """A network that Foveal did not make."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 36, classes),
        nn.Softmax(1),
    )
    return net.double().eval()


def pictures(count=100, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 1, 12, 12))


def asked(net):
    """The network as a function of arrays, a single sample at a time."""

    def answer(batch):
        with torch.inference_mode():
            return np.concatenate([net(torch.from_numpy(one[None])).numpy() for one in batch])

    return answer


def slow(net, x, y, move):
    """Consistency, accuracy and change of probability, sample by sample."""
    same = right = moved = 0.0
    answer = asked(net)
    for one, truth in zip(x, y, strict=True):
        before, after = answer(one[None])[0], answer(move(one[0])[None, None])[0]
        same += before.argmax() == after.argmax()
        right += after.argmax() == truth
        moved += abs(before[before.argmax()] - after[before.argmax()])
    return same / len(x), right / len(x), moved / len(x)


RANGE = (-3.0, 3.0)
SLOW = {
    ("flip x", 0.0): lambda s: s[:, ::-1].copy(),
    ("flip y", 0.0): lambda s: s[::-1].copy(),
    ("flip y and x", 0.0): lambda s: s[::-1, ::-1].copy(),
    ("swap y-x", 0.0): lambda s: s.T.copy(),
    ("blur", 1.0): lambda s: ndimage.gaussian_filter(s, 1.0, mode="nearest", truncate=3.0),
    ("contrast", 2.0): lambda s: s.mean() + 2 * (s - s.mean()),
    ("contrast", 0.5): lambda s: s.mean() + 0.5 * (s - s.mean()),
}


def test_a_network_from_outside_against_a_slow_computation():
    net, x = plain_net(), pictures()
    y = np.random.default_rng(1).integers(0, 4, 100)
    found = foveal.audit(lambda b: net(torch.from_numpy(b)), x, y)
    assert found.samples == 100
    rows = {(row.name, row.strength): row for row in found.rows}
    for name, move in SLOW.items():
        same, right, moved = slow(net, x, y, move)
        row = rows[name]
        assert row.consistency.value == pytest.approx(same, abs=1e-12), name
        assert row.accuracy.value == pytest.approx(right, abs=1e-12), name
        assert row.change.value == pytest.approx(moved, abs=1e-6), name
        assert row.consistency.low <= same <= row.consistency.high
        assert row.change.low <= row.change.value <= row.change.high
    span = x.max() - x.min()
    same, right, moved = slow(net, x, y, lambda s: s + 0.1 * span)
    assert rows["brightness", 0.1].change.value == pytest.approx(moved, abs=1e-6)
    assert found.accuracy.value == np.mean(asked(net)(x).argmax(1) == y)


def test_the_exact_rows_against_a_slow_computation():
    net, x = plain_net(), pictures(60)
    found = foveal.audit(lambda b: net(torch.from_numpy(b)), x)
    said = asked(net)(x).argmax(1)
    moved, total = np.zeros(60, bool), np.zeros((60, 4))
    for quarter in range(4):
        for flip in (False, True):
            seen = np.rot90(x, quarter, (2, 3))
            seen = np.ascontiguousarray(seen[:, :, ::-1] if flip else seen)
            answers = asked(net)(seen)
            moved |= answers.argmax(1) != said
            total += answers
    orbit = found.exact["orbit"]
    assert (orbit.elements, orbit.changed, orbit.of) == (8, int(moved.sum()), 60)
    assert orbit.averaged is None
    assert found.accuracy is None
    y = total.argmax(1)
    again = foveal.audit(lambda b: net(torch.from_numpy(b)), x, y)
    assert again.exact["orbit"].averaged.value == 1.0


def test_what_is_invariant_is_called_exact():
    def brightest(batch):
        """Of any place and orientation the same, up to the sums' rounding."""
        total = batch.astype(np.float64).max((1, 2, 3))
        return np.stack([1 / (1 + np.exp(-total)), 1 / (1 + np.exp(total))], 1)

    x = np.random.default_rng(0).integers(0, 255, (40, 1, 10, 10)).astype(np.uint8)
    found = foveal.audit(brightest, x)
    assert found.exact["orbit"].changed == found.exact["circular"].changed == 0
    told = sentences(found)
    assert "Exact: 0 of 40 answers changed under at least one of 7 flips and turns" in told[1]
    assert all(r.consistency.value == 1 for r in found.rows if r.family == "orientation")


def test_the_document_is_that_of_the_issue(tmp_path):
    net, x = plain_net(), pictures(40)
    y = np.arange(40) % 4
    found = foveal.audit(lambda b: net(torch.from_numpy(b)), x, y, out=tmp_path / "there")
    made = json.loads((tmp_path / "there" / "audit.json").read_text())
    assert made == found.to_dict()
    assert list(made) == ["samples", "transforms", "exact", "merges", "remedy"]
    for row in made["transforms"]:
        assert list(row) == ["name", "strength", "consistency", "accuracy", "change"]
        assert set(row["consistency"]) == set(row["accuracy"]) == {"value", "low", "high"}
    assert set(made["exact"]) == {"orbit", "circular"}
    assert set(made["exact"]["orbit"]) == {"elements", "changed", "of"}
    assert isinstance(made["remedy"], str)
    assert "costs" in made["remedy"]
    unknown = foveal.audit(lambda b: net(torch.from_numpy(b)), x)
    assert all(row["accuracy"] is None for row in unknown.to_dict()["transforms"])


def test_classes_that_a_turn_merges_are_named():
    """Bright on the left or bright on the right: a mirror makes one of the other."""
    y = np.arange(60) % 2
    x = np.zeros((60, 1, 8, 8), np.float32)
    x[y == 0, :, :, :4] = 1
    x[y == 1, :, :, 4:] = 1

    def side(batch):
        gap = batch[:, 0, :, :4].mean((1, 2)) - batch[:, 0, :, 4:].mean((1, 2))
        return np.stack([1 / (1 + np.exp(-5 * gap)), 1 / (1 + np.exp(5 * gap))], 1)

    found = foveal.audit(side, x, y, classes=("left", "right"))
    pairs = {(m.one, m.other): m for m in found.merges}
    assert set(pairs) == {("left", "right"), ("right", "left")}
    assert pairs["left", "right"].count == pairs["left", "right"].of == 30
    assert found.to_dict()["merges"][0]["share"] == 1.0
    assert any(m.one == "left" for m in found.merges)
    assert found.exact["orbit"].averaged.value < 1
    assert "Orientation tells classes apart here" in found.remedy.text
    told = " ".join(sentences(found))
    assert "30 of 30 'left' are called 'right'" in told
    html = page(found, "side<script>")
    assert "<script>" not in html
    assert 'id="places"' in html
    assert 'id="merges"' in html
    assert 'id="angles"' in html
    assert html.count("<img") >= 2


@pytest.mark.parametrize(
    ("shape", "axes", "names"),
    [
        ((30, 2, 40), None, {"time shift", "time circular shift", "stretch", "gain", "noise"}),
        ((30, 1, 9, 8), None, {"flip y", "flip x", "crop", "scale", "turn y-x", "brightness"}),
        ((30, 1, 6, 8, 8), VOLUME, {"flip z", "quarter turn y-x", "slice thickness", "turn z-y"}),
    ],
    ids=("signal", "picture", "volume"),
)
def test_changes_follow_the_meaning_of_axes(shape, axes, names):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def answer(batch):
        total = batch.reshape(len(batch), -1)[:, :20].sum(1)
        return torch.stack([torch.zeros(len(batch)), torch.from_numpy(total)], 1).softmax(1)

    found = foveal.audit(answer, x, axes=axes)
    have = {row.name for row in found.rows}
    assert names <= have
    if len(shape) == 3:
        assert not any("flip" in n or "turn" in n for n in have)  # time is never reversed
        assert "orbit" not in found.exact
    if axes is VOLUME:
        assert found.exact["orbit"].elements == 16  # thick slices stay to themselves
    assert page(found, "any").startswith("<!doctype html>")


def test_whole_numbers_stay_whole():
    seen = []

    def answer(batch):
        seen.append(batch.dtype)
        assert batch.min() >= 0
        assert batch.max() <= 255
        return np.full((len(batch), 2), 0.5)

    x = np.random.default_rng(0).integers(0, 256, (20, 3, 9, 9)).astype(np.uint8)
    assert foveal.audit(answer, x).samples == 20
    assert set(seen) == {np.dtype(np.uint8)}


def test_little_time_means_fewer_samples_and_changes():
    calls = []

    def answer(batch):
        calls.append(len(batch))
        return np.full((len(batch), 2), 0.5)

    x = np.zeros((500, 1, 8, 8), np.float32)
    whole = foveal.audit(answer, x, budget=1000.0)
    short = foveal.audit(answer, x, budget=1e-9)
    assert whole.samples == 500
    assert short.samples == 32
    assert 0 < len(short.rows) < len(whole.rows)
    families = [{row.family for row in found.rows} for found in (whole, short)]
    assert families[0] == families[1]  # of each kind of change some
    assert max(calls) <= 64


def test_the_draw_is_always_the_same():
    net, x = plain_net(), pictures(50)
    one, other = (foveal.audit(lambda b: net(torch.from_numpy(b)), x, most=20) for _ in range(2))
    assert one.samples == 20
    assert one.to_dict() == other.to_dict()


TURNS = {
    Turn((0, 1), (1, -1)): "flip x",
    Turn((1, 0), (1, 1)): "swap y-x",
    Turn((1, 0), (-1, -1)): "swap y-x and flip both",
    Turn((1, 0), (1, -1)): "quarter turn y-x",
    Turn((0, 1), (-1, -1)): "flip y and x",
}


@pytest.mark.parametrize(("turn", "name"), TURNS.items())
def test_turns_have_names(turn, name):
    assert called(turn, IMAGE_AXES)[0] == name


def test_every_turn_of_a_cube_has_a_name_of_its_own():
    cube = tuple(Axis(n) for n in "zyx")
    kind = Kind(cube, (4, 4, 4), torch.zeros(1), torch.ones(1))
    found = [c for c in changes(kind) if c.exact == "orbit"]
    assert len(found) == 47
    assert len({(c.name, c.strength) for c in found}) == 47


def test_changes_in_words():
    assert change("turn y-x", 45.0) == "turn y-x by 45 degrees"
    assert change("time shift", 1.0) == "time shift by 1 cell"
    assert change("scale", 0.8) == "scale 0.8"
    assert change("quarter turn y-x", 270.0) == "quarter turn y-x (270 degrees)"
    assert change("flip x", 0.0) == "flip x"


def row(family, value):
    score = Score(value, value, value)
    return Row("any", 1.0, family, score, score, score)


def test_the_remedy_is_for_the_weakest_family():
    accuracy = Score(0.9, 0.85, 0.95)
    steady = [row("position", 0.99), row("light", 0.97)]
    assert mend.remedy(steady, {}, accuracy).kind == "none"
    exact = {"orbit": Exact(8, 5, 10, Score(0.95, 0.9, 1.0))}
    found = mend.remedy([*steady, row("angle", 0.3)], exact, accuracy)
    assert "flips and turns (30.0 of 100 answers stay)" in found.text
    assert "mean answer over 8 views (here 95.0 instead of 90.0 of 100 right)" in found.text
    worse = {"orbit": Exact(8, 5, 10, Score(0.5, 0.4, 0.6))}
    kept = mend.remedy([*steady, row("angle", 0.3), row("light", 0.5)], worse, accuracy)
    assert kept.text.startswith("Orientation tells classes apart here")
    assert "light and strength" in kept.text
    assert mend.remedy([row("position", 0.5)], {}, None).kind == "blur"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (np.zeros(3), "the answer to 3 samples has the shape [3]"),
        (np.full((3, 2), 2.0), "its numbers sum to 4"),
        (np.full((3, 2), np.nan), "no probabilities"),
    ],
)
def test_answers_must_be_probabilities(said, message):
    with pytest.raises(DataError) as found:
        checked(said, 3)
    assert message in str(found.value)
    assert "softmax" in str(found.value)


X = np.zeros((4, 1, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": 3, "samples": X}, "'int' is neither a run nor a function"),
        ({"samples": np.array(["a"])}, "are no numbers on a grid"),
        ({"samples": X[:, 0, 0]}, "have no grid"),
        ({"samples": X, "axes": (time_axis(1.0),)}, "do not have the axes time"),
        ({"samples": X, "labels": [0, 1]}, "do not fit 4 samples"),
        ({"samples": X, "classes": ("a",)}, "1 classes for a model with 2 answers"),
        ({"samples": X[:0]}, "are no numbers on a grid"),
    ],
)
def test_what_does_not_fit_is_said(given, message):
    given = {"model": lambda batch: np.full((len(batch), 2), 0.5), **given}
    with pytest.raises(DataError) as found:
        foveal.audit(given.pop("model"), **given)
    assert message in str(found.value)


def test_an_audit_is_frozen():
    found = foveal.audit(lambda b: np.full((len(b), 2), 0.5), X)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.samples = 3
