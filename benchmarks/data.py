"""What the data path costs, per core: CPU seconds of one thread, medians, on this machine.

    python benchmarks/data.py [--repeat 15]

Reading a row, changing a batch, preparing a sample: each in samples or megapixels per second.
Nothing is asserted; the figures are for people.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from foveal.datasets.augment import augment
from foveal.datasets.batches import Batches
from foveal.datasets.cache import Store
from foveal.datasets.draft import Draft
from foveal.datasets.prepare import prepare
from foveal.plan import AugmentPart, DataPart

STILL = AugmentPart((0, 0), (False, False), False, 0, 0.0, 0.0)
CHANGES = {
    "shift by up to 2": {"translate": (2, 2)},
    "shift by up to 4": {"translate": (4, 4)},
    "mirror": {"flip": (False, True)},
    "cut-out of 8": {"cutout": 8},
    "brightness, contrast": {"brightness": 0.2, "contrast": 0.2},
    "shift and mirror": {"translate": (4, 4), "flip": (False, True)},
}


def rate(work: Callable[[], object], units: float, repeat: int) -> float:
    """Units per CPU second, the median of ``repeat`` runs after two that do not count."""
    seconds = []
    for i in range(repeat + 2):
        start = time.process_time()
        work()
        if i > 1:
            seconds.append(time.process_time() - start)
    return units / max(statistics.median(seconds), 1e-9)


def stores(count: int) -> dict[str, Store]:
    """The same rows held in memory and read from a file."""
    rows = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    with Draft((32, 32), 3, "uint8", expected=count, memory=False) as draft:
        draft.add(rows)
        return {"held": Store.from_array(rows), "read from a file": draft.finish("benchmark")}


def gathering(repeat: int) -> None:
    count, batch = 60_000, 512
    for name, store in stores(count).items():
        batches = Batches(store, np.arange(count), None, batch=batch)
        order = batches.order(0)[:batch]
        found = rate(lambda b=batches, o=order: b.take(o), batch, repeat)
        print(f"gather 32 x 32 x 3, {name:<22} {found:>12,.0f} samples/s")


def augmenting(repeat: int) -> None:
    chance = torch.Generator().manual_seed(0)
    for edge, batch in ((32, 512), (128, 64)):
        x = torch.randint(0, 256, (batch, edge, edge, 3), dtype=torch.uint8).movedim(-1, 1)
        for name, change in CHANGES.items():
            part = replace(STILL, **change)
            found = rate(
                lambda x=x, p=part: augment(x, p, generator=chance), x[:, 0].numel(), repeat
            )
            print(
                f"augment {batch} x {edge} x {edge} x 3, {name:<22} {found / 1e6:>8,.0f} Mpixel/s"
            )


def preparing(repeat: int) -> None:
    side = (0.0,) * 3
    part = DataPart((32, 32), 3, "stretch", side, side, side, side, 0.1, 0.1)
    for size in ((32, 32), (64, 64), (375, 500)):
        x = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8).transpose(2, 0, 1)
        for name, fit in (("stretch", "stretch"), ("pad", "pad")):
            target = replace(part, fit=fit, size=(32, 32) if size[0] < 100 else (112, 144))
            found = rate(lambda x=x, t=target: [prepare(x, t) for _ in range(20)], 20, repeat)
            print(f"prepare {size} to {target.size}, {name:<8} {found:>12,.0f} samples/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=15, help="runs of which the median is shown")
    repeat = parser.parse_args().repeat
    torch.set_num_threads(1)
    load = ", ".join(f"{v:.1f}" for v in os.getloadavg())
    print(f"one thread of {os.cpu_count()}, torch {torch.__version__}, load {load}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOVEAL_CACHE"] = folder
        gathering(repeat)
    augmenting(repeat)
    preparing(repeat)


if __name__ == "__main__":
    main()
