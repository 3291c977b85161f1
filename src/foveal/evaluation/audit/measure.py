"""Asks a model about samples and their changed copies; the model may be any function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ...metrics.intervals import wilson
from ...report import Score
from .changes import Change, Move
from .found import Exact, Merge, Row

Answer = Callable[[NDArray[Any]], Any]  # (B, C, *S) -> probabilities (B, K)
Probabilities = NDArray[np.float64]

PILOT = 16  # samples by which the time of all is estimated
ENOUGH = 100  # samples under which fewer changes are tried instead
LEAST = 32
SHARE = 0.8  # of the time, by which samples are counted: the rest is for the page and for error
MERGED = 0.2  # of the samples of a class, that go to one other, to call it a merge
FEWEST = 3
EXAMPLES = 12


@dataclass(slots=True)
class Asked:
    """A model, and the samples that it is asked about.

    x: (N, C, *S) in the dtype that the model takes; whole numbers are rounded after each change
    and kept within their dtype. y: (N,) positions of the true classes, or None.
    """

    answer: Answer
    x: NDArray[Any]
    y: NDArray[np.int64] | None
    batch: int = 64
    kept: dict[tuple[int, int], Probabilities] = field(default_factory=dict)

    def said(self, move: Move | None, count: int) -> Probabilities:
        """Probabilities (count, K) for the first samples after ``move``; asked once for each."""
        key = (id(move), count)
        if key not in self.kept:
            parts = [self._ask(rows, move) for rows in _rows(count, self.batch)]
            return np.concatenate(parts)
        return self.kept[key]

    def keep(self, move: Move | None, count: int) -> Probabilities:
        """The same, remembered: what several changes are compared with."""
        found = self.said(move, count)
        self.kept[(id(move), count)] = found
        return found

    def changed(self, rows: NDArray[np.int64], move: Move | None) -> NDArray[Any]:
        """Samples as the model sees them after ``move``."""
        x = self.x[rows]
        if move is None:
            return x
        values = torch.from_numpy(np.ascontiguousarray(x).astype(_wide(x.dtype), copy=True))
        return _as(move(values, rows), x.dtype)

    def _ask(self, rows: NDArray[np.int64], move: Move | None) -> Probabilities:
        return checked(self.answer(self.changed(rows, move)), len(rows))


def _rows(count: int, batch: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, batch):
        yield np.arange(start, min(start + batch, count))


def _wide(dtype: np.dtype[Any]) -> type:
    return np.float64 if dtype == np.float64 else np.float32


def _as(values: Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    found = values.numpy()
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        found = np.rint(found).clip(limits.min, limits.max)
    return np.ascontiguousarray(found.astype(dtype, copy=False))


def checked(said: Any, count: int) -> Probabilities:
    """What a model said as (count, K) probabilities.

    Raises: DataError when they are none.
    """
    if isinstance(said, Tensor):
        said = said.detach().cpu().float().numpy()
    found = np.asarray(said, np.float64)
    if found.ndim != 2 or len(found) != count or not found.shape[1]:
        raise _odd(f"the answer to {count} samples has the shape {list(found.shape)}")
    total = found.sum(1)
    if not np.isfinite(found).all() or (found < -1e-4).any() or (abs(total - 1) > 1e-2).any():
        worst = total[np.argmax(np.where(np.isfinite(total), abs(total - 1), np.inf))]
        raise _odd(f"the answer to a sample is no probabilities: its numbers sum to {worst:.4g}")
    return found


def _odd(what: str) -> DataError:
    return DataError(
        what,
        where="the model that is audited",
        mend="let it return one probability per class for each sample, (B, K): end with a softmax",
    )


@dataclass(slots=True)
class Measured:
    """rows: of each change tried. worst: fall of the former answer's probability, and whose."""

    count: int
    plain: Probabilities
    rows: list[tuple[Change, Row]]
    exact: dict[str, Exact]
    merges: list[Merge]
    worst: list[tuple[float, int, Change]]
    left_out: list[str]


