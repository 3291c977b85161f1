"""The part of the page on a class for every cell: class by class, the worst and best samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..drawing.charts import bar
from ..drawing.markup import between, details, image, name, section, table
from ..drawing.pictures import COLOURS, colour_of
from ..drawing.words import count, percent
from ..report import Report

SHOWN = 25  # classes listed at once
TERMS = (
    (
        "IoU",
        "Intersection over union: cells of a class that were said and are so, over all cells that "
        "were said or are. 100 is best. Of all cells of the test part together.",
    ),
    (
        "Dice",
        "Twice the cells that were said and are so, over the sum of both. Of each sample by "
        "itself, then the mean; samples that neither have the class nor are said to do not count.",
    ),
    ("Void", "Cells whose true class is not known. They are neither learned from nor judged."),
)


def headline(report: Report) -> str:
    """ "A mean IoU of 53.1 of 100 over 11 classes" as text."""
    known = sum(1 for r in report.details.get("per_class", []) if r["judged"])
    figure = percent(report.test["iou"].value)
    return f"A mean IoU of {figure} of 100 over {known} class{'es' if known != 1 else ''}"


def sections(report: Report) -> list[str]:
    """Each class, and masks over samples."""
    return [part for part in (_classes(report), _gallery(report)) if part]


def _classes(report: Report) -> str:
    rows = report.details.get("per_class", [])
    head = ("Class", "Cells, %", "Samples", "", "IoU", "Dice")
    cells = [_class(k, row) for k, row in enumerate(rows)]
    caption = "How much of the test part is a class, and how well its cells are found"
    numeric = (1, 2, 4, 5)
    body = table(caption, head, cells[:SHOWN], numeric=numeric, kind="classes")
    if len(cells) > SHOWN:
        rest = table(caption, head, cells[SHOWN:], numeric=numeric, kind="classes")
        body += details(f"The other {len(cells) - SHOWN} classes", rest)
    lead = (
        "The square before a name is its colour below. A background is left bare and counts for "
        "no mean."
    )
    return section("classes", "Classes", "Class by class", body, lead)


def _class(k: int, row: Mapping[str, Any]) -> tuple[str, ...]:
    first = (f"{_mark(k)} {name(row['name'])}", percent(row["share"]), count(row["samples"]))
    if row["iou"] is None or row["dice"] is None:
        return (*first, "", "–", "–")
    iou, dice = row["iou"], row["dice"]
    return (
        *first,
        bar(iou["value"], iou["low"], iou["high"], kind="ours" if row["judged"] else ""),
        f"{percent(iou['value'])}<br>{between(iou['low'], iou['high'])}",
        f"{percent(dice['value'])}<br>{between(dice['low'], dice['high'])}",
    )


def _mark(k: int) -> str:
    square = f'<rect width="12" height="12" fill="{colour_of(k % len(COLOURS))}"/>'
    return f'<svg width="12" height="12" aria-hidden="true">{square}</svg>'


def _gallery(report: Report) -> str:
    shown = report.details.get("gallery", [])
    if not shown:
        return ""
    noun = str(report.details.get("noun", "samples"))
    body = "".join(
        f"<h3>The {kind} {noun}</h3>"
        f'<ul class="gallery stacked">{"".join(_one(r, noun) for r in rows)}</ul>'
        for kind in ("worst", "best")
        if (rows := [r for r in shown if r["kind"] == kind])
    )
    lead = (
        "Of each test sample: as it is, with the true mask, and with the network's. Cells of no "
        "known class are grey."
    )
    classes = report.details.get("per_class", [])[:SHOWN]
    keys = "".join(f"<li>{_mark(k)} {name(row['name'])}</li>" for k, row in enumerate(classes))
    return section(
        "masks", "Masks", "Masks over samples", f'<ul class="keys">{keys}</ul>{body}', lead
    )


def _one(row: Mapping[str, Any], noun: str) -> str:
    one = noun.removesuffix("s")
    pictures = "".join(
        image(str(row[key]), f"{one} {row['key']}: {words}")
        for key, words in (("picture", "as it is"), ("truth", "true mask"), ("said", "said mask"))
        if row.get(key)
    )
    return (
        f"<li>{pictures}<p>IoU {percent(row['iou'])}</p>"
        f'<p class="file">{name(row["key"], 60)}</p></li>'
    )
