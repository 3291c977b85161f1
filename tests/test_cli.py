"""The command line: what it prints where, what it exits with, and what it never loads."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from foveal.answers import give
from foveal.bars import Bars, Lines, clean, progress
from foveal.cli import app
from foveal.doors import door
from foveal.errors import DataError, FovealError, RunError
from foveal.memory import keep_freed
from foveal.plan import Plan
from foveal.progress import SILENT
from foveal.tasks.classify import TASK
from foveal.training.stop import interrupted
from report_samples import plan_of


def foveal(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def shades(tmp_path_factory) -> Path:
    """Two classes that brightness tells apart; one has a name that markup would eat."""
    root, rng = tmp_path_factory.mktemp("data") / "shades", np.random.default_rng(0)
    for name, low in (("dark", 40), ("light [red]", 180)):
        (root / name).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(low, low + 60, (12, 10), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(shades, tmp_path_factory) -> Path:
    """A short run, made by the command itself."""
    folder = tmp_path_factory.mktemp("runs") / "shades"
    done = foveal("train", shades, "--epochs", 20, "--out", folder, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((folder / "report.json").read_text())
    return folder


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["look"], "Missing argument 'DATA'"),
            (["lok", "data"], "No such command 'lok'"),
            (["look", "data", "--jsn"], "No such option: --jsn"),
            (["look", "data", "--bad-files", "eat"], "'eat' is not one of 'skip', 'stop'"),
            (["train"], "give DATA to train on, or --resume RUN"),
            (["train", "data", "--resume", "run"], "not both"),
            (["train", "--resume", "run", "--budget", "5m"], "a resumed run keeps its own plan"),
            (["train", "data", "--budget", "soon"], "write it as 90s, 10m, 1h30m"),
            (["train", "data", "--budget", "5m", "--epochs", "3"], "not both"),
            (["train", "data", "--epochs", "0"], "--epochs 0 must be above 0"),
            (["train", "data", "--epochs", "nan"], "--epochs nan must be above 0"),
            (["train", "data", "--seed", "-1"], "greater than or equal to 0"),
            (["train", "data", "--symmetry", "spin"], "is not one of 'auto', 'none', 'flips'"),
            (["plan", "data", "--set", "net.gate"], "must have the form key=value"),
            (["plan", "data", "--set", "=3"], "must have the form key=value"),
            (["predict", "run"], "Missing argument 'INPUT...'"),
            (["predict", "run", "a.png", "--out", "a.txt"], "must end in .jsonl or .csv"),
        ],
    )
    def test_a_wrong_call_exits_with_2(self, words, said):
        found = foveal(*words)
        assert found.exit_code == 2
        assert said in " ".join(found.stderr.split())
        assert found.stdout == ""

    def test_help_shows_the_verbs_and_nothing_unbuilt(self):
        found = foveal("--help")
        assert found.exit_code == 0
        for verb in (
            "look",
            "plan",
            "train",
            "evaluate",
            "compare",
            "audit",
            "predict",
            "enroll",
            "identify",
            "demo",
        ):
            assert f"\n  {verb} " in found.stdout
        for unbuilt in ("explain", "export", "serve", "studio"):
            assert f"\n  {unbuilt} " not in found.stdout

    def test_help_loads_nothing_heavy(self):
        code = "import sys, foveal.cli as c\ntry: c.main()\nfinally: print(*sys.modules)"
        found = subprocess.run(
            [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True
        )
        loaded = set(found.stdout.split())
        assert "Usage:" in loaded
        assert not loaded & {"torch", "numpy", "sklearn", "rich", "PIL", "safetensors"}

    def test_the_version_is_told(self):
        assert foveal("--version").stdout == "foveal 0.1.0\n"

    def test_python_m_foveal_is_the_same(self):
        found = subprocess.run(
            [sys.executable, "-m", "foveal", "--version"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout == "foveal 0.1.0\n"


class TestDoors:
    """Every way out of a command."""

    @staticmethod
    def leave(error: BaseException) -> int:
        with pytest.raises(typer.Exit) as caught, door():
            raise error
        return caught.value.exit_code

    def test_a_mistake_has_three_parts_and_no_traceback(self, capsys):
        assert self.leave(DataError("it broke", where="a\x1b[31m.png", mend="mend it")) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err == "it broke\n  where: a\\x1b[31m.png\n  mend:  mend it\n"

    def test_our_own_fault_names_the_place(self, capsys, monkeypatch):
        monkeypatch.delenv("FOVEAL_DEBUG", raising=False)
        assert self.leave(ZeroDivisionError("by nought\nsecond line")) == 1
        told = capsys.readouterr().err
        assert told.startswith("ZeroDivisionError: by nought\n  where: ")
        assert "test_cli.py:" in told
        assert "FOVEAL_DEBUG=1" in told
        assert "Traceback" not in told

    @pytest.mark.parametrize(
        "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you")]
    )
    def test_memory_that_ran_out_is_no_fault_of_ours(self, capsys, error):
        assert self.leave(error) == 1
        told = capsys.readouterr().err
        assert told.startswith("the memory of this machine ran out\n  where: ")
        assert "--set net.widths" in told
        assert "fault in Foveal" not in told

    def test_those_who_ask_get_the_traceback(self, capsys, monkeypatch):
        monkeypatch.setenv("FOVEAL_DEBUG", "1")
        assert self.leave(ZeroDivisionError("by nought")) == 1
        assert "Traceback" in capsys.readouterr().err

    def test_ctrl_c_says_how_to_go_on(self, capsys):
        assert self.leave(KeyboardInterrupt()) == 130
        assert "foveal train --resume RUN" in capsys.readouterr().err

    @pytest.mark.parametrize(("reason", "code"), [("SIGTERM", 0), ("Ctrl-C", 130)])
    def test_a_saved_run_says_how_to_go_on(self, capsys, reason, code):
        assert self.leave(interrupted(reason, 3, 9, Path("runs/a"))) == code
        assert "foveal train --resume runs/a" in capsys.readouterr().err

    def test_a_reader_that_leaves_is_no_fault(self):
        code = (
            "from foveal.doors import door\nimport typer\n"
            "try:\n  with door():\n    print('x'); raise BrokenPipeError\n"
            "except typer.Exit as e: raise SystemExit(e.exit_code)"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert (found.returncode, found.stderr) == (141, b"")

    def test_an_exit_is_passed_on(self):
        assert self.leave(typer.Exit(7)) == 7


class TestVerbs:
    def test_look_prints_the_card(self, shades):
        found = foveal("look", shades, "--json")
        card = json.loads(found.stdout)
        assert found.exit_code == 0
        assert card["classes"] == ["dark", "light [red]"]
        assert sum(card["parts"].values()) == 80

    def test_look_speaks_to_people_on_stderr(self, shades):
        found = foveal("look", shades)
        assert found.stdout == ""
        assert "80 samples" in found.stderr
        assert "light [red]" in found.stderr

    @pytest.mark.parametrize("verb", ["look", "plan", "train"])
    def test_data_that_is_not_there_is_a_mistake(self, verb, tmp_path):
        found = foveal(verb, tmp_path / "nothing", "--json")
        assert found.exit_code == 1
        assert found.stdout == ""
        assert "where:" in found.stderr
        assert "mend:" in found.stderr

    def test_plan_gives_every_number_its_reason(self, shades, tmp_path):
        out = tmp_path / "plan.json"
        words = ["plan", shades, "--epochs", 3, "--set", "net.dropout=0.25", "--out", out]
        found = foveal(*words, "--json")
        plan = Plan.from_dict(json.loads(found.stdout))
        assert Plan.from_dict(json.loads(out.read_text())) == plan
        assert plan.net.dropout == 0.25
        assert plan.why["net.dropout"] == "set by you to 0.25"
        people = foveal(*words)
        assert people.stdout == ""
        for key in plan.why:
            assert key in people.stderr, f"{key} is not shown"

    def test_an_unknown_key_is_helped(self, shades):
        found = foveal("plan", shades, "--epochs", 3, "--set", "net.width=9")
        assert found.exit_code == 1
        assert "did you mean 'net.widths'?" in found.stderr

    def test_evaluate_gives_a_report(self, run, shades):
        found = foveal("evaluate", run, shades, "--json")
        assert json.loads(found.stdout)["test"]["accuracy"]["value"] > 0.9

    def test_evaluate_speaks_to_people(self, run, shades):
        found = foveal("evaluate", run, shades)
        assert found.stdout == ""
        assert "95 % interval" in found.stderr

    def test_resuming_a_finished_run_gives_its_report(self, run):
        found = foveal("train", "--resume", run)
        assert found.exit_code == 0
        assert f"report: {run / 'report.html'}" in found.stderr

    def test_predict_prints_one_json_line_per_item(self, run, shades):
        found = foveal("predict", run, shades / "dark" / "1.png", __file__, "--json")
        good, bad = map(json.loads, found.stdout.splitlines())
        assert found.exit_code == 0
        assert good["label"] == "dark"
        assert sum(good["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert bad.keys() == {"input", "error"}
        assert "1 of 2 inputs could not be read" in found.stderr

    def test_predict_prints_plain_lines_for_people(self, run, shades):
        found = foveal("predict", run, shades / "dark" / "1.png")
        assert found.stdout.split("  ")[1] == "dark"

    @pytest.mark.parametrize(
        ("given", "spin"),
        [({}, "30000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
    )
    def test_threads_wait_briefly_unless_told_otherwise(self, run, shades, given, spin):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
        found = subprocess.run(
            [sys.executable, "-m", "foveal", "predict", str(run), str(shades / "dark" / "1.png")],
            capture_output=True,
            text=True,
            check=True,
            env={**clean, **given, "OMP_DISPLAY_ENV": "VERBOSE"},
        )
        if "OPENMP DISPLAY" not in found.stderr or "GOMP_SPINCOUNT" not in found.stderr:
            pytest.skip("this torch computes with another OpenMP than GNU's")
        assert f"GOMP_SPINCOUNT = '{spin}'" in found.stderr

    def test_what_is_no_run_is_a_mistake(self, tmp_path, shades):
        found = foveal("predict", tmp_path, shades)
        assert found.exit_code == 1
        assert "is no run" in found.stderr

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
    def test_a_signal_saves_and_says_how_to_go_on(self, shades, tmp_path, number, code):
        out = tmp_path / "run"
        words = ["train", shades, "--epochs", "100000", "--out", out, "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "foveal", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        history, end = out / "history.jsonl", time.monotonic() + 120
        while not history.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "training never began"
            time.sleep(0.1)
        process.send_signal(number)
        said, told = process.communicate(timeout=120)
        assert process.returncode == code, told
        assert said == ""
        assert f"foveal train --resume {out}" in told
        assert "Traceback" not in told


def written(answers, **more):
    give(answers, TASK.telling, plan_of(("cat", "dog")), progress=SILENT, **more)


class TestAnswers:
    GOOD = {  # noqa: RUF012
        "input": "a,\n\x1b.png",
        "label": "cat",
        "probability": 0.75,
        "probabilities": {"cat": 0.75, "dog": 0.25},
    }
    BAD = {"input": "b\udc80.png", "error": "is empty"}  # noqa: RUF012

    def test_json_lines_survive_any_name(self, capsys, tmp_path):
        out = tmp_path / "a.jsonl"
        written([self.GOOD, self.BAD], out=out, as_json=True)
        for text in (capsys.readouterr().out, out.read_text()):
            assert [json.loads(line) for line in text.splitlines()] == [self.GOOD, self.BAD]

    @pytest.mark.parametrize("first", [0, 1])
    def test_csv_has_a_column_per_class(self, tmp_path, first):
        answers = [self.GOOD, self.BAD] if first else [self.BAD, self.GOOD]
        written(answers, out=tmp_path / "a.csv", as_json=False)
        with (tmp_path / "a.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["input", "label", "probability", "error", "p(cat)", "p(dog)"]
        good, bad = rows if first else rows[::-1]
        assert (good["input"], good["p(dog)"], good["error"]) == (self.GOOD["input"], "0.25", "")
        assert (bad["label"], bad["p(cat)"], bad["error"]) == ("", "", "is empty")

    def test_plain_lines_cannot_steer_the_terminal(self, capsys):
        written([self.GOOD, self.BAD], out=None, as_json=False)
        good, bad = capsys.readouterr().out.splitlines()
        assert good == "a,; \\x1b.png  cat  0.7500"
        assert bad.endswith("  is empty")

    def test_nothing_answered_is_a_mistake(self, tmp_path):
        with pytest.raises(DataError, match=r"none of 2 inputs could be read(.|\n)*reason beside"):
            written([self.BAD] * 2, out=tmp_path / "a.csv", as_json=False)
        assert (tmp_path / "a.csv").read_text().count("is empty") == 2

    def test_no_answers_are_no_mistake(self, capsys):
        written([], out=None, as_json=True)
        assert capsys.readouterr().out == ""

    def test_a_file_that_cannot_be_written_is_named(self, tmp_path):
        out = tmp_path / "no folder" / "a.csv"
        with pytest.raises(RunError, match=r"cannot write a.csv: No such file(.|\n)*another --out"):
            written([self.GOOD], out=out, as_json=False)

    def test_a_failure_half_way_leaves_no_half_file(self, tmp_path):
        def broken():
            yield self.GOOD
            raise DataError("it broke", where="b.png", mend="mend it")

        with pytest.raises(FovealError, match="it broke"):
            written(broken(), out=tmp_path / "a.jsonl", as_json=False)
        assert list(tmp_path.iterdir()) == []

    def test_answers_are_written_as_they_come(self, capsys):
        def one_by_one():
            yield self.GOOD
            assert "cat" in capsys.readouterr().out
            yield self.BAD

        written(one_by_one(), out=None, as_json=True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestBars:
    def test_elsewhere_lines_are_sparse(self):
        stream, now = io.StringIO(), iter(range(1000))
        lines = Lines(stream, clock=lambda: float(next(now)))
        with lines.bar("reading", 40) as tick:
            lines.status("loss 0.5")
            for _ in range(40):
                tick(1)
        told = stream.getvalue().splitlines()
        assert len(told) in (3, 4)
        assert told[0].startswith("reading: ")
        assert " of 40 (" in told[0]
        assert told[0].endswith(" s left, loss 0.5")

    def test_work_of_unknown_length_is_counted(self):
        stream, now = io.StringIO(), iter(range(1000))
        with Lines(stream, clock=lambda: float(next(now))).bar("reading") as tick:
            for _ in range(12):
                tick(1)
        assert stream.getvalue().startswith("reading: ")
        assert "left" not in stream.getvalue()

    def test_a_terminal_gets_bars(self):
        stream = Terminal()
        shown = progress(stream)
        assert isinstance(shown, Bars)
        with shown.bar("training [x]", 10) as tick:
            shown.status("loss 0.5")
            with shown.bar("validating", 2) as inner:
                inner(1)
                shown.say("half [way]")
            tick(10)
        shown.say("done\x1b[2J")
        told = stream.getvalue()
        assert "training [x]" in told
        assert "half [way]" in told
        assert told.endswith("done\\x1b[2J\n")

    def test_a_pipe_gets_lines(self):
        assert isinstance(progress(io.StringIO()), Lines)

    def test_names_cannot_steer_a_terminal(self):
        assert clean("a\x1b[31m\r\x9b\u202eé\nb") == "a\\x1b[31m\\r\\x9b\\u202eé\nb"


def test_freed_memory_is_kept_where_the_c_library_is_glibc():
    code = "from foveal.memory import keep_freed; print(keep_freed())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    glibc = "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {})
    assert found.stdout.strip() == str(bool(glibc))
    assert isinstance(keep_freed(), bool)
