"""Rules for augmentation and fitting: shifts, batch, rates, epochs."""

from __future__ import annotations

from typing import Literal

from ..card import Card
from ..plan import FitPart
from .machine import Machine

EFFICIENCY = 0.85  # share of the bare convolution rate that whole training steps reach (measured)
MOST_EPOCHS = 250.0
FEW_PASSES = 60.0  # above it, steps on smaller pictures save time that is not short
COARSE = 0.65


def translate(card: Card, size: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    """Largest random shift along each axis: a sixteenth of it, at least one cell from 8 on."""
    shift = tuple(0 if n < 6 else max(1, round(n / 16)) for n in size)
    return shift, "what lies a sixteenth further left is still the same thing"


def cutout(card: Card, size: tuple[int, ...]) -> tuple[int, str]:
    """Edge of the erased box. Short trainings lose by it, so none is erased (see docs)."""
    return 0, "erasing parts pays only in long trainings (80 passes and more)"


def light(card: Card) -> tuple[float, float, str]:
    """Random change of brightness and contrast."""
    return 0.0, 0.0, "light changes did not pay in short trainings"


def batch(train: int) -> tuple[int, str]:
    """Samples per step: large enough to keep the cores busy, small enough for many steps."""
    fitting_size = max(16, min(500, train // 40))
    return fitting_size, f"{train} training samples: at least 40 steps per pass, at most 500 a step"


def coarse(card: Card, size: tuple[int, ...], passes: float) -> tuple[float, tuple[int, ...], str]:
    """Share of the steps made on smaller pictures, and their size: three quarters of each edge.

    Measured on CIFAR-10 (8,000 held-back pictures, 200 CPU seconds of two Sapphire Rapids cores,
    one seed): 0.839 with 0.6 of the time at 24 cells, 0.8325 without. Only in short trainings,
    where time is what limits, and only where three quarters still hold 16 cells.
    """
    smaller = tuple(2 * round(0.375 * n) for n in size)
    if card.data != "picture" or passes > FEW_PASSES or min(smaller) < 16:
        return 0.0, size, "every step at full size"
    shown = " x ".join(map(str, smaller))
    return COARSE, smaller, f"at first {shown} cells teach nearly as much for half of the time"


def epochs(
    train: int, macs: int, gflops: float, seconds: float, asked: float | None
) -> tuple[float, str]:
    """Passes over the training part that fit the time; corrected by the measured step time."""
    if asked is not None:
        return asked, "set by you"
    per_second = EFFICIENCY * gflops * 1e9 / (6 * macs)
    fitting_time = per_second * seconds / train
    passes = min(fitting_time, MOST_EPOCHS)
    why = f"about {per_second:.0f} samples a second for {seconds:.0f} s"
    if passes < fitting_time:
        why += f"; more than {MOST_EPOCHS:.0f} passes were never worth their time"
    return max(passes, 0.02), why


def fitting(
    batch_size: int,
    passes: float,
    steps: int,
    machine: Machine,
    early: tuple[float, tuple[int, ...], str],
    why: dict[str, str],
) -> FitPart:
    """The fit part; ``early`` is what `coarse` gave.

    Rates were tuned once at 500 samples a step and scale with a root of their number.
    """
    precision: Literal["fp32", "bf16"] = "bf16" if machine.precision == "bf16" else "fp32"
    part = FitPart(
        optimiser="muon",
        lr=round(0.1 * (batch_size / 500) ** 0.25, 4),
        other_lr=round(0.4 * (batch_size / 500) ** 0.5, 4),
        momentum=0.6,
        weight_decay=1e-3,
        batch=batch_size,
        epochs=round(passes, 4),
        steps=steps,
        warmup=0.1,
        label_smoothing=0.1,
        ema=0.0,
        precision=precision,
        channels_last=machine.channels_last,
        threads=machine.threads,
        device=machine.device,
        coarse=early[0],
        coarse_size=early[1],
        winograd=machine.winograd,
    )
    why["fit.optimiser"] = (
        "Muon reached the accuracy of Nesterov SGD in two thirds of its time here; norms, biases "
        "and the last layer stay with SGD"
    )
    why["fit.lr"] = f"0.1 at 500 samples a step, scaled by the fourth root of {batch_size}/500"
    why["fit.other_lr"] = f"0.4 at 500 samples a step, scaled by the root of {batch_size}/500"
    why["fit.momentum"] = "Muon at its published setting for short trainings"
    why["fit.weight_decay"] = "keeps matrices small; never on norms and biases"
    why["fit.warmup"] = "a tenth of the steps to reach the peak, then a straight line to zero"
    why["fit.label_smoothing"] = "a tenth of the certainty is spread: better calibrated"
    why["fit.ema"] = "a rate that reaches zero averages by itself"
    why["fit.members"] = "one, until the time that a step takes is known"
    why["fit.recall"] = "the truth alone; steadier answers were not asked for"
    why["fit.winograd"] = machine.why_winograd
    why["fit.coarse"] = why["fit.coarse_size"] = early[2]
    return part
