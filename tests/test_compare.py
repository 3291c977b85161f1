"""Two runs side by side: what is real is called so, and what is luck is not."""

import dataclasses
import json
import shutil
from math import sqrt

import numpy as np
import pytest

import foveal
from foveal.errors import RunError
from foveal.metrics.intervals import student, wilson
from foveal.record import write_json
from foveal.report import Report, Score
from foveal.verbs.compare import Comparison, compare
from foveal.verbs.kept import TESTED, PerSample, load_tested, save_tested
from roads import TINY, command, folders, shades


def run_of(root, right, *, rows=None, main="accuracy", task="classify", spread=None, score=None):
    """A run folder that was judged on ``rows``, ``right`` or wrong on each."""
    root.mkdir(parents=True)
    right = np.asarray(right, float)
    test = {main: score or wilson(int(right.sum()), len(right))}
    repeats = {}
    if spread is not None:
        mean = {"mean": float(right.mean()), "spread": spread, "folds": 3}
        repeats = {"count": 3, "mean": {main: mean}, "band": {main: spread}}
    report = Report(task, main, {"test": len(right)}, test, {}, "", {}, {}, repeats=repeats)
    write_json(root / "report.json", report.to_dict())
    if rows is not None:
        save_tested(root, PerSample(np.asarray(rows, np.uint64), right))
    return root


def answers(count=1000, share=0.9, seed=0):
    return np.random.default_rng(seed).random(count) < share


class TestSameSamples:
    def test_a_real_difference(self, tmp_path):
        base = answers()
        better = base | answers(share=0.3, seed=1)  # mends three of ten mistakes, makes none
        a = run_of(tmp_path / "a", base, rows=range(1000))
        b = run_of(tmp_path / "b", better, rows=range(1000))
        found = compare(a, b)
        assert (found.how, found.samples, found.better) == ("same samples", 1000, "second")
        assert found.difference.value == pytest.approx(better.mean() - base.mean())
        assert found.difference.low > 0
        assert found.verdict.startswith(f"{b} is better than {a} by ")
        assert "on the same 1,000 test samples" in found.verdict
        assert "(train with --repeats 3)" in found.verdict
        back = compare(b, a)
        assert back.better == "first"
        assert back.difference.value == -found.difference.value

    def test_pairs_see_what_intervals_do_not(self, tmp_path):
        base = answers()
        better = base | answers(share=0.1, seed=1)
        a, b = (run_of(tmp_path / n, v) for n, v in (("a", base), ("b", better)))
        for run, rows in ((a, base), (b, better)):
            save_tested(run, PerSample(np.arange(1000, dtype=np.uint64), rows.astype(float)))
        assert compare(a, b).better == "second"
        for run in (a, b):
            (run / TESTED).unlink()
        found = compare(a, b)
        assert (found.how, found.better) == ("other samples", None)
        assert "though not sample by sample" in found.verdict

    def test_luck(self, tmp_path):
        """Of a hundred pairs of equal models at most a few seem to differ."""
        wrongly = 0
        for seed in range(100):
            a, b = (
                run_of(tmp_path / f"{n}{seed}", answers(300, seed=2 * seed + k), rows=range(300))
                for k, n in enumerate("ab")
            )
            found = compare(a, b)
            wrongly += found.better is not None
            if found.better is None:
                assert found.verdict.startswith("No difference that could be told from luck")
        assert wrongly <= 8

    def test_only_samples_that_both_met_count(self, tmp_path):
        one, other = answers(100), answers(100, seed=1)
        a = run_of(tmp_path / "a", one, rows=range(100))
        b = run_of(tmp_path / "b", other, rows=range(139, 39, -1))
        found = compare(a, b)
        assert (found.how, found.samples) == ("same samples", 60)
        gap = other[::-1][:60].mean() - one[40:].mean()
        assert found.difference.value == pytest.approx(gap)
        c = run_of(tmp_path / "c", other, rows=range(95, 195))
        assert compare(a, c).how == "other samples"

    def test_copies_count_as_often_as_they_were_judged(self, tmp_path):
        rows = np.repeat(np.arange(50), 2)
        one, other = answers(50).repeat(2), answers(50, seed=1).repeat(2)
        a, b = (run_of(tmp_path / n, v, rows=rows) for n, v in (("a", one), ("b", other)))
        found = compare(a, b)
        assert found.samples == 100
        assert found.difference.value == pytest.approx(other.mean() - one.mean())

    def test_errors_are_better_when_smaller(self, tmp_path):
        error = np.random.default_rng(0).exponential(1, 400)
        values = {"main": "mae", "task": "regress", "rows": range(400)}
        a = run_of(tmp_path / "a", error, score=Score(1, 0.9, 1.1), **values)
        b = run_of(tmp_path / "b", 0.8 * error, score=Score(0.8, 0.7, 0.9), **values)
        found = compare(a, b)
        assert found.better == "second"
        assert found.difference.high < 0
        assert f"{b} is better than {a} by 0.2" in found.verdict
        assert "mean error 0.8" in found.verdict


