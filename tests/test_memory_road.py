"""Memory does not grow with the data set: the road from a zip of pictures to a report."""

import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

EDGE = 8
PER_ITEM = 300  # bytes that an item may cost: its name, label, hash and place in the archive
ROOM = 60 * 2**20

CODE = """
import resource, sys
from foveal.verbs.train import train
steps = {"fit.steps": "20", "fit.batch": "64", "fit.threads": "1", "fit.precision": "fp32"}
net = {"net.widths": "[8]", "net.depths": "[1]", "net.strides": "[[2, 2]]",
       "net.kernels": "[[3, 3]]"}
report = train(sys.argv[1], epochs=1, out=sys.argv[2], changes=steps | net, symmetry="none")
print(report.cost["steps"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def png(pixels: np.ndarray) -> bytes:
    """A grey picture without the cost of an image library per picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + check

    edge = pixels.shape[0].to_bytes(4, "big")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = chunk(b"IHDR", edge + edge + b"\x08\0\0\0\0")
    body = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def zipped(path: Path, count: int) -> Path:
    """``count`` tiny pictures in two class folders of a stored zip."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for i in range(count):
            name = "light" if i % 2 else "dark"
            pixels = rng.integers(0, 128, (EDGE, EDGE), dtype=np.uint8) + np.uint8(100 * (i % 2))
            archive.writestr(f"{name}/{i:06d}.png", png(pixels))
    return path


def peak(folder: Path, count: int) -> int:
    """Most resident bytes of a process that trains on ``count`` pictures for 20 steps."""
    data = zipped(folder / f"{count}.zip", count)
    found = subprocess.run(
        [sys.executable, "-c", CODE, str(data), str(folder / f"run-{count}")],
        env={**os.environ, "FOVEAL_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    steps, most = map(int, found.stdout.split())
    assert steps == 20
    return most


@pytest.mark.parametrize(
    ("few", "many"),
    [(1_000, 10_000), pytest.param(20_000, 200_000, marks=pytest.mark.slow)],
)
def test_ten_times_the_data_take_hardly_more_memory(tmp_path, few, many):
    small, large = peak(tmp_path, few), peak(tmp_path, many)
    assert large - small < ROOM + PER_ITEM * (many - few)
