"""How large is an organ? Numbers measured from masks, learned from the scans alone.

`python examples/volumes.py [IMAGES LABELS OUT]` measures every structure in a folder of masks
(NIfTI), and writes OUT/train.csv beside a link to the scans. Then `foveal train OUT/train.csv`.
Without folders, scans are made up: a bright ball in noise, at two different steps.
"""

import csv
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np

import foveal

NAMES = ("anterior", "posterior")  # of the labels 1 and 2; further labels get their number


def measured(mask: Path) -> dict[int, float]:
    """Cubic millimetres of each label above 0 in one mask."""
    image = nibabel.load(mask)
    labels, counts = np.unique(np.asarray(image.dataobj).astype(int), return_counts=True)
    cell = abs(np.linalg.det(image.affine[:3, :3]))
    return {int(k): float(n * cell) for k, n in zip(labels, counts, strict=True) if k > 0}


def table(images: Path, labels: Path, out: Path) -> Path:
    """``out/train.csv`` with a row per scan that has a mask, beside a link to the scans."""
    out.mkdir(parents=True, exist_ok=True)
    link = out / images.name
    if not link.exists():
        link.symlink_to(images.resolve(), target_is_directory=True)
    paths = [p for p in sorted(images.glob("*.nii*")) if (labels / p.name).exists()]
    rows = [measured(labels / path.name) for path in paths]
    found = sorted({label for row in rows for label in row})
    names = [NAMES[k - 1] if k <= len(NAMES) else f"label {k}" for k in found]
    with open(out / "train.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *names])
        for path, row in zip(paths, rows, strict=True):
            volumes = [f"{row.get(label, 0.0):.1f}" for label in found]
            writer.writerow([f"{images.name}/{path.name}", *volumes])
    return out / "train.csv"


def made_up(root: Path, count: int = 60) -> tuple[Path, Path]:
    """Folders of scans and masks: a ball of 4 to 9 mm in noise, in cells of 1 or 1.5 mm."""
    rng = np.random.default_rng(0)
    for number in range(count):
        step = (1.0, 1.5)[number % 2]
        cells = round(24 / step)
        place = (np.arange(cells) + 0.5) * step - 12 + rng.uniform(-1, 1)
        away = np.sqrt(sum(p**2 for p in np.meshgrid(place, place, place, indexing="ij")))
        mask = (away < rng.uniform(4, 9)).astype(np.uint8)
        scan = (rng.uniform(0.5, 2) * (100 * mask + rng.normal(50, 10, mask.shape))).astype("int16")
        for folder, values in (("scans", scan), ("masks", mask)):
            path = root / folder / f"{number}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.Nifti1Image(values, np.diag([step, step, step, 1])).to_filename(path)
    return root / "scans", root / "masks"


def main() -> None:
    if len(sys.argv) > 3:
        images, labels, out = map(Path, sys.argv[1:4])
        print(f"next: foveal train {table(images, labels, out)}")
        return
    with tempfile.TemporaryDirectory() as scratch:
        data = table(*made_up(Path(scratch)), Path(scratch) / "set")
        card = foveal.look(data)
        print(f"{card.count} {card.data}s of {card.size} cells, {card.axes[0].step} mm apart")
        print(card.why["scale"])
        report = foveal.train(data, epochs=8, out=Path(scratch) / "run")
        print("R2", report.test["r2"].value)
        print(report.verdict)


if __name__ == "__main__":
    main()
