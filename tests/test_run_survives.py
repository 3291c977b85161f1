"""A run outlives whatever happens to its process: the command itself, killed and resumed."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from foveal.clock import process_began
from foveal.errors import RunError
from foveal.verbs.train import resume
from foveal.verbs.train import train as train_verb

# Beyond the seed the same plan on every attempt: what a busy machine measures is set aside.
SET = {
    "net.widths": "[8]",
    "net.depths": "[1]",
    "net.strides": "[[2, 2]]",
    "net.kernels": "[[3, 3]]",
    "fit.batch": "16",
    "fit.threads": "1",
    "fit.precision": "fp32",
    "fit.channels_last": "true",
    "fit.winograd": "false",
}
EPOCHS = 40


def write_pictures(root: Path, count: int = 40, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for name, low in (("dark", 40), ("light", 90)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(low, low + 100, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def edits(**more: object) -> list[str]:
    found = SET | {key.replace("_", ".", 1): str(value) for key, value in more.items()}
    return [word for key, value in found.items() for word in ("--set", f"{key}={value}")]


class Command:
    """`foveal` in a process of its own, with a cache of its own."""

    running: ClassVar[list[subprocess.Popen[str]]] = []

    def __init__(self, cache: Path, *words: object, **options: object) -> None:
        self.began = time.monotonic()
        # Tests that run behind a shell's "&" were told to ignore Ctrl-C, and so would this.
        options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "foveal", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FOVEAL_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
            **options,
        )
        self.running.append(self.process)

    def until(self, met) -> bool:
        """Wait until ``met()``; False when the command ended before."""
        while not met():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() - self.began < 240, "it never happened"
            time.sleep(0.002)
        return True

    def end(self, number: int = 0) -> tuple[int, str]:
        """Exit code and what was told, after the signal if there is one."""
        if number:
            self.process.send_signal(number)
        told = self.process.communicate(timeout=240)[1]
        assert "Traceback" not in told, told
        assert "fault in Foveal" not in told, told
        return self.process.returncode, told


def assert_whole(run: Path) -> None:
    """Every file that has its final name can be read; the rest is called .part."""
    for path in (p for p in run.rglob("*") if p.is_file()):
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".safetensors":
            with safe_open(path, "np") as tensors:
                assert tensors.keys()
        elif path.suffix == ".jsonl":
            for line in path.read_bytes().split(b"\n")[:-1]:
                json.loads(line)
        else:
            assert path.suffix in {".part", ".html"} or path.name == ".lock", path


def weights(run: Path) -> bytes:
    return (run / "weights.safetensors").read_bytes()


def validations(run: Path) -> int:
    path = run / "history.jsonl"
    return path.read_bytes().count(b'"validation"') if path.exists() else 0


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    for process in Command.running:
        if process.poll() is None:
            process.kill()
            process.communicate()
    Command.running.clear()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "shades")


@pytest.fixture(scope="module")
def uncut(pictures, tmp_path_factory) -> Path:
    """The run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("uncut")
    code, told = train(folder / "cache", pictures, folder / "run").end()
    assert code == 0, told
    assert_whole(folder / "run")
    return folder / "run"


def train(cache: Path, pictures: Path, out: Path, *, epochs: int = EPOCHS, **options) -> Command:
    words = ("train", pictures, "--epochs", epochs, "--out", out, "--seed", 0, *edits())
    return Command(cache, *words, **options)


def go_on(cache: Path, pictures: Path, run: Path) -> Command:
    """What a person does next: resume, or begin when there was not even a folder."""
    if any((run / name).exists() for name in ("plan.json", "wish.json")):
        return Command(cache, "train", "--resume", run)
    return train(cache, pictures, run)


def planned(run: Path) -> dict[str, object]:
    """The plan without its reasons, in which rates of the machine stand."""
    found = json.loads((run / "plan.json").read_text())
    return {key: value for key, value in found.items() if key != "why"}


