"""Budgets and what came of them: was each kept, and does a longer one give a better score?

    python benchmarks/deadlines.py [mnist] [pneumonia] [trec] [--budgets 20s 1m 3m 10m] [--load 0]
                                   [--after 0] [--data ../shared/data]

Each line is one whole command, from its start to its exit, as a user would type it. A budget counts
as kept where the command took at most 5 % or 5 seconds more. With ``--load N`` so many other
processes compute beside each command, from its start or ``--after`` so many seconds. Exit code 1
where a budget was not kept.
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
from functools import partial
from pathlib import Path
from threading import Timer

from foveal.duration import seconds

SETS: dict[str, tuple[str, ...]] = {
    "mnist": ("mnist",),
    "pneumonia": ("pneumonia",),
    "cifar10": ("cifar10/CIFAR-10-images.zip",),
    "trec": ("sentences/TREC.train.all", "--test", "sentences/TREC.test.all"),
}
BUSY = "while True: sum(i * i for i in range(100_000))"


@contextmanager
def loaded(count: int, after: float) -> Iterator[None]:
    """So many processes that do nothing but compute, ``after`` seconds from now on."""
    busy: list[subprocess.Popen[bytes]] = []
    start = partial(subprocess.Popen, [sys.executable, "-c", BUSY])
    timer = Timer(after, lambda: busy.extend(start() for _ in range(count)))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for process in busy:
            process.kill()
            process.wait()


def one(name: str, budget: str, data: Path, load: int, after: float) -> bool:
    """Train beside ``load`` processes, print the line. Whether the budget was kept."""
    words = [w if w.startswith("--") else str(data / w) for w in SETS[name]]
    with tempfile.TemporaryDirectory() as folder:
        asked = ["train", *words, "--budget", budget, "--json", "--out", f"{folder}/run"]
        command = [sys.executable, "-m", "foveal", *asked]
        began = time.monotonic()
        with loaded(load, after):
            found = subprocess.run(command, capture_output=True, text=True, check=False)
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
    parser.add_argument("--after", type=float, default=0.0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    unknown = [name for name in given.sets if name not in SETS]
    if unknown:
        raise SystemExit(f"no set {unknown[0]!r}; there are {', '.join(SETS)}")
    print("| set | budget | took | score |\n|---|---|---|---|")
    each = ((name, budget) for name in given.sets for budget in given.budgets)
    kept = [one(*what, given.data, given.load, given.after) for what in each]
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
