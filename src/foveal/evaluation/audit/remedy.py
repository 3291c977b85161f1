"""The cheapest thing that would help most, with what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...drawing.words import percent
from ...report import Score
from .found import Exact, Remedy, Row

STEADY = 0.95  # mean consistency from which on nothing need be done
WORDS = {
    "position": "where things lie",
    "orientation": "flips and turns",
    "size": "size",
    "light": "light and strength",
    "sharpness": "noise and blur",
}
TRAIN = {
    "position": "blur before each stride (train again with `--set net.shift=blur`), moved "
    "copies (`--set augment.translate=...`), or earlier answers as targets (of classes: `--set "
    "fit.recall=0.8`)",
    "orientation": "mirrored and turned copies in training (`--symmetry flips`, `--set "
    "augment.turn=180`)",
    "size": "copies of other sizes in training (`--set augment.zoom=0.25`)",
    "light": "lighter and darker copies in training (`--set augment.brightness=0.2 --set "
    "augment.contrast=0.2`)",
    "sharpness": "noisy and blurred copies in training",
}
COST = "one more training, and nothing for each answer"
DEARER = {
    "position": "one more training, and half as long again for each answer where cells are blurred",
    "orientation": "one more training, and two or three views for each answer, which are averaged "
    "(fewer: `--set judge.mirror=false --set judge.turns=1`)",
    "size": "one more training, and up to three views for each answer, which are averaged (fewer: "
    "`--set judge.sizes=1`)",
}


def by_family(rows: Sequence[Row]) -> dict[str, float]:
    """Mean consistency of each family; turns by any angle count as orientation."""
    found: dict[str, list[float]] = {}
    for row in rows:
        family = "orientation" if row.family == "angle" else row.family
        found.setdefault(family, []).append(row.consistency.value)
    return {family: sum(values) / len(values) for family, values in found.items()}


def remedy(rows: Sequence[Row], exact: Mapping[str, Exact], accuracy: Score | None) -> Remedy:
    """What to do about the family that turns most answers over.

    Orientation is left alone where it carries the label: where answers averaged over all
    orientations are right more seldom than plain ones.
    """
    weak = sorted((value, family) for family, value in by_family(rows).items() if value < STEADY)
    orbit, kept = exact.get("orbit"), ""
    mean = None if orbit is None else orbit.averaged
    turns = any(family == "orientation" for _, family in weak)
    if turns and mean is not None and accuracy is not None and mean.value < accuracy.low:
        weak = [each for each in weak if each[1] != "orientation"]
        kept = (
            "Orientation tells classes apart here (averaged over all orientations only "
            f"{percent(mean.value)} of 100 would be right): leave it. "
        )
    if not weak:
        at = percent(STEADY, 0)
        return Remedy(
            "none", f"{kept}None is needed: on average at least {at} of 100 answers stay."
        )
    value, family = weak[0]
    text = (
        f"{kept}What helps most, against {WORDS[family]} ({percent(value)} of 100 answers stay): "
        f"{TRAIN[family]}; costs {DEARER.get(family, COST)}."
    )
    group = exact.get({"orientation": "orbit", "position": "circular"}.get(family, ""))
    if group is not None:
        text += f" Without training: the mean answer over {group.elements} views"
        text += _gain(group, accuracy)
        text += f"; costs {group.elements} times as much for each answer."
    if family == "orientation":
        text += (
            " Both hold it exactly: that mean (`foveal.wrappers.averaged`), and layers that turn "
            "with their input (`--symmetry rotations` or `full`: one more training of about the "
            "same length, nothing for each answer once folded)."
        )
    return Remedy("augmentation" if family != "position" else "blur", text)


def _gain(group: Exact, accuracy: Score | None) -> str:
    if group.averaged is None or accuracy is None:
        return ""
    before, after = percent(accuracy.value), percent(group.averaged.value)
    return f" (here {after} instead of {before} of 100 right)"
