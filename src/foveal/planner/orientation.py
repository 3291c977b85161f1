"""What is done about flips and turns: asked for by the user, or as far as the data allows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, get_args

from ..card import Card
from ..errors import PlanError
from ..find import nearest
from ..layers.symmetry import Turn
from ..plan import Plan, replace_part
from .aim import turning
from .symmetry import Evidence
from .turn_groups import Sets, exchanges, sets_of, symmetry, told
from .turns import Found, Tried

Wished = Literal["auto", "none", "flips", "rotations", "full"]
SMALL = 2000  # training samples, up to which layers that turn along pay for upright samples, too
FIELDS = 4  # of a stage at least; fewer learn too little (reference: few-field nets underfit)
MOST_TOLD = 8  # turns named one by one
MERGES = 3  # pairs of classes named


@dataclass(frozen=True, slots=True)
class Orientation:
    """flip: axes mirrored in training. kind, sets: of layers that turn along. turn, plane: angles
    that copies are turned by. why: a sentence for each."""

    flip: tuple[bool, ...]
    kind: Literal["none", "flips", "rotations", "full"]
    sets: Sets
    turn: float
    plane: tuple[int, ...]
    why: dict[str, str]


def orientation(
    card: Card,
    wished: str,
    evidence: Sequence[Evidence] = (),
    found: Found | None = None,
    train: int = 0,
    pooled: bool = True,
) -> Orientation:
    """The decision. evidence: for each axis, whether it may be mirrored. found: what turns do;
    None where none was tried. train: training samples. pooled: whether an answer is about the
    whole sample, so that layers that turn along may be chosen for it.

    Raises: PlanError for a wish that is not known.
    """
    known = get_args(Wished)
    if wished not in known:
        raise PlanError(
            f"symmetry {wished!r} is not known",
            where="--symmetry",
            mend=nearest(wished, known) or f"give {', '.join(known[:-1])} or {known[-1]}",
        )
    if wished == "auto":
        return _by_data(card, evidence, found, train, pooled)
    return _by_wish(card, wished, evidence, found)


def oriented(plan: Plan, decided: Orientation) -> Plan:
    """The plan with the layers and the turned copies that were decided on."""
    why = {**plan.why, **decided.why}
    if decided.kind != "none":
        plan = replace_part(plan, "net", symmetry=decided.kind, turned=decided.sets)
        why["net.turned"] = _moved(plan, decided.sets)
    if decided.turn:
        plan = replace_part(plan, "augment", turn=decided.turn, plane=decided.plane)
        why["augment.plane"] = _moved(plan, (decided.plane,))
    return replace(plan, why=why)


def _by_wish(
    card: Card, wished: str, evidence: Sequence[Evidence], found: Found | None
) -> Orientation:
    rank, sets = card.rank, sets_of(card.axes)
    none = (False,) * rank
    asked = f"set by you with --symmetry {wished}"
    says = "; the data say: "
    flips = "; ".join(e.why for e in evidence)
    why = {"augment.flip": f"{asked}: nothing is mirrored", "net.symmetry": asked}
    if wished == "none":
        return Orientation(none, "none", (), 0.0, (), why)
    if wished == "flips":
        why["augment.flip"] = f"{asked}: every axis that can be mirrored" + _after(says, flips)
        why["net.symmetry"] = f"{asked}: mirrored copies, no layers that turn along"
        return Orientation(tuple(a.mirrors for a in card.axes), "none", (), 0.0, (), why)
    kind: Literal["rotations", "full"] = "rotations" if wished == "rotations" else "full"
    group = symmetry(rank, kind, sets) if sets else None
    if group is None or len(group) < 2:
        why["net.symmetry"] = f"{asked}, but the meaning of the axes allows none"
        why["augment.flip"] = why["net.symmetry"]
        return Orientation(none, "none", (), 0.0, (), why)
    why["net.symmetry"] = f"{asked}: {len(group)} orientations by construction" + _after(
        says, "; ".join(part for part in (flips, _all(found)) if part)
    )
    flip = tuple(wished == "full" and axis.mirrors for axis in card.axes)
    why["augment.flip"] = f"{asked}: mirror images are {'the same' if any(flip) else 'others'}"
    return Orientation(flip, kind, sets, 0.0, (), why)


def _by_data(
    card: Card, evidence: Sequence[Evidence], found: Found | None, train: int, pooled: bool
) -> Orientation:
    none, why = (False,) * card.rank, {}
    flip, why["augment.flip"] = none, "mirroring was not tested on the data, so nothing is mirrored"
    if len(evidence) == card.rank:
        flip, why["augment.flip"] = _flips(card, evidence, found)
    if found is None:
        why["net.symmetry"] = (
            "axes are not exchanged: no two mean the same"
            if not exchanges(_largest(card))
            else "turns were not tested on the data, so there are no layers that turn along"
        )
        return Orientation(flip, "none", (), 0.0, (), why)
    if found.group is None:
        why["net.symmetry"] = _all(found)
        return Orientation(flip, "none", (), 0.0, (), why)
    layers = pooled and (found.free or train <= SMALL)
    turn, why["augment.turn"] = _angle(found, layers)
    plane = next((s for s in found.group.sets if len(s) > 1), ())
    if not layers:
        reason = (
            "layers that turn along are chosen for few samples, or for those without a way up"
            if pooled
            else "layers that turn along are chosen for answers about whole samples alone"
        )
        why["net.symmetry"] = f"{reason}; turns may be made: {_all(found)}"
        return Orientation(flip, "none", (), turn, plane, why)
    group = found.group
    held = tuple(_flip(card.rank, (axis,)) in group.turns for axis in range(card.rank))
    within = {axis for s in group.sets for axis in s}
    if any(axis in within and flip[axis] != held[axis] for axis in range(card.rank)):
        why["augment.flip"] += "; as the group of turns, which is decided as a whole"
    flip = tuple(held[axis] if axis in within else may for axis, may in enumerate(flip))
    why["net.symmetry"] = f"{len(group.symmetry)} orientations by construction: {_all(found)}"
    return Orientation(flip, group.kind, group.sets, turn, plane, why)


def _flips(
    card: Card, evidence: Sequence[Evidence], found: Found | None
) -> tuple[tuple[bool, ...], str]:
    """Axes that may be mirrored, alone and together: a symmetry is a group."""
    may = [axis for axis, e in enumerate(evidence) if e.allowed]
    why = "; ".join(e.why for e in evidence)
    tried = {} if found is None else {each.name: each for each in found.tried}
    lost = {axis: evidence[axis].plain - evidence[axis].mirrored for axis in may}
    while len(may) > 1:
        both = [
            tried[name]
            for count in range(2, len(may) + 1)
            for axes in combinations(may, count)
            if (name := told(_flip(card.rank, axes), card.axes)) in tried
        ]
        bad = next((each for each in both if not each.fine), None)
        if bad is None:
            break
        worst = max(may, key=lambda axis: lost[axis])
        may.remove(worst)
        why += f"; {card.axes[worst].name} is left alone, since together: {_element(bad)}"
    return tuple(axis in may for axis in range(card.rank)), why


def _angle(found: Found, layers: bool) -> tuple[float, str]:
    """Degrees that copies are turned by at random: 45 where layers hold quarter turns."""
    if found.angle is None:
        return 0.0, "turns by any angle were not tested"
    if not found.angle.fine:
        return 0.0, _element(found.angle)
    degrees = 45.0 if layers else 180.0
    rest = ", the rest is held by the layers" if layers else ""
    return degrees, f"any angle{rest}: {_element(found.angle)}"


def _all(found: Found | None) -> str:
    """Everything that turns did, but flips of one axis, which stand with `augment.flip`."""
    if found is None:
        return ""
    tried = [each for each in found.tried if not (_single(each) and not each.merges)]
    shown = [_element(each) for each in tried[:MOST_TOLD]]
    if len(tried) > MOST_TOLD:
        rest = [each.turned for each in tried[MOST_TOLD:]]
        shown.append(f"{len(rest)} more: {min(rest):.1%} to {max(rest):.1%} turned")
    return "; ".join([found.why, *shown])


def _single(each: Tried) -> bool:
    return each.name.startswith("flip") and " and " not in each.name


def _element(each: Tried) -> str:
    """ "half turn y-x refused: 93.7 % plain, 28.9 % turned, ...; 6 and 9 turn into each other"."""
    verdict = "accepted" if each.fine else "refused"
    text = (
        f"{each.name} {verdict}: of held-back samples {each.plain:.1%} are named plain, "
        f"{each.turned:.1%} turned, {each.blind:.1%} by a model that cannot see it: {each.why}"
    )
    return ", ".join([text, *map(turning, each.merges[:MERGES])])


def _after(lead: str, text: str) -> str:
    return f"{lead}{text}" if text else ""


def _moved(plan: Plan, sets: Sets) -> str:
    names = [" and ".join(plan.axes[i].name for i in s) for s in sets]
    return "; ".join(
        f"{name} exchanged with each other" if len(s) > 1 else f"{name} reversed"
        for name, s in zip(names, sets, strict=True)
    )


def _flip(rank: int, axes: tuple[int, ...]) -> Turn:
    return Turn(tuple(range(rank)), tuple(-1 if axis in axes else 1 for axis in range(rank)))


def _largest(card: Card) -> tuple[Turn, ...]:
    sets = sets_of(card.axes)
    return symmetry(card.rank, "full", sets).turns if sets else ()
