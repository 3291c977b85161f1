"""Faces of ORL (40 people, 10 pictures each): who is it, and is it the same one?

    python benchmarks/faces.py [closed] [open] [--draws 5] [--budget 60s] [--data FOLDER]

closed: five pictures of each of the 40 people are learned, the other five are to be named; the
share that is not. open: 20 people are learned, pairs of pictures of the 20 others are judged; the
equal error, and the share of strangers that get a name at the threshold from validation people.
Each draw goes the whole road of `foveal train --task embed` in a folder of its own, with what a
person knows of faces: left and right may be swapped, and 56 x 46 cells will do.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np

from foveal.duration import seconds
from foveal.report import Report
from foveal.verbs.train import train

KNOWN = {"augment.flip": "[false, true]", "judge.mirror": "true", "data.size": "[56, 46]"}
SHOWN = {
    "closed": ("rank1", "eer", "known_named", "strangers_named"),
    "open": ("eer", "auc", "tar_at_far_1e-2", "rank1", "known_named", "strangers_named"),
}


def lay_out(source: Path, target: Path, protocol: str, seed: int) -> None:
    """``target/train`` and ``target/test`` with the pictures of one draw."""
    rng = np.random.default_rng(seed)
    people = sorted(p for p in source.iterdir() if p.is_dir())
    learned = {people[i].name for i in rng.permutation(len(people))[: len(people) // 2]}
    for person in people:
        files = sorted(person.iterdir())
        first = {files[i].name for i in rng.permutation(len(files))[: len(files) // 2]}
        for file in files:
            mine = person.name in learned if protocol == "open" else file.name in first
            place = target / ("train" if mine else "test") / person.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place / file.name)


def one(source: Path, protocol: str, seed: int, budget: float) -> Report:
    """The report of one draw."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "faces"
        lay_out(source, data, protocol, seed)
        return train(
            data, task="embed", budget=budget, out=Path(folder) / "run", seed=seed, changes=KNOWN
        )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("protocols", nargs="*", default=["closed", "open"])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="seed of the first draw")
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--data", default="../shared/data/orl-faces")
    asked = parser.parse_args()
    for protocol in asked.protocols:
        found: dict[str, list[float]] = {}
        for seed in range(asked.first, asked.first + asked.draws):
            report = one(Path(asked.data), protocol, seed, seconds(asked.budget))
            figures = {k: report.test[k].value for k in SHOWN[protocol] if k in report.test}
            figures |= {f"baseline {k}": v for k, v in report.baselines.items()}
            for name, value in figures.items():
                found.setdefault(name, []).append(value)
            told = "  ".join(f"{k} {v:.4f}" for k, v in figures.items())
            print(f"{protocol} {seed}  {told}  {report.cost['steps']} steps", flush=True)
        for name, values in found.items():
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{protocol}  {name}: mean {statistics.mean(values):.4f}, spread {spread:.4f}")


if __name__ == "__main__":
    main()
