"""The part of the page on predicted numbers: said against true, by number, intervals, worst."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..drawing.charts import scatter
from ..drawing.markup import esc, name, section, shown, table
from ..drawing.words import count, percent, plain
from ..report import Report

DRAWN = 6  # charts at most
TERMS = (
    ("Mean error", "How far answers are off on average, in the unit of the number. 0 is best."),
    (
        "RMSE",
        "The root of the mean squared error: as the mean error, but a large miss counts for more "
        "than several small ones.",
    ),
    (
        "R²",
        "The share of the variation that is explained. 100 is best; 0 is what always saying the "
        "mean would get, and it may be below.",
    ),
    (
        "Spread",
        "The standard deviation of a number over the training part. Where several numbers are "
        "told, errors are measured in it, so that they can be averaged.",
    ),
    (
        "90 % interval of an answer",
        "A range around an answer, as wide as errors on the validation part ask for, that holds "
        "the true value in 90 of 100 cases (split conformal prediction).",
    ),
)


def headline(report: Report) -> str:
    """ "Off by 0.052 in steering, on average" as text."""
    numbers, error = report.details.get("numbers", []), report.test["mae"].value
    if len(numbers) == 1:
        return f"Off by {plain(error)} in {numbers[0]['name']}, on average"
    return f"Off by {plain(error)} spreads on average, over {len(numbers)} numbers"


def sections(report: Report) -> list[str]:
    """Said against true, each number, the intervals, the largest errors."""
    parts = [_drawn(report), _numbers(report), _intervals(report), _worst(report)]
    return [part for part in parts if part]


def _drawn(report: Report) -> str:
    charts = []
    widths = dict(zip(_names(report), report.calibration.get("half_width", []), strict=False))
    for each in report.details.get("scatter", [])[:DRAWN]:
        title = f"{each['name']}: said against true, {len(each['points'])} answers"
        chart = scatter(title, each["points"], "true", "said", widths.get(each["name"]))
        charts.append(f"<figure><figcaption>{name(each['name'])}</figcaption>{chart}</figure>")
    if not charts:
        return ""
    lead = (
        "Each dot is one answer: the true value across, what was said upwards. On the dashed line "
        "both agree; the pale band is the 90 % interval."
    )
    body = f'<div class="two">{"".join(charts)}</div>'
    return section("answers", "Answers", "Said against true", body, lead)


def _numbers(report: Report) -> str:
    rows = []
    for each in report.details.get("numbers", []):
        cells = [name(each["name"])]
        for key in ("mae", "rmse", "r2"):
            cells.append(_cell(each[key], share=key == "r2"))
        rows.append(cells)
    head = ("Number", "Mean error", "RMSE", "R², %")
    lead = "Errors in the unit of each number, with 95 % intervals."
    body = table("Every number by itself", head, rows, numeric=(1, 2, 3))
    return section("numbers", "Numbers", "Number by number", body, lead)


def _cell(score: Mapping[str, float] | None, *, share: bool) -> str:
    if score is None:
        return "–"
    text = (lambda v: f"{100 * v:.1f}") if share else plain
    ends = f"{text(score['low'])} to {text(score['high'])}"
    return f'{text(score["value"])}<br><span class="range">{ends}</span>'


def _intervals(report: Report) -> str:
    widths = report.calibration.get("half_width", [])
    held = report.calibration.get("covered", [])
    rows = [
        (
            name(label),
            f"± {plain(width)}",
            f"{percent(share['value'])}<br>"
            f'<span class="range">{percent(share["low"])} to {percent(share["high"])}</span>',
        )
        for label, width, share in zip(_names(report), widths, held, strict=False)
        if width is not None and share is not None
    ]
    if not rows:
        return ""
    head = ("Number", "Interval of an answer", "Held on the test part, %")
    lead = (
        "Widths come from the validation part; 90 of 100 true values should lie within, for new "
        "samples of the same kind."
    )
    body = table("90 % intervals and what they held", head, rows, numeric=(1, 2))
    return section("intervals", "Intervals", "Can its intervals be believed?", body, lead)


def _worst(report: Report) -> str:
    shown = report.details.get("worst", [])
    if not shown:
        return ""
    noun = str(report.details.get("noun", "samples"))
    items = "".join(_item(each, noun) for each in shown)
    lead = f"The {count(len(shown))} answers that are furthest off, each with its file."
    body = f'<ul class="gallery">{items}</ul>'
    return section("worst", "Errors", "Largest errors", body, lead)


def _item(each: Mapping[str, Any], noun: str) -> str:
    true, said = plain(each["true"]), plain(each["said"])
    alt = f"{noun.removesuffix('s')} {each['key']}: truly {true}, said {said}"
    return (
        f"<li>{shown(str(each['picture']), alt)}"
        f'<p>said <b class="wrong">{esc(said)}</b><br>is <b class="right">{esc(true)}</b> '
        f"{name(each['name'], 40)}</p>"
        f'<p class="file">{name(each["key"], 60)}</p></li>'
    )


def _names(report: Report) -> list[str]:
    return [str(each["name"]) for each in report.details.get("numbers", [])]
