"""Rules for the stages of a network on a grid whose cells have lengths. Each gives (value, why)."""

from __future__ import annotations

LEAST = 4  # cells an axis must keep to be halved into

Shape = tuple[int, ...]


def strides(steps: list[float], size: list[int], least: int = LEAST) -> tuple[list[Shape], str]:
    """Stride of each stage along each axis, until no axis can be halved.

    An axis is halved when its step is under twice the finest one that still can be, and at
    least ``least`` cells remain, so cells grow towards cubes. The last axis left alone needs
    three times ``least``. Works for any rank.
    Source: nnU-Net's topology rule, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z.
    """
    steps, size, stages = list(steps), list(size), []
    while True:
        wide = [i for i, n in enumerate(size) if n >= 2 * least]
        finest = min((steps[i] for i in wide), default=0.0)
        halved = [i for i in wide if steps[i] < 2 * finest]
        if not halved or (len(halved) == 1 and len(size) > 1 and size[halved[0]] < 3 * least):
            break
        stages.append(tuple(2 if i in halved else 1 for i in range(len(size))))
        for i in halved:
            steps[i], size[i] = 2 * steps[i], -(-size[i] // 2)
    left = " x ".join(map(str, size))
    noun = "halving" if len(stages) == 1 else "halvings"
    why = f"{len(stages)} {noun} leave {left} cells, at least {least} of each halved axis"
    return stages, why


def kernels(steps: list[float], size: list[int], stages: list[Shape]) -> tuple[list[Shape], str]:
    """Kernel of each stage: 3 along an axis once its step is under twice the finest, else 1.

    An axis of fewer than 3 cells keeps 1. Source: as `strides`.
    """
    steps, size, found = list(steps), list(size), []
    three = [False] * len(size)
    for stride in stages:
        three = [t or s < 2 * min(steps) for t, s in zip(three, steps, strict=True)]
        found.append(tuple(3 if t and n >= 3 else 1 for t, n in zip(three, size, strict=True)))
        steps = [a * b for a, b in zip(steps, stride, strict=True)]
        size = [-(-n // s) for n, s in zip(size, stride, strict=True)]
    return found, "3 cells see an edge and its direction; two layers of 3 see as far as one of 5"
