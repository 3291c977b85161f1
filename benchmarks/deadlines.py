"""Budgets and what came of them: was each kept, and does a longer one give a better score?

    python benchmarks/deadlines.py [mnist] [pneumonia] [trec] [--budgets 20s 1m 3m 10m] [--load 0]
                                   [--data ../shared/data]

Each line is one whole command, from its start to its exit, as a user would type it. A budget counts
as kept where the command took at most 5 % or 5 seconds more. With ``--load N`` so many other
processes compute all the while. Exit code 1 where a budget was not kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foveal.duration import seconds

SETS: dict[str, tuple[str, ...]] = {
    "mnist": ("mnist",),
    "pneumonia": ("pneumonia",),
    "cifar10": ("cifar10/CIFAR-10-images.zip",),
    "trec": ("sentences/TREC.train.all", "--test", "sentences/TREC.test.all"),
}
BUSY = "while True: sum(i * i for i in range(100_000))"


@contextmanager
def loaded(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def one(name: str, budget: str, data: Path) -> bool:
    """Train, print the line. Whether the budget was kept."""
    words = [w if w.startswith("--") else str(data / w) for w in SETS[name]]
    with tempfile.TemporaryDirectory() as folder:
        asked = ["train", *words, "--budget", budget, "--json", "--out", f"{folder}/run"]
        began = time.monotonic()
        found = subprocess.run(
            [sys.executable, "-m", "foveal", *asked], capture_output=True, text=True, check=False
        )
        took = time.monotonic() - began
    limit = seconds(budget)
    kept = took <= limit + max(5.0, 0.05 * limit)
    if found.returncode:
        said = " ".join(found.stderr.strip().splitlines()[-3:])
        print(f"| {name} | {budget} | {took:.1f} s | exit {found.returncode}: {said} |", flush=True)
        return kept
    report = json.loads(found.stdout)
    score = report["test"][report["main"]]
    print(
        f"| {name} | {budget} | {took:.1f} s{'' if kept else ' NOT KEPT'} | {report['main']} "
        f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f}) |",
        flush=True,
    )
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=["mnist", "pneumonia", "trec"])
    parser.add_argument("--budgets", nargs="+", default=["20s", "1m", "3m", "10m"])
    parser.add_argument("--load", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    unknown = [name for name in given.sets if name not in SETS]
    if unknown:
        raise SystemExit(f"no set {unknown[0]!r}; there are {', '.join(SETS)}")
    print("| set | budget | took | score |\n|---|---|---|---|")
    with loaded(given.load):
        kept = [one(name, b, given.data) for name in given.sets for b in given.budgets]
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
