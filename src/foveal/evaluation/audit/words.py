"""An audit in sentences."""

from __future__ import annotations

from ...drawing.words import count, of_hundred, percent
from .found import Audit, Row
from .remedy import WORDS

EXACT = {
    "orbit": "flips and turns that lay the grid onto itself",
    "circular": "shifts around the edge",
}


def sentences(audit: Audit) -> list[str]:
    """What was found, the most telling first; only what was measured."""
    many = f"{count(audit.samples)} {audit.noun}"
    right = (
        "" if audit.accuracy is None else f"; as they are, {of_hundred(audit.accuracy)} are right"
    )
    told = [f"{many} were asked about again after each change{right}."]
    told += [_exact(audit, name) for name in audit.exact]
    told += [_angle(audit)] if _angle(audit) else []
    told += [_family(audit, family) for family in WORDS if _worst(audit, family) is not None]
    if audit.merges:
        first = audit.merges[0]
        told.append(
            f"Classes that merge: under {change(first.name, first.strength)} "
            f"{first.count} of {first.of} {first.one!r} are called {first.other!r}."
        )
    told.append(audit.remedy.text)
    return told


def change(name: str, strength: float) -> str:
    """ "turn y-x by 45 degrees", "quarter turn y-x (90 degrees)", "scale 0.8", "flip x"."""
    if name.startswith("quarter"):
        return f"{name} ({strength:g} degrees)"
    if name.startswith(("flip", "swap", "axes", "crop")):
        return name
    unit = {"turn": " degrees", "shift": " cells", "circular shift": " cells"}
    ending = next((u for n, u in unit.items() if name.removeprefix("time ").startswith(n)), "")
    if not ending:
        return f"{name} {strength:g}"
    return f"{name} by {strength:g}{ending if strength != 1 else ending[:-1]}"


def _exact(audit: Audit, name: str) -> str:
    found = audit.exact[name]
    lead = "Exact: " if not found.changed else ""
    return (
        f"{lead}{count(found.changed)} of {count(found.of)} answers changed under at least one of "
        f"{found.elements - 1} {EXACT[name]}."
    )


def _angle(audit: Audit) -> str:
    rows = [row for row in audit.rows if row.family == "angle"]
    if not rows:
        return ""
    first = min(rows, key=lambda r: r.strength)
    worst = min(rows, key=lambda r: r.consistency.value)
    mean = sum(row.consistency.value for row in rows) / len(rows)
    return (
        f"Turned by {first.strength:g} degrees, {of_hundred(first.consistency)} answers stay; over "
        f"all angles {percent(mean)}, the fewest at {worst.strength:g} degrees: "
        f"{percent(worst.consistency.value)}."
    )


def _worst(audit: Audit, family: str) -> Row | None:
    rows = [row for row in audit.rows if row.family == family]
    return min(rows, key=lambda r: r.consistency.value) if rows else None


def _family(audit: Audit, family: str) -> str:
    row = _worst(audit, family)
    assert row is not None, "asked only of families that were tried"
    rows = [r.consistency.value for r in audit.rows if r.family == family]
    words = WORDS[family][0].upper() + WORDS[family][1:]
    return (
        f"{words}: {percent(sum(rows) / len(rows))} of 100 answers stay; the fewest under "
        f"{change(row.name, row.strength)}: {of_hundred(row.consistency)}."
    )
