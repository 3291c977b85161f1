"""A classifier's part of the page: confusions, classes, confidence, mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..drawing.charts import bar, reliability_diagram
from ..drawing.markup import between, details, esc, name, section, shown, table
from ..drawing.words import count, percent
from ..report import Report
from . import _classify_sets as sets

SHOWN = 25  # classes listed at once
NOTED = 8  # confusions told in words


TERMS = (
    ("Accuracy", "How many of 100 answers are right."),
    (
        "Balanced accuracy",
        "The same, worked out for each class first and then averaged, so that rare classes "
        "count as much as common ones.",
    ),
    ("F1", "One number for finding all of a class and naming nothing else so. 100 is best."),
    (
        "AUROC",
        "The chance that a sample of the class gets a higher probability for it than a sample "
        "of another class. 100 is best, 50 is guessing.",
    ),
    (
        "Log loss",
        "How surprised the network is by the truth, on average. 0 is best; being sure and wrong "
        "costs most.",
    ),
    (
        "Calibration",
        "Whether answers given with, say, 90 % confidence are right in 90 of 100 cases. The "
        "temperature is the number by which all scores are divided to bring that about.",
    ),
)


def headline(report: Report) -> str:
    """ "About 91 of 100 new pictures are named rightly" as text."""
    score, noun = report.test["accuracy"], report.details.get("noun", "samples")
    whole = round(100 * score.value)
    whole = min(whole, 99) if score.value < 1 else whole
    return f"About {whole} of 100 new {noun} are named rightly"


def sections(report: Report) -> list[str]:
    """Where the answers are right and wrong."""
    found = [confusions(report), classes(report), confidence(report), sets.page(report)]
    return [*found, mistakes(report)]


def confusions(report: Report) -> str:
    """The commonest mistakes in words, and the matrix as a heat table."""
    found = report.details.get("confusions", [])
    matrix = report.details.get("confusion", {})
    if not found:
        return section(
            "confusions", "Confusions", "What is taken for what", "<p>Nothing was confused.</p>"
        )
    items = "".join(
        f"<li>{name(c['true'])} called {name(c['said'])}: {count(c['count'])} "
        f'<span class="range">({percent(c["share"])} % of that class)</span></li>'
        for c in found[:NOTED]
    )
    most = found[0]
    lead = (
        f"Of {count(report.details.get('mistake_count', 0))} mistakes the commonest is "
        f"{name(most['true'])} called {name(most['said'])}."
    )
    told = f'<div><h3>The commonest confusions</h3><ol class="said">{items}</ol></div>'
    body = f'<div class="side">{_matrix(matrix)}{told}</div>'
    return section("confusions", "Confusions", "What is taken for what", body, lead)


def _matrix(matrix: Mapping[str, Any]) -> str:
    if not matrix:
        return ""
    shown: Sequence[int] = matrix["shown"]
    names = [matrix["classes"][i] for i in shown]
    cells = [[matrix["matrix"][i][j] for j in shown] for i in shown]
    totals = [matrix["counts"][i] for i in shown]
    body = "".join(
        f'<tr><th scope="row">{name(names[i], 18)}</th>{_row(i, names, cells[i], totals[i])}</tr>'
        for i in range(len(names))
    )
    head = "".join(f'<th scope="col"><span>{name(n, 18)}</span></th>' for n in names)
    words = "Confusion matrix: rows are the truth, columns what was said, in numbers"
    if len(shown) < matrix["of"]:
        words += f"; the {len(shown)} most confused of {matrix['of']} classes"
    return (
        f'<div class="scroll" role="region" tabindex="0" '
        f'aria-label="{esc(words)}"><table class="heat"><caption>{esc(words)}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(place: int, names: Sequence[str], cells: Sequence[int], total: int) -> str:
    drawn = []
    for j, number in enumerate(cells):
        share = number / total if total else 0.0
        # A square root lets rare confusions be seen beside the diagonal.
        depth = 0.08 + 0.87 * share**0.5
        kinds = ["hit"] if j == place else []
        kinds += ["nil"] if not number else ["on"] if j == place and depth > 0.87 else []
        said = f"{names[place]} called {names[j]}: {number} ({percent(share)} %)"
        look = f'class="{" ".join(kinds)}" style="--s:{depth:.2f}"'
        drawn.append(f'<td {look} title="{esc(said)}">{number}</td>')
    return "".join(drawn)


def classes(report: Report) -> str:
    """Every class, the weakest first, with intervals."""
    rows = sorted(
        report.details.get("per_class", []),
        key=lambda r: (r["count"] == 0, r["recall"]["value"], r["name"]),
    )
    head = ("Class", "Test", "", "Found", "", "Right when said", "F1", "AUROC")
    cells = [_class(r) for r in rows]
    caption = "Found: share of the class recognised. Right when said: share of such answers right"
    body = table(caption, head, cells[:SHOWN], numeric=(1, 3, 5, 6, 7), kind="classes")
    if len(cells) > SHOWN:
        rest = table(caption, head, cells[SHOWN:], numeric=(1, 3, 5, 6, 7), kind="classes")
        body += details(f"The other {len(cells) - SHOWN} classes", rest)
    lead = "The weakest first. The thin line on a bar is the 95 % interval."
    return section("classes", "Classes", "Class by class", body, lead)


def _class(row: Mapping[str, Any]) -> tuple[str, ...]:
    pairs = []
    for key, seen in (("recall", row["count"]), ("precision", row["said"])):
        s = row[key]
        if not seen:
            pairs += ["", "–"]
            continue
        text = f"{percent(s['value'])}<br>{between(s['low'], s['high'])}"
        kind = "ours" if key == "recall" else ""
        pairs += [bar(s["value"], s["low"], s["high"], kind=kind), text]
    area = "–" if row["auroc"] is None else percent(row["auroc"])
    return (name(row["name"]), count(row["count"]), *pairs, percent(row["f1"]), area)


def confidence(report: Report) -> str:
    """Whether "90 % sure" means right nine times of ten."""
    rows = report.details.get("reliability", [])
    known = report.calibration
    if not rows:
        return ""
    top = min(rows, key=lambda r: abs(r["confidence"] - 0.9))
    words = (
        f"When it is about {percent(top['confidence'])} % sure, it is right "
        f"{percent(top['right'])} % of the time."
    )
    luck = report.details.get("ece_by_luck", 0.0)
    text = (
        f"<p>{words}</p><p>Each dot stands for answers of like confidence: how sure they were, "
        "across, and how often they were right, upwards. On the dashed line both agree; below it "
        "the network is too sure of itself. Bigger dots hold more answers.</p>"
        f"<p>On average the two differ by <b>{percent(known['ece'])}</b> points; "
        f"{percent(luck)} would be seen by luck alone if every confidence were exactly right. "
        f"Before the confidence was set on the validation part (temperature "
        f"{known['temperature']:.2f}) they differed by {percent(known['ece_uncalibrated'])}.</p>"
    )
    chart = reliability_diagram(f"Reliability diagram. {words}", rows)
    cells = [
        (
            f"{percent(r['from'])} to {percent(r['to'])}",
            percent(r["confidence"]),
            f"{percent(r['right'])} {between(r['low'], r['high'])}",
            count(r["count"]),
        )
        for r in rows
    ]
    head = ("Stated, %", "Mean, %", "Right, %", "Answers")
    behind = table("Confidence and truth", head, cells, numeric=(1, 2, 3))
    body = f'<div class="two"><figure>{chart}</figure><div>{text}</div></div>'
    body += details("The figures behind the chart", behind)
    lead = "A probability is only worth something when it comes true as often as it says."
    return section("confidence", "Confidence", "Can its confidence be believed?", body, lead)


def mistakes(report: Report) -> str:
    """The wrong answers a person should look at, as pictures with their files."""
    shown = report.details.get("mistakes", [])
    if not shown:
        return section(
            "mistakes",
            "Mistakes",
            "Mistakes to look at",
            "<p>There were none on the test part.</p>",
        )
    groups = (
        ("confident", "Wrong and most confident", "Often the label itself is wrong here."),
        ("worst", "The worst of other classes", "Where the truth seemed least likely."),
    )
    body = ""
    for kind, title, why in groups:
        chosen = [m for m in shown if m["kind"] == kind]
        if chosen:
            items = "".join(_mistake(m, str(report.details.get("noun", "samples"))) for m in chosen)
            body += f'<h3>{title}</h3><p class="range">{why}</p><ul class="gallery">{items}</ul>'
    lead = (
        f"{len(shown)} of {count(report.details.get('mistake_count', len(shown)))} mistakes on "
        "the test part, each with the file it came from."
    )
    return section("mistakes", "Mistakes", "Mistakes to look at", body, lead)


def _mistake(each: Mapping[str, Any], noun: str) -> str:
    sure = f"{percent(each['probability'], 0)}\u00a0%"
    alt = f"{noun.removesuffix('s')} {each['key']}: truly {each['true']}, called {each['said']}"
    return (
        f"<li>{shown(str(each['picture']), alt)}"
        f'<p>said <b class="wrong">{name(each["said"], 40)}</b>, {sure} sure<br>'
        f'is <b class="right">{name(each["true"], 40)}</b></p>'
        f'<p class="file">{name(each["key"], 60)}</p></li>'
    )
