"""A first look in under a minute: scikit-learn's handwritten digits, from arrays to a report."""

from __future__ import annotations

import time
from pathlib import Path

from ..progress import SILENT, Progress
from ..report import Report

BUDGET = 40.0


def demo(
    out: str | Path | None = None, *, started: float | None = None, progress: Progress = SILENT
) -> Report:
    """Train on 1,797 scanned digits of 8 x 8 cells and judge on a fifth held back.

    The digits come with scikit-learn; nothing is fetched. ``out`` is numbered when it is taken;
    ``runs/digits`` when None. ``started`` is as for `train`.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    from .folder import free_folder
    from .plan import Wish
    from .source import examine_arrays
    from .train import train_survey

    started = time.monotonic() if started is None else started
    digits = load_digits()
    # 17 grey levels as bytes: what a scanner would have written.
    x = np.asarray(digits.images * (255 / 16)).round().astype(np.uint8)
    y = [str(label) for label in digits.target]
    out = None if out is None else free_folder(Path(out))
    survey = examine_arrays(x, y, name="digits", progress=progress)
    return train_survey(survey, Wish(budget=BUDGET), None, out, started, progress)
