"""Symmetries of a grid: flips, turns and exchanges of its axes, and how they move tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from itertools import product as choices
from math import prod
from typing import Literal

from torch import Tensor

from ...errors import PlanError
from ...find import nearest
from ..axes import RANKS

Kind = Literal["none", "flips", "rotations", "full"]
KINDS: tuple[Kind, ...] = ("none", "flips", "rotations", "full")


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A way to lay a grid onto itself: axis j becomes axis ``to[j]``, reversed if ``sign[j] < 0``.

    It is the matrix M with ``M e_j = sign[j] * e_to[j]``; cells are counted from the middle.

    Args:
        to: where each axis goes; a permutation of 0 to rank - 1.
        sign: 1 or -1 for each axis.
    """

    to: tuple[int, ...]
    sign: tuple[int, ...]

    def after(self, first: Turn) -> Turn:
        """The turn that does ``first``, then this one (the product of their matrices)."""
        to = tuple(self.to[j] for j in first.to)
        sign = tuple(s * self.sign[j] for j, s in zip(first.to, first.sign, strict=True))
        return Turn(to, sign)

    @property
    def back(self) -> Turn:
        """The turn that undoes this one."""
        axes = range(len(self.to))
        source = tuple(self.to.index(j) for j in axes)
        return Turn(source, tuple(self.sign[j] for j in source))

    @property
    def mirrors(self) -> bool:
        """Whether it makes a left hand of a right one: its determinant is -1."""
        axes = range(len(self.to))
        swaps = sum(self.to[i] > self.to[j] for j in axes for i in range(j))
        return (prod(self.sign) < 0) != (swaps % 2 == 1)

    def move(self, x: Tensor) -> Tensor:
        """``x`` with its last axes moved: ``out(p) = x(M^-1 p)``. Leading axes stay.

        Shapes: ``(..., *S) -> (..., *T)`` with ``T[to[j]] = S[j]``.
        """
        rank = len(self.to)
        lead = x.ndim - rank
        if lead < 0:
            raise PlanError(
                f"a tensor of shape {tuple(x.shape)} has no {rank} axes to turn",
                where="Turn.move",
                mend=f"give a tensor whose last {rank} axes are the grid",
            )
        source = [lead + self.to.index(axis) for axis in range(rank)]
        x = x.permute(*range(lead), *source)
        flips = [lead + j for j, s in zip(self.to, self.sign, strict=True) if s < 0]
        return x.flip(flips) if flips else x


