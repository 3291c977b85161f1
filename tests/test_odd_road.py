"""`foveal labels` on masks and boxes: planted faults in real files, found by networks."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.datasets.annotations import Noted, coco
from foveal.errors import PlanError
from roads import edits
from test_detect_road import CLASSES, scenes
from test_segment_road import files, net_for


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def test_masks_that_do_not_fit_come_first_and_can_be_left_out(tmp_path):
    data = files(tmp_path / "set", 2, count=60)
    for i in (4, 31):
        path = data / "labels" / f"case {i}.png"
        Image.fromarray(np.roll(np.array(Image.open(path)), 11, 0)).save(path)
    file = tmp_path / "odd.csv"
    found = foveal.labels(data, budget=24, folds=2, out=file, changes=net_for(2))
    assert len(found) == 60
    assert {doubt.sample for doubt in found[:2]} == {f"images/case {i}.png" for i in (4, 31)}
    assert all(doubt.suspect and "is usual" in doubt.why for doubt in found[:2])
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["sample"] for row in rows] == [doubt.sample for doubt in found]
    suspects = sum(row["suspect"] == "yes" for row in rows)
    report = foveal.train(data, epochs=1, out=tmp_path / "run", changes=net_for(2), exclude=file)
    assert sum(report.data[part] for part in ("train", "validation", "test")) == 60 - suspects


def test_boxes_that_were_dropped_or_renamed_come_first(tmp_path):
    (tmp_path / "set").mkdir()
    pictures, odd = {}, []
    for i, (pixels, noted) in enumerate(scenes(60)):
        Image.fromarray(pixels).save(tmp_path / f"set/p{i}.png")
        names, corners = list(noted.names), noted.boxes
        if len(names) == 2 and len(odd) < 2:
            odd.append(f"p{i}.png")
            if len(odd) == 1:
                names, corners = names[:1], corners[:1]
            else:
                names[0] = CLASSES[1 - CLASSES.index(names[0])]
        pictures[f"p{i}.png"] = Noted(tuple(names), corners, noted.size)
    (tmp_path / "set/boxes.json").write_text(json.dumps(coco.write(pictures, CLASSES)))
    found = foveal.labels(tmp_path / "set", budget=60, folds=2)
    assert len(found) == 60
    first = {doubt.sample: doubt.why for doubt in found[:6]}  # a minute's network is no expert
    assert first.keys() >= set(odd)
    assert all("is seen" in first[sample] for sample in odd)


def test_a_stopped_ranking_leaves_nothing_and_names_no_run(tmp_path, monkeypatch):
    data = files(tmp_path / "set", 2, count=20)
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "place"))
    words = ["labels", str(data), "--budget", "5m", *edits(net_for(2))]
    asked = [sys.executable, "-m", "foveal", *words]
    process = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "place").glob("foveal-labels-*/run/fold-1/plan.json")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    assert "nothing is kept" in told
    assert "--resume" not in told
    assert "Traceback" not in told
    assert not list((tmp_path / "place").glob("foveal-labels-*"))


def test_numbers_are_refused_with_what_can_be_ranked(tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 12))
    np.savez(tmp_path / "set.npz", x=rows.astype(np.float32), y=rows[:, :1].astype(np.float32))
    with pytest.raises(PlanError) as caught:
        foveal.labels(tmp_path / "set.npz", task="regress", budget=10)
    assert "masks or boxes" in str(caught.value)
