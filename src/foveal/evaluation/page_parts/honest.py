"""What the score would have been with, or without, samples that were met in training."""

from __future__ import annotations

from collections.abc import Mapping

from ...drawing.markup import details, esc, name, table
from ...drawing.words import Figure, count
from ...report import Report


def sentences(report: Report, figures: Mapping[str, Figure]) -> list[str]:
    """Plain words on leaks and on optimism; none where there is nothing to say."""
    figure, found = figures.get(report.main), []
    if figure is None:
        return []
    if report.leaks:
        noun = report.details.get("noun", "samples")
        told = f"{count(report.leaks['count'])} of {count(report.leaks['of'])} test {noun}"
        told += " were also learned from, themselves or as copies"
        score = report.leaks.get("without", {}).get(report.main)
        own = report.test.get(report.main)
        if score is not None and own is not None:
            low, high = figure.text(score["low"]), figure.text(score["high"])
            told += (
                f". Without them: {figure.title.lower()} {figure.text(score['value'])} "
                f"({low} to {high}) instead of {figure.text(own.value)}"
            )
        found.append(f"{told}.")
    if report.optimism:
        one, other = (figure.text(report.optimism[key]) for key in ("random", "honest"))
        many = report.optimism["splits"]
        found.append(
            f"A split at random would have claimed {one} where one that keeps together what "
            f"belongs together gives {other}, told by {report.optimism['called']} (mean of {many} "
            f"{'split' if many == 1 else 'splits'} of each kind)."
        )
    return found


def honesty(report: Report, figures: Mapping[str, Figure]) -> str:
    """The sentences as paragraphs, and the first leaks by name."""
    body = "".join(f"<p>{esc(sentence)}</p>" for sentence in sentences(report, figures))
    pairs = report.leaks.get("examples", [])
    if pairs:
        rows = [(name(tested), name(learned)) for tested, learned in pairs]
        inner = table("Test samples and what was learned from", ("Tested", "Learned from"), rows)
        body += details(f"The first of them by name ({len(pairs)} shown)", inner)
    return body
