"""Planted copies: how many are found, what is joined wrongly, and what it takes.

    python benchmarks/copies.py [--data ../shared/data] [--pictures 50000] [--each 500]

CIFAR-10's training part and the reviews of MR get copies of some of their samples, each changed
in one way, in place of other samples. Prints the share of planted pairs found. What was joined
among the untouched samples before planting stands beside it: real copies, or false ones.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from foveal.card import Card
from foveal.datasets.cache import Store
from foveal.datasets.copies import Near, near_copies
from foveal.grid import IMAGE_AXES, TEXT_AXES
from foveal.verbs.look import look

Picture = NDArray[np.uint8]


def encoded(x: Picture) -> Picture:
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(x)).save(content, "JPEG", quality=75)
    return np.asarray(Image.open(io.BytesIO(content.getvalue())))


def scaled(x: Picture, share: float) -> Picture:
    height, width = x.shape[:2]
    small = (round(width * share), round(height * share))
    there = Image.fromarray(x).resize(small, Image.Resampling.BILINEAR)
    return np.asarray(there.resize((width, height), Image.Resampling.BILINEAR))


PICTURES: dict[str, Callable[[Picture], Picture]] = {
    "exact": lambda x: x,
    "JPEG, quality 75": encoded,
    "resized to 3/4": lambda x: scaled(x, 0.75),
    "resized to 2": lambda x: scaled(x, 2.0),
    "lighter": lambda x: np.clip(1.2 * x.astype(float) + 15, 0, 255).astype(np.uint8),
    "mirrored": lambda x: x[:, ::-1],
    "mirrored, JPEG": lambda x: encoded(x[:, ::-1]),
}
TEXTS: dict[str, Callable[[str], str]] = {
    "exact": lambda text: text,
    "capitals, no stops": lambda text: text.upper().replace(".", "").replace(",", ""),
    "one word changed": lambda text: " ".join([*text.split()[:-2], "thing", text.split()[-1]]),
}


def planted(count: int, ways: list[str], each: int) -> list[tuple[str, int, int]]:
    """(way, sample that is copied, sample that the copy takes the place of)."""
    rows = np.random.default_rng(0).permutation(count)
    pairs = rows[: 2 * each * len(ways)].reshape(-1, 2).tolist()
    return [(way, *pair) for way, pair in zip(np.repeat(ways, each).tolist(), pairs, strict=True)]


def timed(x: NDArray[np.uint8], axes: tuple) -> tuple[Near, float, float]:
    """Changed copies, exact ones among them since hashes are all different here, and seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    hashes = np.arange(len(x), dtype=np.uint64)
    found = near_copies(Store.from_array(x), axes, hashes, remember=False)
    return found, time.perf_counter() - wall, time.process_time() - cpu


def told(
    name: str, plain: NDArray[np.uint8], x: NDArray[np.uint8], plan: list, axes: tuple
) -> None:
    """The table of one set."""
    before, wall, cpu = timed(plain, axes)
    share = len(np.unique(before.pairs)) / len(plain)
    print(f"{name}: {len(plain):,} samples, {wall:.1f} s ({cpu:.1f} s of CPU)")
    print(f"  {'untouched: joined':28} {share:8.2%}")
    found = {frozenset(pair) for pair in timed(x, axes)[0].pairs.tolist()}
    for way in dict.fromkeys(way for way, _, _ in plan):
        met = [frozenset(pair) in found for kind, *pair in plan if kind == way]
        print(f"  {way:28} {np.mean(met):8.1%} of {len(met)}")
    touched = {row for _, *pair in plan for row in pair}
    rest = {row for pair in found for row in pair} - touched
    print(f"  {'among the others: joined':28} {len(rest) / len(plain):8.2%}", flush=True)


def cifar(data: Path, most: int, each: int) -> None:
    with zipfile.ZipFile(data / "cifar10" / "CIFAR-10-images.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg") and "train/" in n)
        step = max(1, len(names) // most)
        pictures = (Image.open(io.BytesIO(archive.read(n))) for n in names[::step][:most])
        plain = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    plan, x = planted(len(plain), list(PICTURES), each), plain.copy()
    for way, one, other in plan:
        x[other] = PICTURES[way](plain[one])
    told("CIFAR-10", plain, x, plan, IMAGE_AXES)


def reviews(data: Path, each: int) -> None:
    content = (data / "sentences" / "rt-polarity.all").read_text("latin-1")
    plain = [line.partition(" ")[2] for line in content.split("\n") if line]
    lines = list(plain)
    plan = planted(len(plain), list(TEXTS), each)
    for way, one, other in plan:
        lines[other] = TEXTS[way](plain[one])
    told("MR", _bytes(plain), _bytes(lines), plan, TEXT_AXES)


def _bytes(lines: list[str]) -> NDArray[np.uint8]:
    content = [line.encode() for line in lines]
    x = np.zeros((len(lines), max(map(len, content)), 1), np.uint8)
    for row, line in zip(x, content, strict=True):
        row[: len(line), 0] = np.frombuffer(line, np.uint8)
    return x


def brains(data: Path) -> None:
    card: Card = look(data / "brain-mri")
    print(f"brain-mri: {len(card.duplicates)} groups of exact copies, {card.copies} of all copies")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--each", type=int, default=500)
    asked = parser.parse_args()
    brains(asked.data)
    reviews(asked.data, asked.each)
    cifar(asked.data, asked.pictures, asked.each)


if __name__ == "__main__":
    main()
