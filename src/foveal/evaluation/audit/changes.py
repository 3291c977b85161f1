"""Which changes are made to a sample, told from the meaning of its axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from itertools import product as choices

import numpy as np
import torch
from torch import Tensor

from ...grid import Axis
from ...layers.symmetry import Symmetry, Turn, symmetry_of
from ...layers.turning import turned, within
from ...planner.turn_groups import called
from . import motions
from .motions import Rows

Move = Callable[[Tensor, Rows], Tensor]
ALIKE = 0.05  # steps differ by less along axes that may be exchanged
NEAR = (1, 2, 4, 8)  # cells of a shift
CIRCULAR = 16  # shifts, at most, that the exact row is made of


@dataclass(frozen=True, slots=True)
class Change:
    """One change at one strength.

    name, strength: as the report says them; degrees, cells, or the factor or share of the range.
    family: "position", "orientation", "angle", "size", "light" or "sharpness". move: what is done
    to a batch ``(B, C, *S)`` float of samples with these numbers. before: what the outcome is
    compared with; None for the sample itself. exact: the group of changes under which nothing
    should change at all ("orbit", "circular"), "" for none. place: cells moved, for a map.
    """

    name: str
    strength: float
    family: str
    move: Move
    before: Move | None = None
    exact: str = ""
    place: tuple[int, ...] = ()
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """What may be done along each axis. low, high: of the values, per channel ``(C,)``."""

    axes: tuple[Axis, ...]
    size: tuple[int, ...]
    low: Tensor
    high: Tensor

    @property
    def space(self) -> tuple[int, ...]:
        """Positions of the axes of space: these may be flipped and turned."""
        return tuple(i for i, axis in enumerate(self.axes) if axis.kind == "space")

    @property
    def time(self) -> tuple[int, ...]:
        """Positions of the others, time or an order: moved and stretched, never reversed."""
        return tuple(i for i, axis in enumerate(self.axes) if axis.kind != "space")

    def alike(self, i: int, j: int) -> bool:
        """Whether two axes of space have cells of one length."""
        one, other = self.axes[i], self.axes[j]
        return one.unit == other.unit and abs(one.step / other.step - 1) < ALIKE

    @property
    def orbit(self) -> Symmetry:
        """All flips and exchanges of axes that lay the grid onto itself; never of time."""
        sets: list[list[int]] = []
        for axis in self.space:
            for known in sets:
                if self.alike(known[0], axis) and self.size[known[0]] == self.size[axis]:
                    known.append(axis)
                    break
            else:
                sets.append([axis])
        fixed = [i for i in range(len(self.axes)) if i not in self.space]
        return symmetry_of(len(self.axes), "full", alike=sets, fixed=fixed)


def changes(kind: Kind, *, few: bool = False) -> list[Change]:
    """Every change, what matters most first. few: about a quarter of them."""
    return [
        *_orbit(kind),
        *_shifts(kind, few),
        *_circular(kind, few),
        *_angles(kind, 45 if few else 15),
        *_sizes(kind, few),
        *_values(kind, few),
        *_slices(kind),
        *_map(kind, few),
    ]


def _orbit(kind: Kind) -> Iterator[Change]:
    for turn in kind.orbit.turns[1:]:
        name, degrees = called(turn, kind.axes)
        yield Change(name, degrees, "orientation", _turn(turn), exact="orbit")


def _turn(turn: Turn) -> Move:
    return lambda x, rows: turn.move(x)


def _shifts(kind: Kind, few: bool) -> Iterator[Change]:
    groups = (("", kind.space), ("time ", kind.time))
    for word, axes in groups:
        least = min((kind.size[i] for i in axes), default=0)
        for cells in NEAR[:: 3 if few else 1]:
            if not 0 < cells <= least // 3:
                continue
            for name, way in (("shift", motions.shifted), ("circular shift", motions.rolled)):
                yield Change(f"{word}{name}", float(cells), "position", _by(way, axes, cells))
    if kind.space and min(kind.size[i] for i in kind.space) >= 8:
        yield Change("crop", 7 / 8, "position", _crop(kind.space, 1), _crop(kind.space, 0))


def _by(way: Callable[..., Tensor], axes: Sequence[int], cells: int) -> Move:
    return lambda x, rows: way(x, axes, cells * motions.signs(rows, len(axes)))


def _crop(axes: Sequence[int], draw: int) -> Move:
    return lambda x, rows: motions.cropped(x, axes, rows, draw)


def _circular(kind: Kind, few: bool) -> Iterator[Change]:
    """Shifts, the same for all samples: neighbours first, then drawn ones."""
    axes = (*kind.space, *kind.time)
    near = [c for c in choices((0, 1), repeat=len(axes)) if any(c)]
    chance = np.random.default_rng(0)
    drawn = [tuple(int(chance.integers(kind.size[i])) for i in axes) for _ in range(CIRCULAR)]
    chosen = list(dict.fromkeys([*near, *(d for d in drawn if any(d))]))
    for cells in chosen[: 4 if few else CIRCULAR]:
        yield Change(
            *("circular", float(max(cells)), "position", _same(motions.rolled, axes, cells)),
            exact="circular",
            listed=False,
        )


def _same(way: Callable[..., Tensor], axes: Sequence[int], cells: Sequence[int]) -> Move:
    return lambda x, rows: way(x, axes, np.tile(np.array(cells, np.int64), (len(x), 1)))


def _angles(kind: Kind, step: int) -> Iterator[Change]:
    """A sweep in each plane of space, with the corners hidden; and there and back, which tells
    what the interpolation alone does."""
    for plane in combinations(kind.space, 2):
        if kind.axes[plane[0]].unit != kind.axes[plane[1]].unit:
            continue
        between = "-".join(kind.axes[i].name for i in plane)
        steps = (kind.axes[plane[0]].step, kind.axes[plane[1]].step)
        disc = _disc(kind, plane)
        for degrees in range(step, 360, step):
            move = _angle(disc, plane, (float(degrees),), steps)
            yield Change(f"turn {between}", float(degrees), "angle", move, disc)
        back = _angle(disc, plane, (45.0, -45.0), steps)
        yield Change(f"turn {between} there and back", 45.0, "sharpness", back, disc)


def _disc(kind: Kind, plane: tuple[int, int]) -> Move:
    inside = within(kind.size, plane)
    return lambda x, rows: _hidden(x, inside)


def _hidden(x: Tensor, inside: Tensor) -> Tensor:
    """Corners filled with each channel's mean of what lies inside."""
    seen = inside.to(x)
    mean = (x * seen).flatten(2).sum(-1) / seen.sum()
    return torch.where(seen > 0, x, mean.view(*x.shape[:2], *[1] * (x.ndim - 2)))


