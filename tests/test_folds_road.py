"""The whole road of a cross-validation: K runs in one, judged out of fold, kept as one model."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import foveal
from foveal.datasets.folds import folds
from foveal.errors import PlanError, RunError
from foveal.evaluation.predict import logits
from foveal.grid import Batch
from foveal.record import read_json, write_json
from foveal.tasks import finished
from foveal.training.stop import Interrupted
from foveal.verbs import finish
from foveal.verbs.folds import whole_run
from foveal.verbs.model import load
from foveal.verbs.source import Source, examine
from roads import CLASSES, TINY, command, edits, folders, shades, strict
from test_segment_road import files, net_for

# Which machine is measured must not change a byte of the plan.
FIXED = {**TINY, "fit.precision": "fp32", "fit.threads": "1", "fit.channels_last": "false"}


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def members_of(run, count):
    """The networks of the folds, one by one."""
    parts = [run / f"fold-{number}" for number in range(1, count + 1)]
    return [load(part) for part in parts]


def batch_of(data, plan):
    """All samples of a folder as the network gets them."""
    seen = examine(Source(str(data)))
    rows = np.arange(len(seen.usable))
    return Batch(seen.store.gather(rows), None, torch.from_numpy(rows))


def test_pictures_in_classes_from_folder_to_model(tmp_path):
    data = folders(tmp_path / "set", *shades())
    run = tmp_path / "run"
    report = foveal.train(data, epochs=6, folds=3, out=run, changes=TINY)
    assert report.data["test"] == 72
    assert report.data["train"] == 72
    assert report.folds["judged"] == "out of fold"
    assert [one["test"] for one in report.folds["each"]] == [24, 24, 24]
    assert report.folds["pooled"]["accuracy"]["value"] == report.test["accuracy"].value
    keys = [key for part in members_of(run, 3) for key in keys_judged(part.run)]
    assert sorted(keys) == sorted(
        f"{name}/{p.name}" for name in CLASSES for p in (data / name).iterdir()
    )

    each = [read_json(run / f"fold-{k}" / "report.json") for k in (1, 2, 3)]
    values = [one["test"]["accuracy"]["value"] for one in each]
    assert report.folds["mean"]["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert report.folds["mean"]["accuracy"]["spread"] == pytest.approx(np.std(values, ddof=1))
    assert report.test["accuracy"].value == pytest.approx(np.mean(values))  # folds of equal size
    assert set(report.baselines) == {
        *("majority", "nearest_centroid", "logistic_regression", "tiny_cnn"),
    }
    assert report.cost["seconds"] >= sum(one["cost"]["seconds"] for one in each)

    model = foveal.load(run)
    batch, known = batch_of(data, model.plan), model.report.calibration
    mean = np.mean(
        [
            finished(m.task, logits(m.network, [batch], m.plan), m.plan, known)
            for m in members_of(run, 3)
        ],
        axis=0,
    )
    found = finished(model.task, logits(model.network, [batch], model.plan), model.plan, known)
    np.testing.assert_allclose(found, mean, atol=1e-6)
    said = {p.input.rpartition("/")[2]: p for p in model.predict(data)}
    keys = [examine(Source(str(data))).key(row) for row in range(72)]
    for key, row in zip(keys, mean, strict=True):
        answer = said[key.rpartition("/")[2]]
        assert list(answer.probabilities.values()) == pytest.approx(row.tolist(), abs=2e-6)
    text = (run / "report.html").read_text()
    assert "Fold by fold" in text
    assert "each judged once, by a network that had never met it" in text
    assert (run / "fold-2" / "report.html").exists()


def keys_judged(run):
    """Names of the samples that a fold was judged on, worked out anew."""
    whole = run.parent
    data = Source.from_dict(read_json(whole / "source.json"))
    seen = examine(data)
    fold = folds(
        seen, read_json(whole / "plan.json")["folds"], read_json(whole / "plan.json")["seed"]
    )
    return [seen.key(int(row)) for row in np.flatnonzero(fold == int(run.name[5:]) - 1)]


def test_the_members_share_one_cache_and_one_plan(tmp_path):
    data = folders(tmp_path / "set", *shades())
    run = tmp_path / "run"
    foveal.train(data, epochs=1, folds=2, out=run, changes=TINY)
    stores = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    foveal.train(data, epochs=1, out=tmp_path / "alone", changes=TINY)
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == stores
    whole, *plans = (read_json(run / at / "plan.json") for at in (".", "fold-1", "fold-2"))
    assert [p["net"] for p in plans] == [whole["net"]] * 2
    assert [p["judge"] for p in plans] == [whole["judge"]] * 2
    assert (whole["folds"], plans[0]["folds"], plans[1]["folds"]) == (2, 0, 0)
    assert [p["seed"] for p in plans] == [0, 1]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_masks_in_any_rank(tmp_path, rank):
    data = files(tmp_path / "set", rank, count=20)
    run = tmp_path / "run"
    report = foveal.train(data, epochs=25, folds=2, out=run, changes=net_for(rank))
    assert report.test["iou"].value > 0.6
    rows = report.folds["mean_rows"]
    assert set(rows) == {"background", "foreground"}
    values = [one["rows"]["foreground"]["dice"] for one in report.folds["each"]]
    assert rows["foreground"]["dice"]["mean"] == pytest.approx(np.mean(values))
    dice = report.folds["pooled_rows"]["foreground"]["dice"]
    assert dice == pytest.approx(np.mean(values), abs=1e-6)  # a mean of samples, in equal folds

    model, path = foveal.load(run), sorted((data / "images").iterdir())[0]
    batch = batch_of(data, model.plan)
    raws = [torch.from_numpy(logits(m.network, [batch], m.plan)) for m in members_of(run, 2)]
    mean = torch.stack([raw.softmax(1) for raw in raws]).mean(0)
    found = torch.from_numpy(logits(model.network, [batch], model.plan)).softmax(1)
    np.testing.assert_allclose(found, mean, atol=1e-5)
    (answer,) = model.predict(path)
    assert answer.mask.shape == tuple(batch.x.shape[2:])
    np.testing.assert_array_equal(answer.mask, mean[0].argmax(0))
    again = foveal.evaluate(run, data)  # by all members, which have met two thirds or more of it
    assert again.test["iou"].value > report.test["iou"].value - 0.05
    command("predict", "run", path, "--out", "said", cwd=tmp_path)
    assert (tmp_path / "said" / "predictions.jsonl").exists()


def numbers(count=60):
    x, _ = shades(each=count // 3)
    rng = np.random.default_rng(0)
    level = rng.uniform(0, 180, count)
    x = (rng.integers(0, 60, x.shape) + level[:, None, None]).astype(np.uint8)
    return x, level


def test_numbers_from_arrays(tmp_path):
    x, y = numbers()
    model = foveal.fit(x, y, epochs=8, folds=3, out=tmp_path / "run", changes=TINY)
    assert model.report.test["mae"].value < 40
    each = [m.predict(x[:5]) for m in members_of(tmp_path / "run", 3)]
    by_hand = np.mean([[next(iter(p.numbers.values())) for p in one] for one in each], axis=0)
    found = model.predict(x[:5])
    assert [next(iter(p.numbers.values())) for p in found] == pytest.approx(by_hand, rel=1e-4)
    width = model.report.calibration["half_width"][0]
    low = next(iter(found[0].answer["low"].values()))
    assert low == pytest.approx(next(iter(found[0].numbers.values())) - width, rel=1e-3)
    assert set(model.report.folds["mean_rows"]) == {n.name for n in model.plan.numbers}
    (tmp_path / "run" / "report.json").unlink()
    with pytest.raises(RunError, match="arrays in memory"):
        foveal.resume(tmp_path / "run")


def test_any_of_the_classes(tmp_path):
    x, y = shades()
    many = np.stack([y >= 1, y >= 2], 1).astype(int)
    model = foveal.fit(x, many, epochs=4, folds=2, out=tmp_path / "run", changes=TINY)
    assert model.report.task == "multilabel"
    assert set(model.report.calibration) >= {"slope", "shift", "threshold"}
    assert len(model.predict(x[:3])) == 3


def test_a_given_test_part_is_used_once_by_all_together(tmp_path):
    x, y = shades()
    for part, rows in (("train", slice(0, 54)), ("test", slice(54, 72))):
        folders(tmp_path / "set" / part, x[rows], y[rows])
    report = foveal.train(tmp_path / "set", epochs=4, folds=3, out=tmp_path / "run", changes=TINY)
    assert report.folds["judged"] == "test part"
    assert (report.data["train"], report.data["test"]) == (54, 18)
    assert sum(one["test"] for one in report.folds["each"]) == 54
    again = foveal.evaluate(tmp_path / "run", tmp_path / "set")
    assert again.test == report.test
    text = (tmp_path / "run" / "report.html").read_text()
    assert "which no fold had a share in" in text


def test_a_model_that_is_saved_elsewhere_answers_alike(tmp_path):
    data = folders(tmp_path / "set", *shades())
    foveal.train(data, epochs=2, folds=2, out=tmp_path / "run", changes=TINY)
    model = foveal.load(tmp_path / "run")
    model.save(tmp_path / "copy")
    assert foveal.load(tmp_path / "copy").predict(data) == model.predict(data)


def tensors(run):
    return (run / "weights.safetensors").read_bytes()


def figures(report):
    """The report without clocks, places and pictures."""
    return report.test, report.folds["pooled"], report.calibration, report.data


def test_interrupted_and_resumed_the_result_is_the_same(tmp_path, monkeypatch):
    data = folders(tmp_path / "set", *shades())
    asked = {"epochs": 3, "folds": 3, "changes": FIXED}
    whole = foveal.train(data, out=tmp_path / "whole", **asked)
    run, began, judge = tmp_path / "cut", [], finish.Finish.judge

    def stopped(self, network, history, **more):
        began.append(self.run.name)
        if began == ["fold-1", "fold-2"]:  # the second fold is trained, but not judged
            raise KeyboardInterrupt
        return judge(self, network, history, **more)

    monkeypatch.setattr(finish.Finish, "judge", stopped)
    with pytest.raises(Interrupted) as caught:
        foveal.train(data, out=run, **asked)
    assert caught.value.mend == f"foveal train --resume {run}"
    assert not (run / "report.json").exists()
    with pytest.raises(RunError, match="has not finished"):
        foveal.load(run)
    report = foveal.resume(run / "fold-2")  # means the whole run
    assert began == ["fold-1", "fold-2", "fold-2", "fold-3"]
    assert tensors(run) == tensors(tmp_path / "whole")
    assert figures(report) == figures(whole)
    assert foveal.resume(run).test == report.test


@pytest.mark.slow
def test_a_stopped_command_says_how_to_go_on(tmp_path):
    folders(tmp_path / "set", *shades())
    words = ["train", "set", "--folds", "2", "--epochs", "4000", "--out", "run", *edits(FIXED)]
    process = subprocess.Popen(
        [sys.executable, "-m", "foveal", *words],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not (tmp_path / "run" / "fold-1" / "checkpoint" / "index.json").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "fold 1 of 2: stopped by Ctrl-C after step" in said
    assert "foveal train --resume run\n" in said + "\n"


def test_the_command_prints_every_fold(tmp_path):
    folders(tmp_path / "set", *shades())
    words = ("train", "set", "--folds", 2, "--epochs", 1, "--out", "run", "--json", *edits())
    done = command(*words, cwd=tmp_path, limit=300)
    report = strict(done.stdout)
    assert report["folds"]["count"] == 2
    assert "fold 2 of 2" in done.stderr
    done = command("train", "--resume", "run", cwd=tmp_path)
    assert "mean ± spread" in done.stderr
    assert "72, each judged by a network that had never met it" in done.stderr
    assert "--budget TIME" in command("train", "--help", cwd=tmp_path).stdout
    assert "each with --folds" in " ".join(command("train", "--help", cwd=tmp_path).stdout.split())


def test_one_fold_is_none(tmp_path):
    folders(tmp_path / "set", *shades(each=4))
    done = command("train", "set", "--folds", 1, "--out", "run", cwd=tmp_path, code=1)
    assert "1 folds leave nothing to learn from or nothing to judge by" in done.stderr
    assert "give 2 or more (5 is usual), or leave it out" in done.stderr
    assert not (tmp_path / "run").exists()
    done = command("train", "--resume", "run", "--folds", 2, cwd=tmp_path, code=2)
    assert "a resumed run keeps its own plan" in done.stderr


def test_tasks_without_a_mean_say_so_before_anything_is_trained(tmp_path):
    data = folders(tmp_path / "set", *shades())
    with pytest.raises(PlanError) as caught:
        foveal.train(data, task="embed", epochs=1, folds=3, out=tmp_path / "run")
    assert caught.value.what.startswith("the task 'embed' cannot be cross-validated into one model")
    assert "unlike spaces" in caught.value.what
    assert caught.value.where == "--folds"
    assert caught.value.mend.startswith("train without --folds")
    assert not (tmp_path / "run").exists()


def test_a_plan_that_was_tampered_with_is_no_model(tmp_path):
    data = folders(tmp_path / "set", *shades())
    run = tmp_path / "run"
    foveal.train(data, epochs=1, folds=2, out=run, changes=TINY)
    plan = read_json(run / "plan.json")
    write_json(run / "plan.json", {**plan, "folds": 10**9})
    with pytest.raises(RunError, match="asks for a larger network than"):
        foveal.load(run)
    write_json(run / "plan.json", {**plan, "folds": 1})
    with pytest.raises(RunError, match="1 networks of the task 'classify' are no model"):
        foveal.load(run)
    with pytest.raises(PlanError, match="unknown key 'folds'"):
        foveal.plan(data, epochs=1, changes={"folds": "3"})


def test_answers_of_a_fold_that_are_gone_are_told(tmp_path):
    data = folders(tmp_path / "set", *shades())
    run = tmp_path / "run"
    foveal.train(data, epochs=1, folds=2, out=run, changes=TINY)
    (run / "report.json").unlink()
    (run / "fold-2" / "answers.safetensors").write_bytes(b"no")
    with pytest.raises(RunError) as caught:
        foveal.resume(run)
    assert "the answers of a finished fold are gone or damaged" in caught.value.what
    assert "resume: that fold is then trained again" in caught.value.mend


def test_a_folder_is_a_fold_only_within_a_run_of_folds(tmp_path):
    (tmp_path / "fold-1").mkdir()
    assert whole_run(tmp_path / "fold-1") == tmp_path / "fold-1"
    (tmp_path / "plan.json").write_text(json.dumps({"folds": 0}))
    assert whole_run(tmp_path / "fold-1") == tmp_path / "fold-1"
    (tmp_path / "plan.json").write_text(json.dumps({"folds": 2}))
    assert whole_run(tmp_path / "fold-1") == tmp_path
    assert whole_run(tmp_path / "other") == tmp_path / "other"
