"""Audits of answers per cell, of several labels and of numbers, against slow computations."""

import numpy as np
import pytest
import torch

import foveal
from foveal import DataError
from foveal.evaluation.audit.asked import Asked
from foveal.evaluation.audit.changes import Kind, changes
from foveal.evaluation.audit.graded import Graded, measure_graded
from foveal.grid import IMAGE_AXES, Axis
from foveal.verbs.train import train
from test_segment_road import files, net_for

CUBE = tuple(Axis(n, 1.0, "mm") for n in "zyx")
N = 40


def measured(answer, x, y, graded, axes=IMAGE_AXES, until=None):
    low, high = torch.tensor([x.min()]).float(), torch.tensor([x.max()]).float()
    kind = Kind(axes, x.shape[2:], low, high)
    found, right = measure_graded(
        Asked(answer, x, y), graded, changes(kind), until, lambda done: None
    )
    return {(row.name, row.strength): row for _, row in found.rows}, found, right


def bright(batch):
    """Two classes per cell: above nought or not. Turned samples get turned answers."""
    p = 1 / (1 + np.exp(-3 * batch[:, 0].astype(np.float64)))
    return np.stack([1 - p, p], 1)


def sloping(batch):
    """The same, but more is asked of cells further right: its answers do not turn along."""
    ramp = np.linspace(-1, 1, batch.shape[-1])
    p = 1 / (1 + np.exp(-3 * (batch[:, 0].astype(np.float64) + ramp)))
    return np.stack([1 - p, p], 1)


def cells(rank=2, seed=0):
    x = np.random.default_rng(seed).normal(size=(N, 1, *(8,) * rank))
    y = (x[:, 0] > 0.2).astype(np.int64)
    y[:, 0] = 255  # not known
    return x, y


@pytest.mark.parametrize(("rank", "axes"), [(2, IMAGE_AXES), (3, CUBE)])
def test_answers_of_single_cells_turn_along_exactly(rank, axes):
    x, y = cells(rank)
    rows, found, _ = measured(bright, x, y, Graded("cells"), axes)
    assert found.exact["orbit"].changed == found.exact["circular"].changed == 0
    assert found.exact["orbit"].elements == {2: 8, 3: 48}[rank]
    for (name, _), row in rows.items():
        if row.family == "orientation" or "circular" in name:
            assert row.consistency.value == 1
            assert row.change.value < 1e-12
    assert not any(name in {"crop", "scale"} for name, _ in rows)


def test_masks_against_a_slow_computation():
    x, y = cells()
    rows, found, right = measured(sloping, x, y, Graded("cells"))
    moves = {
        ("flip x", 0.0): (lambda s: s[..., ::-1], True),
        ("flip y", 0.0): (lambda s: s[..., ::-1, :], True),
        ("swap y-x", 0.0): (lambda s: np.swapaxes(s, -1, -2), True),
        ("contrast", 2.0): (lambda s: s.mean() + 2 * (s - s.mean()), False),
    }
    for name, (move, along) in moves.items():
        same, good, moved = [], [], []
        for one, truth in zip(x, y, strict=True):
            before, after = sloping(one[None])[0], sloping(np.array(move(one))[None])[0]
            before, truth = (move(before), move(truth)) if along else (before, truth)
            was, now = before.argmax(0), after.argmax(0)
            same.append(np.mean(was == now))
            good.append(np.mean((now == truth)[truth < 2]))
            moved.append(
                np.mean(np.where(was == 1, abs(after[1] - before[1]), abs(after[0] - before[0])))
            )
        row = rows[name]
        assert row.consistency.value == pytest.approx(np.mean(same), abs=1e-9), name
        assert row.accuracy.value == pytest.approx(np.mean(good), abs=1e-9), name
        assert row.change.value == pytest.approx(np.mean(moved), abs=1e-6), name
        assert row.consistency.low <= row.consistency.value <= row.consistency.high
    assert found.exact["orbit"].changed == N
    said = sloping(x).argmax(1)
    shares = [(one == true)[true < 2].mean() for one, true in zip(said, y, strict=True)]
    assert right.value == pytest.approx(np.mean(shares))


def test_labels_and_numbers_are_compared_by_themselves():
    x = np.random.default_rng(0).normal(size=(N, 1, 8, 8))

    def halves(batch):
        left, right = batch[..., :4].mean((1, 2, 3)), batch[..., 4:].mean((1, 2, 3))
        return 1 / (1 + np.exp(-5 * np.stack([left, right], 1)))

    y = (halves(x) > 0.5).astype(np.float32)
    rows, _, right = measured(halves, x, y, Graded("labels"))
    row, said = rows["flip x", 0.0], halves(x) > 0.5
    assert right.value == 1
    assert row.consistency.value == pytest.approx((said == said[:, ::-1]).mean())
    assert row.accuracy.value == row.consistency.value
    assert rows["flip y", 0.0].consistency.value == 1

    def numbers(batch):
        return np.stack([batch[..., :4].mean((1, 2, 3)), batch.mean((1, 2, 3))], 1)

    rows, found, right = measured(numbers, x, None, Graded("numbers", (0.2, 0.1)))
    assert right is None
    assert rows["flip x", 0.0].accuracy is None
    away = abs(numbers(x) - numbers(x[..., ::-1])) / np.array([0.2, 0.1])
    assert rows["flip x", 0.0].change.value == pytest.approx(away.mean(), abs=1e-6)
    assert rows["flip x", 0.0].consistency.value == pytest.approx((away <= 0.1).mean())
    assert found.rows


def test_little_time_means_fewer_samples():
    x, y = (np.repeat(part, 3, 0) for part in cells())
    _, found, _ = measured(bright, x, y, Graded("cells"), until=0.0)
    assert found.count == 32


def test_answers_that_are_none_are_refused():
    x, y = cells()
    with pytest.raises(DataError, match="or is not finite"):
        measured(lambda batch: np.full((len(batch), 2, 8, 8), np.nan), x, y, Graded("cells"))


def test_a_run_of_masks_is_audited(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    data = files(tmp_path / "set", 2)
    train(data, epochs=2, out=tmp_path / "run", changes=net_for(2))
    found = foveal.audit(tmp_path / "run", budget=20)
    names = {row.name for row in found.rows}
    assert {"flip x", "shift", "brightness", "blur"} <= names
    assert found.accuracy is not None
    assert (tmp_path / "run" / "audit.html").exists()
