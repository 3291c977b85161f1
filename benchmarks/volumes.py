"""Folders of volumes: the sizes of two parts of a brain, and as many generated ones as asked for.

    python benchmarks/volumes.py hippocampus OUT                # 260 scans and a table of numbers
    python benchmarks/volumes.py generated OUT --count 500      # NIfTI files in class folders

The first asks how large the front and the back of the hippocampus are (mm3, counted from the
labels that belong to each scan); the network sees the scan alone. The second shows that memory
does not grow with the number of volumes: noise of 64 x 64 x 48 cells with a bright or a dark ball.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "hippocampus"
PARTS = {"anterior_mm3": 1, "posterior_mm3": 2}
SHAPE = (64, 64, 48)


def write_hippocampus(out: Path, source: Path = DATA) -> int:
    """Copies the scans to ``out`` beside ``volumes.csv``; how many there are."""
    import nibabel

    (out / "scans").mkdir(parents=True)
    rows = []
    for scan in sorted((source / "images").glob("*.nii*")):
        label = source / "labels" / scan.name
        if not label.exists():
            continue
        mask = nibabel.load(label)
        cell = abs(np.linalg.det(mask.affine[:3, :3]))
        cells = np.asarray(mask.dataobj)
        sizes = [round(float((cells == part).sum() * cell), 1) for part in PARTS.values()]
        shutil.copyfile(scan, out / "scans" / scan.name)
        rows.append([f"scans/{scan.name}", *sizes])
    with (out / "volumes.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", *PARTS], *rows])
    return len(rows)


def write_generated(out: Path, count: int, seed: int = 0) -> int:
    """``count`` volumes in folders ``bright`` and ``dark`` of ``out``."""
    import nibabel

    rng = np.random.default_rng(seed)
    places = np.indices(SHAPE)
    for number in range(count):
        middle = rng.integers(16, 32, 3).reshape(3, 1, 1, 1)
        ball = ((places - middle) ** 2).sum(0) < 10**2
        bright = number % 2
        cells = rng.integers(80, 120, SHAPE, dtype=np.int16)
        cells[ball] += np.int16(40 if bright else -40)
        folder = out / ("bright" if bright else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(cells, np.eye(4)), folder / f"{number:05d}.nii")
    return count


def main() -> None:
    """Write what was asked for."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("kind", choices=("hippocampus", "generated"))
    options.add_argument("out", type=Path)
    options.add_argument("--count", type=int, default=500)
    asked = options.parse_args()
    if asked.kind == "hippocampus":
        print(write_hippocampus(asked.out))
    else:
        print(write_generated(asked.out, asked.count))


if __name__ == "__main__":
    main()
