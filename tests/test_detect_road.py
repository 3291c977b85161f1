"""Boxes from files to files: VOC, COCO and YOLO in, one network, JSON, COCO and pictures out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.answers import give
from foveal.datasets.annotations import Noted, coco, voc, yolo
from foveal.progress import SILENT
from foveal.record import read_json
from foveal.verbs.evaluate import evaluate
from foveal.verbs.predict import stream
from foveal.verbs.train import train

SIZE, CLASSES = (48, 64), ("dark", "light")
COUNT, TESTED = 30, 8


def scenes(count: int = COUNT) -> list[tuple[np.ndarray, Noted]]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        pixels = rng.normal(120, 6, (*SIZE, 3))
        names, rows = [], []
        for side in (0, 1):  # one thing in either half at most, so that none hides another
            if rng.random() < 0.7:
                kind = int(rng.integers(0, 2))
                height, width = rng.integers(10, 18, 2)
                top, left = rng.integers(0, 28), 32 * side + rng.integers(0, 14)
                pixels[top : top + height, left : left + width] += 90 if kind else -90
                names.append(CLASSES[kind])
                rows.append([top, left, top + height, left + width])
        boxes = np.array(rows, float).reshape(-1, 4)
        found.append((pixels.clip(0, 255).astype(np.uint8), Noted(tuple(names), boxes, SIZE)))
    return found


def as_voc(root: Path) -> Path:
    sets = root / "ImageSets/Main"
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(parents=True)
    sets.mkdir(parents=True)
    for i, (pixels, noted) in enumerate(scenes()):
        Image.fromarray(pixels).save(root / f"JPEGImages/p{i}.png")
        (root / f"Annotations/p{i}.xml").write_bytes(voc.write(noted, f"p{i}.png"))
    names = [f"p{i}" for i in range(COUNT)]
    (sets / "train.txt").write_text("\n".join(names[:-TESTED]))
    (sets / "test.txt").write_text("\n".join(names[-TESTED:]))
    return root


def as_coco(root: Path) -> Path:
    root.mkdir()
    pictures = {}
    for i, (pixels, noted) in list(enumerate(scenes()))[-TESTED:]:
        Image.fromarray(pixels).save(root / f"p{i}.png")
        pictures[f"p{i}.png"] = noted
    (root / "boxes.json").write_text(json.dumps(coco.write(pictures, CLASSES)))
    return root


def as_yolo(root: Path) -> Path:
    root.mkdir()
    for i, (pixels, noted) in list(enumerate(scenes()))[-TESTED:]:
        Image.fromarray(pixels).save(root / f"p{i}.png")
        (root / f"p{i}.txt").write_bytes(yolo.write(noted, CLASSES[::-1]))
    (root / "classes.txt").write_text("light\ndark\n")  # in another order: matched by name
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("boxes")
    train(as_voc(root / "voc"), epochs=30, out=root / "run", symmetry="flips")
    return root / "run"


def test_the_report_has_scores_baselines_curves_and_samples(run: Path) -> None:
    report = read_json(run / "report.json")
    assert report["task"] == "detect"
    assert list(report["test"]) == ["ap50", "ap"]
    assert set(report["baselines"]) == {"usual_places", "nearest_neighbour"}
    assert 0.5 < report["test"]["ap50"]["value"] <= 1
    assert "AP50 is" in report["verdict"]
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in ("Class by class", "Precision and recall", "Boxes over samples", "Least right"):
        assert words in page
    assert page.count("data:image/png;base64") >= TESTED


def test_every_format_of_the_same_boxes_is_judged_the_same(run: Path, tmp_path: Path) -> None:
    expected = read_json(run / "report.json")["test"]
    for make in (as_coco, as_yolo):
        report = evaluate(run, make(tmp_path / make.__name__))
        for key, score in report.test.items():
            assert score.value == pytest.approx(expected[key]["value"], abs=1e-6)


def test_predictions_go_out_as_json_as_coco_and_drawn(run: Path, tmp_path: Path) -> None:
    inputs = as_coco(tmp_path / "set")
    out = tmp_path / "out"
    found, telling, plan = stream(run, [inputs / "p29.png", inputs / "p28.png"], folder=out)
    give(found, telling, plan, out=out / "all.jsonl", as_json=False, progress=SILENT)
    lines = [json.loads(line) for line in (out / "all.jsonl").read_text().splitlines()]
    document = coco.read((out / "coco.json").read_bytes(), "coco.json")
    assert len(document.pictures) == len(lines) == 2
    for line in lines:
        alone = json.loads((out / line["file"]).read_text())
        assert alone["size"] == list(SIZE)
        assert alone["boxes"] == line["boxes"]
        noted = document.pictures[line["input"].replace("\\", "/").lstrip("/")]
        assert noted.names == tuple(box["label"] for box in line["boxes"])
        corners = [[*box["low"], *box["high"]] for box in line["boxes"]]
        np.testing.assert_allclose(noted.boxes, np.reshape(corners, (-1, 4)), atol=1e-4)
        drawn = out / line["file"].replace(".json", ".boxes.png")
        with Image.open(drawn) as picture:
            assert picture.size == (320, 240)


def test_predictions_in_a_table_count_each_class(run: Path, tmp_path: Path) -> None:
    inputs = as_coco(tmp_path / "set")
    found, telling, plan = stream(run, [inputs / "p29.png"])
    give(found, telling, plan, out=tmp_path / "all.csv", as_json=False, progress=SILENT)
    head, row = (tmp_path / "all.csv").read_text().splitlines()
    assert head == "input,count(dark),count(light),boxes,error"
    assert "p29.png" in row
