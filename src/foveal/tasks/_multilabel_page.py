"""The part of the page on several classes per sample: class by class, confidence, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..drawing.charts import bar, reliability_diagram
from ..drawing.markup import between, details, name, section, shown, table
from ..drawing.words import count, percent
from ..report import Report

SHOWN = 25  # classes listed at once
TERMS = (
    (
        "Average precision",
        "Samples are ranked by how probable a class is. Going down to each sample that has it, "
        "what share of those passed have it too? The mean of these shares; 100 is best, by chance "
        "it is the share of samples that have the class.",
    ),
    ("F1", "One number for finding all of a class and naming nothing else so. 100 is best."),
    (
        "Threshold",
        "The probability from which on a class is said to be there, chosen on the validation part.",
    ),
    (
        "Calibration",
        "Whether a class given with, say, 90 % probability is there in 90 of 100 cases. A slope "
        "and a shift per class, found on the validation part, bring that about.",
    ),
)


def headline(report: Report) -> str:
    """ "Ranks with a mean average precision of 83.1 over 12 classes" as text."""
    figure = percent(report.test["map_macro"].value)
    known = len(report.details.get("per_label", []))
    return f"A mean average precision of {figure} of 100 over {known} classes"


def sections(report: Report) -> list[str]:
    """Each class, the confidence, what to look at."""
    return [part for part in (_classes(report), _confidence(report), _mistakes(report)) if part]


def _classes(report: Report) -> str:
    rows = sorted(
        report.details.get("per_label", []),
        key=lambda r: (r["count"] == 0, _value(r["average_precision"]), r["name"]),
    )
    floors = dict(
        zip(
            [r["name"] for r in report.details.get("per_label", [])],
            report.calibration.get("threshold", []),
            strict=False,
        )
    )
    head = ("Class", "Have it", "Said", "Rightly", "", "Average precision", "F1", "Threshold, %")
    cells = [_class(r, floors.get(r["name"])) for r in rows]
    caption = "How many test samples have a class, were said to, and rightly so"
    numeric = (1, 2, 3, 5, 6, 7)
    body = table(caption, head, cells[:SHOWN], numeric=numeric, kind="classes")
    if len(cells) > SHOWN:
        rest = table(caption, head, cells[SHOWN:], numeric=numeric, kind="classes")
        body += details(f"The other {len(cells) - SHOWN} classes", rest)
    lead = "The weakest first. The thin line on a bar is the 95 % interval."
    return section("classes", "Classes", "Class by class", body, lead)


def _class(row: Mapping[str, Any], floor: float | None) -> tuple[str, ...]:
    first = (name(row["name"]), count(row["count"]), count(row["said"]), count(row["right"]))
    last = "–" if floor is None else percent(floor)
    score, harmonic = row["average_precision"], row["f1"]
    if score is None or harmonic is None:
        return (*first, "", "–", "–", last)
    return (
        *first,
        bar(score["value"], score["low"], score["high"], kind="ours"),
        f"{percent(score['value'])}<br>{between(score['low'], score['high'])}",
        f"{percent(harmonic['value'])}<br>{between(harmonic['low'], harmonic['high'])}",
        last,
    )


def _confidence(report: Report) -> str:
    rows, known = report.details.get("reliability", []), report.calibration
    if not rows:
        return ""
    text = (
        "<p>Each dot stands for answers of like probability: how probable a class was said to be, "
        "across, and how often it was there, upwards. On the dashed line both agree.</p>"
        f"<p>On average the two differ by <b>{percent(known['ece'])}</b> points; before slope and "
        f"shift were set on the validation part by {percent(known['ece_uncalibrated'])}.</p>"
    )
    chart = reliability_diagram("Reliability diagram of all classes together", rows)
    body = f'<div class="two"><figure>{chart}</figure><div>{text}</div></div>'
    lead = "A probability is only worth something when it comes true as often as it says."
    return section("confidence", "Confidence", "Can its confidence be believed?", body, lead)


def _mistakes(report: Report) -> str:
    shown = report.details.get("worst", [])
    if not shown:
        nothing = "<p>There were none on the test part.</p>"
        return section("mistakes", "Mistakes", "Mistakes to look at", nothing)
    noun = str(report.details.get("noun", "samples"))
    body = f'<ul class="gallery">{"".join(_mistake(each, noun) for each in shown)}</ul>'
    lead = (
        f"Of {count(report.details.get('wrong', len(shown)))} test {noun} with a class too many or "
        "too few, those where the network was surest of it."
    )
    return section("mistakes", "Mistakes", "Mistakes to look at", body, lead)


def _mistake(each: Mapping[str, Any], noun: str) -> str:
    sure = f"{percent(each['probability'], 0)}\u00a0%"
    wrong = "missed" if each["there"] else "wrongly said"
    true = ", ".join(each["true"]) or "none"
    alt = f"{noun.removesuffix('s')} {each['key']}: truly {true}, {each['class']} {wrong}"
    return (
        f"<li>{shown(str(each['picture']), alt)}"
        f'<p>{wrong} <b class="wrong">{name(each["class"], 40)}</b>, {sure}<br>'
        f'is <b class="right">{name(true, 60)}</b></p>'
        f'<p class="file">{name(each["key"], 60)}</p></li>'
    )


def _value(score: Mapping[str, float] | None) -> float:
    return 0.0 if score is None else float(score["value"])
