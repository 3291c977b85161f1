"""What the training rows say of flips and turns, before any plan uses one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..plan import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..datasets.split import Split
    from ..datasets.survey import Survey
    from ..planner.symmetry import Evidence
    from ..planner.turns import Found

LOOKED_AT = 3000  # training samples that the tests may see
LOOKED_AT_BYTES = 2**27  # and no more than these, of large samples


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """mirrors: of each axis, () where none could be mirrored. turns: of exchanges of axes and
    what follows from them; None where none mean the same, or answers have places."""

    mirrors: tuple[Evidence, ...] = ()
    turns: Found | None = None


def evidence(survey: Survey, split: Split, plan: Plan) -> Told:
    """Both tests, on training rows alone; nothing to test where no axis could be mirrored."""
    if not any(axis.mirrors for axis in plan.axes):
        return Told()
    import numpy as np

    from ..planner.mirrored_boxes import mirror_evidence_of_boxes
    from ..planner.mirrored_masks import MOST, mirror_evidence_of_masks

    rng = np.random.default_rng(plan.seed)
    most = min(LOOKED_AT, LOOKED_AT_BYTES // max(survey.store.row_bytes, 1))
    rows = np.sort(rng.permutation(split.train)[:most])
    axes = [(a.name, a.mirrors) for a in plan.axes]
    x = survey.store.gather(rows).numpy()
    if survey.card.target == "mask":
        rows = rows[:: max(1, len(rows) // MOST)][:MOST]
        few, masks = survey.store.gather(rows).numpy(), survey.targets(rows)
        return Told(mirror_evidence_of_masks(few, masks, len(plan.classes), axes, plan.seed))
    if survey.card.target == "boxes":
        boxes = survey.targets(rows)
        return Told(mirror_evidence_of_boxes(x, boxes, len(plan.classes), axes, plan.seed))
    if survey.truths is not None:  # how much there is of each class, wherever it lies
        return _both(x, survey.facts.cover[survey.usable[rows]], plan)
    return _both(x, survey.targets(rows), plan)


def _both(x: NDArray[Any], targets: NDArray[Any], plan: Plan) -> Told:
    """Of samples with one class each ``(N,)``, or with values ``(N, K)``."""
    from ..planner.aim import of_classes, of_values
    from ..planner.symmetry import mirror_evidence, mirror_evidence_of_values
    from ..planner.turns import turn_evidence

    axes = [(a.name, a.mirrors) for a in plan.axes]
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        mirrors = mirror_evidence(x, targets, axes, plan.seed, plan.classes)
        aim = of_classes(targets, plan.classes)
    else:
        mirrors = mirror_evidence_of_values(x, targets, axes, plan.seed)
        aim = of_values(targets)
    return Told(mirrors, turn_evidence(x, aim, plan.axes, plan.seed))
