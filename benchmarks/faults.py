"""A training disturbed in every way, many times: what is lost, and what is left on the disk.

    python benchmarks/faults.py [kills] [saves] [numbers] [--kills 200] [--saves 1000]
                                [--numbers 100] [--seed 0]

* kills: `foveal train` killed (SIGKILL) at random moments and resumed until it is done, again and
  again; the final weights of every run are compared with those of one that nobody disturbed.
* saves: a process that does nothing but save checkpoints of 3 million numbers is killed within a
  save; the checkpoint must then be one that was saved, to the last bit.
* numbers: NaN or infinity put into a batch, a weight, a gradient, the loss or batch statistics at a
  random step; the run must end well or stop with a message, and no checkpoint may hold such a
  number.

Prints counts. Exit code 1 where anything was lost. About a minute for saves and numbers, ten
seconds for each kill on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from foveal.errors import RunError
from foveal.training.checkpoint import State, load, load_best, save
from foveal.training.faults import sound

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
KINDS = ("batch", "weight", "gradient", "loss", "statistics")
VALUES = (float("nan"), float("inf"), float("-inf"))


def kills(count: int, folder: Path, chance: random.Random) -> bool:
    """Random kills of the real command. Whether every run ended with the same bytes."""
    from test_run_survives import assert_whole, edits, weights, write_pictures

    pictures = write_pictures(folder / "set")
    words = ("train", pictures, "--epochs", 400, "--seed", 0, *edits())

    def start(run: Path) -> subprocess.Popen[bytes]:
        begun = any((run / name).exists() for name in ("plan.json", "wish.json"))
        asked = ("train", "--resume", run) if begun else (*words, "--out", run)
        return subprocess.Popen(
            [sys.executable, "-m", "foveal", *map(str, asked)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "FOVEAL_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        )

    began = time.monotonic()
    plain = folder / "plain"
    start(plain).wait()
    took, run, done, same, made = time.monotonic() - began, folder / "run", 0, 0, 0
    while made < count or run.exists():
        process = start(run)
        try:
            process.wait(chance.uniform(0, 0.8 * took) if made < count else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            made += 1
        if run.exists():
            assert_whole(run)
        if (run / "report.json").exists():
            done += 1
            same += weights(run) == weights(plain)
            shutil.rmtree(run)
        print(f"\r{made} kills, {done} runs finished, {same} byte-identical", end="", flush=True)
    print()
    return done == same and done > 0


def saves(count: int, folder: Path, chance: random.Random) -> bool:
    """Kills within a save. Whether each left a state that had been saved."""
    torch.set_num_threads(1)
    numbers, odd = torch.arange(3_000_000, dtype=torch.float32), 0
    checkpoint, within = folder / "checkpoint", 0
    save(checkpoint, State(0, {"x": numbers}, {"step": 0}))
    began = time.monotonic()
    save(checkpoint, State(1, {"x": numbers + 1}, {"step": 1}))
    took = time.monotonic() - began
    for turn in range(count):
        first = load(checkpoint)
        assert first is not None
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            step = first.step
            while True:  # one save after the other, until the kill
                step += 1
                save(checkpoint, State(step, {"x": numbers + step}, {"step": step}))
        time.sleep(chance.uniform(0, 3 * took))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        within += any(p.name.endswith(".part") for p in checkpoint.iterdir())
        try:
            found = load(checkpoint)
        except RunError:
            found = None
        whole = found is not None and torch.equal(found.tensors["x"], numbers + found.step)
        odd += not (whole and found is not None and found.step >= first.step)
        if turn % 50 == 49:
            print(
                f"\r{turn + 1} kills, {within} within a write, {odd} unreadable", end="", flush=True
            )
    print()
    return not odd


def numbers(count: int, folder: Path, chance: random.Random) -> bool:
    """Bad numbers. Whether every run ended well or with a message, and saved none of them."""
    from test_faults import STEPS, Spoiled
    from toy import plan, train

    torch.set_num_threads(1)
    ends: Counter[str] = Counter()
    bad = 0
    for turn in range(count):
        run, kind, value = folder / f"run-{turn}", chance.choice(KINDS), chance.choice(VALUES)
        net = Spoiled(kind, chance.randint(1, STEPS), value)
        net.always = chance.random() < 0.2
        try:
            made, _ = train(run, plan(steps=STEPS, ema=chance.choice((0.0, 0.9))), net=net)
            ends["recovered"] += 1
            bad += not sound(made.state_dict().values())
        except RunError:
            ends["stopped with a message"] += 1
        states = [load(run / "checkpoint"), load_best(run / "checkpoint")]
        bad += not all(sound(s.tensors.values()) for s in states if s is not None)
        shutil.rmtree(run)
    print(json.dumps({**ends, "bad checkpoints or weights": bad}))
    return not bad and sum(ends.values()) == count


WORK = {"kills": kills, "saves": saves, "numbers": numbers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", choices=[*WORK, []], default=[])
    for name, count in (("kills", 200), ("saves", 1000), ("numbers", 100), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=count)
    asked = parser.parse_args()
    fine = True
    for name in asked.what or WORK:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}:", flush=True)
            fine &= WORK[name](getattr(asked, name), Path(folder), random.Random(asked.seed))
    sys.exit(not fine)


if __name__ == "__main__":
    main()
