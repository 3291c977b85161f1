"""Every change tried on the same samples, part by part, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...metrics.intervals import Z, wilson
from ...report import Score
from .asked import Asked, Probabilities
from .changes import Change, Move
from .found import Exact, Merge, Row
from .motions import Rows

PILOT = 16  # samples, and changes, by which the time of all is estimated
ENOUGH = 100  # samples under which fewer changes are tried instead
LEAST = 32
MERGED = 0.2  # of the samples of a class, that go to one other, to call it a merge
FEWEST = 3
EXAMPLES = 12


@dataclass(slots=True)
class Measured:
    """rows: of each change. worst: fall of the former answer's probability, sample, change.
    right: how many samples as they are were answered rightly; None without labels."""

    count: int
    right: int | None
    rows: list[tuple[Change, Row]]
    exact: dict[str, Exact]
    merges: list[Merge]
    worst: list[tuple[float, int, Change]]


@dataclass(slots=True)
class _Tally:
    """What is kept of a change: the answers before and after, and how sure of the former (N,)."""

    said: list[NDArray[np.int64]] = field(default_factory=list)
    now: list[NDArray[np.int64]] = field(default_factory=list)
    sure: list[NDArray[np.float64]] = field(default_factory=list)
    left: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, before: Probabilities, after: Probabilities) -> None:
        said, at = before.argmax(1), np.arange(len(before))
        self.said.append(said)
        self.now.append(after.argmax(1))
        self.sure.append(before[at, said])
        self.left.append(after[at, said])

    def whole(self) -> _Outcome:
        said, now = np.concatenate(self.said), np.concatenate(self.now)
        return _Outcome(said, now, np.concatenate(self.sure), np.concatenate(self.left))


@dataclass(frozen=True, slots=True)
class _Outcome:
    said: NDArray[np.int64]
    now: NDArray[np.int64]
    sure: NDArray[np.float64]
    left: NDArray[np.float64]


def affordable(asked: Asked, changes: Sequence[Change], seconds: float) -> int:
    """About how many samples can be asked about all ``changes`` within ``seconds``."""
    rows = np.arange(min(PILOT, len(asked.x)))
    asked.said(rows, None)  # the first call of a model may build or load something
    some = changes[:: max(1, len(changes) // PILOT)]
    start = time.monotonic()
    for change in some:
        asked.said(rows, change.move)
    each = (time.monotonic() - start) / len(some) / len(rows)
    return int(seconds / max(each * len(changes), 1e-9))


def measure(
    asked: Asked,
    changes: Sequence[Change],
    classes: Sequence[str],
    until: float | None,
    tick: Callable[[int], None],
) -> Measured:
    """Every change tried on as many samples as the time until ``until`` allows, `LEAST` at least.

    All changes see the same samples: part by part, each part through all of them.
    """
    tallies = [_Tally() for _ in changes]
    plain, groups = _Tally(), {c.exact: _Group() for c in changes if c.exact}
    done, size = 0, LEAST
    while done < len(asked.x):
        start = time.monotonic()
        rows = np.arange(done, min(done + size, len(asked.x)))
        _part(asked, changes, rows, tallies, plain, groups)
        done += len(rows)
        tick(len(rows))
        size = min(2 * size, max(asked.batch, LEAST))
        ahead = (time.monotonic() - start) * min(size, len(asked.x) - done) / len(rows)
        if until is not None and time.monotonic() + ahead > until:
            break
    y = None if asked.y is None else asked.y[:done]
    return _gathered(changes, tallies, plain, groups, y, classes)


def _part(
    asked: Asked,
    changes: Sequence[Change],
    rows: Rows,
    tallies: Sequence[_Tally],
    plain: _Tally,
    groups: Mapping[str, _Group],
) -> None:
    """The samples ``rows`` through all changes."""
    known: dict[Move | None, Probabilities] = {None: asked.said(rows, None)}
    plain.add(known[None], known[None])
    for group in groups.values():
        group.begin(known[None])
    for change, tally in zip(changes, tallies, strict=True):
        if change.before not in known:
            known[change.before] = asked.said(rows, change.before)
        after = asked.said(rows, change.move)
        tally.add(known[change.before], after)
        if change.exact:
            groups[change.exact].add(after)


def _gathered(
    changes: Sequence[Change],
    tallies: Sequence[_Tally],
    plain: _Tally,
    groups: Mapping[str, _Group],
    y: NDArray[np.int64] | None,
    classes: Sequence[str],
) -> Measured:
    first = plain.whole()
    right = None if y is None else int((first.said == y).sum())
    found = Measured(len(first.said), right, [], {}, [], [])
    for change, tally in zip(changes, tallies, strict=True):
        outcome = tally.whole()
        found.rows.append((change, _row(change, outcome, y)))
        if change.listed:
            found.merges += _merges(change, outcome, y, classes)
            found.worst += _worst(change, outcome)
    found.exact = {name: group.told(y) for name, group in groups.items()}
    found.merges = _chosen(found.merges)
    found.worst = _spread(found.worst)
    return found


def _row(change: Change, seen: _Outcome, y: NDArray[np.int64] | None) -> Row:
    count = len(seen.said)
    moved = np.abs(seen.left - seen.sure)
    mean, half = float(moved.mean()), Z * float(moved.std()) / count**0.5
    return Row(
        change.name,
        change.strength,
        change.family,
        wilson(int((seen.now == seen.said).sum()), count),
        None if y is None else wilson(int((seen.now == y).sum()), count),
        Score(mean, max(0.0, mean - half), min(1.0, mean + half)),
        change.place,
    )


class _Group:
    """Changes that should leave every answer alone: which did not, and the mean over all."""

    def __init__(self) -> None:
        self.elements = 1
        self.mean: list[NDArray[np.int64]] = []
        self.moved: list[NDArray[np.bool_]] = []
        self.total = self.said = np.zeros(0)

    def begin(self, plain: Probabilities) -> None:
        self._end()
        self.total, self.said, self.elements = plain.copy(), plain.argmax(1), 1
        self.moved.append(np.zeros(len(plain), bool))

    def add(self, after: Probabilities) -> None:
        self.total = self.total + after
        self.elements += 1
        self.moved[-1] |= after.argmax(1) != self.said

    def _end(self) -> None:
        if len(self.total):
            self.mean.append(self.total.argmax(1))
            self.total = np.zeros(0)

    def told(self, y: NDArray[np.int64] | None) -> Exact:
        self._end()
        moved, mean = np.concatenate(self.moved), np.concatenate(self.mean)
        right = None if y is None else wilson(int((mean == y).sum()), len(y))
        return Exact(self.elements, int(moved.sum()), len(moved), right)


def _merges(
    change: Change, seen: _Outcome, y: NDArray[np.int64] | None, classes: Sequence[str]
) -> list[Merge]:
    """Classes of which a good part is answered with one other class; of samples that were right
    before, where truth is known."""
    rows = np.ones(len(seen.said), bool) if y is None else seen.said == y
    found = []
    for one in np.unique(seen.said[rows]):
        mine = seen.now[rows & (seen.said == one)]
        other = np.bincount(mine[mine != one], minlength=len(classes))
        to = int(other.argmax())
        if other[to] >= max(FEWEST, MERGED * len(mine)):
            at = (change.name, change.strength, classes[one], classes[to])
            found.append(Merge(*at, int(other[to]), len(mine)))
    return found


def _chosen(merges: list[Merge], most: int = 12) -> list[Merge]:
    """Each pair of classes once, at the change that merges it most; the largest shares first."""
    best: dict[tuple[str, str], Merge] = {}
    for merge in merges:
        pair = (merge.one, merge.other)
        if pair not in best or merge.count / merge.of > best[pair].count / best[pair].of:
            best[pair] = merge
    return sorted(best.values(), key=lambda m: (-m.count / m.of, -m.of))[:most]


def _worst(change: Change, seen: _Outcome, most: int = 4) -> list[tuple[float, int, Change]]:
    """Samples whose answer changed, and how much less the former one is believed."""
    fall = np.where(seen.now != seen.said, seen.sure - seen.left, 0.0)
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
