"""What every contestant shares: the network in numbers, and the same made-up pictures.

Stem: convolution of 3, norm, ReLU. Each stage: convolution, maximum of 2 x 2, norm, ReLU,
then convolution, norm, ReLU. Then the mean over the grid, and one fully connected layer.
Imports numpy alone, so that each contestant loads only its own framework.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray

SIZE, CHANNELS, CLASSES = 32, 3, 10
STEM = 32
PICTURES = 10_000
WARM_UP = 3  # steps that are not timed


def widths(base: int) -> tuple[int, int, int]:
    return base, 2 * base, 4 * base


def pictures(count: int = PICTURES) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise ``(N, 32, 32, 3)`` with labels; what a step costs does not depend on the content."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, SIZE, SIZE, CHANNELS), dtype=np.uint8)
    return x, rng.integers(0, CLASSES, count)


def arguments() -> argparse.Namespace:
    """What the runner tells a contestant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--profile", action="store_true")
    return parser.parse_args()


def answer(**facts: object) -> None:
    """The last line on standard output, which the runner reads."""
    print(json.dumps(facts), flush=True)
