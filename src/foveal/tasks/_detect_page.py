"""The part of the page on found boxes: classes, curves, boxes drawn over samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..drawing.charts import lines
from ..drawing.markup import between, esc, image, name, section, table
from ..drawing.pictures import colour_of
from ..drawing.words import percent
from ..report import Report

TERMS = (
    (
        "Overlap",
        "Of two boxes: what they share, divided by what both cover together (intersection over "
        "union). 100 % is the same box.",
    ),
    (
        "AP50",
        "Average precision: how many of the boxes said are right, averaged over all shares of true "
        "boxes found, where a box is right that overlaps a true one by half. 100 is best.",
    ),
    ("AP", "The same, averaged over overlaps from 50 to 95 % as COCO does. It asks for fit."),
)


def headline(report: Report) -> str:
    """ "91.2 of 100 for AP50" as text."""
    return f"{percent(report.test['ap50'].value)} of 100 in average precision (AP50)"


def sections(report: Report) -> list[str]:
    """Classes, curves, samples with their boxes."""
    parts = [_classes(report), _curves(report), _samples(report)]
    return [part for part in parts if part]


def _classes(report: Report) -> str:
    rows = []
    for each in report.details.get("classes", []):
        if "ap50" not in each:
            rows.append([name(each["name"]), "0", *["–"] * 5])
            continue
        cells = [name(each["name"]), f"{each['boxes']:,}"]
        for key in ("ap50", "ap"):
            score = each[key]
            ends = between(score["low"], score["high"])
            cells.append(f"{percent(score['value'])}<br>{ends}")
        cells += [percent(each[key]) for key in ("precision", "recall")]
        cells.append(f"{each['threshold']:.2f}")
        rows.append(cells)
    if not rows:
        return ""
    head = ("Class", "True boxes", "AP50, %", "AP, %", "Right of said, %", "Found, %", "From score")
    lead = (
        "Average precision with 95 % intervals. Right and found are for the boxes that are said, "
        "from the score on that balanced both best on the validation part."
    )
    body = table("Every class by itself", head, rows, numeric=tuple(range(1, len(head))))
    return section("classes", "Classes", "Class by class", body, lead)


def _curves(report: Report) -> str:
    series: dict[str, Sequence[tuple[float, float]]] = {
        str(each["name"]): [(float(r), float(p)) for r, p in each["curve"]]
        for each in report.details.get("classes", [])[:6]
        if "curve" in each
    }
    if not series:
        return ""
    lead = (
        "How many of the boxes said are right (upwards), while more and more of the true boxes "
        "are found (across), at an overlap of half."
    )
    chart = lines("precision against recall", series, "share of true boxes found", share=True)
    return section("curves", "Curves", "Precision and recall", f"<figure>{chart}</figure>", lead)


def _samples(report: Report) -> str:
    shown = report.details.get("samples", [])
    if not shown:
        return ""
    parts = []
    for kind, title in (("worst", "Least right"), ("best", "Most right")):
        items = "".join(_item(each) for each in shown if each["kind"] == kind)
        shown_all = f'<ul class="gallery stacked wide">{items}</ul>'
        parts += [f"<h3>{title}</h3>", shown_all] * bool(items)
    lead = "True boxes above, boxes that were said below; each class has its colour."
    keys = "".join(
        f"<li>{_square(i)} {name(each['name'])}</li>"
        for i, each in enumerate(report.details.get("classes", []))
    )
    body = f'<ul class="keys">{keys}</ul>{"".join(parts)}'
    return section("samples", "Samples", "Boxes over samples", body, lead)


def _item(each: Mapping[str, Any]) -> str:
    words = f"{each['right']} right, {each['wrong']} wrong, {each['missed']} missed"
    truth = image(str(each["truth"]), f"{each['key']}: true boxes")
    said = image(str(each["said"]), f"{each['key']}: {words}")
    return f'<li>{truth}{said}<p>{esc(words)}</p><p class="file">{name(each["key"], 60)}</p></li>'


def _square(position: int) -> str:
    return (
        '<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">'
        f'<rect width="12" height="12" fill="{colour_of(position)}"/></svg>'
    )
