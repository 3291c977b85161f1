"""Do intervals hold: many small runs, each beside the score on many digits that no run has seen.

    python benchmarks/coverage.py MNIST [--runs 100] [--train 600] [--fresh 10000] [--epochs 8]

Each run draws other digits from MNIST's 70,000, and goes the ordinary road (`foveal.fit`: a test
part is held back, the network judged on it). Then the model is judged on fresh digits. Printed: in
how many runs the interval of the report holds the fresh score, and how often sets that were asked
for 80, 90 and 95 % hold the fresh truth: mean, spread over runs, and standard error of the mean.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rotated_mnist import digits

import foveal
from foveal.report import Report

SCORES = ("accuracy", "balanced_accuracy", "f1_macro", "auroc", "log_loss", "ece")
COVERAGES = (0.8, 0.9, 0.95)
# A small network, so that a run takes seconds; its size is nothing to the question.
SMALL = {"net.stem_width": "8", "net.widths": "[8,16,32]", "fit.members": "1"}


def one(
    x: NDArray[np.uint8], y: NDArray[np.uint8], asked: argparse.Namespace, seed: int
) -> tuple[Report, Report]:
    """The reports of a run on its own test part and on fresh digits."""
    rows = np.random.default_rng(seed).permutation(len(x))
    known, fresh = rows[: asked.train], rows[asked.train : asked.train + asked.fresh]
    model = foveal.fit(
        x[known], y[known], epochs=asked.epochs, seed=seed, changes=SMALL, name="digits"
    )
    judged = model.evaluate(x[fresh], y[fresh])
    shutil.rmtree(model.run)
    return model.report, judged


def told(pairs: list[tuple[Report, Report]]) -> None:
    """The two tables."""
    print(f"{len(pairs)} runs; fresh accuracy ", end="")
    values = np.array([fresh.test["accuracy"].value for _, fresh in pairs])
    print(f"{values.mean():.3f}, {values.min():.3f} to {values.max():.3f}")
    print("score: runs whose 95 % interval held the fresh one; below it, above it; mean width")
    for name in SCORES:
        if not all(name in report.test for pair in pairs for report in pair):
            continue
        own = [report.test[name] for report, _ in pairs]
        true = np.array([fresh.test[name].value for _, fresh in pairs])
        low, high = np.array([s.low for s in own]), np.array([s.high for s in own])
        held = int(((low <= true) & (true <= high)).sum())
        sides = f"{int((true < low).sum())}, {int((true > high).sum())}"
        print(f"  {name:20} {held:4d}; {sides:>6}; {(high - low).mean():.3f}")
    print("sets: asked for, held of the fresh (mean, spread, standard error), classes in a set")
    for coverage in COVERAGES:
        found = [r for _, f in pairs for r in f.details["sets"] if r["coverage"] == coverage]
        held_share = np.array([row["covered"]["value"] for row in found])
        spread = held_share.std(ddof=1) if len(found) > 1 else 0.0
        size = np.mean([row["size"]["value"] for row in found])
        error = spread / len(found) ** 0.5
        print(f"  {coverage:.2f} {held_share.mean():.4f}, {spread:.4f}, {error:.4f}; {size:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--train", type=int, default=600, help="with validation and test part")
    parser.add_argument("--fresh", type=int, default=10_000)
    parser.add_argument("--epochs", type=float, default=8.0)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    asked = parser.parse_args()
    x, y = digits(asked.mnist)
    pairs, started = [], time.monotonic()
    for seed in range(asked.first, asked.first + asked.runs):
        report, fresh = one(x, y, asked, seed)
        pairs.append((report, fresh))
        score, true = report.test["accuracy"], fresh.test["accuracy"]
        print(
            f"{seed}: {score.value:.3f} ({score.low:.3f} to {score.high:.3f}); fresh "
            f"{true.value:.4f}; {time.monotonic() - started:.0f} s",
            flush=True,
        )
    told(pairs)


if __name__ == "__main__":
    main()