class TestSeeds:
    def test_their_chance_widens_the_interval(self, tmp_path):
        base = answers()
        better = base | answers(share=0.3, seed=1)
        a = run_of(tmp_path / "a", base, rows=range(1000), spread=0.02)
        b = run_of(tmp_path / "b", better, rows=range(1000), spread=0.02)
        found = compare(a, b)
        assert found.better is None
        assert found.difference.low > 0
        half = student(4) * sqrt(0.02**2 / 3 * 2)
        low = found.difference.value - found.difference.low
        wide = found.whole.value - found.whole.low
        assert wide == pytest.approx(sqrt(low**2 + half**2))
        assert "without that chance it would seem to be a difference" in found.verdict

    def test_small_ones_leave_a_difference_real(self, tmp_path):
        base = answers()
        better = base | answers(share=0.6, seed=1)
        a = run_of(tmp_path / "a", base, rows=range(1000), spread=0.002)
        b = run_of(tmp_path / "b", better, rows=range(1000), spread=0.001)
        found = compare(a, b)
        assert found.better == "second"
        assert "A seed moves them by 0.2 points and 0.1 points, which the interval" in found.verdict

    @pytest.mark.parametrize("first", [True, False])
    def test_where_one_was_repeated_its_spread_stands_for_both(self, tmp_path, first):
        base = answers()
        a = run_of(tmp_path / "a", base, rows=range(1000), spread=0.01 if first else None)
        b = run_of(tmp_path / "b", base, rows=range(1000), spread=None if first else 0.01)
        found = compare(a, b)
        half = student(2) * sqrt(0.01**2 / 3 + 0.01**2)
        assert found.whole.high >= half
        assert "A seed moves one of them by 1.0 points, the other is taken alike" in found.verdict


class TestRefused:
    def test_runs_of_two_kinds(self, tmp_path):
        a = run_of(tmp_path / "a", answers(50))
        b = run_of(tmp_path / "b", answers(50), main="iou", task="segment")
        with pytest.raises(RunError) as caught:
            compare(a, b)
        assert "accuracy of the task 'classify' and iou of 'segment' cannot" in caught.value.what
        assert caught.value.mend.startswith("give two runs of one task")

    def test_what_is_no_run_or_not_finished(self, tmp_path):
        a = run_of(tmp_path / "a", answers(50))
        with pytest.raises(RunError, match="is no run"):
            compare(a, tmp_path / "nothing")
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "plan.json").write_text("{}")
        with pytest.raises(RunError, match=r"has not finished(.|\n)*--resume"):
            compare(a, tmp_path / "b")

    @pytest.mark.parametrize("damage", [b"", b"no", "nan", "shape"])
    def test_damaged_notes(self, tmp_path, damage):
        a = run_of(tmp_path / "a", answers(50), rows=range(50))
        if damage == "nan":
            save_tested(a, PerSample(np.arange(50, dtype=np.uint64), np.full(50, np.nan)))
        elif damage == "shape":
            save_tested(a, PerSample(np.arange(40, dtype=np.uint64), np.zeros(50)))
        else:
            (a / TESTED).write_bytes(damage)
        with pytest.raises(RunError) as caught:
            compare(a, a)
        assert "what was noted of test samples is damaged" in caught.value.what
        assert caught.value.mend == "remove this file: the runs are then compared without it"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    x, y = shades(each=40, seed=3)
    return folders(tmp_path_factory.mktemp("data") / "set", x, y)


