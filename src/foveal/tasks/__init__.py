"""A task is head x loss x scores x answers. One file per task; the file name is its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..baselines import Baseline, Question
from ..card import Card
from ..drawing.words import Figure
from ..grid import Sample
from ..metrics.odd_masks import Odd
from ..plan import Plan
from ..report import Report, Score
from ..target import Target

Calibration = Mapping[str, Any]  # plain JSON: what was fitted on the validation part


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network said of one part.

    raw: (N, ...) as the head gives it. target: (N, ...) encoded truth. keys: names of the
    samples. picture: position -> a data URI, or the words of a text; asked only for what the
    page shows. noun: what one calls the samples ("pictures"). pair: position -> truth and answer
    drawn on the sample, for tasks with `Own`.
    known: raw and targets of what was learned from, where ``Judging.recalls`` asked for it.
    """

    raw: NDArray[np.float32]
    target: NDArray[Any]
    keys: Sequence[str]
    picture: Callable[[int], str] | None = None
    noun: str = "samples"
    pair: Callable[[int], tuple[str, str]] | None = None
    known: tuple[NDArray[np.float32], NDArray[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a network after the test part.

    scores: in the order of ``Judging.figures``; empty without rows. calibration: figures of the
    test part that stand beside what was fitted. details: what the page draws, plain JSON, with
    "baselines" and "gain" among it (see tasks/_worth.py). verdict: sentences, the score first.
    """

    scores: dict[str, Score]
    calibration: dict[str, Any]
    details: dict[str, Any]
    verdict: list[str]
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judging:
    """How a task is scored.

    Args:
        main: the score that leads the report and is compared with baselines.
        best: the score of ``quick`` by which weights are chosen; higher is better.
        figures: how each score is called and read, in the order of the report.
        quick: raw, target, plan -> scores of the validation part while training goes on.
        luck: value of ``best``, rows -> its standard error: less is no difference.
        calibrate: raw and target of the validation part, plan -> what makes answers honest.
        judge: answers on the test part, plan, calibration, baselines -> everything measured.
        baselines: what simple models say of the same test rows.
        recalls: targets of the learned and of the test rows -> must judging know what the network
            says of the learned ones (a gallery)? None where never.
        floor: calibration, identities in a gallery -> the score from which on a name is said;
            None where answers are no vectors to compare.
        each: raw, target, plan -> ``(N,)``, whose mean is the main score; None where that is no
            mean over samples.
        odd: raw, target, plan -> what speaks against the truth of each sample, for answers out of
            fold; None where the task ``chooses`` (see metrics/doubtful.py) or nothing is known.
        rows: the key of ``Judged.details`` with a row per class or number: its "name", and
            figures, each with "value" or as it is.
    """

    main: str
    best: str
    figures: Mapping[str, Figure]
    quick: Callable[[NDArray[np.float32], NDArray[Any], Plan], dict[str, float]]
    luck: Callable[[float, int], float]
    calibrate: Callable[[NDArray[np.float32], NDArray[Any], Plan], dict[str, Any]]
    judge: Callable[[Answers, Plan, Calibration, Sequence[Baseline]], Judged]
    baselines: Callable[[Question, Plan], tuple[Baseline, ...]]
    recalls: Callable[[NDArray[Any], NDArray[Any]], bool] | None = None
    floor: Callable[[Calibration, int], float | None] | None = None
    each: Callable[[NDArray[np.float32], NDArray[Any], Plan], NDArray[Any]] | None = None
    odd: Callable[[NDArray[np.float32], NDArray[Any], Plan], list[Odd]] | None = None
    rows: str = "per_class"


@dataclass(frozen=True, slots=True)
class Asked:
    """What ``answers`` needs to say more than it does unasked.

    calibration: what was fitted, and what was asked for. columns: more of a csv file.
    """

    calibration: Calibration
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """How a task's answers and report are worded.

    Args:
        answers: done (N, ...), plan, calibration -> one object of strict JSON per sample.
        columns: plan -> columns of a csv file behind "input"; "error" is among them.
        flat: answer -> its cells by column.
        line: answer -> a few words for a terminal.
        headline: report -> the page's title; the first number in it is set apart.
        dots: what the filled ones of a hundred dots are; "" where ``main`` is no share of samples.
        sections: report -> sections of the page between data and training, as safe HTML.
        terms: words to explain, with their explanations.
        asked: calibration, how often an answer must hold the truth or None, whether what is
            unknown must be told -> that which ``answers`` takes then. Raises: RunError where it
            cannot be had. None where answers of the task have neither.
    """

    answers: Callable[[NDArray[np.float64], Plan, Calibration], list[dict[str, Any]]]
    columns: Callable[[Plan], tuple[str, ...]]
    flat: Callable[[Mapping[str, Any]], dict[str, Any]]
    line: Callable[[Mapping[str, Any]], str]
    headline: Callable[[Report], str]
    dots: str
    sections: Callable[[Report], list[str]]
    terms: tuple[tuple[str, str], ...]
    asked: Callable[[Calibration, float | None, bool], Asked] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """All that planner, trainer, evaluator, explainer and exporter ask of a task.

    ``raw`` is what the head returns and ``done`` what ``finish`` makes of it; their shapes are
    the task's own business, with the sample first. ``decode`` undoes ``encode``: an ideal
    ``done`` gives back y. tests/test_tasks.py holds every file of this folder to it.

    Args:
        target: what y looks like; a set of another kind is brought to it (datasets/targets.py).
        fits: can the task be read off the data?
        check: card -> nothing. Raises: PlanError where there is nothing to learn.
        planned: the plan that the data asks for, card -> the plan that the task asks for besides
            (weights of rare classes, smoothing), each change with its reason.
        encode: the y of many samples -> target, first axis B. Raises: DataError.
        head: plan, channels of the backbone's last stage, targets of the training part or
            None -> the module that ends the network.
        loss: raw, target, mask ``(B, 1, *S)`` or None, plan -> scalar.
        finish: raw, plan, calibration -> done; exported with the network.
        decode: done -> one plain value per sample.
        ideal: target -> raw of a network that knows it.
        evidence: raw, choice -> ``(B,)``, how much speaks for the choice.
        example: rank -> a dozen easy samples.
        brief: raw, target -> what judging needs of them; None where that is all. Tasks with an
            answer per cell count here, batch by batch, so that memory does not grow with the set:
            ``quick``, ``calibrate`` and ``judge`` then see these counts as raw and target.
        own: answers on each sample's own grid; None where answers have no place.
        sized: plan, card, what may be spent -> the plan with another network than one for an
            answer per sample; before ``planned``. None where that will do.
        apart: why whole classes lie on one side of a split, where they must: the task is about
            classes that training never met, and other data may bring such. "" where samples part.
        start: network, raw samples ``(N, C, *S)`` and targets of the training part, plan ->
            nothing; gives the network better first weights. None where chance will do.
        joined: raw of several networks ``(M, B, ...)``, plan, calibration -> raw ``(B, ...)``
            whose ``finish`` is the mean of the ``finish`` of each. None where there is no mean.
        alone: why there is none, where ``joined`` is None; "" where there is.
        chooses: whether done is (B, K) probabilities, of which the largest is the answer: such
            answers can be compared before and after a change (an audit).

    Targets of a kind that lies on the grid (datasets/truths/) come to ``encode`` and ``loss`` as
    stored: of masks ``(B, *S)`` uint8 with `VOID`. A head whose ``every_stage`` is true is called
    with the features of all levels (see networks/build.py).
    """

    target: Target
    fits: Callable[[Card], bool]
    check: Callable[[Card], None]
    planned: Callable[[Plan, Card], Plan]
    encode: Callable[[Any, Plan], Tensor]
    head: Callable[[Plan, int, Tensor | None], nn.Module]
    loss: Callable[[Tensor, Tensor, Tensor | None, Plan], Tensor]
    finish: Callable[[Tensor, Plan, Calibration], Tensor]
    decode: Callable[[Tensor, Plan], list[Any]]
    ideal: Callable[[Tensor, Plan], Tensor]
    evidence: Callable[[Tensor, Any], Tensor]
    example: Callable[[int], list[Sample]]
    judging: Judging
    telling: Telling
    brief: Callable[[Tensor, Tensor, Plan], tuple[Tensor, Tensor]] | None = None
    sized: Callable[[Plan, Card, Spend], Plan] | None = None
    own: Own | None = None
    apart: str = ""
    start: Callable[[Any, Tensor, Tensor, Plan], None] | None = None
    joined: Callable[[Tensor, Plan, Calibration], Tensor] | None = None
    alone: str = ""
    chooses: bool = False


@dataclass(frozen=True, slots=True)
class Spend:
    """What a network may cost.

    operations: of the whole training, forward and backward, two for each multiply-add. told: the
    same in words. train: training samples. epochs: passes over them where these were asked for.
    """

    operations: float
    told: str
    train: int
    epochs: float | None = None


Told = tuple[str, tuple[int, ...], Mapping[str, Any]]  # name, cells, answer of one sample
Ask = Callable[[NDArray[Any]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Own:
    """How a task answers on a sample's own grid, where its answers have places.

    answer: ask, sample, plan, calibration -> strict JSON, save for values that are arrays. ``ask``
    takes prepared samples ``(B, C, *S)`` to raw answers, averaged over the planned views.
    tally: answer, the sample's y as read, plan -> raw and target of one row, as ``brief`` makes
    them of a prepared sample; scores of the test part are of these.
    files: answer, sample -> ending and content of a file that holds it for other programs.
    picture: answer, sample -> ending and content of a picture of it; None where ``files`` is one.
    whole: name, size and answer of all samples -> name and content of one file that holds all
    answers; None where there is no such.
    drawn: answer or y, sample -> what a page shows of it, as a data URI.
    asks: sample, plan -> prepared samples that ``answer`` asks about, 1 where it is not cut in
    windows. With it samples may be larger than memory: x is then a view of a file.
    """

    answer: Callable[[Ask, Sample, Plan, Calibration], dict[str, Any]]
    tally: Callable[[Mapping[str, Any], Any, Plan], tuple[NDArray[Any], NDArray[Any]]]
    files: Callable[[Mapping[str, Any], Sample], tuple[str, bytes]]
    drawn: Callable[[Any, Sample, Plan], str]
    picture: Callable[[Mapping[str, Any], Sample, Plan], tuple[str, bytes]] | None = None
    whole: Callable[[Sequence[Told], Plan], tuple[str, bytes] | None] | None = None
    asks: Callable[[Sample, Plan], int] | None = None


def briefly(task: Task, raw: Tensor, target: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """What is kept of a batch of answers and its truth until they are judged, sample first."""
    return (raw, target) if task.brief is None else task.brief(raw, target, plan)


def finished(
    task: Task, raw: NDArray[np.float32], plan: Plan, calibration: Calibration
) -> NDArray[np.float64]:
    """Raw answers as they are said, in double precision so that near-certain ones stay apart."""
    done = task.finish(torch.from_numpy(np.asarray(raw)).double(), plan, calibration)
    return np.asarray(done.numpy(), np.float64)
