"""The parts of the page on folds and on repeats: every one, their mean and spread, all pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...drawing.markup import details, esc, name, section, table
from ...drawing.words import Figure, count
from ...report import Report

MOST = 25  # classes listed
WIDE = 10  # folds with a column each


def folds(report: Report, figures: Mapping[str, Figure]) -> str:
    """The table of scores, and that of classes or numbers behind a line to click on."""
    found = report.folds
    if not found:
        return ""
    own = [(esc(figures[k].title if k in figures else k), k, None) for k in found["mean"]]
    body = _table("Each score in every fold", "Score", found, own, figures)
    rows = [
        (f"{name(row)}: {esc(figures[k].title if k in figures else k)}", k, row)
        for row, each in list(found["mean_rows"].items())[:MOST]
        for k in each
    ]
    if rows:
        inner = _table("Each class or number in every fold", "Figure", found, rows, figures)
        body += details("Class by class", inner)
    return section("folds", "Folds", "Fold by fold", body, _lead(report))


def repeats(report: Report, figures: Mapping[str, Figure]) -> str:
    """The table of scores of trainings that differ in their seed alone."""
    found = report.repeats
    if not found:
        return ""
    own = [(esc(figures[k].title if k in figures else k), k, None) for k in found["mean"]]
    body = _table("Each score of every training", "Score", found, own, figures)
    lead = (
        f"The same training {found['count']} times, with other first weights, another order and "
        "other augmentation, judged on the same test part; nothing was chosen by it. Above is the "
        "first one. Spread is the standard deviation between trainings; two of them differ by less "
        "than the last column in 95 of 100 cases, so a smaller difference between two runs may be "
        "their seed alone. <code>foveal compare RUN RUN</code> reckons with it."
    )
    return section("repeats", "Seeds", "How far chance goes", body, lead)


def out_of_fold(report: Report) -> bool:
    """Whether the scores are of answers that folds gave for their own parts."""
    return bool(report.folds.get("judged") == "out of fold")


def judged_by(report: Report) -> str:
    """How the samples came to be judged, behind their number: "... test pictures"."""
    if out_of_fold(report):
        return "each judged once, by a network that had never met it"
    return "that were kept apart and looked at once"


def _lead(report: Report) -> str:
    found, noun = report.folds, esc(report.details.get("noun", "samples"))
    sizes = ", ".join(count(one["test"]) for one in found["each"])
    after = (
        "The scores above are of all these answers pooled."
        if out_of_fold(report)
        else "The scores above are of the test part, which no fold had a share in: there the "
        f"{found['count']} networks answered as one."
    )
    return (
        f"{found['count']} networks, each trained without one fold of the {noun} and judged on "
        f"it ({sizes}); together they are the model of this run. {after} Each fold has a page of "
        "its own: <code>fold-1/report.html</code> and so on. Spread is the standard deviation "
        "between folds."
    )


def _table(
    caption: str,
    first: str,
    found: Mapping[str, Any],
    lines: Sequence[tuple[str, str, str | None]],
    figures: Mapping[str, Figure],
) -> str:
    """lines: title, figure, and the class or number it is of; None for a score of all."""
    each, band = found["each"] if found["count"] <= WIDE else [], found.get("band")
    title_of, last = ("Fold", "Pooled") if band is None else ("Seed", "By chance")
    head = (first, *(f"{title_of} {one['fold']}" for one in each), "Mean ± spread", last)
    rows = []
    for title, key, row in lines:
        figure = figures.get(key, Figure(key, "", share=False))
        values = [one["scores"] if row is None else one["rows"].get(row, {}) for one in each]
        mean = (found["mean"] if row is None else found["mean_rows"][row])[key]
        pooled = band if band is not None else found["pooled"]
        pooled = pooled if row is None else found["pooled_rows"].get(row, {})
        rows.append(
            (
                title,
                *(_one(figure, one.get(key)) for one in values),
                f"{figure.text(mean['mean'])} ± {figure.text(mean['spread'])}",
                _one(figure, pooled.get(key)) if band is None else figure.gap(band[key]),
            )
        )
    return table(caption, head, rows, numeric=range(1, len(head)))


def _one(figure: Figure, value: Any) -> str:
    """A figure, or a score with its interval; "–" where there is none."""
    if value is None:
        return "–"
    if not isinstance(value, Mapping):
        return figure.text(value)
    low, high = figure.text(value["low"]), figure.text(value["high"])
    return f'{figure.text(value["value"])}<br><span class="range">{low} to {high}</span>'
