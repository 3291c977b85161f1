"""The whole road on clips: files and folders of frames, from a look to answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import foveal
from films import film_folders, frame_folders, movements, write_film
from roads import PEAK, command, strict

TINY = {
    "net.stem": "convolution",
    "net.stem_width": "8",
    "net.stem_kernel": "[1, 2, 2]",
    "net.stem_stride": "[1, 1, 1]",
    "net.widths": "[16]",
    "net.depths": "[2]",
    "net.strides": "[[1, 2, 2]]",
    "net.kernels": "[[1, 3, 3]]",
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    x, y = movements(16, 6, ways=("left", "right"))
    more, theirs = movements(3, 6, seed=1, ways=("left", "right"))
    return {
        "files": film_folders(root / "files", x, y),
        "frames": frame_folders(root / "frames", x, y),
        "more": frame_folders(root / "more", more, theirs),
    }


@pytest.mark.parametrize("kind", ["files", "frames"])
def test_from_a_look_to_answers(sets, tmp_path, kind):
    card = foveal.look(sets[kind])
    assert (card.data, card.rank, card.size, card.fit) == ("video", 3, (6, 16, 16), "stretch")
    assert (card.channels, card.dtype, card.count) == (1, "uint8", 32)
    assert "6 frames, as the median clip has" in card.why["size"]
    report = foveal.train(sets[kind], epochs=25, out=tmp_path / "run", changes=TINY)
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["net"]["block"] == "shifted"
    assert plan["augment"]["flip"] == [False] * 3
    assert set(report.invariance["motion"]) == {"whole", "shuffled", "still"}
    assert report.invariance["motion"]["whole"] == {
        name: getattr(report.test["accuracy"], name) for name in ("value", "low", "high")
    }
    assert "one frame" in report.verdict
    assert "one_frame_logistic_regression" in report.baselines
    model = foveal.load(tmp_path / "run")
    answers = model.predict([sets["more"] / "left", sets["more"] / "right"])
    assert [Path(a.input).name for a in answers] == ["000", "002", "004", "001", "003", "005"]
    assert not any(a.error for a in answers)
    assert model.evaluate(sets["more"]).data["test"] == 6
    said = {a.label for a in model.predict(sets["files"] / "left" / "000.mp4")}
    assert said <= {"left", "right"}


def test_the_command_line_reads_clips(sets, tmp_path):
    told = command("look", sets["files"], cwd=tmp_path).stderr
    assert "all 6 x 16 x 16" in told
    assert "time: steps of 0.1 s" in told
    plan = strict(command("plan", sets["files"], "--epochs", 1, "--json", cwd=tmp_path).stdout)
    assert plan["data"]["sampled"] == [0]
    sets_ = [w for k, v in TINY.items() for w in ("--set", f"{k}={v}")]
    command("train", sets["files"], "--epochs", 2, "--out", "run", *sets_, cwd=tmp_path)
    (tmp_path / "bad.mp4").write_bytes((sets["files"] / "left/000.mp4").read_bytes()[:-9])
    done = command(
        *("predict", "run", sets["more"] / "left/000", "bad.mp4", "--json"), cwd=tmp_path, code=None
    )
    good, bad = map(strict, done.stdout.splitlines())
    assert good["label"] in ("left", "right")
    assert bad["error"] == "damaged video (the file ends too early)"


def test_a_factored_run_comes_back_as_it_was(sets, tmp_path):
    changes = TINY | {"net.block": "factored", "net.kernels": "[[3, 3, 3]]"}
    foveal.train(sets["frames"], epochs=2, out=tmp_path / "run", changes=changes)
    first, second = foveal.load(tmp_path / "run"), foveal.load(tmp_path / "run")
    given = [a.probabilities for a in first.predict(sets["more"] / "left")]
    assert given == [a.probabilities for a in second.predict(sets["more"] / "left")]


def test_pictures_alone_are_told_from_clips_and_motion_from_none(tmp_path):
    """Brightness names these clips: the report says that their order adds nothing."""
    rng = np.random.default_rng(0)
    for number in range(48):
        way = ("dark", "light")[number % 2]
        x = rng.integers(0, 60, (5, 16, 16), dtype=np.uint8) + np.uint8(150 * (number % 2))
        write_film(tmp_path / "set" / way / f"{number}.mkv", x, "ffv1", "gray")
    report = foveal.train(tmp_path / "set", epochs=12, out=tmp_path / "run", changes=TINY)
    assert report.test["accuracy"].value == 1
    assert "Motion does not matter as far as this test can show" in report.verdict
    assert any("a network for pictures may do as well" in doubt for doubt in report.doubts)


CODE = (
    PEAK
    + """
import sys
from foveal.memory import keep_freed
from foveal.verbs.train import train
keep_freed()
report = train(sys.argv[1], epochs=0.2, out=sys.argv[2], changes={"fit.threads": "1"})
print(report.data["train"], peak())
"""
)


@pytest.mark.slow
def test_two_thousand_clips_train_in_two_gigabytes(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(2000):
        scene = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        way = 2 * (number % 2) - 1
        x = np.stack([np.roll(scene, 2 * way * t, 1) for t in range(24)])
        write_film(tmp_path / "set" / "ab"[number % 2] / f"{number}.mp4", x, "mpeg4")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "set"), str(tmp_path / "run")],
        env={**os.environ, "FOVEAL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    train, megabytes = map(int, done.stdout.split())
    assert train == 1560
    assert megabytes < 2048


@pytest.mark.slow
def test_moving_digits_are_named_by_their_way(shared, tmp_path):
    sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
    try:
        from moving_digits import clips, digits, write_mp4
    finally:
        sys.path.pop(0)
    x, y = clips(600, digits(shared / "data" / "mnist"))
    write_mp4(x, y, tmp_path / "set")
    report = foveal.train(tmp_path / "set", epochs=15, out=tmp_path / "run")
    assert report.test["accuracy"].value >= 0.98
    still = report.invariance["motion"]["still"]
    assert still["low"] < 0.25 < still["high"]
    assert report.baselines["one_frame_logistic_regression"] < 0.4
    assert "Motion matters" in report.verdict
