"""Broken and malicious files through every entry point: what became of each, in one table.

    python benchmarks/hostile.py HOSTILE [--only PART] [--seconds 10] [--megabytes 1000]

Every file goes alone through every door, in a process of its own that is watched:

* look: `look` is given the file as a data set;
* train: it lies among twenty good samples of a class and training begins there; pictures, volumes,
  DICOM and arrays each among good ones of their kind;
* predict: a trained model is asked about it;
* evaluate: it lies among good samples that a model is judged on;
* exclude: it is given as the table of samples to leave out;
* weights, plan: a run has it instead of its weights, or of its plan, and is loaded.

Outcomes: "used" (read as data, which most of a test suite's files can be), "left out" (the command
went on and named it), "refused" (an error that names the file or the place and says how to mend
it), "unnamed" (such an error without a name), "fault" (any other exception), "hung", "died",
"bloated" (grew by more than the memory given). The last five should be 0; exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import foveal
from foveal.errors import FovealError

FINE, BAD = ("used", "left out", "refused"), ("unnamed", "fault", "hung", "died", "bloated")
PARTS = (
    "pngsuite",
    "png_fuzz",
    "pydicom",
    "nibabel",
    *(f"generated/{n}" for n in ("images", "archives", "arrays", "models", "tables", "volumes")),
)
GOOD, CLASSES = 20, 2
SMALL = {"net.stem_width": "8", "net.widths": "[8]", "net.depths": "[1]"}


def good_sets(root: Path) -> dict[str, Path]:
    """A small set of each kind, in class folders: pictures and volumes."""
    from nibabel import Nifti1Image, save

    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        for i in range(GOOD):
            values = rng.integers(60 * label, 60 * label + 80, (12, 12, 12)).astype(np.uint8)
            for kind in ("pictures", "volumes"):
                (root / kind / f"class {label}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(values[0]).save(root / "pictures" / f"class {label}" / f"good {i}.png")
            name = root / "volumes" / f"class {label}" / f"good {i}.nii.gz"
            save(Nifti1Image(values.astype(np.int16), np.eye(4)), name)
    return {kind: root / kind for kind in ("pictures", "volumes")}


def kind_of(path: Path) -> str:
    apart = path.parts[-2] in ("pydicom", "nibabel", "volumes") or "pydicom" in path.parts
    return "volumes" if apart or "nibabel" in path.parts else "pictures"


def among(good: Path, path: Path, place: Path) -> tuple[Path, str]:
    """A copy of a good set with the file among its first class, under a name a reader opens."""
    shutil.copytree(good, place)
    ending = "" if path.suffix else (".dcm" if good.name == "volumes" else ".png")
    name = f"bad {path.name}{ending}"
    shutil.copyfile(path, place / "class 0" / name)
    return place, name


class Doors:
    """The entry points: each takes a file and an empty folder, and says what became of it."""

    def __init__(self, root: Path) -> None:
        self.good = good_sets(root)
        self.runs = {}
        for kind, data in self.good.items():
            foveal.train(data, epochs=0.5, out=root / f"run {kind}", changes=SMALL)
            self.runs[kind] = root / f"run {kind}"
        self.models = {kind: foveal.load(run) for kind, run in self.runs.items()}

    def look(self, path: Path, place: Path) -> str:
        foveal.look(path)
        return "used"

    def train(self, path: Path, place: Path) -> str:
        data, name = among(self.good[kind_of(path)], path, place / "set")
        report = foveal.train(data, epochs=0.05, out=place / "run", changes=SMALL)
        text = (place / "run" / "card.json").read_text()
        return "left out" if sum(report.data["skipped"].values()) and name in text else "used"

    def predict(self, path: Path, place: Path) -> str:
        answers = list(self.models[kind_of(path)].stream(path))
        told = [answer for answer in answers if answer.error]
        if not all(answer.input.startswith(str(path)) for answer in answers):
            return "unnamed"
        return "left out" if told or not answers else "used"

    def evaluate(self, path: Path, place: Path) -> str:
        data, _ = among(self.good[kind_of(path)], path, place / "set")
        report = foveal.evaluate(self.runs[kind_of(path)], data)
        return "left out" if sum(report.data["skipped"].values()) else "used"

    def exclude(self, path: Path, place: Path) -> str:
        data = self.good["pictures"]
        foveal.train(data, epochs=0.05, out=place / "run", changes=SMALL, exclude=path)
        return "used"

    def weights(self, path: Path, place: Path) -> str:
        return self._instead(path, place, "weights.safetensors")

    def plan(self, path: Path, place: Path) -> str:
        return self._instead(path, place, "plan.json")

    def _instead(self, path: Path, place: Path, name: str) -> str:
        shutil.copytree(self.runs["pictures"], place / "run")
        shutil.copyfile(path, place / "run" / name)
        foveal.load(place / "run")
        return "used"


NAMES = ("look", "train", "predict", "evaluate", "exclude", "weights", "plan")


def outcome(door: Callable[[Path, Path], str], path: Path, place: Path) -> str:
    """What the door does with a file, told within a process of its own."""
    try:
        return door(path, place)
    except FovealError as error:
        told = str(error)
        named = path.name in told or str(place) in told or bool(error.where)
        return "refused" if named and error.mend else "unnamed"
    except BaseException as error:
        print(f"\n{path} {door.__name__}: {type(error).__name__}: {error}"[:300], flush=True)
        return "fault"


def watched(
    door: Callable[[Path, Path], str], path: Path, place: Path, seconds: float, megabytes: float
) -> str:
    """The same in a child, with a limit of time; its growth in memory is looked at."""
    reading, writing = os.pipe()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if not child:
        os.chdir(place)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.alarm(int(seconds))  # the default of this signal ends the process
        told = outcome(door, path, place)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        os.write(writing, ("bloated" if grown > megabytes else told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    return said or ("hung" if hung else "died")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("hostile", type=Path)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--doors", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--megabytes", type=float, default=1000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(tempfile.mkdtemp())
    os.environ["FOVEAL_CACHE"] = str(root / "cache")
    began, doors, total = time.monotonic(), Doors(root / "good"), Counter[str]()
    print("| files | entry point | " + " | ".join((*FINE, *BAD)) + " |")
    print("|---|---|" + "---|" * (len(FINE) + len(BAD)), flush=True)
    for part in PARTS if asked.only is None else (asked.only,):
        files = sorted(p.absolute() for p in (asked.hostile / part).rglob("*") if p.is_file())
        for name in asked.doors:
            counts = Counter[str]()
            for path in files:
                place = Path(tempfile.mkdtemp(dir=root))
                told = watched(getattr(doors, name), path, place, asked.seconds, asked.megabytes)
                if told in BAD:
                    print(f"{told}: {name} {path}", file=sys.stderr, flush=True)
                counts[told] += 1
                shutil.rmtree(place, ignore_errors=True)
            cells = " | ".join(str(counts[o] or "") for o in (*FINE, *BAD))
            print(f"| {part} ({len(files)}) | {name} | {cells} |", flush=True)
            total += counts
    print("| all | | " + " | ".join(str(total[o]) for o in (*FINE, *BAD)) + " |")
    canary = any(Path(p, "CANARY_RAN").exists() for p in (".", Path.home(), "/tmp", root))
    escaped = Path("/tmp/escaped_abs.txt").exists()
    print(f"canary run: {canary}; written elsewhere: {escaped}; {time.monotonic() - began:.0f} s")
    shutil.rmtree(root, ignore_errors=True)
    sys.exit(any(total[o] for o in BAD) or canary or escaped)


if __name__ == "__main__":
    main()
