"""Images per second of Foveal's training loop beside its peers, on one machine, in one call.

    python benchmarks/training.py [--rounds 5] [--seconds 8] [--threads 2] [--width 64]
                                  [--keras-python benchmarks/.keras/bin/python]

Every contestant trains the same network on the same pictures in a process of its own. Rounds are
interleaved and their order turns, so that a slow minute hits all alike; medians and ratios of
medians are printed as markdown. Nothing is asserted; the figures are for people.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
KERAS = HERE / ".keras" / "bin" / "python"


@dataclass
class Contestant:
    """A script of `loops/`, the Python it runs in, and what it said so far."""

    name: str
    script: str
    python: str = sys.executable
    words: tuple[str, ...] = ()
    said: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [answer["rate"] for answer in self.said]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="timed seconds per entry")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage")
    parser.add_argument("--keras-python", default=str(KERAS), help="Python that has Keras")
    given = parser.parse_args()

    entries = [
        Contestant("Foveal", "foveal_loop.py"),
        Contestant("tutorial PyTorch loop", "tutorial.py"),
    ]
    if Path(given.keras_python).exists():
        keras = Contestant("Keras 3, fp32", "keras_fit.py", given.keras_python)
        half = ("--precision", "bf16")
        entries += [keras, Contestant("Keras 3, mixed bf16", keras.script, keras.python, half)]
    else:
        tell(f"no {given.keras_python}: Keras is left out (see benchmarks/README.md)")
    bound = Contestant("each convolution alone", "bound.py")

    for turn in range(given.rounds):
        field_of_turn = [*entries, bound]
        first = turn % len(field_of_turn)
        for entry in field_of_turn[first:] + field_of_turn[:first]:
            if answer := call(entry, given):
                entry.said.append(answer)
                tell(f"round {turn + 1}: {entry.name} {answer['rate']:.0f} images/s")
            elif entry is entries[0]:
                sys.exit("without Foveal there is nothing to compare")
    shares = call(Contestant("profile", "foveal_loop.py", words=("--profile",)), given)
    show([entry for entry in entries if entry.said], bound, shares, given)


def call(entry: Contestant, given: argparse.Namespace) -> dict[str, Any] | None:
    """What the contestant said; None when it failed, which is told and not hidden."""
    words = ["--seconds", given.seconds, "--threads", given.threads, "--width", given.width]
    threads = str(given.threads)
    found = subprocess.run(
        [entry.python, entry.script, *map(str, words), *entry.words],
        cwd=HERE / "loops",
        env={**os.environ, "OMP_NUM_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        tell(f"{entry.name} failed: {(found.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    answer: dict[str, Any] = json.loads(found.stdout.strip().splitlines()[-1])
    return answer


def show(
    entries: list[Contestant],
    bound: Contestant,
    shares: dict[str, Any] | None,
    given: argparse.Namespace,
) -> None:
    foveal = entries[0]
    said = foveal.said[0]
    load = os.getloadavg()[0]
    print(f"\n{said['machine']}, {given.threads} threads, {platform.platform()}; load {load:.1f}")
    work = 2 * said["macs"] / 1e6
    print(f"Network: {said['parameters']:,} weights, {work:.0f} MFLOP forward per image.\n")

    print("| | images per second, median (all rounds) | Foveal is faster by | batch, precision |")
    print("|---|---|---|---|")
    for entry in entries:
        rates = ", ".join(f"{rate:.0f}" for rate in sorted(entry.rates))
        setting = f"{entry.said[0]['batch']}, {entry.said[0]['precision']}"
        if "version" in entry.said[0]:
            setting += f"; {entry.said[0]['version']}"
        ratio = foveal.rate / entry.rate
        print(f"| {entry.name} | **{entry.rate:.0f}** ({rates}) | {ratio:.2f} | {setting} |")
    odd = [e.name for e in entries if e.said[0]["parameters"] != said["parameters"]]
    if odd:
        print(f"\n**Not the same network: {', '.join(odd)}**")
    if bound.said:
        show_bound(foveal, bound, said)
    if shares:
        print("\n| where a step of Foveal goes (profiled, main thread) | share |\n|---|---|")
        for kind, share in shares["shares"].items():
            print(f"| {kind} | {share:.1%} |")


def show_bound(foveal: Contestant, bound: Contestant, said: dict[str, Any]) -> None:
    """How near the loop comes to its convolutions alone, and to the machine's best one."""
    peak = statistics.median(answer["peak"] for answer in bound.said)
    reached = 6 * said["macs"] * foveal.rate / 1e9
    print("\n| bound | | reached |\n|---|---|---|")
    print(
        f"| each convolution alone, in its best layout | {bound.rate:.0f} images/s "
        f"| {foveal.rate / bound.rate:.2f} |"
    )
    print(f"| best convolution of this machine | {peak:.0f} GFLOP/s | {reached / peak:.2f} |")
    print("\n| convolution | input | ms per batch | GFLOP/s |\n|---|---|---|---|")
    for row in sorted(bound.said, key=lambda answer: answer["rate"])[len(bound.said) // 2][
        "layers"
    ]:
        channels, *size = row["shape"]
        print(
            f"| {channels} to {row['to']} | {' x '.join(map(str, size))} "
            f"| {row['ms']:.1f} | {row['gflops']:.0f} |"
        )


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
