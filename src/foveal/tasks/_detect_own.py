"""Boxes on a sample's own grid: brought back from the prepared one, counted, drawn, written."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..datasets.annotations import Noted, coco
from ..datasets.placement import Placement, placed
from ..datasets.prepare import prepare
from ..drawing.pictures import boxed
from ..grid import Sample, data_of
from ..plan import Plan
from . import Ask, Calibration, Told
from ._detect_boxes import KEPT, chosen, finish, turned

MOST_TRUE = 1000  # true boxes of a sample that are counted
SHOWN = 0.5  # score from which a box is shown where nothing was learned of scores


def answer(ask: Ask, sample: Sample, plan: Plan, calibration: Calibration) -> dict[str, Any]:
    """``{"counts", "boxes": [{"label", "score", "low", "high"}, ...], "every": (n, 2 + 2 R)}``.

    boxes: from the score on that balanced best on the validation part, surest first; corners in
    cells of the sample, in the order of its axes. every: score, class and corners of all, for
    scores.
    """
    size = sample.x.shape[1:]
    x = prepare(sample.x, plan.data, key=sample.key, grid=sample.grid)
    done = finish(_asked(ask, x, plan), plan, {})
    rows = chosen(done, len(plan.classes))[0].numpy().astype(np.float64)
    rows = rows[np.isfinite(rows[:, 0])]
    rows[:, 2:] = brought_back(rows[:, 2:], placed(size, plan.data, sample.grid))
    return {**told(rows, plan, calibration), "every": rows}


def _asked(ask: Ask, x: NDArray[Any], plan: Plan) -> torch.Tensor:
    """Raw answers for one prepared sample: the mean over the views that may be mirrored."""
    free = [axis for axis, may in enumerate(plan.augment.flip) if may]
    found = []
    for count in range(len(free) + 1):
        for axes in itertools.combinations(free, count):
            view = np.ascontiguousarray(np.flip(x, tuple(1 + axis for axis in axes)))
            raw = torch.from_numpy(ask(view[None])).double()
            back = turned(raw, axes, plan) if axes else raw
            found += [] if back is None else [back]
    return torch.stack(found).mean(0)


def brought_back(boxes: NDArray[np.float64], where: Placement) -> NDArray[np.float64]:
    """Boxes ``(n, 2 R)`` of the prepared grid on the sample's own, cut at its border."""
    own = (boxes - np.tile(where.offset, 2)) / np.tile(where.scale, 2)
    return np.asarray(np.clip(own, 0, np.tile(np.array(where.before, np.float64), 2)))


def told(rows: NDArray[np.float64], plan: Plan, calibration: Calibration) -> dict[str, Any]:
    """The boxes that are said, and how many of each class, from rows of score, class, corners."""
    least = calibration.get("thresholds", {})
    boxes = []
    for score, label, *corners in rows.tolist():
        name = plan.classes[int(label)]
        if score >= least.get(name, SHOWN):
            ends = [float(f"{value:.6g}") for value in corners]
            box = {"low": ends[: plan.rank], "high": ends[plan.rank :]}
            boxes.append({"label": name, "score": float(f"{score:.4g}"), **box})
    counts = {name: sum(box["label"] == name for box in boxes) for name in plan.classes}
    return {"counts": counts, "boxes": boxes}


def tally(answer: Mapping[str, Any], y: Any, plan: Plan) -> tuple[NDArray[Any], NDArray[Any]]:
    """Boxes said and true boxes of one sample, with NaN behind the last."""
    said = np.full((KEPT, 2 + 2 * plan.rank), np.nan, np.float32)
    said[: len(answer["every"])] = answer["every"]
    true = np.full((MOST_TRUE, 1 + 2 * plan.rank), np.nan, np.float32)
    known = np.asarray(y)[:MOST_TRUE]
    true[: len(known)] = known
    return said, true


def files(answer: Mapping[str, Any], sample: Sample) -> tuple[str, bytes]:
    """Ending and content of a JSON file with the boxes."""
    size = list(sample.x.shape[1:])
    return ".json", json.dumps({"size": size, "boxes": answer["boxes"]}, indent=1).encode()


def picture(answer: Mapping[str, Any], sample: Sample, plan: Plan) -> tuple[str, bytes]:
    """Ending and content of a picture of the sample with its boxes."""
    uri = drawn(answer, sample, plan)
    return ".boxes.png", base64.b64decode(uri.partition(",")[2])


def whole(told: Sequence[Told], plan: Plan) -> tuple[str, bytes] | None:
    """All boxes as one COCO file, with scores; None where samples are no pictures."""
    if data_of(plan.axes) != "picture":
        return None
    pictures, scores = {}, {}
    for name, size, answer in told:
        boxes = answer["boxes"]
        corners = np.array([[*b["low"], *b["high"]] for b in boxes]).reshape(-1, 2 * plan.rank)
        pictures[name] = Noted(tuple(b["label"] for b in boxes), corners, size)
        scores[name] = [b["score"] for b in boxes]
    return "coco.json", json.dumps(coco.write(pictures, plan.classes, scores)).encode()


def drawn(said: Any, sample: Sample, plan: Plan) -> str:
    """The boxes of an answer, or true ones ``(n, 1 + 2 R)``, over the sample, as a data URI."""
    if isinstance(said, Mapping):
        place = {name: i for i, name in enumerate(plan.classes)}
        rows = [[place[b["label"]], *b["low"], *b["high"]] for b in said["boxes"]]
    else:
        rows = np.asarray(said, np.float64).tolist()
    low, high = plan.data.low, plan.data.high
    if plan.data.scale == "sample" or len(low) != len(sample.x):
        low, high = (float(sample.x.min()),), (float(sample.x.max()) or 1.0,)
    return boxed(sample.x, rows, low=low, high=high)
