"""Answers for new samples: files, folders, zips, arrays; one by one, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FovealError
from ..progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..grid import Sample
    from .model import Model

TOGETHER = 64  # samples per forward pass
Answer = dict[str, Any]


def predict(
    run: str | Path, inputs: Sequence[str | Path], *, progress: Progress = SILENT
) -> Iterator[Answer]:
    """Answers of a trained run, in the order of the inputs.

    Each is ``{"input", "label", "probability", "probabilities"}``, or ``{"input", "error"}``
    for a file that cannot be read: nothing is left out in silence.
    Raises: RunError when ``run`` is not a finished run.
    """
    from .model import load

    yield from answers(load(run), inputs, progress)


def answers(model: Model, inputs: Any, progress: Progress = SILENT) -> Iterator[Answer]:
    """The same for a model in memory; inputs may be an array ``(N, *S)`` or ``(N, *S, C)`` too."""
    import torch

    from ..datasets.prepare import prepare

    torch.set_num_threads(model.plan.fit.threads)
    waiting: list[tuple[str, Any]] = []
    with progress.bar("predicting", None) as tick:
        for key, found in _samples(inputs):
            try:
                if isinstance(found, FovealError):
                    raise found
                waiting.append((key, prepare(found.x, model.plan.data, key=key)))
            except FovealError as error:
                # Answers keep the order of the inputs, so what waits goes first.
                yield from _said(model, waiting)
                waiting = []
                yield {"input": key, "error": error.what}
            if len(waiting) == TOGETHER:
                yield from _said(model, waiting)
                waiting = []
            tick(1)
        yield from _said(model, waiting)


def _samples(inputs: Any) -> Iterable[tuple[str, Sample | FovealError]]:
    from ..datasets.inputs import inputs as from_paths

    if isinstance(inputs, np.ndarray) or hasattr(inputs, "__array__"):
        return _array_samples(np.asarray(inputs))
    return from_paths([str(p) for p in inputs])


def _array_samples(x: NDArray[Any]) -> Iterator[tuple[str, Sample]]:
    from ..datasets.layouts import from_arrays

    listing = from_arrays(x, np.zeros(len(x), np.int64))
    for position in range(len(listing)):
        yield str(position), listing.read(position)


def _said(model: Model, waiting: list[tuple[str, Any]]) -> Iterator[Answer]:
    if not waiting:
        return
    import torch

    from ..evaluation.calibration import softmax
    from ..evaluation.predict import logits
    from ..grid import Batch

    x = torch.from_numpy(np.stack([values for _, values in waiting]))
    batch = Batch(x, None, torch.arange(len(x)))
    raw = logits(model.network, [batch], model.plan)
    for (key, _), row in zip(waiting, softmax(raw, model.temperature), strict=True):
        best = int(row.argmax())
        yield {
            "input": key,
            "label": model.plan.classes[best],
            "probability": round(float(row[best]), 6),
            "probabilities": {
                name: round(float(p), 6) for name, p in zip(model.plan.classes, row, strict=True)
            },
        }
