"""Clips of handwritten digits that move left, right, up or down; the class is the direction.

Digits leave the picture on one side and come in on the other, from anywhere, so that a single
frame tells nothing: where a digit stands does not depend on where it goes.

    python benchmarks/moving_digits.py OUT --kind mp4 --clips 2000
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
MNIST = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "mnist"
SPEED = (1, 3)  # cells per frame, drawn for each clip


def digits(folder: Path = MNIST) -> NDArray[np.uint8]:
    """The training digits of MNIST, ``(60000, 28, 28)``."""
    content = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)


def clips(
    count: int, pictures: NDArray[np.uint8], *, frames: int = 16, edge: int = 32, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """``count`` clips ``(N, frames, edge, edge)`` and the position of each class ``(N,)``."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, frames, edge, edge), np.uint8)
    y = np.arange(count) % len(DIRECTIONS)
    steps = list(DIRECTIONS.values())
    for clip, label in zip(x, y, strict=True):
        canvas = np.zeros((edge, edge), np.uint8)
        digit = pictures[rng.integers(len(pictures))]  # drawn anew: few clips share a digit
        canvas[: digit.shape[0], : digit.shape[1]] = digit
        start = rng.integers(0, edge, 2)
        speed = rng.uniform(*SPEED)
        for number in range(frames):
            moved = start + np.rint(speed * number * np.array(steps[label])).astype(int)
            clip[number] = np.roll(canvas, tuple(moved), (0, 1))
    return x, y


def write_mp4(x: NDArray[np.uint8], y: NDArray[np.int64], folder: Path) -> None:
    """One file per clip in class folders, 16 frames a second."""
    import av

    for number, (clip, name) in enumerate(zip(x, _names(y), strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        with av.open(str(folder / name / f"{number:06d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=16, options={"crf": "18"})
            stream.width, stream.height, stream.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
            stream.codec_context.thread_count = 1
            for frame in clip:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
            container.mux(stream.encode())


def write_frames(x: NDArray[np.uint8], y: NDArray[np.int64], folder: Path) -> None:
    """One folder of numbered PNG files per clip, in class folders."""
    from PIL import Image

    for number, (clip, name) in enumerate(zip(x, _names(y), strict=True)):
        place = folder / name / f"{number:06d}"
        place.mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(clip):
            Image.fromarray(frame).save(place / f"{i:04d}.png")


def _names(y: NDArray[np.int64]) -> list[str]:
    return [list(DIRECTIONS)[label] for label in y.tolist()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("out", type=Path)
    options.add_argument("--kind", choices=("mp4", "frames"), default="mp4")
    options.add_argument("--clips", type=int, default=2000)
    options.add_argument("--frames", type=int, default=16)
    options.add_argument("--edge", type=int, default=32)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    made = clips(asked.clips, digits(), frames=asked.frames, edge=asked.edge, seed=asked.seed)
    {"mp4": write_mp4, "frames": write_frames}[asked.kind](*made, asked.out)


if __name__ == "__main__":
    main()
