"""The whole road with a symmetry: train, answer, resume, folds; and that no answer ever changes."""

import itertools

import numpy as np
import pytest
import torch

import foveal
from foveal.layers import channels_last, kernels_channels_last
from foveal.layers.symmetry.turning import TurningConvolution
from foveal.networks.fold import plain
from foveal.readers.idx import load
from roads import TINY, command, edits, shades

WISH = TINY | {
    "net.symmetry": "full",
    "net.stem_width": "32",
    "net.widths": "[32]",
    "fit.threads": "1",
    "augment.turn": "45",
}


def turned(x):
    """All eight orientations of pictures ``(N, H, W)``."""
    for quarter in range(4):
        moved = np.rot90(x, quarter, (1, 2))
        yield np.ascontiguousarray(moved)
        yield np.ascontiguousarray(moved[:, :, ::-1])


def probabilities(model, x):
    return np.array([list(p.answer["probabilities"].values()) for p in model.predict(x)])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    x, y = shades(size=(12, 12))
    out = tmp_path_factory.mktemp("runs") / "run"
    return foveal.fit(x, y, epochs=2, symmetry="none", changes=WISH, out=out), x


def test_a_trained_run_answers_alike_in_all_orientations_and_is_plain(fitted):
    model, x = fitted
    assert model.plan.net.symmetry == "full"
    assert not any(isinstance(m, TurningConvolution) for m in model.network.modules())
    assert plain(model.network) is model.network
    want = probabilities(model, x[:20])
    assert want.std() > 1e-3
    for moved in turned(x[:20]):
        np.testing.assert_allclose(probabilities(model, moved), want, atol=2e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_with_exact_shifts_answers_alike_wherever_a_sample_lies(tmp_path, precision):
    """As a user asks it: with all views that are averaged, in the precision of the plan."""
    x, y = shades(size=(16, 12))
    changes = TINY | {"net.shift": "exact", "fit.threads": "1", "fit.precision": precision}
    model = foveal.fit(x, y, epochs=2, symmetry="none", changes=changes, out=tmp_path / "run")
    want = probabilities(model, x[:20])
    assert want.std() > 1e-3
    for step in itertools.product((0, 1, 5), (0, 2, 11)):
        np.testing.assert_array_equal(probabilities(model, np.roll(x[:20], step, (1, 2))), want)


def test_it_is_judged_and_saved_as_any_other(fitted, tmp_path):
    model, x = fitted
    again = foveal.load(model.save(tmp_path / "copy"))
    np.testing.assert_array_equal(probabilities(again, x[:9]), probabilities(model, x[:9]))
    y = np.arange(len(x)) % 3
    report = model.evaluate(x, y)
    other = again.evaluate(np.ascontiguousarray(np.rot90(x, 1, (1, 2))), y)
    assert report.test["accuracy"].value == other.test["accuracy"].value


def test_a_run_cut_short_goes_on_to_the_same_weights(tmp_path):
    x, y = shades(each=12, size=(8, 8))
    np.savez(tmp_path / "set.npz", x=x, y=y)
    words = ["--epochs", "3", "--symmetry", "none", *edits(WISH)]
    command("train", tmp_path / "set.npz", *words, "--out", tmp_path / "one", cwd=tmp_path)
    weights = (tmp_path / "one" / "weights.safetensors").read_bytes()
    (tmp_path / "one" / "report.json").unlink()
    (tmp_path / "one" / "weights.safetensors").unlink()
    command("train", "--resume", tmp_path / "one", cwd=tmp_path)
    assert (tmp_path / "one" / "weights.safetensors").read_bytes() == weights


def test_folds_answer_together_and_alike_in_all_orientations(tmp_path):
    x, y = shades(each=12, size=(8, 8))
    model = foveal.fit(x, y, epochs=1, folds=2, symmetry="none", changes=WISH, out=tmp_path / "run")
    want = probabilities(model, x[:9])
    for moved in turned(x[:9]):
        np.testing.assert_allclose(probabilities(model, moved), want, atol=2e-5)


def test_vectors_of_embed_are_the_same_in_all_orientations(tmp_path):
    x, y = shades(each=10, size=(8, 8), classes=6)
    model = foveal.fit(
        x, y, task="embed", epochs=1, symmetry="none", changes=WISH, out=tmp_path / "run"
    )
    want = model.embed(x[:6])
    for moved in turned(x[:6]):
        np.testing.assert_allclose(model.embed(moved), want, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shift", ["plain", "exact"])
def test_none_of_10000_answers_changes(tmp_path, shared, shift):
    """Under all eight orientations and, where shifts are exact, all 256 circular shifts."""
    x, y = _mnist(shared)
    x = x[:14000].reshape(-1, 14, 2, 14, 2).mean((2, 4)).round().astype(np.uint8)
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    changes = {
        "net.symmetry": "full",
        "net.shift": shift,
        "net.stem_width": "32",
        "net.stem_kernel": "[3, 3]",
        "net.stem_stride": "[1, 1]",
        "net.widths": "[32, 64]",
        "net.depths": "[1, 1]",
        "net.strides": "[[2, 2], [2, 2]]",
        "net.kernels": "[[3, 3], [3, 3]]",
        "data.size": "[16, 16]",
        "fit.batch": "50",
    }
    model = foveal.fit(
        x[:4000], y[:4000], epochs=5, symmetry="none", changes=changes, out=tmp_path / "run"
    )
    asked = torch.from_numpy(x[4000:14000])[:, None]
    kernels_channels_last(model.network)

    def answers(moved):
        parts = (model.network(channels_last(part)) for part in moved.split(500))
        return torch.cat([part.argmax(1) for part in parts])

    with torch.inference_mode():
        want = answers(asked)
        assert len(want.unique()) >= 8  # in all orientations 6 and 9 are one thing
        changed = torch.zeros(len(asked), dtype=torch.bool)
        for quarter, flip in itertools.product(range(4), (False, True)):
            moved = torch.rot90(asked, quarter, (2, 3))
            changed |= answers(moved.flip(3) if flip else moved) != want
        if shift == "exact":
            for step in itertools.product(range(16), range(16)):
                changed |= answers(asked.roll(step, (2, 3))) != want
    assert int(changed.sum()) == 0


def _mnist(shared):
    folder = shared / "data" / "mnist"
    return tuple(
        load((folder / f"train-{kind}-ubyte.gz").read_bytes(), kind)
        for kind in ("images-idx3", "labels-idx1")
    )
