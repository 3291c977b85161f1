"""How the network came about: training curves, cost, the plan with its reasons, a glossary."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ...drawing.charts import lines
from ...drawing.markup import details, esc, facts, section, table
from ...drawing.words import Figure, count, duration, percent
from ...forms import TextPart
from ...plan import Plan
from ...report import Report

PARTS = {
    "data": "How a sample becomes input",
    "augment": "Random changes while training",
    "net": "The network",
    "fit": "How it was trained",
    "judge": "How it was judged",
}
BEFORE = (
    (
        "Training, validation and test part",
        "Three groups of samples. The network learns from the first, choices are made with the "
        "second, and the third is only used once, at the end, to measure.",
    ),
    (
        "95 % interval",
        "A range made so that in 95 of 100 such experiments it holds the true value. Fewer test "
        "samples make it wider.",
    ),
)
BEHIND = (
    (
        "Baseline",
        "A simple answer that needs no network. When it does as well, it should be preferred.",
    ),
    (
        "Convolutional neural network",
        "A stack of small filters that slide over the input; each layer looks at the findings "
        "of the one before, and so at a larger part.",
    ),
    ("Epoch", "One pass over all training samples."),
    (
        "Augmentation",
        "Small random changes to training samples that do not change what they show, so that "
        "more is learned from few.",
    ),
)


def training(report: Report, best: Figure | None) -> str:
    """Loss and score over time; ``best`` reads the score by which weights were chosen."""
    history: dict[str, Any] = report.details.get("history") or {}
    key = next((k for k in ("epoch", "step", "seconds") if k in history), "")
    charts = []
    losses = {
        "training": _curve(history, key, "loss"),
        "validation": _curve(history, key, "validation_loss"),
    }
    losses = {k: v for k, v in losses.items() if len(v) > 1}
    if losses:
        charts.append(_figure("Loss: how wrong it still is; lower is better", losses, key, False))
    score = _curve(history, key, "score")
    if len(score) > 1:
        title = f"{best.title if best else 'Score'} on the validation part"
        share = best is not None and best.share
        charts.append(_figure(title, {"validation": score}, key, share))
    if not charts:
        return ""
    columns = list(history)
    rows = [tuple(_cell(history[c][i]) for c in columns) for i in range(len(history[key]))]
    behind = table("Training, step by step", columns, rows, numeric=range(1, len(columns)))
    body = f'<div class="two">{"".join(charts)}</div>'
    body += details("The figures behind the charts", behind)
    return section("training", "Training", "How it learned", body)


def cost(report: Report) -> str:
    """What the run took."""
    known = report.cost
    words = {
        "seconds": ("Whole command", duration),
        "samples_per_second": ("Samples per second in training", count),
        "peak_memory_mb": ("Most memory used", lambda v: f"{count(v)}\u00a0MB"),
        "macs_per_sample": ("Multiply-adds per sample", lambda v: f"{v / 1e6:,.1f} million"),
        "fraction_of_peak": (
            "Share of the machine's measured best",
            lambda v: f"{percent(v)}\u00a0%",
        ),
        "device": ("Device", esc),
        "threads": ("Threads", count),
        "precision": ("Precision", esc),
    }
    pairs = []
    for key, value in known.items():
        title, shown = words.get(key, (str(key).replace("_", " ").capitalize(), _plain))
        if value is None or isinstance(value, dict | list):
            continue
        pairs.append((title, esc(shown(value)) if isinstance(value, int | float) else esc(value)))
    return section("cost", "Cost", "What it took", facts(pairs)) if pairs else ""


def plan_table(plan: Plan) -> str:
    """Every number of the plan with its reason."""
    body = ""
    for part, title in PARTS.items():
        noun = getattr(plan, part)
        rows = [
            (
                f"<code>{esc(field.name)}</code>",
                f"<code>{esc(_value(getattr(noun, field.name)))}</code>",
                _why(plan.why.get(f"{part}.{field.name}", "")),
            )
            for field in dataclasses.fields(noun)
        ]
        inside = table(title, ("Setting", "Value", "Why"), rows, kind="plan")
        body += details(title, inside, opened=part == "net")
    whole = [("Seed", f"<code>{plan.seed}</code>")]
    if plan.budget is not None:
        whole.insert(0, ("Time allowed", esc(duration(plan.budget))))
    lead = "Every number that was decided before training, and why. Marked ones were set by you."
    return section("plan", "Plan", "The plan", facts(whole) + body, lead)


def glossary(terms: Sequence[tuple[str, str]]) -> str:
    """The words of this page explained, ``terms`` of the task among them."""
    known = (*BEFORE, *terms, *BEHIND)
    items = "".join(f"<dt>{esc(t)}</dt><dd>{esc(d)}</dd>" for t, d in known)
    return section("words", "Glossary", "Words used here", f'<dl class="glossary">{items}</dl>')


def _figure(title: str, series: dict[str, list[tuple[float, float]]], key: str, share: bool) -> str:
    last = {k: v[-1][1] for k, v in series.items()}
    ends = "; ".join(
        f"{k} ends at {percent(v) + ' %' if share else f'{v:.3g}'}" for k, v in last.items()
    )
    chart = lines(f"{title}. {ends}.", series, key, share=share)
    return f"<figure><figcaption>{esc(title)}</figcaption>{chart}</figure>"


def _curve(history: dict[str, Any], key: str, name: str) -> list[tuple[float, float]]:
    pairs = zip(history.get(key, []), history.get(name, []), strict=False)
    return [(float(x), float(y)) for x, y in pairs if x is not None and y is not None]


def _why(text: str) -> str:
    if not text:
        return "–"
    return f'<span class="mine">{esc(text)}</span>' if text.startswith("set by you") else esc(text)


def _value(value: object, *, inner: bool = False) -> str:
    if isinstance(value, TextPart):
        return f"{value.unit}, {len(value.words):,} known"
    if isinstance(value, tuple | list):
        between = " × " if inner else ", "
        return between.join(_value(v, inner=True) for v in value) if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: float) -> str:
    return f"{value:,.4g}"


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:,.5g}"
