"""Boxes of signals, pictures and volumes from plain JSON and from one table."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.datasets.annotations import Noted, plain
from foveal.datasets.layouts import find_listing
from foveal.datasets.survey import survey
from foveal.errors import DataError
from recordings import wav
from scans import nifti

SIZES = {1: (40,), 2: (24, 30), 3: (10, 12, 14)}
AXES = {1: ("time",), 2: ("y", "x"), 3: ("z", "y", "x")}
RANKS = pytest.mark.parametrize("rank", [1, 2, 3])
NAMES = ("wave", "spike")


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def noted(rank: int, seed: int = 0) -> Noted:
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 5, (2, rank)).astype(float)
    return Noted(NAMES, np.concatenate([low, low + rng.integers(2, 5, (2, rank))], 1), SIZES[rank])


def sample(path: Path, rank: int, seed: int = 0) -> Path:
    """A file of noise; of a volume in the reader's own orientation."""
    values = np.random.default_rng(seed).integers(0, 200, SIZES[rank])
    path.parent.mkdir(parents=True, exist_ok=True)
    if rank == 1:
        path = path.with_suffix(".npy")
        np.save(path, values.astype(np.float32))
    elif rank == 2:
        path = path.with_suffix(".png")
        Image.fromarray(values.astype(np.uint8)).save(path)
    else:
        path = path.with_suffix(".nii.gz")
        nifti(path, values.astype(np.int16).transpose(2, 1, 0))
    return path


def check(listing, rank: int) -> None:
    assert (listing.target, listing.classes) == ("boxes", ("spike", "wave"))
    for i in range(4):
        item = listing.read(i)
        assert item.x.shape[1:] == SIZES[rank]
        order = np.argsort(item.y[:, 0])[::-1]
        assert item.y[order, 0].tolist() == [1, 0]
        np.testing.assert_allclose(item.y[order, 1:], noted(rank, i).boxes)


@RANKS
@pytest.mark.parametrize("folders", [("", ""), ("images/", "labels/")])
def test_json_beside_each_sample(tmp_path, rank, folders) -> None:
    for i in range(4):
        sample(tmp_path / "set" / f"{folders[0]}s{i}", rank, i)
        path = tmp_path / "set" / f"{folders[1]}s{i}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(plain.write(noted(rank, i)))
    listing = find_listing(tmp_path / "set")
    assert (listing.layout, listing.doubts) == ("plain boxes", ())
    check(listing, rank)
    card = survey(listing).card
    assert len(card.sides[0]) == rank


@RANKS
def test_one_table_for_all(tmp_path, rank) -> None:
    columns = [f"{end}_{axis}" for end in ("low", "high") for axis in AXES[rank]]
    lines = [",".join(["file", "label", *columns[::-1]])]  # in any order
    for i in range(4):
        path = sample(tmp_path / "train" / f"s{i}", rank, i)
        for name, row in zip(NAMES, noted(rank, i).boxes.tolist(), strict=True):
            lines.append(",".join([f"train/{path.name}", name, *map(str, row[::-1])]))
    sample(tmp_path / "test" / "s9", rank)
    lines.append(f"gone.png,wave{',1' * 2 * rank}")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    listing = find_listing(tmp_path)
    assert listing.layout == "table of boxes"
    assert np.bincount(listing.parts).tolist() == [4, 0, 1]
    told = "\n".join(listing.doubts)
    assert "1 samples have no box in boxes.csv: they count as empty" in told
    assert "1 files of boxes.csv are not there: 'gone.png' first" in told
    rows = [i for i, key in enumerate(listing.keys) if key.startswith("train")]
    assert len(listing.read(({0, 1, 2, 3, 4} - set(rows)).pop()).y) == 0
    for i, row in enumerate(rows):
        found = listing.read(row).y
        np.testing.assert_allclose(found[np.argsort(-found[:, 0]), 1:], noted(rank, i).boxes)