def _angle(
    disc: Move, plane: tuple[int, int], degrees: tuple[float, ...], steps: tuple[float, float]
) -> Move:
    def move(x: Tensor, rows: Rows) -> Tensor:
        x = disc(x, rows)
        for each in degrees:
            x = turned(x, plane, each, steps)
        return disc(x, rows)

    return move


def _sizes(kind: Kind, few: bool) -> Iterator[Change]:
    for factor in (0.8, 1.25) if few else (0.6, 0.8, 1.25, 1.6):
        if kind.space:
            yield Change("scale", factor, "size", _scale(kind.space, factor))
        if kind.time:
            yield Change("stretch", factor, "size", _scale(kind.time, factor))


def _scale(axes: Sequence[int], factor: float) -> Move:
    return lambda x, rows: motions.scaled(x, axes, factor)


def _values(kind: Kind, few: bool) -> Iterator[Change]:
    span = kind.high - kind.low
    contrast = "contrast" if kind.space else "gain"
    for by in (-0.1, 0.1) if few else (-0.2, -0.1, 0.1, 0.2):
        if kind.space:
            yield Change("brightness", by, "light", _brighter(by * span))
    for factor in (0.7, 1.4) if few else (0.5, 0.7, 1.4, 2.0):
        yield Change(contrast, factor, "light", _stretched(factor))
    for share in (0.05,) if few else (0.02, 0.05, 0.1):
        yield Change("noise", share, "sharpness", _noisy(share * span))
    for sigma in (1.0,) if few else (0.5, 1.0, 2.0):
        yield Change("blur", sigma, "sharpness", _blurred((*kind.space, *kind.time), sigma))


def _brighter(by: Tensor) -> Move:
    return lambda x, rows: motions.brighter(x, by)


def _stretched(factor: float) -> Move:
    return lambda x, rows: motions.stretched(x, factor)


def _noisy(spread: Tensor) -> Move:
    return lambda x, rows: motions.noisy(x, spread, rows)


def _blurred(axes: Sequence[int], sigma: float) -> Move:
    return lambda x, rows: motions.blurred(x, axes, sigma)


def _slices(kind: Kind) -> Iterator[Change]:
    """Thicker slices, where there is a stack of them: the axis of space with the longest step."""
    if len(kind.space) <= 2 or kind.time:
        return
    along = max(kind.space, key=lambda i: (kind.axes[i].step, -i))
    for slices in (2, 3):
        if kind.size[along] >= 2 * slices:
            yield Change("slice thickness", float(slices), "size", _thick(along, slices))


def _thick(axis: int, slices: int) -> Move:
    return lambda x, rows: motions.thickened(x, axis, slices)


def _map(kind: Kind, few: bool) -> Iterator[Change]:
    """Offsets on a square over the last two axes, a quarter of the grid each way."""
    axes = (kind.space or kind.time)[-2:]
    ways = (-1, 0, 1) if few else (-3, -2, -1, 0, 1, 2, 3)
    steps = [kind.size[i] / 4 / max(ways) for i in axes]
    for at in choices(ways, repeat=len(axes)):
        cells = tuple(round(a * s) for a, s in zip(at, steps, strict=True))
        if any(cells):
            move = _same(motions.shifted, axes, cells)
            name = "place"
            yield Change(
                name, float(max(map(abs, cells))), "position", move, place=cells, listed=False
            )
