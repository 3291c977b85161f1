"""Whether one run is better than another, or whether that may be luck."""

from __future__ import annotations

import dataclasses
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..drawing.words import Figure, count
from ..errors import RunError
from ..metrics.intervals import paired, paired_mean, student
from ..record import read_json, to_plain
from ..report import Report, Score
from .kept import PerSample, load_tested

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 10  # samples that both must have been judged on to be compared one by one
How = Literal["same samples", "other samples"]


@dataclasses.dataclass(frozen=True, slots=True)
class Seeds:
    """How far a score moves by the seed alone: standard deviation between trainings, of how many.

    count: trainings behind the score itself. known: whether they were repeated, or the spread of
    the other run stands in.
    """

    spread: float
    count: int
    known: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found.

    figure: the main score. first, second: of each run. difference: by how much the second is
    larger on the samples that were compared, with its 95 % interval, by chance of samples alone;
    whole: chance of seeds included, None where no run says how much that is. samples: compared.
    better: the run that is better by more than luck (all of it that is known), None where there
    is none. verdict: the same in words.
    """

    figure: str
    first: Score
    second: Score
    how: How
    samples: int
    difference: Score
    whole: Score | None
    better: Literal["first", "second"] | None
    verdict: str

    def to_dict(self) -> dict[str, object]:
        return to_plain(self)


def compare(first: str | Path, second: str | Path) -> Comparison:
    """Whether the main scores of two finished runs differ by more than luck.

    On the test samples that both were judged on they are compared one by one; runs that share
    few, or whose score is no mean over samples, by their intervals. Where a run was repeated with
    other seeds (`--repeats`), the chance of these counts as well.

    Raises: RunError when one is no finished run, or their scores are not of one kind.
    """
    runs = Path(first), Path(second)
    reports = [_report(run) for run in runs]
    a, b = reports
    if (a.task, a.main) != (b.task, b.main) or not all(r.main in r.test for r in reports):
        raise RunError(
            f"{a.main} of the task {a.task!r} and {b.main} of {b.task!r} cannot be compared",
            where=f"{first}, {second}",
            mend="give two runs of one task that were judged on test samples",
        )
    from ..planner.task import task_named

    figure = task_named(a.task).judging.figures[a.main]
    one, other = (_mean(report) for report in reports)
    shared = _shared(load_tested(runs[0]), load_tested(runs[1]))
    how: How = "other samples" if shared is None else "same samples"
    difference = _apart(one, other) if shared is None else _gap(*shared)
    samples = min(int(r.data["test"]) for r in reports) if shared is None else len(shared[0])
    seeds = _seeds(*reports)
    whole = None if seeds is None else _wider(difference, *seeds)
    told = difference if whole is None else whole
    better = _better(told, figure)
    words = _verdict(
        (str(first), str(second)), (one, other), figure, difference, told, better, how, samples
    )
    words += " " + _of_seeds(seeds, whole, difference, figure)
    return Comparison(a.main, one, other, how, samples, difference, whole, better, words.rstrip())


def _report(run: Path) -> Report:
    path = run / "report.json"
    if not path.exists():
        begun = (run / "plan.json").exists()
        raise RunError(
            f"{run} has not finished" if begun else f"{run} is no run",
            where=str(run),
            mend=f"foveal train --resume {run}" if begun else "give the folder `train` has written",
        )
    return Report.from_dict(read_json(path), str(path))


def _mean(report: Report) -> Score:
    """The main score; of a repeated run the mean of all, with an interval as wide."""
    score, repeats = report.test[report.main], report.repeats
    if not repeats:
        return score
    move = repeats["mean"][report.main]["mean"] - score.value
    return Score(score.value + move, score.low + move, score.high + move)


def _shared(
    a: PerSample | None, b: PerSample | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """What each test sample of both adds to the score of each; None where these are few."""
    if a is None or b is None:
        return None
    # Copies of one sample are met once: they say the same.
    (ours, mine), (theirs, own) = (np.unique(each.rows, return_index=True) for each in (a, b))
    left, right = mine[np.isin(ours, theirs)], own[np.isin(theirs, ours)]
    if len(left) < max(LEAST, 0.2 * min(len(a.rows), len(b.rows))):
        return None
    if len(a.rows) == len(b.rows) and np.array_equal(np.sort(a.rows), np.sort(b.rows)):
        left, right = (np.argsort(rows, kind="stable") for rows in (a.rows, b.rows))
    return a.each[left], b.each[right]


def _gap(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Score:
    """How much larger ``theirs`` are, on the same rows."""
    if np.isin(ours, (0, 1)).all() and np.isin(theirs, (0, 1)).all():
        return paired(theirs > 0, ours > 0)
    return paired_mean(theirs - ours)


def _apart(one: Score, other: Score) -> Score:
    """How much larger ``other`` is, from two intervals: as if the samples were others.

    Source: Zou and Donner, "Construction of confidence limits about effect measures", 2008.
    """
    gap = other.value - one.value
    low = gap - sqrt((other.value - other.low) ** 2 + (one.high - one.value) ** 2)
    return Score(gap, low, gap + sqrt((other.high - other.value) ** 2 + (one.value - one.low) ** 2))


def _seeds(first: Report, second: Report) -> tuple[Seeds, Seeds] | None:
    """The chance of seeds in both; None where neither was repeated."""
    one, other = _own_seeds(first), _own_seeds(second)
    if one is None:
        return None if other is None else (dataclasses.replace(other, count=1, known=False), other)
    return one, other or dataclasses.replace(one, count=1, known=False)


def _own_seeds(report: Report) -> Seeds | None:
    found = report.repeats
    if not found:
        return None
    return Seeds(float(found["mean"][report.main]["spread"]), int(found["count"]), known=True)


def _wider(difference: Score, one: Seeds, other: Seeds) -> Score:
    """The difference with both chances in its interval: that of samples and that of seeds.

    Errors of both are taken for independent; few trainings tell a spread poorly, which the
    quantile of Student's distribution allows for.
    """
    freedom = sum(each.count - 1 for each in (one, other) if each.known)
    spread = sqrt(sum(each.spread**2 / each.count for each in (one, other)))
    half = student(max(freedom, 1)) * spread
    low, high = (difference.value - difference.low, difference.high - difference.value)
    return Score(
        difference.value,
        difference.value - sqrt(low**2 + half**2),
        difference.value + sqrt(high**2 + half**2),
    )


def _better(told: Score, figure: Figure) -> Literal["first", "second"] | None:
    if told.low <= 0 <= told.high:
        return None
    return "second" if (told.low > 0) != figure.lower else "first"


def _verdict(
    names: tuple[str, str],
    scores: tuple[Score, Score],
    figure: Figure,
    difference: Score,
    told: Score,
    better: Literal["first", "second"] | None,
    how: How,
    samples: int,
) -> str:
    title = figure.title if figure.title.isupper() else figure.title.lower()
    values = [figure.text(score.value) for score in scores]
    on = (
        f"on the same {count(samples)} test samples"
        if how == "same samples"
        else "though not sample by sample"
    )
    if better is None:
        ends = (difference.value, told.low, told.high)
        gap, low, high = (("-" if v < 0 else "+") + _plain(figure, v) for v in ends)
        return (
            f"No difference that could be told from luck: {title} {values[0]} of {names[0]} and "
            f"{values[1]} of {names[1]} ({gap}, 95 % interval {low} to {high}), {on}."
        )
    first, second = (0, 1) if better == "first" else (1, 0)
    least, most = sorted((abs(told.low), abs(told.high)))
    return (
        f"{names[first]} is better than {names[second]} by {figure.gap(difference.value)} (95 % "
        f"interval {_plain(figure, least)} to {_plain(figure, most)}): {title} {values[first]} "
        f"against {values[second]}, {on}."
    )


def _plain(figure: Figure, gap: float) -> str:
    """A difference without sign and unit."""
    return figure.gap(gap).removesuffix(" points")


def _of_seeds(
    seeds: tuple[Seeds, Seeds] | None, whole: Score | None, difference: Score, figure: Figure
) -> str:
    """What is known of the chance of seeds."""
    if seeds is None or whole is None:
        return (
            "Each was trained once: how much another seed alone would move it is not known "
            "(train with --repeats 3)."
        )
    told = f"A seed moves them by {' and '.join(figure.gap(s.spread) for s in seeds)}"
    if not all(s.known for s in seeds):
        told = (
            f"A seed moves one of them by {figure.gap(seeds[0].spread)}, the other is taken alike"
        )
    if _better(difference, figure) is not None and _better(whole, figure) is None:
        return f"{told}; without that chance it would seem to be a difference."
    return f"{told}, which the interval allows for."
