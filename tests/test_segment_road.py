"""The whole road of masks in one, two and three axes: from files to label files."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.metrics.cells import count_cells, ious
from foveal.readers._codes import codes
from roads import command
from scans import nifti

SIZES = {1: (64,), 2: (24, 20), 3: (12, 10, 14)}


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def net_for(rank):
    each = ",".join("2" * rank)
    return {
        "net.stem_width": "8",
        "net.widths": "[12]",
        "net.depths": "[1]",
        "net.strides": f"[[{each}]]",
        "net.kernels": f"[[{each.replace('2', '3')}]]",
        "fit.lr": "0.1",
    }


def blocks(rank, count, seed=0):
    """Noise with a brighter block in it, and where that lies."""
    rng = np.random.default_rng(seed)
    size = SIZES[rank]
    y = np.zeros((count, *size), np.uint8)
    for mask in y:
        mask[
            tuple(slice(a, a + n // 2) for a, n in zip(rng.integers(1, 5, rank), size, strict=True))
        ] = 1
    x = rng.normal(80, 15, y.shape) + 80 * y
    return np.clip(x, 0, 255).astype(np.uint8), y


AFFINE = np.array([[0, -1.5, 0, 9], [-1.0, 0, 0, 3], [0, 0, 2.0, -4], [0, 0, 0, 1]])


def files(root, rank, count=40):
    """Samples beside masks, as people keep them in so many axes."""
    x, y = blocks(rank, count)
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for i, (one, mask) in enumerate(zip(x, y, strict=True)):
        for folder, values in (("images", one), ("labels", mask)):
            path = root / folder / f"case {i}"
            if rank == 1:
                np.save(path.with_suffix(".npy"), values.astype(np.float32))
            elif rank == 2:
                Image.fromarray(values).save(path.with_suffix(".png"))
            else:
                nifti(path.with_suffix(".nii.gz"), values.astype(np.int16), AFFINE)
    return root


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_from_files_to_label_files(tmp_path, rank):
    data = files(tmp_path / "set", rank)
    card = foveal.look(data)
    assert (card.target, card.rank, card.classes) == ("mask", rank, ("background", "foreground"))
    report = foveal.train(data, epochs=8, out=tmp_path / "run", changes=net_for(rank))
    assert (report.task, report.main) == ("segment", "iou")
    assert report.test["iou"].value > 0.8
    assert report.test["dice"].value >= report.test["iou"].value
    assert set(report.baselines) == {"commonest_by_place", "linear_per_cell"}
    text = (tmp_path / "run" / "report.html").read_text()
    assert "Masks over samples" in text
    assert text.count("<img") >= (3 * 4 if rank > 1 else 1)
    again = foveal.evaluate(tmp_path / "run", data)
    assert again.test["iou"].value > 0.8
    named = {p.stem.removesuffix(".nii"): p for p in sorted((data / "images").iterdir())}
    done = command(
        "predict", "run", *list(named.values())[:3], "--out", "said", "--json", cwd=tmp_path
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["file"].split(".")[0] for line in lines] == ["case_0", "case_1", "case_10"]
    total = np.zeros((2, 2))
    for line, name in zip(lines, named, strict=False):
        written = tmp_path / "said" / line["file"]
        mask = codes(written.read_bytes(), written.name)
        true = codes(next((data / "labels").glob(f"{name}.*")).read_bytes(), named[name].name)
        assert mask.shape == true.shape
        share = line["shares"]["foreground"]
        assert share == pytest.approx((mask == 1).mean(), abs=1e-5)
        total += count_cells(mask, true.astype(np.uint8), 2)
    assert ious(total)[1] > 0.8


def test_volumes_keep_their_place_in_space(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    data = files(tmp_path / "set", 3, count=20)
    foveal.train(data, epochs=2, out=tmp_path / "run", changes=net_for(3))
    command("predict", "run", data / "images" / "case 3.nii.gz", "--out", "said", cwd=tmp_path)
    said = nibabel.load(tmp_path / "said" / "case_3.nii.gz")
    read = nibabel.load(data / "images" / "case 3.nii.gz")
    assert said.shape == read.shape
    np.testing.assert_array_equal(said.affine, read.affine)
    (answer,) = foveal.load(tmp_path / "run").predict(data / "images" / "case 3.nii.gz")
    assert answer.mask.shape != said.shape  # in the reader's orientation
    assert (answer.mask == 1).sum() == (np.asarray(said.dataobj) == 1).sum()


def test_a_run_is_judged_alike_again_and_answers_in_lines(tmp_path):
    data = tmp_path / "set"
    for part, seed in (("train", 1), ("test", 2)):
        x, y = blocks(2, 30, seed)
        for folder, values in ((part, x), (f"{part}annot", y)):
            (data / folder).mkdir(parents=True)
            for i, one in enumerate(values):
                Image.fromarray(one).save(data / folder / f"{i}.png")
    report = foveal.train(data, epochs=3, out=tmp_path / "run", changes=net_for(2))
    again = foveal.evaluate(tmp_path / "run", data)
    assert again.test == report.test
    command("predict", "run", "set/test", "--out", "said.csv", cwd=tmp_path)
    rows = list(csv.DictReader((tmp_path / "said.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 30
    assert 0 <= float(rows[0]["share(foreground)"]) < 1
    model = foveal.load(tmp_path / "run")
    x, _ = blocks(2, 2, 3)
    first, _ = model.predict(x)
    assert first.mask.shape == (24, 20)


def test_a_task_of_lines_writes_no_folder(tmp_path):
    from roads import TINY, folders, shades

    data = folders(tmp_path / "set", *shades())
    foveal.train(data, epochs=1, out=tmp_path / "run", changes=TINY)
    done = command("predict", "run", "set", "--out", "said", cwd=tmp_path, code=1)
    assert "answers of the task 'classify' are lines, not files" in done.stderr


def test_a_long_signal_is_answered_in_tiles(tmp_path):
    """Signals of several lengths: the longest are longer than the network's grid at no place."""
    root, rng = tmp_path / "set", np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for i in range(30):
        length = int(rng.integers(30, 100))
        y = np.zeros(length, np.float32)
        at = int(rng.integers(0, length - 12))
        y[at : at + 12] = 1
        np.save(root / "images" / f"{i}.npy", (rng.normal(0, 0.3, length) + 2 * y).astype("f4"))
        np.save(root / "labels" / f"{i}.npy", y)
    report = foveal.train(root, epochs=20, out=tmp_path / "run", changes=net_for(1))
    assert report.test["iou"].value > 0.7
    y = np.zeros(500, np.float32)
    y[200:212] = y[333:345] = 1
    np.save(tmp_path / "long.npy", (rng.normal(0, 0.3, 500) + 2 * y).astype("f4"))
    (answer,) = foveal.load(tmp_path / "run").predict(tmp_path / "long.npy")
    assert answer.mask.shape == (500,)
    assert ious(count_cells(answer.mask, y.astype(np.uint8), 2).astype(float))[1] > 0.7
