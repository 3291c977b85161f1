"""The top of the page: the score in one sentence, how sure it is, the verdict, all scores."""

from __future__ import annotations

from ...card import Card
from ...plan import Plan
from ...report import Report, Score
from ..charts import bar, waffle
from ..words import count, percent
from .markup import between, details, esc, name, section, table

TITLES = {
    "accuracy": ("Accuracy", "share named rightly"),
    "balanced_accuracy": ("Balanced accuracy", "every class counts the same"),
    "f1_macro": ("F1, mean of classes", "finding all and naming only those"),
    "auroc": ("AUROC", "ranks right above wrong; 50 is chance"),
    "log_loss": ("Log loss", "surprise at the truth; lower is better"),
    "ece": ("Calibration error", "confidence against truth; lower is better"),
}
BASELINES = {
    "majority": "Always the commonest class",
    "nearest_centroid": "Nearest class mean",
    "logistic_regression": "Logistic regression",
    "ridge_regression": "Ridge regression",
}


def headline(report: Report) -> str:
    """ "About 91 of 100 new pictures are named rightly." as text."""
    score, noun = report.test.get("accuracy"), report.details.get("noun", "samples")
    if score is None:
        return f"No {noun} to judge by"
    whole = round(100 * score.value)
    whole = min(whole, 99) if score.value < 1 else whole
    return f"About {whole} of 100 new {noun} are named rightly"


def header(report: Report, card: Card, plan: Plan) -> str:
    """The banner: name, headline, interval, verdict, a hundred dots."""
    title = esc(headline(report))
    words = f"{name(card.name or card.path)} · {len(plan.classes)} classes"
    score = report.test.get("accuracy")
    sure, dots = "", ""
    if score is not None:
        noun = esc(report.details.get("noun", "samples"))
        sure = (
            f'<p class="sure">The true figure lies between <b>{percent(score.low)}</b> and '
            f"<b>{percent(score.high)}</b>. <span>(95 % interval, from "
            f"{count(report.data.get('test', 0))} test {noun} that were kept apart and looked at "
            f"once.)</span></p>"
        )
        said = f"Of 100 dots {percent(score.value, 0)} are filled"
        dots = (
            f"<figure>{waffle(score.value, score.low, score.high, said)}<figcaption>Filled: named "
            "rightly. Pale or open: within the interval.</figcaption></figure>"
        )
        number = title.split(" ")[1]
        title = title.replace(f" {number} of 100 ", f" <b>{number} of 100</b> ", 1)
    return (
        f'<header><p class="eyebrow">Foveal report · {words}</p><div class="hero"><div>'
        f"<h1>{title}</h1>{sure}"
        f"{_verdict(report)}</div>{dots}</div></header>"
    )


def _verdict(report: Report) -> str:
    """The verdict after its first sentence, which the headline has already said."""
    sentences = report.details.get("verdict") or [report.verdict]
    rest = sentences[1:] if "accuracy" in report.test else sentences
    return f'<ul class="verdict">{"".join(f"<li>{esc(s)}</li>" for s in rest)}</ul>'


def scores(report: Report) -> str:
    """Every score with its interval."""
    tiles = []
    for key, score in report.test.items():
        title, meaning = TITLES.get(key, (key, ""))
        value, low, high = (_figure(key, v) for v in (score.value, score.low, score.high))
        tiles.append(
            f'<div><dt>{esc(title)}</dt><dd><span class="big">{value}</span> '
            f'<span class="small">{low} to {high}</span><br>'
            f'<span class="small">{esc(meaning)}</span></dd></div>'
        )
    return section(
        "scores",
        "Scores",
        f'<dl class="tiles">{"".join(tiles)}</dl>',
        "Measured on the test part only. The smaller numbers are 95 % intervals: the range in "
        "which the figure would be expected with endlessly many samples of the same kind.",
    )


def worth(report: Report) -> str:
    """The network beside the simple baselines."""
    own = report.test.get("accuracy")
    rows = []
    if own is not None:
        rows.append(("<b>This network</b>", own, "ours", ""))
    known = report.details.get("baselines", [])
    for each in sorted(known, key=lambda b: -float(b["value"])):
        title = esc(BASELINES.get(each["name"], str(each["name"])))
        score = Score(float(each["value"]), float(each["low"]), float(each["high"]))
        rows.append((title, score, "", esc(each["words"])))
    cells = [
        (
            f'{title}<br><span class="range">{words}</span>' if words else title,
            bar(s.value, s.low, s.high, kind=kind),
            f"{percent(s.value)} %<br>{between(s.low, s.high)}",
        )
        for title, s, kind, words in rows
    ]
    caption = "Accuracy on the same test part; the thin line on a bar is the 95 % interval"
    body = table(caption, ("Answer by", "", "Accuracy"), cells, numeric=(2,), kind="bars")
    return section("worth", "Is a network needed at all?", body, _gain(report))


def _gain(report: Report) -> str:
    gain = report.details.get("gain") or {}
    if not gain:
        return "No simple baseline was measured beside the network."
    other = esc(BASELINES.get(gain["over"], str(gain["over"])).lower())
    points = f"{abs(100 * gain['value']):.1f} points"
    low, high = sorted((abs(100 * gain["low"]), abs(100 * gain["high"])))
    between = f"(95 % interval {low:.1f} to {high:.1f})"
    if gain["low"] > 0:
        return f"Yes: it adds {points} {between} over the best simple answer, {other}."
    if gain["high"] < 0:
        return f"No: the best simple answer, {other}, is {points} better {between}."
    return (
        f"Not shown: the difference to the best simple answer, {other}, is "
        f"{100 * gain['value']:+.1f} points (95 % interval {100 * gain['low']:.1f} to "
        f"{100 * gain['high']:.1f}), which may be luck."
    )


def data(report: Report, card: Card) -> str:
    """What was learned from what: parts, classes, sizes, skipped files, doubts."""
    noun = esc(report.details.get("noun", "samples"))
    parts = [
        ("training", "what the network learned from", "train"),
        ("validation", "to choose the best state and to set the confidence", "validation"),
        ("test", "looked at once, for this page", "test"),
    ]
    rows = [(esc(p), esc(why), count(report.data.get(k, 0))) for p, why, k in parts]
    body = table(f"Where the {noun} went", ("Part", "Used for", "Number"), rows, numeric=(2,))
    body += _skipped(report) + _doubts(report) + _classes(card)
    opening = (
        f"{count(card.count)} usable {noun} in {len(card.classes)} classes, read as "
        f"{esc(card.layout)} from <code>{esc(card.path)}</code>. {_sizes(card)}; "
        f"{card.channels} channel{'s' if card.channels != 1 else ''}, {esc(card.dtype)}."
    )
    return section("data", "What it learned from", body, opening)


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


def _classes(card: Card) -> str:
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


def _figure(key: str, value: float) -> str:
    return f"{value:.3f}" if key == "log_loss" else f"{percent(value)}"
