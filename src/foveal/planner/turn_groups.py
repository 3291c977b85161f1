"""Which sets of flips and turns the meaning of the axes allows, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from ..grid import Axis
from ..layers.symmetry import KINDS, Symmetry, Turn, symmetry_of
from ..layers.symmetry.group import Kind

ALIKE = 0.05  # steps along axes that may be exchanged differ by less
Sets = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A symmetry, and how a plan says it.

    sets: axes that it moves, by position; those of one set are exchanged with each other.
    """

    kind: Kind
    sets: Sets
    symmetry: Symmetry

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All but the one that moves nothing."""
        return self.symmetry.turns[1:]


def alike(one: Axis, other: Axis) -> bool:
    """Whether two axes mean the same and have cells of one length.

    Rows and columns of a picture without a unit count as equal; slices without one may lie
    further apart than their cells, so they are not exchanged with them.
    """
    meaning = one.kind == other.kind == "space" and one.unit == other.unit
    unknown = one.unit == "cell" and "z" in (one.name, other.name)
    low, high = sorted((one.step, other.step))
    return meaning and not unknown and high < (1 + ALIKE) * low


def sets_of(axes: tuple[Axis, ...]) -> Sets:
    """The axes that may be moved at all, by position, in sets that may be exchanged."""
    found: list[list[int]] = []
    for number, axis in enumerate(axes):
        if not axis.mirrors:
            continue
        same = next((s for s in found if all(alike(axes[i], axis) for i in s)), None)
        if same is None:
            found.append([number])
        else:
            same.append(number)
    return tuple(map(tuple, found))


def groups(axes: tuple[Axis, ...], pooled: tuple[int, ...]) -> list[Group]:
    """Every symmetry that exchanges axes, the largest first.

    pooled: cells along each axis that a simple model sees; axes of unlike ones are not exchanged.
    """
    whole = [part for s in sets_of(axes) for part in _same(s, pooled)]
    found: dict[frozenset[Turn], Group] = {}
    for sets in dict.fromkeys(tuple(sorted(each)) for each in _choices(whole)):
        for kind in KINDS:
            group = Group(kind, sets, symmetry(len(axes), kind, sets))
            if exchanges(group.symmetry.turns):
                found.setdefault(frozenset(group.symmetry.turns), group)
    return sorted(found.values(), key=lambda g: (-len(g.symmetry), g.sets, g.kind))


def symmetry(rank: int, kind: Kind, sets: Sets) -> Symmetry:
    """The symmetry of a kind that moves ``sets`` alone."""
    still = [axis for axis in range(rank) if not any(axis in s for s in sets)]
    return symmetry_of(rank, kind, alike=sets, fixed=still)


def exchanges(turns: tuple[Turn, ...]) -> bool:
    """Whether one of them makes an axis of another."""
    return any(to != axis for turn in turns for axis, to in enumerate(turn.to))


def _same(axes: tuple[int, ...], pooled: tuple[int, ...]) -> list[tuple[int, ...]]:
    parts: dict[int, list[int]] = {}
    for axis in axes:
        parts.setdefault(pooled[axis], []).append(axis)
    return [tuple(part) for part in parts.values()]


def _choices(sets: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Each set whole, cut into two, or left out; in all ways together."""
    if not sets:
        yield []
        return
    first, *rest = sets
    for others in _choices(rest):
        for size in range(len(first) + 1):
            for part in combinations(first, size):
                other = tuple(axis for axis in first if axis not in part)
                yield [*([part] if part else []), *others]
                if part and other:
                    yield [part, other, *others]


def called(turn: Turn, axes: tuple[Axis, ...]) -> tuple[str, float]:
    """A turn in words, and its angle; 0 for one that is a flip or an exchange."""
    names = [axis.name for axis in axes]
    moved = [j for j, to in enumerate(turn.to) if to != j]
    flipped = [names[j] for j, sign in enumerate(turn.sign) if sign < 0 and turn.to[j] == j]
    also = f", flip {' and '.join(flipped)}" if flipped else ""
    if not moved:
        return f"flip {' and '.join(flipped)}", 0.0
    between = "-".join(names[j] for j in moved)
    signs = [turn.sign[j] for j in moved]
    swaps = all(turn.to[turn.to[j]] == j for j in moved)
    if not swaps:
        word = "".join("-"[s > 0 :] + names[t] for s, t in zip(turn.sign, turn.to, strict=True))
        return f"axes to {word}", 0.0
    if signs[0] != signs[1]:
        return f"quarter turn {between}{also}", 90.0 if signs[0] > 0 else 270.0
    return f"swap {between}{' and flip both' if signs[0] < 0 else ''}{also}", 0.0


def told(turn: Turn, axes: tuple[Axis, ...]) -> str:
    """The same for a sentence: "quarter turn y-x (90 degrees)", "half turn y-x"."""
    name, degrees = called(turn, axes)
    flipped = [axis.name for axis, sign in zip(axes, turn.sign, strict=True) if sign < 0]
    if name.startswith("flip") and len(flipped) == 2:
        return f"half turn {'-'.join(flipped)}"
    return f"{name} ({degrees:g} degrees)" if degrees else name
