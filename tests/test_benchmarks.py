"""What benchmarks import of Foveal is there, and each names its arguments; no speed is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
WITH_HELP = sorted(path.name for path in FOLDER.glob("*.py"))


def said(path: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, path.name, *words],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_contestant_of_the_training_benchmark_trains():
    words = ("--seconds", "0.1", "--threads", "1", "--width", "4")
    told = json.loads(said(FOLDER / "loops" / "foveal_loop.py", *words).splitlines()[-1])
    assert told["rate"] > 0
    assert told["parameters"] > 1000
    shares = json.loads(
        said(FOLDER / "loops" / "foveal_loop.py", *words, "--profile").splitlines()[-1]
    )["shares"]
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("name", WITH_HELP)
def test_every_benchmark_tells_how_to_call_it(name):
    assert "usage" in said(FOLDER / name, "--help")