class TestKilled:
    """SIGKILL gives no chance to clean up."""

    def test_at_the_worst_moments(self, pictures, uncut, tmp_path):
        run, cache = tmp_path / "run", tmp_path / "cache"
        moments = [
            ("before the plan", (run / "wish.json").exists),
            ("before the first validation", (run / "checkpoint").exists),
            ("while judging", (run / "weights.safetensors").exists),
        ]
        for name, met in moments:
            command = go_on(cache, pictures, run)
            assert command.until(met), f"it ended {name}"
            command.process.kill()
            assert command.end()[0] == -signal.SIGKILL
            assert_whole(run)
            assert not (run / "report.json").exists()
        trained = (run / "history.jsonl").read_bytes()
        assert Command(cache, "train", "--resume", run).end()[0] == 0
        assert_whole(run)
        assert (run / "history.jsonl").read_bytes() == trained, "it trained again"
        assert weights(run) == weights(uncut)
        assert not [p for p in run.rglob("*") if p.name.endswith((".part", ".lock"))]
        assert json.loads((run / "report.json").read_text())["test"].keys()

    @pytest.mark.slow
    def test_at_twenty_random_moments(self, pictures, tmp_path):
        chance, cache = random.Random(0), tmp_path / "cache"
        plain, run, kills = tmp_path / "plain", tmp_path / "run", 0
        began = time.monotonic()
        assert train(tmp_path / "other", pictures, plain, epochs=400).end()[0] == 0
        took = time.monotonic() - began
        while kills < 20:
            command = (
                go_on(cache, pictures, run)
                if run.exists()
                else train(cache, pictures, run, epochs=400)
            )
            wait, began = chance.uniform(0, 0.7 * took), time.monotonic()
            command.until(lambda w=wait, b=began: time.monotonic() - b > w)
            command.process.kill()
            code = command.end()[0]
            assert_whole(run) if run.exists() else None
            kills += code == -signal.SIGKILL
            if code == 0:  # it was done first: begin another
                assert planned(run) == planned(plain)
                assert weights(run) == weights(plain)
                shutil.rmtree(run)
        if not run.exists():
            command = train(cache, pictures, run, epochs=400)
        else:
            command = go_on(cache, pictures, run)
        assert command.end()[0] == 0
        assert weights(run) == weights(plain)
        assert_whole(run)


class TestStopped:
    """A polite stop is no mistake, at any stage."""

    @pytest.mark.parametrize(
        ("number", "code", "stage"),
        [(signal.SIGTERM, 0, "wish.json"), (signal.SIGINT, 130, "weights.safetensors")],
    )
    def test_outside_of_training(self, pictures, tmp_path, number, code, stage):
        for turn in range(8):  # on a busy machine the command may be done before it is told
            run = tmp_path / f"run-{turn}"
            command = train(tmp_path / "cache", pictures, run)
            assert command.until((run / stage).exists)
            found, told = command.end(number)
            if not (run / "report.json").exists():
                break
        assert found == code, told
        assert f"foveal train --resume {run}" in told
        assert_whole(run)


class TestRefused:
    def test_a_second_process_then_a_full_disk(self, pictures, tmp_path):
        """A limit on the size of a file stands in for the disk: EFBIG where ENOSPC would be."""
        run, cache = tmp_path / "run", tmp_path / "cache"
        first = train(cache, pictures, run, epochs=4000)
        assert first.until(lambda: validations(run) > 1)
        code, told = train(cache, pictures, run).end()
        assert code == 1
        assert f"another process (number {first.process.pid}) is at work" in told
        with pytest.raises(RunError, match="another process"):
            resume(run)
        code, told = first.end(signal.SIGTERM)
        assert code == 0, told
        with pytest.raises(RunError, match=r"already(.|\n)*foveal train --resume"):
            train_verb(pictures, epochs=1, out=run)
        before = (run / "checkpoint" / "index.json").read_bytes()
        options = {"preexec_fn": lambda: limit_files(4096)}
        code, told = Command(cache, "train", "--resume", run, **options).end()
        assert code == 1, told
        assert f"where: {run}" in told
        assert "free some disk space" in told
        assert (run / "checkpoint" / "index.json").read_bytes() == before
        assert_whole(run)
        stood = validations(run)
        again = Command(cache, "train", "--resume", run)
        assert again.until(lambda: validations(run) > stood)


def limit_files(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


class TestDeadline:
    def test_a_budget_counts_from_the_start_of_the_process(self, pictures, tmp_path):
        """Generous: on a busy machine a budget can be missed, but never by half."""
        run = tmp_path / "run"
        words = ("train", pictures, "--budget", "16s", "--out", run, *edits())
        command = Command(tmp_path / "cache", *words)
        code, told = command.end()
        took = time.monotonic() - command.began
        assert code == 0, told
        cost = json.loads((run / "report.json").read_text())["cost"]
        assert 2 < took < 24  # less than the budget where the longest useful training is over
        assert cost["seconds"] <= took + 0.1

    def test_the_process_began_before_its_imports(self):
        code = (
            "import time; start = time.monotonic(); time.sleep(0.3)\n"
            "from foveal.clock import process_began; print(start - process_began())"
        )
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert 0 <= float(found.stdout) < 5

    def test_an_old_process_began_with_the_import(self):
        """A shell of an hour that runs `exec foveal` must not have used up the budget."""
        assert time.monotonic() - process_began() >= 0
        code = (
            "import time, foveal.clock as c; c._LONGEST = -1.0; print(time.monotonic() - "
            "c.process_began(), c.process_began() == c._IMPORTED)"
        )
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert found.stdout.split()[1] == "True"


def test_a_finished_run_is_only_read(uncut):
    before = {p: p.stat().st_mtime_ns for p in uncut.rglob("*")}
    assert json.loads(json.dumps(resume(uncut).to_dict())) == json.loads(
        (uncut / "report.json").read_text()
    )
    assert {p: p.stat().st_mtime_ns for p in uncut.rglob("*")} == before
