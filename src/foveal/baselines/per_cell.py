"""Simple answers for every cell: the commonest class of a place, and a look at the cell alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.cells import count_cells
from . import Question

MOST_CELLS = 200_000  # cells that the linear model learns from
MOST_ASKED = 16_384  # cells of one test sample that it is asked about, evenly spread
RIDGE = 1e-3
_PLACES = 2**25  # counts held for places: classes times cells
Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple answer; ``said`` holds its counts per test sample, ``(M, K, K)``."""

    name: str
    title: str
    called: str
    words: str
    said: NDArray[np.float64]


def of_places(question: Question, classes: int) -> Simple | None:
    """The commonest class of each place over the training part."""
    counts: NDArray[np.int32] | None = None
    for _, y in _pairs(question, "train"):
        if counts is None:
            if classes * y[0].size > _PLACES:
                return None
            counts = np.zeros((classes, *y.shape[1:]), np.int32)
        for k in range(classes):
            counts[k] += (y == k).sum(0, dtype=np.int32)
    if counts is None:
        return None
    usual = counts.reshape(classes, -1).sum(1).argmax()
    map_of = np.where(counts.sum(0) > 0, counts.argmax(0), usual)
    said = [count_cells(map_of, each, classes) for _, y in _pairs(question, "test") for each in y]
    return Simple(
        "commonest_by_place",
        "Commonest class of each place",
        "the commonest class of each place",
        "answers the same mask for every sample: what training most often has there",
        np.array(said, np.float64).reshape(-1, classes, classes),
    )


def of_colours(question: Question, classes: int) -> Simple | None:
    """A linear model on the values of one cell, their squares and products, and its place."""
    total = sum(len(y) for _, y in _pairs(question, "train"))
    if not total:
        return None
    model = fitted(_pairs(question, "train"), total, classes, question.seed)
    said = []
    for x, y in _pairs(question, "test"):
        few = tuple(slice(None, None, step) for step in _steps(y.shape[1:]))
        for one, mask in zip(x, y, strict=True):
            said.append(count_cells(model.mask(one, few), mask[few], classes))
    return Simple(
        "linear_per_cell",
        "Linear model per cell",
        "a linear model of single cells",
        "a weighted sum of a cell's values, their squares and its place for each class",
        np.array(said, np.float64).reshape(-1, classes, classes),
    )


@dataclass(frozen=True, slots=True)
class CellModel:
    """A linear model of single cells. mean, std: of their numbers; weights: of the features."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    weights: NDArray[np.float64]

    def mask(self, x: Values, few: tuple[slice, ...] = ()) -> NDArray[np.int64]:
        """The likeliest class of each cell ``(C, *S) -> (*S)``, or of those in ``few``."""
        numbers = _cells(x[None]).reshape(*x.shape[1:], -1)[few]
        sums = _features((numbers.reshape(-1, numbers.shape[-1]) - self.mean) / self.std)
        said: NDArray[np.int64] = (sums @ self.weights).argmax(1).reshape(numbers.shape[:-1])
        return said


def fitted(
    pairs: Iterable[tuple[Values, Values]], samples: int, classes: int, seed: int
) -> CellModel:
    """The model of 200,000 cells drawn from batches of so many samples in all."""
    gram, cross = np.zeros(0), np.zeros(0)
    rng = np.random.default_rng(seed)
    mean = std = np.zeros(0)
    for x, y in pairs:
        inputs, flat = _cells(x), y.reshape(-1)
        if not len(mean):
            mean, std = inputs.mean(0), np.maximum(inputs.std(0), 1e-6)
        chosen = rng.permutation(len(flat))[: max(1, MOST_CELLS * len(y) // samples)]
        chosen = chosen[flat[chosen] < classes]
        rows = _features((inputs[chosen] - mean) / std)
        truth = np.eye(classes)[flat[chosen]]
        gram = gram + rows.T @ rows if gram.size else rows.T @ rows
        cross = cross + rows.T @ truth if cross.size else rows.T @ truth
    level = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return CellModel(mean, std, np.linalg.solve(gram + level, cross))


def _steps(size: tuple[int, ...]) -> tuple[int, ...]:
    """Distance of the cells that are asked of a large sample, along each axis."""
    step = max(1, ceil((prod(size) / MOST_ASKED) ** (1 / len(size)) - 1e-9))
    return (step,) * len(size)


def _pairs(question: Question, part: str) -> Iterator[tuple[Values, Values]]:
    assert question.pairs is not None, "asked only where samples have masks"
    return question.pairs(part)


def _cells(x: Values) -> NDArray[np.float64]:
    """Values and place of each cell, ``(B, C, *S) -> (B * cells, C + rank)``."""
    size = x.shape[2:]
    values = np.nan_to_num(np.moveaxis(x, 1, -1).astype(np.float64)).reshape(-1, x.shape[1])
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in size), indexing="ij"), -1)
    there = np.tile(places.reshape(-1, len(size)), (len(x), 1))
    return np.concatenate([values, there], 1)


def _features(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers, their products by twos, and 1."""
    count = cells.shape[1]
    products = [cells[:, i] * cells[:, j] for i in range(count) for j in range(i, count)]
    return np.column_stack([np.ones(len(cells)), cells, *products])
