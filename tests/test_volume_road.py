"""The whole road of volumes, from files to answers; and flat memory on many of them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import foveal
from roads import PEAK, TINY
from scans import nifti, series

NET = TINY | {
    "net.stem_kernel": "3",
    "net.stem_stride": "1",
    "net.strides": "[[2, 2, 2]]",
    "net.kernels": "[[3, 3, 3]]",
}


def flat_or_round(rng, label, step, extent=16.0):
    cells = round(extent / step)
    places = (np.arange(cells) + 0.5) * step - extent / 2
    away = np.meshgrid(places, places, places * (2 if label else 1), indexing="ij")
    ball = sum(a**2 for a in away) < 25
    return (100 * ball + rng.normal(50, 10, ball.shape)) * rng.uniform(0.5, 2)


def niftis(root, each=24, step=1.0):
    rng = np.random.default_rng(0)
    for label in (0, 1):
        for i in range(each):
            here = step * (1 + i % 2 / 2)
            values = flat_or_round(rng, label, here).astype(np.int16)
            nifti(
                root / ("round", "flat")[label] / f"{i}.nii.gz", values, np.diag([here] * 3 + [1])
            )
    return root


def test_nifti_folders_from_a_look_to_answers(tmp_path):
    data = niftis(tmp_path / "set")
    card = foveal.look(data)
    assert (card.data, card.fit, card.scale) == ("volume", "spacing", "sample")
    report = foveal.train(data, epochs=25, out=tmp_path / "run", changes=NET)
    assert report.test["accuracy"].value > 0.6
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["data"]["step"] == [axis["step"] for axis in plan["axes"]]
    assert {axis["unit"] for axis in plan["axes"]} == {"mm"}
    model = foveal.load(tmp_path / "run")
    answers = model.predict(data / "flat")
    assert len(answers) == 24
    assert not any(a.error for a in answers)


def test_dicom_series_from_a_look_to_answers(tmp_path):
    rng = np.random.default_rng(0)
    for label in (0, 1):
        for i in range(24):
            values = flat_or_round(rng, label, 1.0).astype(np.int16)
            series(
                tmp_path / "set" / ("round", "flat")[label] / f"p{i}", values, uid=f"1.{label}.{i}",
                step=1.0, spacing=(1, 1), PatientID=f"{label}-{i // 2}",
            )  # fmt: skip
    report = foveal.train(tmp_path / "set", epochs=4, out=tmp_path / "run", changes=NET)
    assert report.data["test"] > 0
    answers = foveal.load(tmp_path / "run").predict(tmp_path / "set" / "flat")
    assert len(answers) == 24
    assert not any(a.error for a in answers)


CODE = """
import sys
from foveal.verbs.train import train
train(sys.argv[1], epochs=1, out=sys.argv[2], symmetry="none",
      changes={"fit.threads": "1", "fit.precision": "fp32"})
print(peak())
"""


@pytest.mark.slow
def test_500_volumes_train_under_2_gigabytes(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 20, (64, 64, 64))
    for i in range(500):
        values = np.roll(noise, i, axis=i % 3) + 60 * (i % 2) * (np.arange(64) > 31)
        path = tmp_path / "set" / ("a", "b")[i % 2] / f"{i}.nii"
        nifti(path, values.astype(np.int16))
    found = subprocess.run(
        [sys.executable, "-c", PEAK + CODE, str(tmp_path / "set"), str(tmp_path / "run")],
        env={**os.environ, "FOVEAL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert int(found.stdout.split()[-1]) < 2000
