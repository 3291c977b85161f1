"""A card, a plan and a report made up for the tests of the report and its page."""

import dataclasses

import numpy as np

from foveal.baselines import Baseline
from foveal.card import Card, Skipped
from foveal.drawing.words import noun
from foveal.evaluation.summary import summarise
from foveal.grid import IMAGE_AXES
from foveal.metrics.intervals import wilson
from foveal.plan import AugmentPart, DataPart, FitPart, JudgePart, NetPart, Plan
from foveal.tasks import Answers
from foveal.tasks.classify import TASK

DATA = DataPart((32, 32), 3, "stretch", (0.0,) * 3, (255.0,) * 3, (0.5,) * 3, (0.2,) * 3, 0.1, 0.1)
AUGMENT = AugmentPart((2, 2), (False, True), True, 8, 0.1, 0.1)
NET = NetPart(
    stem="whiten", stem_width=24, stem_kernel=(2, 2), stem_stride=(1, 1), block="plain",
    down="max", widths=(64, 256), depths=(2, 2), strides=((2, 2), (2, 2)),
    kernels=((3, 3), (3, 3)), norm="batch", activation="gelu", gate=False, pool="max", hidden=(),
    dropout=0.0, drop_path=0.0, scale=0.1,
)  # fmt: skip
FIT = FitPart(
    optimiser="muon", lr=0.2, other_lr=0.02, momentum=0.6, weight_decay=1e-3, batch=512,
    epochs=9.6, steps=940, warmup=0.2, label_smoothing=0.2, ema=0.99, precision="fp32",
    channels_last=True, threads=1, device="cpu", coarse=0.0, coarse_size=(32, 32),
)  # fmt: skip


def plan_of(classes, **why):
    reasons = {"net.widths": "wide enough", "fit.batch": "set by you to 512", **why}
    judge = JudgePart(mirror=True, shift=1, bootstrap=100)
    return Plan(
        "classify", IMAGE_AXES, tuple(classes), DATA, AUGMENT, NET, FIT, judge, 600.0, 0, reasons
    )


def card_of(classes, name="pets", **changes):
    values = {
        "path": f"/data/{name}", "layout": "class folders", "target": "label", "channels": 3,
        "dtype": "uint8", "parts": {"train": 40 * len(classes)}, "smallest": (20, 30),
        "median": (32, 32), "largest": (64, 48), "low": (0.0,) * 3, "high": (255.0,) * 3,
        "mean": (120.0,) * 3, "std": (60.0,) * 3, "classes": tuple(classes),
        "counts": {"train": (40,) * len(classes)}, "digest": "0123456789abcdef" * 2,
        "name": name, "skipped": (Skipped("a/1.png", "cut short"), Skipped("b/2.png", "cut short")),
        "doubts": ("2 pictures are copies of others",), **changes,
    }  # fmt: skip
    return Card(**values)


def answers_of(classes, each=40, strength=2.0, seed=0, keys=None):
    """Answers right more often the greater ``strength`` is; 0 is guessing."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(classes)), each)
    logits = generator.normal(size=(len(labels), len(classes))).astype(np.float32)
    logits[np.arange(len(labels)), labels] += strength
    return Answers(logits, labels, keys or [f"test/{i:04}.png" for i in range(len(labels))])


def baseline_of(labels, share, seed=1):
    """A baseline that is right on about ``share`` of the rows."""
    right = np.random.default_rng(seed).random(len(labels)) < share
    said = np.where(right, labels, (labels + 1) % (labels.max() + 1))
    score = wilson(int(right.sum()), len(labels))
    called = "logistic regression on small cells"
    words = "a weighted sum of small cells"
    return Baseline("logistic_regression", "Logistic regression", called, words, score, said)


HISTORY = [
    {
        "epoch": e,
        "seconds": 6.0 * e,
        "loss": 2.0 / e,
        "validation_loss": 2.2 / e,
        "score": 1 - 0.5 / e,
    }
    for e in range(1, 9)
]
COST = {
    "seconds": 61.5, "samples_per_second": 2048.0, "peak_memory_mb": 812.0, "device": "cpu",
    "macs_per_sample": 45_000_000, "fraction_of_peak": 0.5, "threads": 2, "precision": "fp32",
}  # fmt: skip


def report_of(classes, *, card=None, plan=None, answers=None, share=0.5, picture=None, **more):
    answers, card = answers or answers_of(classes), card or card_of(classes)
    answers = dataclasses.replace(answers, picture=picture, noun=noun(card))
    values = {
        "calibration": {"temperature": more.pop("temperature", 1.2)},
        "sizes": {"train": 400, "validation": 50, "test": len(answers.target)},
        "baselines": [baseline_of(answers.target, share)] if len(answers.target) else [],
        "history": HISTORY,
        "cost": COST,
        **more,
    }
    return summarise(TASK, card, plan or plan_of(classes), answers, **values)
