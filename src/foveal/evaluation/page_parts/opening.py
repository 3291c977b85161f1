"""The top of the page: the score in one sentence, how sure it is, the verdict, all scores."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...card import Card
from ...drawing.charts import bar, waffle
from ...drawing.markup import details, esc, name, section, table
from ...drawing.words import Figure, count, learned, percent, plain
from ...plan import Plan
from ...report import Report, Score
from ...tasks import Task
from .folds import judged_by, out_of_fold
from .honest import honesty

NUMBER = re.compile(r"\d[\d,.]*\d( of 100)?|\d")


def headline(report: Report, task: Task) -> str:
    """ "About 91 of 100 new pictures are named rightly." as text."""
    if report.main not in report.test:
        return f"No {report.details.get('noun', 'samples')} to judge by"
    return task.telling.headline(report)


def header(report: Report, card: Card, plan: Plan, task: Task) -> str:
    """The banner: name, headline, interval, verdict, a hundred dots."""
    title = esc(headline(report, task))
    words = f"{name(card.name or card.path)} · {esc(learned(plan))}"
    score, figure = report.test.get(report.main), task.judging.figures[task.judging.main]
    sure, dots = "", ""
    if score is not None:
        noun = esc(report.details.get("noun", "samples"))
        sure = (
            f'<p class="sure">The true figure lies between <b>{figure.text(score.low)}</b> and '
            f"<b>{figure.text(score.high)}</b>. <span>(95 % interval, from "
            f"{count(report.data.get('test', 0))} test {noun} {judged_by(report)}.)</span></p>"
        )
        title = NUMBER.sub(r"<b>\g<0></b>", title, count=1)
        dots = _dots(score, task.telling.dots) if task.telling.dots else ""
    return (
        f'<header><p class="eyebrow">Foveal report · {words}</p><div class="hero"><div>'
        f"<h1>{title}</h1>{sure}"
        f"{_verdict(report)}</div>{dots}</div></header>"
    )


def _dots(score: Score, filled: str) -> str:
    said = f"Of 100 dots {percent(score.value, 0)} are filled"
    return (
        f"<figure>{waffle(score.value, score.low, score.high, said)}<figcaption>Filled: "
        f"{esc(filled)}. Pale or open: within the interval.</figcaption></figure>"
    )


def _verdict(report: Report) -> str:
    """The verdict after its first sentence, which the headline has already said."""
    sentences = report.details.get("verdict") or [report.verdict]
    rest = sentences[1:] if report.main in report.test else sentences
    return f'<ul class="verdict">{"".join(f"<li>{esc(s)}</li>" for s in rest)}</ul>'


def scores(report: Report, figures: Mapping[str, Figure]) -> str:
    """Every score with its interval."""
    tiles = []
    for key, score in report.test.items():
        figure = figures.get(key, Figure(key, "", share=False))
        value, low, high = (figure.text(v) for v in (score.value, score.low, score.high))
        tiles.append(
            f'<div><dt>{esc(figure.title)}</dt><dd><span class="big">{value}</span> '
            f'<span class="small">{low} to {high}</span><br>'
            f'<span class="small">{esc(figure.meaning)}</span></dd></div>'
        )
    return section(
        "scores",
        "Scores",
        "Scores",
        f'<dl class="tiles">{"".join(tiles)}</dl>',
        f"Measured on {'answers out of fold' if out_of_fold(report) else 'the test part'} only. "
        "The smaller numbers are 95 % intervals: the range in which the figure would be expected "
        "with endlessly many samples of the same kind.",
    )


def worth(report: Report, figures: Mapping[str, Figure]) -> str:
    """The network beside the simple baselines, the best first."""
    figure, own = figures[report.main], report.test.get(report.main)
    rows = []
    known = report.details.get("baselines", [])
    for each in sorted(known, key=lambda b: float(b["value"]), reverse=not figure.lower):
        title = esc(each.get("title", each["name"]))
        score = Score(float(each["value"]), float(each["low"]), float(each["high"]))
        rows.append((title, score, "", esc(each["words"])))
    if own is not None:
        rows.insert(0, ("<b>This network</b>", own, "ours", ""))
    # Shares fill the bar at 1; of other figures the largest end of an interval does.
    whole = 1.0 if figure.share else max((s.high for _, s, _, _ in rows), default=1.0) or 1.0
    unit = " %" if figure.share else ""
    cells = [
        (
            f'{title}<br><span class="range">{words}</span>' if words else title,
            bar(s.value / whole, s.low / whole, s.high / whole, kind=kind),
            f"{figure.text(s.value)}{unit}<br>"
            f'<span class="range">{figure.text(s.low)} to {figure.text(s.high)}</span>',
        )
        for title, s, kind, words in rows
    ]
    caption = (
        f"{figure.title} on the same test part; the thin line on a bar is the 95 % interval"
        + ("; shorter is better" if figure.lower else "")
    )
    body = table(caption, ("Answer by", "", figure.title), cells, numeric=(2,), kind="bars")
    lead = _gain(report, figure)
    return section("worth", "Worth it?", "Is a network needed at all?", body, lead)


def _gain(report: Report, figure: Figure) -> str:
    gain = report.details.get("gain") or {}
    if not gain:
        return "No simple baseline was measured beside the network."
    titles = {b["name"]: b.get("title", b["name"]) for b in report.details.get("baselines", [])}
    other = esc(titles.get(gain["over"], str(gain["over"])).lower())
    low, high = sorted((figure.gap(gain["low"]), figure.gap(gain["high"])), key=_amount)
    within = f"(95 % interval {low.removesuffix(' points')} to {high.removesuffix(' points')})"
    amount = figure.gap(gain["value"])
    luck = gain.get("luck") or {}
    if luck and luck["low"] <= 0:
        blind = esc(titles.get(luck["over"], str(luck["over"])).lower())
        return f"No: it learned nothing that could be told from luck ({blind} does as well)."
    if gain["low"] > 0:
        better = f"it is better by {amount}" if figure.lower else f"it adds {amount}"
        joint = "than" if figure.lower else "over"
        return f"Yes: {better} {within} {joint} the best simple answer, {other}."
    if gain["high"] < 0:
        return f"No: the best simple answer, {other}, is {amount} better {within}."
    sign = "+" if gain["value"] >= 0 else "-"
    ends = [("-" if gain[k] < 0 else "") + figure.gap(gain[k]) for k in ("low", "high")]
    low, high = (end.removesuffix(" points") for end in ends)
    return (
        f"Not shown: the difference to the best simple answer, {other}, is "
        f"{sign}{amount} (95 % interval {low} to {high}), which may be luck."
    )


def _amount(text: str) -> float:
    return float(text.removesuffix(" points").replace(",", ""))


def data(report: Report, card: Card, figures: Mapping[str, Figure]) -> str:
    """What was learned from what: parts, classes, sizes, skipped files, doubts."""
    noun = esc(report.details.get("noun", "samples"))
    parts = [
        ("training", "what the network learned from", "train"),
        ("validation", "to choose the best state and to set the confidence", "validation"),
        ("test", "looked at once, for this page", "test"),
    ]
    if report.folds:  # every fold held back a validation part of its own
        parts = [("folds", "learned from by all networks but one", "train")]
        parts += [] if out_of_fold(report) else [("test", "looked at once, for this page", "test")]
    rows = [(esc(p), esc(why), count(report.data.get(k, 0))) for p, why, k in parts]
    body = table(f"Where the {noun} went", ("Part", "Used for", "Number"), rows, numeric=(2,))
    body += _skipped(report) + _doubts(report) + honesty(report, figures) + _groups(card)
    body += _classes(card) + _numbers(card)
    into = f" in {len(card.classes)} classes" if card.classes else ""
    opening = (
        f"{count(card.count)} usable {noun}{into}, read as "
        f"{esc(card.layout)} from <code>{esc(card.path)}</code>. {_sizes(card)}; "
        f"{card.channels} channel{'s' if card.channels != 1 else ''}, {esc(card.dtype)}."
    )
    return section("data", "Data", "What it learned from", body, opening)


def _skipped(report: Report) -> str:
    reasons = report.data.get("skipped") or {}
    if not reasons:
        return "<p>No file was skipped.</p>"
    rows = [(esc(reason), count(n)) for reason, n in sorted(reasons.items(), key=lambda r: -r[1])]
    body = table("Files that were skipped", ("Reason", "Files"), rows, numeric=(1,))
    listed = [(name(s["key"]), esc(s["reason"])) for s in report.details.get("skipped", [])]
    if listed:
        body += details(
            f"The skipped files by name ({len(listed)} shown)",
            table("Skipped files", ("File", "Reason"), listed),
        )
    return body


def _doubts(report: Report) -> str:
    if not report.doubts:
        return ""
    items = "".join(f"<li>{esc(d)}</li>" for d in report.doubts)
    title = "<p><b>Worth knowing before you rely on this</b></p>"
    return f'<div class="doubts">{title}<ul>{items}</ul></div>'


def _groups(card: Card) -> str:
    why = card.why.get("groups", "")
    if not card.groups:
        return f"<p>{esc(why)}</p>" if why else ""
    return f"<p>{count(card.groups)} groups that were kept whole: {esc(why)}.</p>"


def _numbers(card: Card) -> str:
    if not card.numbers:
        return ""
    rows = [(name(n.name), plain(n.mean), plain(n.std)) for n in card.numbers]
    head = ("Number", "Mean", "Spread")
    return table("Numbers to be told, over the training part", head, rows, numeric=(1, 2))


def _classes(card: Card) -> str:
    if not card.classes:
        return ""
    parts = [p for p in card.parts if p in card.counts]
    rows = [
        (name(c), *(count(card.counts[p][i]) for p in parts)) for i, c in enumerate(card.classes)
    ]
    head = ("Class", *(f"{p}, as found" for p in parts))
    numbers = range(1, len(head))
    body = table("Usable samples per class, as found", head, rows, numeric=numbers)
    return details(f"All {len(card.classes)} classes with their numbers", body)


def _sizes(card: Card) -> str:
    if card.smallest == card.largest:
        return f"All are {_size(card.median)} cells"
    return (
        f"Sizes run from {_size(card.smallest)} to {_size(card.largest)} cells, the middle one is "
        f"{_size(card.median)}"
    )


def _size(cells: tuple[int, ...]) -> str:
    return " × ".join(map(str, cells)) or "nothing"
