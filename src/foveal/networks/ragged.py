"""Samples of several lengths in one batch: which cells are real is told from the values."""

from __future__ import annotations

from torch import Tensor

from ..plan import DataPart


def masked(x: Tensor, data: DataPart) -> tuple[Tensor, Tensor | None]:
    """Prepared samples with zeros for padding, and the mask of their real cells.

    `datasets.prepare` leaves NaN behind what is shorter than the grid, and tokens of a text end
    with ids of 0; so no road has to carry lengths beside the values.

    Shapes: x ``(B, C, *S)`` -> the same, and ``(B, 1, *S)`` of 0 and 1, float32; None where
        samples are never padded. A sample without a real cell keeps its first one.
    """
    if data.fit != "ragged" or not (data.text is not None or x.is_floating_point()):
        return x, None
    real = x[:, :1] != 0 if data.text is not None else ~x[:, :1].isnan()
    nothing = ~real.flatten(1).any(1).view(-1, *[1] * (x.ndim - 1))
    first = (slice(None), slice(None), *[slice(0, 1)] * (x.ndim - 2))
    real[first] |= nothing
    return x if data.text is not None else x.nan_to_num(0.0), real.float()
