"""audit.html: one file that opens from disk, in the style of the report's page."""

from __future__ import annotations

from pathlib import Path

from ...drawing.charts import bar, heat, lines
from ...drawing.markup import esc, image, name, section, table
from ...drawing.words import count, percent, plain
from ...record import write_bytes
from ...report import Score
from ..page import shell
from .found import Audit, Example, Row
from .words import change, sentences


def write_page(audit: Audit, title: str, path: Path) -> None:
    """Write the page atomically. Raises: OSError when the place cannot be written."""
    write_bytes(path, page(audit, title).encode("utf-8"))


def page(audit: Audit, title: str) -> str:
    """The whole page as HTML text; ``title`` names the model. Every name in it is escaped."""
    told = sentences(audit)
    items = "".join(f"<li>{esc(s)}</li>" for s in told[1:])
    head = (
        f'<header><p class="eyebrow">Foveal audit · {name(title)}</p>'
        f"<h1>{esc(headline(audit))}</h1>"
        f'<p class="sure">{esc(told[0])}</p><ul class="verdict">{items}</ul></header>'
    )
    parts = (_angles(audit), _places(audit), _all(audit), _merges(audit), _examples(audit))
    foot = (
        f"<footer>Measured in {audit.seconds:.1f} s. The same figures stand in "
        "<code>audit.json</code> beside this page.</footer>"
    )
    return shell(f"{title}: audit", head, "".join(parts), foot)


def headline(audit: Audit) -> str:
    """The answers that stay, over all changes."""
    rows = [row.consistency.value for row in audit.rows]
    mean = sum(rows) / max(len(rows), 1)
    return f"{percent(mean)} of 100 answers stay when the {audit.noun} are changed"


def _angles(audit: Audit) -> str:
    planes: dict[str, list[Row]] = {}
    for row in audit.rows:
        if row.family == "angle":
            planes.setdefault(row.name, []).append(row)
    if not planes:
        return ""
    curves = {}
    for word, rows in planes.items():
        points = [(0.0, 1.0), *((r.strength, r.consistency.value) for r in rows), (360.0, 1.0)]
        curves[f"{word}: same answer"] = points
        right = [(r.strength, r.accuracy.value) for r in rows if r.accuracy is not None]
        if right and audit.accuracy is not None:
            at = audit.accuracy.value
            curves[f"{word}: right answer"] = [(0.0, at), *right, (360.0, at)]
    chart = lines("Answers that stay, by angle", curves, "degrees", share=True)
    lead = "The corners are hidden before and after, so that only the turn is seen."
    return section("angles", "Angles", "Turned by any angle", f"<figure>{chart}</figure>", lead)


def _places(audit: Audit) -> str:
    if not audit.map:
        return ""
    cells: list[tuple[tuple[int, int], float]] = []
    for row in audit.map:
        *_, down, across = (0, *row.place)
        cells.append(((down, across), row.consistency.value))
    cells.append(((0, 0), 1.0))
    chart = heat("Answers that stay, by where the sample is moved", cells)
    lead = "Each field: the whole sample moved by so many cells; the edge stands behind it."
    return section("places", "Places", "Moved to another place", f"<figure>{chart}</figure>", lead)


def _all(audit: Audit) -> str:
    rows = [
        (
            esc(change(row.name, row.strength)),
            _score(row.consistency) + bar(*_three(row.consistency)),
            "" if row.accuracy is None else _score(row.accuracy),
            f"{plain(row.change.value)} <small>{plain(row.change.low)} to "
            f"{plain(row.change.high)}</small>",
        )
        for row in audit.rows
    ]
    head = ("Change", "Same answer, of 100", "Right, of 100", "Change of probability")
    body = table("All changes", head, rows, numeric=(2, 3))
    lead = "In small letters 95 % intervals."
    return section("changes", "Changes", "Every change that was tried", body, lead)


def _three(score: Score) -> tuple[float, float, float]:
    return score.value, score.low, score.high


def _score(score: Score) -> str:
    low, high = percent(score.low), percent(score.high)
    return f"{percent(score.value)} <small>{low} to {high}</small>"


def _merges(audit: Audit) -> str:
    if not audit.merges:
        return ""
    rows = [
        (
            name(m.one),
            name(m.other),
            esc(change(m.name, m.strength)),
            f"{count(m.count)} of {count(m.of)}",
        )
        for m in audit.merges
    ]
    head = ("Class", "is called", "under", "samples")
    body = table("Classes that merge", head, rows, numeric=(3,))
    lead = "Where a turn makes one class of another, orientation carries the label: leave it."
    return section("merges", "Merges", "Classes that merge", body, lead)


def _examples(audit: Audit) -> str:
    if not audit.examples:
        return ""
    shown = "".join(_example(each) for each in audit.examples)
    lead = "Before and after; below, what was answered and how sure."
    body = f'<ul class="gallery">{shown}</ul>'
    return section("examples", "Examples", "Answers that were turned over", body, lead)


def _example(each: Example) -> str:
    before, after = each.said
    return (
        f"<li>{image(each.before, each.key)}{image(each.after, each.name)}"
        f"<p>{esc(change(each.name, each.strength))}: {name(before, 24)} "
        f'({percent(each.sure[0], 0)} %) → <b class="wrong">{name(after, 24)}</b> '
        f'({percent(each.sure[1], 0)} %)</p><p class="file">{name(each.key, 60)}</p></li>'
    )