def counted(asked: Asked, changes: Sequence[Change], seconds: float | None) -> int:
    """How many samples can be asked about all ``changes`` within ``seconds``; all without."""
    most = len(asked.x)
    if seconds is None:
        return most
    few = min(PILOT, most)
    asked.said(None, few)  # the first call of a model may build or load something
    start = time.monotonic()
    for change in changes[:: max(1, len(changes) // 12)]:
        asked.said(change.move, few)
    tried = len(changes[:: max(1, len(changes) // 12)])
    each = (time.monotonic() - start) / tried / few
    return int(SHARE * seconds / max(each * (len(changes) + 4), 1e-9))


def measure(
    asked: Asked,
    changes: Sequence[Change],
    count: int,
    classes: Sequence[str],
    until: float | None,
    tick: Callable[[int], None],
) -> Measured:
    """Every change tried on the first ``count`` samples, until the clock says ``until``."""
    plain = asked.keep(None, count)
    y = None if asked.y is None else asked.y[:count]
    found = Measured(count, plain, [], {}, [], [], [])
    groups: dict[str, _Group] = {}
    for change in changes:
        if until is not None and time.monotonic() > until and found.rows:
            found.left_out.append(change.name)
            continue
        before = plain if change.before is None else asked.keep(change.before, count)
        after = asked.said(change.move, count)
        found.rows.append((change, _row(change, before, after, y)))
        if change.exact:
            groups.setdefault(change.exact, _Group(plain)).add(after)
        if change.listed:
            found.merges += _merges(change, before, after, y, classes)
            found.worst += _worst(change, before, after)
        tick(1)
    found.exact = {name: group.told(y) for name, group in groups.items()}
    found.left_out = list(dict.fromkeys(found.left_out))
    found.merges = _chosen(found.merges)
    found.worst = _spread(found.worst)
    return found


def _row(
    change: Change, before: Probabilities, after: Probabilities, y: NDArray[np.int64] | None
) -> Row:
    said = before.argmax(1)
    same = after.argmax(1) == said
    at = np.arange(len(said))
    moved = np.abs(after[at, said] - before[at, said])
    half = 1.959964 * float(moved.std()) / max(len(moved), 1) ** 0.5
    mean = float(moved.mean())
    right = None if y is None else wilson(int((after.argmax(1) == y).sum()), len(y))
    return Row(
        change.name,
        change.strength,
        change.family,
        wilson(int(same.sum()), len(same)),
        right,
        Score(mean, max(0.0, mean - half), min(1.0, mean + half)),
        change.place,
    )


class _Group:
    """Changes that should leave every answer alone."""

    def __init__(self, plain: Probabilities) -> None:
        self.said = plain.argmax(1)
        self.total, self.count = plain.copy(), 1
        self.moved = np.zeros(len(plain), bool)

    def add(self, after: Probabilities) -> None:
        self.total += after
        self.count += 1
        self.moved |= after.argmax(1) != self.said

    def told(self, y: NDArray[np.int64] | None) -> Exact:
        mean = None
        if y is not None:
            mean = wilson(int((self.total.argmax(1) == y).sum()), len(y))
        return Exact(self.count, int(self.moved.sum()), len(self.moved), mean)


def _merges(
    change: Change,
    before: Probabilities,
    after: Probabilities,
    y: NDArray[np.int64] | None,
    classes: Sequence[str],
) -> list[Merge]:
    """Classes of which a good part is answered with one other class; of samples that were right
    before, where truth is known."""
    said, now = before.argmax(1), after.argmax(1)
    rows = np.ones(len(said), bool) if y is None else said == y
    found = []
    for one in np.unique(said[rows]):
        mine = now[rows & (said == one)]
        other = np.bincount(np.r_[mine[mine != one]], minlength=before.shape[1])
        to = int(other.argmax())
        if other[to] >= max(FEWEST, MERGED * len(mine)):
            found.append(
                Merge(
                    *(change.name, change.strength, classes[one], classes[to]),
                    *(int(other[to]), len(mine)),
                )
            )
    return found


def _chosen(merges: list[Merge], most: int = 12) -> list[Merge]:
    """Each pair of classes once, at the change that merges it most; the largest shares first."""
    best: dict[tuple[str, str], Merge] = {}
    for merge in merges:
        pair = (merge.one, merge.other)
        if pair not in best or merge.count / merge.of > best[pair].count / best[pair].of:
            best[pair] = merge
    return sorted(best.values(), key=lambda m: (-m.count / m.of, -m.of))[:most]


def _worst(
    change: Change, before: Probabilities, after: Probabilities, most: int = 4
) -> list[tuple[float, int, Change]]:
    """Samples whose answer changed, and how much less the former one is believed."""
    said = before.argmax(1)
    at = np.arange(len(said))
    fall = np.where(after.argmax(1) != said, before[at, said] - after[at, said], 0.0)
    order = np.argsort(-fall, kind="stable")[:most]
    return [(float(fall[i]), int(i), change) for i in order if fall[i] > 0]


def _spread(worst: list[tuple[float, int, Change]]) -> list[tuple[float, int, Change]]:
    """The worst of each change, each sample once, then the worst of all."""
    worst = sorted(worst, key=lambda w: -w[0])
    found: list[tuple[float, int, Change]] = []
    for once in (True, False):
        for each in worst:
            names = {c.name for _, _, c in found}
            if each[1] in {i for _, i, _ in found} or (once and each[2].name in names):
                continue
            if len(found) < EXAMPLES:
                found.append(each)
    return sorted(found, key=lambda w: -w[0])
