"""The verbs behind `train`, in this process: wishes, folders, small sets, time and reserve."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.errors import DataError, FovealError, PlanError, RunError
from foveal.networks.weights import load_weights
from foveal.plan import Plan, replace_part
from foveal.report import Report
from foveal.training.stop import Interrupted
from foveal.verbs.demo import demo
from foveal.verbs.folder import Begun, check_plan, free_folder, new_folder, new_run, noted
from foveal.verbs.hold import held, stoppable, writing
from foveal.verbs.plan import Wish, draw, laid_out
from foveal.verbs.plan import plan as plan_verb
from foveal.verbs.prepare_run import (
    baseline_seconds,
    fewer_views,
    judging_seconds,
    measured,
    new_network,
    timed,
)
from foveal.verbs.source import Source, examine
from foveal.verbs.train import resume, train

SMALL = {
    "net.widths": "[8]",
    "net.depths": "[1]",
    "net.strides": "[[2, 2]]",
    "net.kernels": "[[3, 3]]",
    "fit.threads": "1",
    "fit.precision": "fp32",
}


def write(root: Path, counts: dict[str, int]) -> Path:
    rng = np.random.default_rng(0)
    for low, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(60 * low, 60 * low + 80, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def shades(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "shades", {"dark": 40, "light": 40})


@pytest.fixture
def drawn(shades):
    survey = examine(Source(str(shades)))
    return draw(survey, Wish(budget=30.0, changes=SMALL))


class TestWishes:
    @pytest.mark.parametrize(
        ("wish", "said"),
        [
            ({"budget": 9.0, "epochs": 2.0}, "both a budget and a number of epochs"),
            ({"task": "clasify"}, "did you mean 'classify'"),
            ({"budget": 0.0, "epochs": None}, "0 is not a time"),
            ({"epochs": float("nan")}, "nan is not a time or a count"),
            ({"changes": {"net.with": "3"}}, "did you mean 'net.widths'"),
            ({"changes": {"net.widths": "[8, 16, 32, 64, 128]"}}, "stages"),
            ({"bad_files": "eat"}, "skip"),
            ({"test": "nowhere"}, "nowhere"),
        ],
    )
    def test_an_impossible_one_is_refused_and_leaves_nothing(self, shades, tmp_path, wish, said):
        with pytest.raises(FovealError) as caught:
            train(shades, out=tmp_path / "a" / "run", **({"epochs": 1.0} | wish))
        assert said in str(caught.value)
        assert not (tmp_path / "a" / "run").exists()

    def test_a_folder_that_was_there_stays_as_it_was(self, shades, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(PlanError):
            train(shades, out=tmp_path, epochs=1, changes={"net.with": "3"})
        assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]

    def test_epochs_set_under_a_budget_are_kept(self, shades):
        made = plan_verb(shades, budget=60, changes={**SMALL, "fit.epochs": "3", "fit.batch": "8"})
        assert made.budget == 60
        assert made.fit.epochs == 3
        assert made.fit.steps == 3 * 7  # 57 training samples by eights

    def test_steps_set_are_made(self, shades, tmp_path):
        changes = {**SMALL, "fit.steps": "10"}
        report = train(shades, budget=60, out=tmp_path / "run", changes=changes)
        assert report.cost["steps"] == 10
        assert report.cost["seconds"] < 60


class TestPlanned:
    def test_laid_out_parts_are_disjoint_and_labelled(self, drawn):
        plan, survey, split = drawn
        again = laid_out(survey, plan)[1]
        rows = [*split.train, *split.validation, *split.test]
        assert sorted(rows) == list(range(80))
        for name in ("train", "validation", "test"):
            assert (getattr(split, name) == getattr(again, name)).all()
            assert set(survey.labels[getattr(split, name)]) == {0, 1}

    def test_the_same_seed_makes_the_same_first_weights(self, drawn):
        one, two = (new_network(*drawn).state_dict() for _ in range(2))
        assert all((one[name] == two[name]).all() for name in one)

    def test_more_time_holds_more_steps(self, drawn):
        plan = drawn[0]
        few, many = (timed(plan, 0.1, 10, seconds).fit.steps for seconds in (2.0, 20.0))
        assert (few, many) == (20, 200)
        assert timed(plan, 0.1, 10, -5.0).fit.steps == 1
        assert "were never worth" in timed(plan, 0.001, 10, 1e6).why["fit.steps"]

    def test_views_are_dropped_when_they_cost_too_much(self, drawn):
        plan, _, split = drawn
        plan = dataclasses.replace(
            plan,
            judge=dataclasses.replace(plan.judge, mirror=True, shift=1),
            augment=dataclasses.replace(plan.augment, flip=(False, True)),
        )
        assert fewer_views(plan, 1e-6, split, 30.0) == plan
        cheap = fewer_views(plan, 1.0, split, 30.0)
        assert (cheap.judge.shift, cheap.judge.mirror) == (0, False)
        assert "too much of the time" in cheap.why["judge.shift"]
        assert cheap.judge.turns == plan.judge.turns == 3
        turning = replace_part(plan, "augment", turn=180.0, plane=(0, 1))
        once = 1.0 * (len(split.validation) + len(split.test))
        dear = fewer_views(turning, 1.0, split, 14 * 6.5 * once)  # six views, not eighteen
        assert (dear.judge.turns, dear.judge.shift, dear.judge.mirror) == (1, 1, True)
        assert "too much of the time" in dear.why["judge.turns"]
        assert dear.why["judge.shift"] == plan.why["judge.shift"]
        zooming = replace_part(plan, "augment", zoom=0.15)
        dear = fewer_views(zooming, 1.0, split, 14 * 6.5 * once)
        assert (dear.judge.sizes, dear.judge.shift, dear.judge.mirror) == (1, 1, True)
        why = turning.why | {"judge.turns": "set by you to 3"}
        mine = fewer_views(dataclasses.replace(turning, why=why), 1.0, split, 30.0)
        assert (mine.judge.turns, mine.judge.shift, mine.judge.mirror) == (3, 0, False)

    def test_the_reserve_grows_with_the_work_and_leaves_time_to_train(self, drawn):
        plan, survey, split = drawn
        assert judging_seconds(plan, 1e-3, split) < judging_seconds(plan, 1e-2, split)
        alone, beside = (judging_seconds(plan, 1e-3, split, slow) for slow in (1.0, 2.0))
        assert alone < beside < 2 * alone + 1e-9
        assert baseline_seconds(1e6) == 10
        assert baseline_seconds(60.0, text=True) == 6
        fitted, reserve = measured(plan, survey, split, 30.0)
        assert 0.5 < reserve < 10
        assert fitted.fit.steps >= 1


class TestFolders:
    @pytest.mark.parametrize(
        ("name", "folder"),
        [
            ("a/b:c", "a_b_c"),
            ("..", "run"),
            ("", "run"),
            ("é" * 60, "é" * 30),
            ("tab\there\udc80", "tab_here"),
        ],
    )
    def test_any_name_makes_a_folder(self, tmp_path, monkeypatch, name, folder):
        monkeypatch.chdir(tmp_path)
        made, new = new_folder(None, name)
        assert (made, new) == (Path("runs") / folder, True)
        assert made.is_dir()
        assert new_folder(None, name)[0].name == f"{folder}-2"

    def test_a_dangling_link_is_taken(self, tmp_path):
        (tmp_path / "run").symlink_to(tmp_path / "nowhere")
        assert free_folder(tmp_path / "run") == tmp_path / "run-2"

    @pytest.mark.parametrize("out", ["file", "file/run", "/proc/run", "nul\0"])
    def test_what_cannot_be_written_is_said(self, tmp_path, out):
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match=r"cannot write to(.|\n)*mend:  give a folder"):
            new_folder(tmp_path / out, "x")

    def test_one_at_a_time_and_no_lock_left(self, tmp_path):
        (tmp_path / ".plan.json.123.part").write_text("half")
        (tmp_path / ".lock").write_text("1")  # of a process that was killed
        with held(tmp_path):
            assert [p.name for p in tmp_path.iterdir()] == [".lock"]
            with pytest.raises(RunError, match="another process"), held(tmp_path):
                pass
        assert list(tmp_path.iterdir()) == []

    def test_a_stop_keeps_the_notes_and_a_fault_does_not(self, tmp_path):
        def fail(error: BaseException) -> None:
            with new_run(tmp_path / "run", "x") as run:
                (run / "wish.json").write_text("{}")
                raise error

        with pytest.raises(DataError):
            fail(DataError("a", where="b", mend="c"))
        assert not (tmp_path / "run").exists()
        with pytest.raises(Interrupted, match=r"Ctrl-C(.|\n)*foveal train --resume"):
            fail(KeyboardInterrupt())
        assert (tmp_path / "run" / "wish.json").exists()

    def test_a_failed_write_says_what_to_do(self, tmp_path):
        with (
            pytest.raises(RunError, match=r"No space(.|\n)*free some disk space"),
            writing(tmp_path),
        ):
            raise OSError(28, "No space left on device")
        with pytest.raises(ValueError), stoppable(tmp_path):
            raise ValueError

    @pytest.mark.parametrize("name", ["", "nowhere"])
    def test_no_run_is_not_resumed(self, tmp_path, name):
        with pytest.raises(RunError, match=r"is no run|there is no folder"):
            resume(tmp_path / name)
        with pytest.raises(RunError):
            noted(tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestChanged:
    """What may change between two sittings, and what may not."""

    @pytest.fixture
    def cut(self, shades, tmp_path):
        """A run as a kill leaves it after training, with data of its own."""
        data = write(tmp_path / "data", {"dark": 20, "light": 20})
        run = tmp_path / "run"
        train(data, epochs=2, out=run, changes=SMALL)
        (run / "report.json").unlink()
        return run, data

    def test_data(self, cut):
        run, data = cut
        Image.new("L", (8, 8), 7).save(data / "dark" / "0.png")
        with pytest.raises(RunError, match="the data is not what this run began with"):
            resume(run)
        (data / "dark" / "0.png").unlink()
        with pytest.raises(RunError, match=r"40 samples then, 39 now"):
            resume(run)

    def test_plan(self, cut):
        run, _ = cut
        weights = (run / "weights.safetensors").read_bytes()
        values = json.loads((run / "plan.json").read_text())
        values["fit"]["steps"] = 7
        (run / "plan.json").write_text(json.dumps(values))
        with pytest.raises(RunError, match=r"fit.steps was \d+ when this run began and is 7 now"):
            resume(run)
        (run / "plan.json").write_text("{")
        with pytest.raises(FovealError, match="not valid JSON"):
            resume(run)
        values["fit"]["steps"] = json.loads((run / "begun.json").read_text())["plan"]["fit"][
            "steps"
        ]
        values["judge"]["bootstrap"] = 50  # judging is still to come
        (run / "plan.json").write_text(json.dumps(values))
        assert isinstance(resume(run), Report)
        assert (run / "weights.safetensors").read_bytes() == weights

    def test_where_a_plan_runs_is_free(self, drawn, tmp_path):
        plan = drawn[0]
        fit = dataclasses.replace(plan.fit, threads=7, device="cuda")
        check_plan(tmp_path, dataclasses.replace(plan, fit=fit), Begun(plan, 0.0).plan)
        with pytest.raises(RunError, match=r"^seed was 0 when"):
            check_plan(tmp_path, dataclasses.replace(plan, seed=1), plan)


class TestSmallSets:
    @pytest.mark.parametrize(
        "counts", [{"a": 6, "b": 6}, {"a": 30, "b": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 3, "c": 1}]
    )
    def test_any_two_classes_end_with_a_model(self, tmp_path, counts):
        data, run = write(tmp_path / "data", counts), tmp_path / "run"
        report = train(data, epochs=1, out=run, changes=SMALL)
        assert report.data["train"] >= len(counts)
        plan = Plan.from_dict(json.loads((run / "plan.json").read_text()))
        survey = examine(Source(str(data)))
        split = laid_out(survey, plan)[1]
        load_weights(new_network(plan, survey, split), run / "weights.safetensors")


@pytest.mark.slow
def test_the_demo_takes_the_next_free_folder(tmp_path):
    (tmp_path / "demo").mkdir()
    began = time.monotonic()
    assert demo(tmp_path / "demo", started=began - 30).test["accuracy"].value > 0.8
    assert (tmp_path / "demo-2" / "report.html").exists()
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_task_in_a_file_is_refused_before_it_is_run(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("raise SystemExit('this file was run')")
    with pytest.raises(PlanError, match=r"is a file(.|\n)*--task(.|\n)*classify"):
        plan_verb(tmp_path, task=str(own))


def test_the_memory_told_is_the_commands_own():
    code = "from foveal.verbs.costs import peak_memory_mb; print(peak_memory_mb())"
    held = np.ones(100 * 2**20)  # 800 MB in the program that starts it
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert held.nbytes > 2**29
    assert 50 < int(told.stdout) < 700
