"""May an axis be mirrored where things have boxes? Asked of what is inside the boxes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..datasets.box_content import elsewhere, inside
from .symmetry import Evidence, mirror_evidence

EDGE = 12  # cells along each axis that what is inside is brought to
MOST = 3000  # boxes looked at
EACH = 12  # of one sample at most, so that all samples are heard


def mirror_evidence_of_boxes(
    x: NDArray[np.generic],
    boxes: NDArray[np.floating],
    classes: int,
    axes: list[tuple[str, bool]],
    seed: int = 0,
) -> tuple[Evidence, ...]:
    """Evidence for each axis, from samples ``(N, C, *S)`` and boxes ``(N, M, 1 + 2 R)``.

    What lies in a box, and what lies in as many boxes where nothing is, is brought to twelve cells
    along each axis; then `mirror_evidence` asks whether its class is told as well when it is
    mirrored.
    """
    rng = np.random.default_rng(seed)
    found: list[torch.Tensor] = []
    labels: list[int] = []
    for i in rng.permutation(len(x)).tolist():
        known = boxes[i][np.isfinite(boxes[i][:, 0])].astype(np.float64)
        for row in rng.permutation(len(known))[:EACH].tolist():
            label, *corners = known[row].tolist()
            found.append(inside(x[i], np.array(corners), EDGE))
            labels.append(int(label))
            empty = elsewhere(np.array(corners), known[:, 1:], x.shape[2:], rng)
            if empty is not None:
                found.append(inside(x[i], empty, EDGE))
                labels.append(classes)
        if len(found) >= MOST:
            break
    if not found:
        few = "too few boxes to test mirroring"
        return tuple(Evidence(name, 0.0, 0.0, False, few) for name, _ in axes)
    return mirror_evidence(torch.cat(found).numpy(), np.array(labels), axes, seed)
