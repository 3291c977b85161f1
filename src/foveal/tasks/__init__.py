"""A task is head x loss x metric x decode. One file per task; the file name is its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..card import Card
from ..grid import Grid, Sample
from ..plan import Plan


@dataclass(frozen=True, slots=True)
class Task:
    """All that planner, trainer, evaluator, explainer and exporter ask of a task.

    ``raw`` is what the head returns and ``done`` what ``finish`` makes of it; their shapes are
    the task's own business. ``decode`` undoes ``encode``: an ideal ``done`` gives back y.
    tests/test_tasks.py holds every file of this folder to it.

    Args:
        fits: can the task be read off the data?
        encode: the y of many samples -> target, first axis B.
        head: plan, channels of the backbone's last stage, prior frequency of each class or
            None -> the module that ends the network.
        loss: raw, target, mask ``(B, 1, *S)`` or None, label smoothing -> scalar.
        finish: raw -> done; exported with the network.
        decode: done -> one plain value per sample.
        metric: said, true -> named scores, of which ``best`` is the one to maximise.
        evidence: raw, choice -> ``(B,)``, how much speaks for the choice.
        example: rank -> a dozen easy samples.
    """

    fits: Callable[[Card], bool]
    encode: Callable[[Sequence[Any], Card], Tensor]
    head: Callable[[Plan, int, Tensor | None], nn.Module]
    loss: Callable[[Tensor, Tensor, Tensor | None, float], Tensor]
    finish: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor, Grid, Card], list[Any]]
    metric: Callable[[Sequence[Any], Sequence[Any]], dict[str, float]]
    best: str
    evidence: Callable[[Tensor, Any], Tensor]
    example: Callable[[int], list[Sample]]