def test_seconds_become_cells(tmp_path) -> None:
    for i in range(3):
        wav(tmp_path / f"r{i}.wav", np.random.default_rng(i).normal(0, 0.1, 800), 400)
    (tmp_path / "events.csv").write_text(
        "file,label,start,end\nr0.wav,call,0.5,1.25\nr0.wav,cry,1,1.5\nr2,wrong,1,2\n"
        "r1.wav,call,1.0,0.25\n"
    )
    listing = find_listing(tmp_path)
    assert listing.read(0).y.tolist() == [[0, 200, 500], [1, 400, 600]]
    assert listing.read(1).y.tolist() == [[0, 100, 400]]
    assert len(listing.read(2).y) == 0
    assert "1 in 1 sample: boxes with corners in the wrong order" in "\n".join(listing.doubts)


def test_what_predict_writes_is_read_again(tmp_path) -> None:
    """A score beside each box, and other files that predict leaves, do no harm."""
    path = sample(tmp_path / "s0", 2)
    boxes = [{"label": "wave", "score": 0.9, "low": [1, 2.5], "high": [5, 9]}]
    path.with_suffix(".json").write_text(json.dumps({"size": [24, 30], "boxes": boxes}))
    listing = find_listing(tmp_path)
    assert listing.layout == "plain boxes"
    assert listing.read(0).y.tolist() == [[0, 1, 2.5, 5, 9]]


def test_what_is_no_box_is_noted_and_what_is_no_file_told() -> None:
    good = {"label": "a", "low": [1], "high": [2]}
    bad = [3, {"label": "a"}, good | {"low": [1, 2]}, good | {"low": "x"}, good | {"low": [True]}]
    bad += [good | {"label": None}, good | {"low": [1, 2], "high": [3, 4]}]
    found = plain.read(json.dumps({"boxes": [good, *bad]}).encode(), "k")
    assert found.boxes.tolist() == [[1, 2]]
    assert len(found.broken) == len(bad)
    for content, words in (
        (b"{", "no JSON that can be read"),
        (b"[" * 100_000, "no JSON that can be read"),
        (b"[]", 'no list of "boxes" in it'),
        (b'{"boxes": 3}', 'no list of "boxes" in it'),
    ):
        with pytest.raises(DataError, match=words):
            plain.read(content, "k")


def test_tables_are_read_with_care() -> None:
    with pytest.raises(DataError, match="no columns file, label, and low_NAME"):
        plain.read_table(b"file,label,low_z,high_z\n", "k")
    with pytest.raises(DataError, match="no table that can be read"):
        plain.read_table(b"\xff\xfe\x00", "k")
    text = "file,label,low_y,low_x,high_y,high_x\na.png,cat,1,2,3\na.png,,1,2,3,4\nb.png,,,,,\n"
    found, measured = plain.read_table(text.encode(), "k")
    assert not measured
    assert len(found["a.png"].broken) == 2
    assert (len(found["b.png"].boxes), found["b.png"].broken) == (0, ())
    assert not plain.is_table(b"file,label,score\n")
    assert plain.is_table(b"\xef\xbb\xbflabel, file, start, end\n1,2,3,4")


def test_samples_without_notes_are_left_out(tmp_path) -> None:
    for i in range(3):
        sample(tmp_path / f"s{i}", 2, i)
    (tmp_path / "s0.json").write_bytes(plain.write(noted(2)))
    (tmp_path / "s1.json").write_text("{")
    (tmp_path / "lonely.json").write_text("{}")
    listing = find_listing(tmp_path)
    assert len(listing) == 1
    assert "2 samples have no usable annotation file and are left out" in listing.doubts[0]
    reasons = {s.key: s.reason for s in listing.left_out}
    assert reasons["s2.png"] == "has no annotation file"
    assert reasons["lonely.json"] == "has no sample"
    assert "no JSON" in reasons["s1.json"]
