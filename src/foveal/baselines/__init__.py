"""What could be had without a network: samples as flat vectors, and simple models on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import Score

Rows = NDArray[np.int64]
Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Own:
    """A simple model of one kind of data, whatever the task.

    name, title, called, words: as in `Baseline`. answer: targets of all training rows as numbers
    ``(N, K)`` -> its numbers for the test rows ``(M, K)``.
    """

    name: str
    title: str
    called: str
    words: str
    answer: Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Question:
    """What simple models are asked: learn these samples, then answer for those.

    Args:
        known: positions in the training part -> their vectors (n, F). asked: the test part's, in
            order, (M, F). width: F. words: what the vectors hold ("small cells").
        learned, truth: encoded targets of the training and of the test part, (N, ...), (M, ...).
        seconds: about the most time that one slow core may take for all models together. Rows
            are chosen from sizes alone, so the same data give the same answers.
        seed: picks the rows where not all can be used. own: models of this kind of data, to be
            asked besides those of every kind. pairs: "train" or "test" -> batches of samples
            ``(B, C, *S)`` and their targets, where these lie on the grid.
    """

    known: Callable[[Rows], Features]
    asked: Callable[[], Features]
    width: int
    words: str
    learned: NDArray[Any]
    truth: NDArray[Any]
    seconds: float = 10.0
    seed: int = 0
    own: tuple[Own, ...] = ()
    pairs: Callable[[str], Iterator[tuple[NDArray[Any], NDArray[Any]]]] | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """A simple answer.

    name: in report.json. title: on a page ("Logistic regression"). called: inside a sentence
    ("logistic regression on small cells"). words: what it does. score: by the task's main figure.
    said: what it answered for each test row, as the task compares answers, (M, ...).
    """

    name: str
    title: str
    called: str
    words: str
    score: Score
    said: NDArray[Any]