@pytest.fixture(scope="module")
def repeated(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("repeats") / "run"
    changes = {**TINY, "fit.precision": "fp32", "fit.threads": "1", "fit.channels_last": "false"}
    report = foveal.train(data, epochs=2, repeats=3, out=run, changes=changes)
    return run, report, changes


def test_repeats_share_their_parts_and_differ_in_their_seed(repeated, data):
    run, report, changes = repeated
    each = [load_tested(run / f"repeat-{k}") for k in (1, 2, 3)]
    for one in each[1:]:
        np.testing.assert_array_equal(one.rows, each[0].rows)
    plans = [json.loads((run / f"repeat-{k}" / "plan.json").read_text()) for k in (1, 2, 3)]
    assert [p["seed"] for p in plans] == [0, 1, 2]
    kept = [(run / f"repeat-{k}" / "weights.safetensors").read_bytes() for k in (1, 2, 3)]
    assert len(set(kept)) == 3
    assert (run / "weights.safetensors").read_bytes() == kept[0]
    alone = foveal.train(data, epochs=2, out=run.parent / "alone", changes=changes)
    assert (run.parent / "alone" / "weights.safetensors").read_bytes() == kept[0]
    assert alone.test == report.test


def test_the_spread_stands_in_report_page_and_verdict(repeated):
    run, report, _ = repeated
    values = [one["scores"]["accuracy"]["value"] for one in report.repeats["each"]]
    mean, band = report.repeats["mean"]["accuracy"], report.repeats["band"]["accuracy"]
    assert mean["mean"] == pytest.approx(np.mean(values))
    assert mean["spread"] == pytest.approx(np.std(values, ddof=1))
    assert band == pytest.approx(4.303 * sqrt(2) * mean["spread"], rel=1e-3)
    assert "Trained 3 times with other seeds it reached" in report.verdict
    assert json.loads((run / "report.json").read_text())["repeats"]["count"] == 3
    assert "How far chance goes" in (run / "report.html").read_text()
    assert report.cost["seconds"] >= sum(one["seconds"] for one in report.repeats["each"]) - 0.1
    tested = load_tested(run)
    assert tested.each.mean() == pytest.approx(np.mean(values))
    found = compare(run, run / "repeat-2")
    assert found.whole is not None
    model = foveal.load(run)
    assert model.report.repeats == report.repeats


def test_an_interrupted_run_of_repeats_goes_on(repeated, data, tmp_path):
    run, report, _ = repeated

    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    for path in (cut / "report.json", cut / "repeat-3" / "report.json", cut / TESTED):
        path.unlink()
    again = foveal.resume(cut / "repeat-3")  # means the whole run
    assert again.test == report.test
    assert again.repeats["mean"] == report.repeats["mean"]
    for k in (1, 2, 3):
        at = f"repeat-{k}/weights.safetensors"
        assert (cut / at).read_bytes() == (run / at).read_bytes()
    assert foveal.resume(cut).test == report.test


def test_the_command_compares_and_repeats(data, tmp_path):
    words = [w for k, v in TINY.items() for w in ("--set", f"{k}={v}")]
    asked = ("train", data, "--epochs", 1, *words)
    done = command(*asked, "--repeats", 2, "--out", "two", cwd=tmp_path, limit=300)
    assert "training 2 of 2, seed 1" in done.stderr
    assert "2 seeds: accuracy" in done.stderr
    done = command("compare", "two", "two/repeat-2", cwd=tmp_path, limit=300)
    assert "luck" in done.stderr or "is better than" in done.stderr
    found = json.loads(command("compare", "two", "two", "--json", cwd=tmp_path, limit=300).stdout)
    assert found["better"] is None
    assert found["difference"]["value"] == 0
    assert set(found) == {f.name for f in dataclasses.fields(Comparison)}
    done = command(*asked, "--repeats", 1, "--out", "one", cwd=tmp_path, code=1, limit=300)
    assert "1 training says nothing of chance" in done.stderr
    assert "3 is usual" in done.stderr
    done = command(
        *asked, "--repeats", 2, "--folds", 2, "--out", "one", cwd=tmp_path, code=1, limit=300
    )
    assert "folds and repeats were both asked for" in done.stderr
    assert not (tmp_path / "one").exists()
