"""Small sets in every layout, a tiny network for them, and the command line to walk them."""

import csv
import gzip
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

# One narrow stage: a run of two passes over a hundred pictures takes a second or two.
TINY = {
    "net.stem": "convolution",
    "net.stem_width": "8",
    "net.widths": "[16]",
    "net.depths": "[1]",
    "net.strides": "[[2, 2]]",
    "net.kernels": "[[3, 3]]",
}
CLASSES = ("s1", "s2", "s10")  # natural order, which is not that of letters
KEYS = {
    *("task", "main", "data", "test", "baselines", "verdict", "calibration", "cost"),
    *("invariance", "doubts"),
}


def shades(each=24, size=(12, 10), classes=3, seed=0, dtype=np.uint8):
    """``x`` (N, *size) that brightness tells apart, and ``y`` (N,)."""
    rng = np.random.default_rng(seed)
    y = np.arange(each * classes) % classes
    low = (y * 80).reshape(-1, *[1] * len(size))
    x = rng.integers(0, 60, (len(y), *size)) + low
    return (x * (257 if dtype == np.uint16 else 1)).astype(dtype), y


def save(x, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(x).save(path)
    return path


def folders(root: Path, x, y, names=CLASSES, ending="png") -> Path:
    for i, (picture, label) in enumerate(zip(x, y, strict=True)):
        save(picture, root / names[label] / f"{i}.{ending}")
    return root


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def idx(root: Path, part: str, x, y) -> None:
    root.mkdir(exist_ok=True)
    head = struct.pack(">4B3I", 0, 0, 8, 3, *x.shape)
    (root / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + x.tobytes()))
    head = struct.pack(">4BI", 0, 0, 8, 1, len(y))
    content = head + y.astype(np.uint8).tobytes()
    (root / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))


def table(root: Path, x, y, names=CLASSES) -> Path:
    for i, picture in enumerate(x):
        save(picture, root / "files" / f"{i}.png")
    with (root / "set.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerows([f"files/{i}.png", names[label]] for i, label in enumerate(y))
    return root / "set.csv"


def command(*words: object, cwd: Path, code: int | None = 0, limit: float = 60):
    """The real command in its own process, in ``cwd`` and with a cache of its own there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "foveal", *map(str, words)],
        capture_output=True, text=True, timeout=limit, cwd=cwd, env=environment, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert "fault in Foveal" not in done.stderr, done.stderr
    assert code is None or done.returncode == code, (done.returncode, done.stderr)
    return done


def edits(changes=None) -> list[str]:
    """``changes`` as the command line takes them."""
    return [w for k, v in (changes or TINY).items() for w in ("--set", f"{k}={v}")]


def strict(text: str):
    """The one JSON document in ``text``, without NaN or infinity."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


# Code for a process of its own: peak() is its resident memory in MB. ru_maxrss would do, were it
# not that Linux passes a fat parent's figure on to its child.
PEAK = """
import os, re, resource
def peak():
    if not os.path.exists("/proc/self/status"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with open("/proc/self/status") as file:
        return int(re.search("VmHWM:\\s+(\\d+)", file.read())[1]) // 1024
"""
