"""May samples be turned? Asked of the data, for every flip, exchange and turn of axes.

A simple model learns from samples as they are and never sees a turned one. A turn passes in one
of two ways. Either turned samples are named as well as plain ones: they come in all orientations
already, or orientation says nothing. Or a model that cannot see the turn, because its features are
averaged over it, names plain samples as well: what it saw of orientation was no help, as where
light comes from one side. Where 6 becomes 9, or a cat on its back looks like nothing known, both
fail. A symmetry is a group: all of its turns must pass, and all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..grid import Axis
from ..layers.symmetry import Turn, closure
from .aim import Aim, Loss, lost, merged
from .pooled import Features, fitted, maps, moved, sums
from .turn_groups import Group, groups, told
from .turned import at_angle

MOST = 2000  # samples looked at
LEAST = 60  # fewer tell nothing
FINEST = 2**12  # cells of a sample; of larger ones neighbours are averaged
SEEN = 1000  # pooled numbers that the model sees of a sample, at most
FOLDS = 3
SURE = 1.64  # one-sided 95 %: so sure must it be that a group costs no more than is allowed
LUCK, GROUP_LUCK = 3.0, 2.5  # standard errors that a turn, and a group, may lose by luck
FREE = 0.6  # share of plain and turned samples told apart; a half is guessing


@dataclass(frozen=True, slots=True)
class Tried:
    """What one turn does to what a simple model says of samples that it has not learned from.

    plain, turned: share named rightly; of numbers, the share of their spread that is explained.
    blind: the share of plain samples that a model which cannot see the turn names.
    merges: pairs of classes that turn into each other, and the smaller share of both.
    """

    name: str
    plain: float
    turned: float
    blind: float
    fine: bool
    why: str
    merges: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """tried: every turn, plain flips among them. group: the largest that passes, None for none.

    apart: share of plain and of turned samples told apart, 0.5 where they are alike. why: of all
    this, in a sentence. angle: half of a quarter turn, where the group has quarter turns.
    """

    tried: tuple[Tried, ...]
    group: Group | None
    apart: float
    why: str
    angle: Tried | None = None

    @property
    def free(self) -> bool:
        """Whether samples come in all orientations of the group already."""
        return self.group is not None and self.apart <= FREE


def turn_evidence(
    x: NDArray[np.generic], aim: Aim, axes: tuple[Axis, ...], seed: int = 0
) -> Found | None:
    """What samples ``x`` ``(N, C, *S)`` say of every turn that ``axes`` allow; None where no axes
    may be exchanged.

    Samples are asked about by a model that has learned from others (three folds). A turn may cost
    no more than luck and no more than 4 points, or a tenth of what is told better than by
    guessing, and no class alone; of a group that must be sure at 95 %. Turned samples are not
    made: pooled values and slopes move along exactly.
    """
    cells = _cells(len(x.shape[2:]))
    found = groups(axes, tuple(min(cells, n) for n in x.shape[2:]))
    if not found:
        return None
    rows = np.random.default_rng(seed).permutation(len(x))[:MOST]
    aim = aim.of(rows)
    if len(rows) < LEAST or not aim.varies:
        return Found((), None, 1.0, f"too few samples to test turns: {len(rows)}")
    asked = Asked(maps(x[rows], cells, FINEST), aim)
    if asked.allowed is None:
        why = f"a simple model {aim.share(asked.scores)} of {len(rows)} samples"
        return Found((), None, 1.0, f"{why}: no better than guessing, so no evidence for turns")
    result = _weighed(asked, found, axes, seed)
    if result.group is None:
        return result
    angle = at_angle(x[rows], axes, result.group, cells, FINEST)
    return result if angle is None else replace(result, angle=_at(angle, aim, result.group))


class Asked:
    """A simple model, what it says of each sample when it learns from others, and its scores."""

    def __init__(self, seen: Features, aim: Aim) -> None:
        self.seen, self.aim, self.shape = _flat(seen), aim, seen.shape[1:]
        self.fold = np.arange(len(seen)) % FOLDS
        self.models = self._learned(self.seen)
        self.said = self.ask(self.seen)
        self.scores = aim.scores(self.said)
        self.allowed = aim.allowed(self.scores)

    def _learned(self, seen: Features) -> list[tuple[Features, Features, Features]]:
        target = self.aim.target
        return [fitted(seen[self.fold != f], target[self.fold != f]) for f in range(FOLDS)]

    def ask(self, seen: Features) -> Features:
        """What is said of ``seen`` ``(N, F)``, each by the model that has not learned from it."""
        return self._by(self.models, seen)

    def _by(self, models: list[tuple[Features, Features, Features]], seen: Features) -> Features:
        said = np.zeros_like(self.aim.target)
        for f, model in enumerate(models):
            said[self.fold == f] = sums(seen[self.fold == f], model)
        return said

    def places(self, turn: Turn) -> NDArray[np.intp]:
        """Where each number of a turned sample stands in the plain one, ``(F,)``."""
        count = int(np.prod(self.shape))
        return moved(np.arange(count).reshape(1, *self.shape), turn).reshape(-1)

    def blind(self, turns: tuple[Turn, ...], more: Features | None = None) -> Loss:
        """What is lost by a model of features averaged over ``turns``, a whole group.

        more: other features of the same samples, averaged in as well, ``(N, F)``.
        """
        places = np.stack([self.places(turn) for turn in turns])
        first = np.unique(places.min(0))  # numbers that a turn exchanges are the same, averaged
        seen = self.seen if more is None else np.asarray((self.seen + more) / 2, np.float32)
        seen = np.stack([seen[:, place[first]] for place in places]).mean(0)
        said = self._by(self._learned(seen), seen)
        return lost(self.scores, self.aim.scores(said), self.aim)

    def turned(self, turn: Turn) -> Features:
        """What is said of samples after ``turn``."""
        return self.ask(self.seen[:, self.places(turn)])


def _weighed(asked: Asked, found: list[Group], axes: tuple[Axis, ...], seed: int) -> Found:
    assert asked.allowed is not None, "the model tells more than guessing"
    every = sorted({turn for group in found for turn in group.turns})
    answers = {turn: asked.turned(turn) for turn in every}
    tried = {turn: _tried(asked, turn, answers, told(turn, axes)) for turn in every}
    rows = tuple(tried.values())
    for group in found:
        if not all(tried[turn].fine for turn in group.turns):
            continue
        scores = [asked.aim.scores(answers[turn]) for turn in group.turns]
        passed = [
            loss
            for loss in (
                lost(asked.scores, np.mean(scores, 0), asked.aim),
                asked.blind(group.symmetry.turns),
            )
            if loss.within(asked.allowed, GROUP_LUCK, SURE)
        ]
        if passed:
            apart = _apart(asked, group, seed)
            return Found(rows, group, apart, _accepted(group, apart, min(passed)))
    return Found(rows, None, 1.0, _refused(rows))


def _tried(asked: Asked, turn: Turn, answers: dict[Turn, Features], name: str) -> Tried:
    assert asked.allowed is not None, "the model tells more than guessing"
    aim = asked.aim
    moving = lost(asked.scores, aim.scores(answers[turn]), aim)
    blind = asked.blind(closure(len(turn.to), [turn]).turns)
    merges = merged(asked.said, answers[turn], answers[turn.back], aim)
    return _told(name, moving, blind, asked.allowed, merges, aim)


def _told(
    name: str,
    moving: Loss,
    blind: Loss,
    allowed: float,
    merges: tuple[tuple[str, str, float], ...],
    aim: Aim,
) -> Tried:
    what = "value" if aim.labels is None else "label"
    fine, why = True, "nothing is lost"
    if not moving.within(allowed, LUCK):
        fine = blind.within(allowed, LUCK)
        why = "a model that cannot see it does as well" if fine else f"it carries the {what}"
    if not fine and moving.mean <= allowed and moving.worst:
        why = f"{moving.worst} alone loses by it"
    return Tried(name, moving.plain, moving.after, blind.after, fine, why, merges)


def _at(angle: tuple[Features, Features, str], aim: Aim, group: Group) -> Tried | None:
    """Samples turned a little one way and the other, so that both are blurred alike."""
    one, other, name = angle
    asked = Asked(one, aim)
    if asked.allowed is None:
        return None
    moving = lost(asked.scores, aim.scores(asked.ask(_flat(other))), aim)
    blind = asked.blind(group.symmetry.turns, _flat(other))
    return _told(name, moving, blind, asked.allowed, (), aim)


def _apart(asked: Asked, group: Group, seed: int) -> float:
    """Share of plain and turned samples that a linear model tells apart; a half is guessing."""
    seen, fold = asked.seen, np.tile(asked.fold, 2)
    drawn = np.random.default_rng(seed).integers(len(group.turns), size=len(seen))
    turned = np.empty_like(seen)
    for number, turn in enumerate(group.turns):
        turned[drawn == number] = seen[drawn == number][:, asked.places(turn)]
    both, side = np.concatenate([seen, turned]), np.repeat([1.0, -1.0], len(seen))
    right = 0
    for f in range(FOLDS):
        model = fitted(both[fold != f], side[fold != f, None].astype(np.float32))
        right += int((np.sign(sums(both[fold == f], model)[:, 0]) == side[fold == f]).sum())
    return right / len(both)


def _flat(seen: Features) -> Features:
    return seen.reshape(len(seen), -1)


def _cells(axes: int) -> int:
    """Pooled cells along each axis: five, or fewer where there would be too many numbers."""
    many = 1 + 2 * axes + axes * (axes - 1)
    return max(n for n in range(1, 6) if many * n**axes <= SEEN or n == 1)


def _accepted(group: Group, apart: float, loss: Loss) -> str:
    alike = "they come in all of these orientations" if apart <= FREE else "they have a way up"
    return (
        f"{len(group.turns)} turns together cost {100 * loss.mean:.1f} ± {100 * loss.error:.1f} "
        f"points; plain and turned samples are told apart in {apart:.0%} of cases (50 % is "
        f"guessing): {alike}"
    )


def _refused(tried: tuple[Tried, ...]) -> str:
    worst = max(tried, key=lambda t: t.plain - t.turned)
    return f"no exchange of axes passes; {worst.name} costs most"
