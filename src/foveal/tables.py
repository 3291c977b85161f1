"""Card, plan and report as people read them, on standard error."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bars import clean
from .card import Card
from .drawing.words import learned, percent, plain
from .duration import spoken
from .forms import TextPart
from .plan import Plan
from .report import Report

if TYPE_CHECKING:
    from rich.console import Console

    from .evaluation.audit.found import Audit

MOST_CLASSES = 16
MOST_NAMES = 5
MOST_FOLDS = 8
PARTS = ("data", "augment", "net", "fit", "judge")


def show_card(card: Card) -> None:
    """What is there, and what is wrong with it."""
    out = _console()
    parts = " · ".join(f"{name} {count:,}" for name, count in card.parts.items())
    out.print(clean(f"{card.name or card.path}: {card.count:,} samples ({parts})"), style="bold")
    modes = " · ".join(f"{mode} {count:,}" for mode, count in card.modes.items())
    axes = " · ".join(f"{axis.name}: steps of {axis.step:g} {axis.unit}" for axis in card.axes)
    _facts(
        out,
        {
            "read as": f"{card.layout}, from {card.path}",
            "axes": axes,
            "size": _sizes(card),
            "channels": f"{card.channels}" + (f"   files: {modes}" if modes else ""),
            "values": _values(card),
            "copies": f"{card.copies:,} groups of copies, {card.copied:,} samples, kept on one side"
            * bool(card.copies),
            "to learn": _aim(card),
            "groups": _groups(card),
        },
    )
    _classes(out, card)
    _targets(out, card)
    for group in card.duplicates[:MOST_NAMES]:
        out.print(clean(f"  the same: {' = '.join(group[:MOST_NAMES])}"))
    for group in card.changed[:MOST_NAMES]:
        out.print(clean(f"  a changed copy: {' ~ '.join(group[:MOST_NAMES])}"))
    for reason, count in Counter(s.reason for s in card.skipped).most_common():
        names = [s.key for s in card.skipped if s.reason == reason]
        out.print(clean(f"skipped {count:,}: {reason} ({_some(names)})"), style="yellow")
    for doubt in card.doubts:
        out.print(clean(f"doubt: {doubt}"), style="yellow")


def show_plan(plan: Plan) -> None:
    """Every number with its reason, part by part."""
    from rich.table import Table

    out = _console()
    span = f"{plan.fit.epochs:g} epochs" if plan.budget is None else spoken(plan.budget)
    what = clean(f"{plan.task} {learned(plan)} in {span}: number, value, why")
    out.print(what, style="bold")
    for part in ("", *PARTS):
        out.print(part, style="bold")
        table = Table(box=None, pad_edge=False, show_header=False)
        for width in (24, 20):
            table.add_column(min_width=width, overflow="fold")
        table.add_column(overflow="fold")
        for key, value in _numbers(plan, part):
            table.add_row(clean(key), clean(_short(value)), clean(plan.why.get(key, "")))
        out.print(table)
    out.print("\nChange any of them: --set key=value")


def show_report(report: Report) -> None:
    """The verdict first, then the figures it rests on, and where its run keeps the page."""
    out = _console()
    out.print(clean(report.verdict), style="bold")
    facts = {
        name: f"{score.value:.4f}   95 % interval {score.low:.4f} to {score.high:.4f}"
        for name, score in report.test.items()
    }
    for name, mean in report.repeats.get("mean", {}).items():
        band = report.repeats["band"][name]
        told = f"{mean['mean']:.4f} ± {mean['spread']:.4f}   by chance of the seed up to {band:.4f}"
        facts[f"{report.repeats['count']} seeds: {name}"] = told
    facts |= {f"baseline: {name}": f"{value:.4f}" for name, value in report.baselines.items()}
    used = " · ".join(
        f"{report.data[part]:,} {part}"
        for part in ("train", "validation", "test")
        if isinstance(report.data.get(part), int)
    )
    if report.folds.get("judged") == "out of fold":
        used = f"{report.data['test']:,}, each judged by a network that had never met it"
    _facts(out, {**facts, "samples": used, "cost": _cost(report.cost)})
    if report.folds:
        _folds(out, report.folds)
    for sentence in _honest(report):
        out.print(clean(sentence))
    for reason, count in report.data.get("skipped", {}).items():
        out.print(clean(f"skipped {count}: {reason}"), style="yellow")
    for doubt in report.doubts:
        out.print(clean(f"doubt: {doubt}"), style="yellow")
    run = report.details.get("run")
    if run:
        out.print(clean(f"report: {Path(run) / 'report.html'}"), soft_wrap=True)
        out.print(clean(f"next:   foveal predict {run} INPUT ..."), soft_wrap=True)


def _honest(report: Report) -> list[str]:
    """What of the test part was met in training, and what a random split would have claimed."""
    if not report.leaks and not report.optimism:
        return []
    from .evaluation.page_parts.honest import sentences
    from .planner.task import task_named

    return sentences(report, task_named(report.task).judging.figures)


def show_audit(audit: Audit) -> None:
    """What was found, in sentences, then every change with its figures."""
    from rich.table import Table

    from .evaluation.audit.words import change, sentences

    out = _console()
    first, *rest = sentences(audit)
    out.print(clean(first), style="bold")
    for sentence in rest:
        out.print(clean(f"  {sentence}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("change", overflow="fold")
    for head in ("same answer", "95 % interval", "right", "change of probability"):
        table.add_column(head, justify="right")
    for row in audit.rows:
        same = row.consistency
        table.add_row(
            clean(change(row.name, row.strength)),
            percent(same.value),
            f"{percent(same.low)} to {percent(same.high)}",
            "" if row.accuracy is None else percent(row.accuracy.value),
            plain(row.change.value),
        )
    out.print(table)


def _console() -> Console:
    # Imported here: rich costs 0.15 s, and `--help` must not pay for it.
    from rich.console import Console

    wide = None if sys.stderr.isatty() else 120
    return Console(stderr=True, width=wide, highlight=False, markup=False, emoji=False)


def _facts(out: Console, facts: dict[str, str]) -> None:
    width = max(map(len, facts))
    for name, fact in facts.items():
        if fact:
            out.print(clean(f"  {name:<{width}}  {fact}"), soft_wrap=True)


def _folds(out: Console, folds: dict[str, Any]) -> None:
    """Every score in every fold, and of each class those figures that are scores as well."""
    from rich.table import Table

    each = folds["each"] if folds["count"] <= MOST_FOLDS else []
    table = Table(box=None, pad_edge=False)
    table.add_column("folds", overflow="fold")
    for name in (*(str(one["fold"]) for one in each), "mean ± spread", "pooled"):
        table.add_column(name, justify="right")
    for key, mean in folds["mean"].items():
        values = [one["scores"].get(key, {}).get("value") for one in each]
        pooled = folds["pooled"].get(key, {}).get("value")
        table.add_row(clean(key), *_row(values, mean, pooled))
    for row, means in list(folds["mean_rows"].items())[:MOST_CLASSES]:
        for key in [key for key in means if key in folds["mean"]]:
            values = [one["rows"].get(row, {}).get(key) for one in each]
            pooled = folds["pooled_rows"].get(row, {}).get(key)
            name = clean(f"{key} of {row}")
            table.add_row(name, *_row(values, means[key], pooled))
    out.print(table)


def _row(values: list[Any], mean: dict[str, float], pooled: float | None) -> list[str]:
    *shown, last = ("" if v is None else f"{v:.4f}" for v in (*values, pooled))
    return [*shown, f"{mean['mean']:.4f} ± {mean['spread']:.4f}", last]


def _sizes(card: Card) -> str:
    small, middle, large = (
        " x ".join(map(str, s)) for s in (card.smallest, card.median, card.largest)
    )
    return f"all {middle}" if small == large else f"{small} to {large}, median {middle}"


def _values(card: Card) -> str:
    low, high = min(card.low, default=0.0), max(card.high, default=0.0)
    mean = " ".join(f"{value:.4g}" for value in card.mean)
    return f"{card.dtype}, {low:g} to {high:g}, mean {mean}"


def _aim(card: Card) -> str:
    """What is to be learned, and how that was told where there was a choice."""
    kinds = {
        "label": f"one of {len(card.classes)} classes",
        "labels": f"any of {len(card.classes)} classes",
        "numbers": ", ".join(number.name for number in card.numbers[:MOST_CLASSES]),
    }
    kinds["mask"] = f"one of {len(card.classes)} classes for every cell"
    kinds["boxes"] = f"where things of {len(card.classes)} classes lie"
    why = card.why.get("target", "")
    return f"{kinds[card.target]} ({why})" if why else kinds[card.target]


def _groups(card: Card) -> str:
    why = card.why.get("groups", "")
    return f"{card.groups:,}: {why}" if card.groups else why


def _targets(out: Console, card: Card) -> None:
    from rich.table import Table

    if not card.numbers:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("number", overflow="fold")
    table.add_column("mean", justify="right")
    table.add_column("spread", justify="right")
    for number in card.numbers[:MOST_CLASSES]:
        table.add_row(clean(number.name), plain(number.mean), plain(number.std))
    out.print(table)


def _classes(out: Console, card: Card) -> None:
    if not card.classes:
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("class", overflow="fold")
    for part in card.counts:
        table.add_column(part, justify="right")
    for row, name in enumerate(card.classes[:MOST_CLASSES]):
        table.add_row(clean(name), *[f"{counts[row]:,}" for counts in card.counts.values()])
    out.print(table)
    rest = len(card.classes) - MOST_CLASSES
    if rest > 0:
        totals = [sum(row) for row in zip(*card.counts.values(), strict=True)]
        each = f"{min(totals):,} to {max(totals):,} samples per class"
        out.print(f"... and {rest:,} more classes; {each}")


def _numbers(plan: Plan, part: str) -> list[tuple[str, Any]]:
    if not part:
        return [(name, getattr(plan, name)) for name in ("task", "budget", "seed")]
    noun: Any = getattr(plan, part)
    return [(f"{part}.{f.name}", getattr(noun, f.name)) for f in dataclasses.fields(noun)]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, TextPart):
        return f"{value.unit}, {len(value.words):,} known"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_short, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _cost(cost: dict[str, Any]) -> str:
    said = [spoken(cost["seconds"])] if cost.get("seconds") else []
    said += [f"{cost['samples_per_second']:,.0f} samples/s"] if "samples_per_second" in cost else []
    said += [f"{cost['peak_memory_mb']:,.0f} MB"] if "peak_memory_mb" in cost else []
    return " · ".join([*said, str(cost.get("device", ""))]).rstrip(" ·")
