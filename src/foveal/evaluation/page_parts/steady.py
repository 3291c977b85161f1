"""What an audit found, in the run's own page: sentences, angles, and the changes that hurt most."""

from __future__ import annotations

from typing import Any

from ...drawing.charts import lines
from ...drawing.markup import esc, section, table
from ...drawing.words import percent, plain
from ...report import Report
from ..audit.words import change

MOST = 10  # changes shown; all of them stand on the audit's own page


def steady(report: Report) -> str:
    """The section; nothing where no audit was made."""
    found: dict[str, Any] = report.invariance.get("audit") or {}
    if not found:
        return ""
    told = "".join(f"<li>{esc(s)}</li>" for s in report.details.get("audit", ()))
    angles: dict[str, list[tuple[float, float]]] = {}
    for row in found["transforms"]:
        if row["name"].startswith("turn") and "back" not in row["name"]:
            point = (row["strength"], row["consistency"]["value"])
            angles.setdefault(row["name"], [(0.0, 1.0)]).append(point)
    for points in angles.values():
        points.append((360.0, 1.0))
    chart = lines("Answers that stay, by angle", angles, "degrees", share=True) if angles else ""
    body = f'<ul class="verdict">{told}</ul>' + (f"<figure>{chart}</figure>" if chart else "")
    body += _most(found["transforms"])
    lead = "Test samples asked about again after each change; all of it is in audit.html beside."
    return section("steady", "Changes", "Does the answer stay?", body, lead)


def _most(rows: list[dict[str, Any]]) -> str:
    """The changes that turn most answers over, the worst strength of each."""
    worst: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = worst.get(row["name"])
        if known is None or row["consistency"]["value"] < known["consistency"]["value"]:
            worst[row["name"]] = row
    ordered = sorted(worst.values(), key=lambda row: row["consistency"]["value"])[:MOST]
    shown = [
        (
            esc(change(row["name"], row["strength"])),
            _score(row["consistency"]),
            "" if row["accuracy"] is None else _score(row["accuracy"]),
            plain(row["change"]),
        )
        for row in ordered
    ]
    head = ("Change", "Same answer, of 100", "Right, of 100", "Change of probability")
    return table("The changes that turn most answers over", head, shown, numeric=(1, 2, 3))


def _score(score: dict[str, float]) -> str:
    low, high = percent(score["low"]), percent(score["high"])
    return f"{percent(score['value'])} <small>{low} to {high}</small>"