@dataclass(frozen=True)
class Symmetry:
    """A set of turns in which doing one after another, and undoing one, never leads out.

    Args:
        rank: number of grid axes.
        turns: the first one moves nothing. Their order is that of the channels of a layer and
            belongs to its weights; `symmetry_of` and `closure` sort them.

    Raises: PlanError if a turn does not fit ``rank``, occurs twice, or the set is not closed.
    """

    rank: int
    turns: tuple[Turn, ...]

    def __post_init__(self) -> None:
        _check(self.rank, self.turns)
        if not self.turns or self.turns[0] != still(self.rank):
            _refuse("the first turn moves the grid", "put the turn that moves nothing first")
        if len(set(self.turns)) < len(self.turns):
            _refuse("a turn occurs twice", "give each turn once")
        known = set(self.turns)
        missing = [a.after(b) for a in self.turns for b in self.turns if a.after(b) not in known]
        if missing:
            _refuse(
                f"{len(self.turns)} turns lead to {missing[0]}, which is not among them",
                "take closure(rank, turns)",
            )

    def __len__(self) -> int:
        return len(self.turns)

    @cached_property
    def product(self) -> tuple[tuple[int, ...], ...]:
        """Cayley table: ``turns[product[i][j]]`` does turn j, then turn i."""
        place = {turn: i for i, turn in enumerate(self.turns)}
        return tuple(tuple(place[a.after(b)] for b in self.turns) for a in self.turns)

    @cached_property
    def inverse(self) -> tuple[int, ...]:
        """``turns[inverse[i]]`` undoes turn i."""
        return tuple(row.index(0) for row in self.product)

    @cached_property
    def orbits(self) -> tuple[tuple[int, ...], ...]:
        """Axes that some turn exchanges, put together; sizes must agree within each."""
        reached = [tuple(sorted({t.to[j] for t in self.turns})) for j in range(self.rank)]
        return tuple(sorted(set(reached)))

    def move(self, number: int, x: Tensor) -> Tensor:
        """Plain channels after turn ``number``. Shapes: ``(B, C, *S) -> (B, C, *T)``."""
        return self.turns[number].move(x)

    def move_fields(self, number: int, x: Tensor) -> Tensor:
        """Fields after turn ``number``: the grid moves, and so do the orientations.

        ``out(p, g) = x(M_u^-1 p, u^-1 g)``. Shapes: ``(B, n * K, *S) -> (B, n * K, *T)``.
        """
        back = self.product[self.inverse[number]]
        apart = self.apart(self.turns[number].move(x))
        return apart[:, list(back)].flatten(1, 2)

    def apart(self, x: Tensor) -> Tensor:
        """A view of fields with an axis of turns: ``(B, n * K, ...) -> (B, n, K, ...)``.

        Raises: PlanError if the channels are not whole fields.
        """
        if x.ndim < 2 or x.shape[1] % len(self):
            raise PlanError(
                f"input of shape {tuple(x.shape)} does not hold fields of {len(self)} channels",
                where=f"Symmetry of {len(self)} turns",
                mend=f"give (B, {len(self)} * fields, *S), as a LiftingConvolution does",
            )
        return x.reshape(x.shape[0], len(self), x.shape[1] // len(self), *x.shape[2:])

    def __repr__(self) -> str:
        return f"Symmetry(rank {self.rank}, {len(self)} turns)"


def still(rank: int) -> Turn:
    """The turn that moves nothing."""
    return Turn(tuple(range(rank)), (1,) * rank)


def symmetry_of(
    rank: int,
    kind: Kind,
    *,
    alike: Sequence[Sequence[int]] | None = None,
    fixed: Sequence[int] = (),
) -> Symmetry:
    """The largest symmetry of that kind that the meaning of the axes allows.

    Args:
        rank: number of grid axes.
        kind: "none"; "flips" reverses axes; "rotations" turns the grid and never mirrors it;
            "full" is both. All axes alike: 1, 2, 1, 2 elements in rank 1; 1, 4, 4, 8 in rank 2;
            1, 8, 24, 48 in rank 3.
        alike: sets of axes that mean the same and have the same step, and so may be exchanged;
            all of them where None. ``((1, 2),)`` leaves the thick slices of a scan to
            themselves: 16 elements in rank 3.
        fixed: axes that are neither reversed nor exchanged, such as time.

    Raises: PlanError for another rank, kind or axis, or an axis that stands in two sets.
    Source: Cohen and Welling, arXiv:1602.07576 (p4, p4m); Winkels and Cohen, arXiv:1804.04656
        (rank 3; D4 and D4h for slices, O and Oh for cubes).
    """
    _check(rank)
    if kind not in KINDS:
        _refuse(
            f"there is no symmetry called {kind!r}",
            nearest(kind, KINDS) or f"take one of {', '.join(KINDS)}",
        )
    together = _classes(rank, alike, fixed)
    found = []
    for to in permutations(range(rank)):
        stays = all(together[j] == together[i] for i, j in enumerate(to))
        signs = [(1,) if axis in fixed else (1, -1) for axis in range(rank)]
        found += [Turn(to, sign) for sign in choices(*signs) if stays]
    if kind == "none":
        found = [still(rank)]
    elif kind == "flips":
        found = [turn for turn in found if turn.to == still(rank).to]
    elif kind == "rotations":
        found = [turn for turn in found if not turn.mirrors]
    return Symmetry(rank, _sorted(rank, found))


def closure(rank: int, turns: Iterable[Turn]) -> Symmetry:
    """The smallest symmetry that holds ``turns``.

    Raises: PlanError if a turn does not fit ``rank``.
    """
    steps = list(turns)
    _check(rank, steps)
    found, new = {still(rank)}, [still(rank)]
    while new:
        reached = {step.after(turn) for turn in new for step in steps} - found
        found |= reached
        new = list(reached)
    return Symmetry(rank, _sorted(rank, found))


def _check(rank: int, turns: Iterable[Turn] = ()) -> None:
    if rank not in RANKS:
        _refuse(f"rank is {rank!r}", "give 1 (signal), 2 (picture) or 3 (volume)")
    for turn in turns:
        fits = tuple(sorted(turn.to)) == still(rank).to and len(turn.sign) == rank
        if not fits or not set(turn.sign) <= {1, -1}:
            _refuse(
                f"{turn} does not turn a grid of rank {rank}",
                "give each axis a place of its own and a sign of 1 or -1",
            )


def _sorted(rank: int, turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The still one first, the others by axes, then by signs."""
    return (still(rank), *sorted(set(turns) - {still(rank)}))


def _classes(
    rank: int, alike: Sequence[Sequence[int]] | None, fixed: Sequence[int]
) -> tuple[int, ...]:
    """For each axis the number of the set of axes it may be exchanged with."""
    free = [axis for axis in range(rank) if axis not in fixed]
    sets = [free] if alike is None else [list(axes) for axes in alike]
    named = [axis for axes in sets for axis in axes]
    if not set(named) | set(fixed) <= set(range(rank)):
        _refuse(f"axes {[*named, *fixed]} are not all among {rank}", f"count from 0 to {rank - 1}")
    if len(set(named)) < len(named) or set(named) & set(fixed):
        _refuse(
            f"an axis stands twice in alike={sets}, fixed={list(fixed)}",
            "name each axis once, either among those alike or among those fixed",
        )
    number = {axis: i for i, axes in enumerate(sets) for axis in axes}
    return tuple(number.get(axis, len(sets) + axis) for axis in range(rank))


def _refuse(what: str, mend: str) -> None:
    raise PlanError(what, where="Symmetry", mend=mend)
