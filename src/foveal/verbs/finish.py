"""After training: choose the weights, calibrate, judge once on the test part, report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..baselines import Baseline
from ..datasets.tokens import excerpt, text_of
from ..drawing.pictures import picture
from ..drawing.words import noun
from ..evaluation.page import write_page
from ..evaluation.predict import (
    PLAIN,
    View,
    asker,
    batch_size,
    briefs,
    logits,
    on_own_grids,
)
from ..evaluation.summary import summarise
from ..evaluation.video_baselines import DOUBT, MOST, Change, changed, matters, motion, sentence
from ..grid import Sample, time_of
from ..networks.build import Network
from ..networks.ensemble import Ensemble
from ..networks.fold import plain
from ..networks.weights import save_weights
from ..plan import Plan, replace_part
from ..progress import Progress
from ..record import write_json
from ..report import Report, Score
from ..tasks import Answers, Calibration, Task
from .choice import choose
from .costs import scarce, spent
from .hold import writing
from .kept import PerSample, save_answers, save_tested
from .ladder import ladder
from .leaks import leaks
from .optimism import optimism
from .prepare_run import part, task_of
from .sources import alike, groups_of

if TYPE_CHECKING:
    from ..datasets.batches import Batches
    from ..datasets.split import Split
    from ..datasets.survey import Survey
    from ..training.history import History


def validation(plan: Plan, survey: Survey, split: Split) -> Callable[[nn.Module], dict[str, float]]:
    """What the loop asks now and then: the task's quick scores on the validation part.

    In one plain view; where first weights stand for choice, in the views that will judge them
    (equal error of theirs on held-back ORL faces 0.105 in a plain view, 0.065 in all).
    """
    task = task_of(plan)
    views = PLAIN if task.start is None else None
    rows = split.validation if len(split.validation) else split.train[:1000]
    batches = part(plan, survey, rows, batch_size(plan), shuffle=False)

    def scores(network: nn.Module) -> dict[str, float]:
        return task.judging.quick(*said(network, batches, task, plan, views), plan)

    return scores


def said(
    network: nn.Module, batches: Batches, task: Task, plan: Plan, views: Sequence[View] | None
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Raw answers for a part and its encoded targets, or what judging keeps of both."""
    if task.brief is not None:
        return briefs(network, batches.epoch(0), task, plan, views=views)
    assert batches.targets is not None, "what is judged has targets"
    raw = logits(network, batches.epoch(0), plan, views=views)
    return raw, np.asarray(batches.targets.cpu().numpy())


@dataclasses.dataclass(frozen=True, slots=True)
class Finish:
    """Everything that judging a finished training needs."""

    run: Path
    survey: Survey
    plan: Plan
    split: Split
    started: float
    progress: Progress

    @property
    def task(self) -> Task:
        """The task that the plan names."""
        return task_of(self.plan)

    def judge(self, network: nn.Module, history: History, *, keep: bool = False) -> Report:
        """Weights, calibration, test answers, baselines, report: written to the run folder.

        keep: the answers on the test part and those of baselines too.
        """
        choose(network, history, self.run, self.plan, self.survey, self.split, self.progress)
        self._balance(network)
        network = plain(network)
        with writing(self.run):
            save_weights(network, self.run / "weights.safetensors")
        held, tested = self.split.validation, self.split.test
        calibrate = self.task.judging.calibrate
        calibration = calibrate(*self._said(network, held), self.plan)
        self.progress.say("judging on the test part, for the first and only time")
        test = self.answers(network, calibration)
        baselines = self.baselines()
        with writing(self.run):
            self.keep(test)
            if keep:
                save_answers(self.run, test, baselines)
        report = summarise(
            self.task,
            self.survey.card,
            self.plan,
            test,
            calibration=calibration,
            sizes={"train": len(self.split.train), "validation": len(held), "test": len(tested)},
            baselines=baselines,
            history=history.of("validation"),
            cost=spent(self.plan, self.task, history),
            groups=groups_of(self.survey, self.split),
            doubts=scarce(history),
        )
        report = self._with_motion(report, network, test, calibration)
        alike_told = alike(self.survey, tested)
        report = dataclasses.replace(
            report,
            doubts=(*report.doubts, *alike_told),
            leaks=leaks(self, test, calibration),
            optimism=optimism(self, baselines),
        )
        seconds = round(time.monotonic() - self.started, 2)
        return self.written(dataclasses.replace(report, cost={**report.cost, "seconds": seconds}))

    def written(self, report: Report) -> Report:
        """The report, with its page and the name of its folder, as it is written there."""
        report = dataclasses.replace(report, details={**report.details, "run": str(self.run)})
        with writing(self.run):
            page = self.run / "report.html"
            write_page(report, self.survey.card, self.plan, self.task, page)
            write_json(self.run / "report.json", report.to_dict())
        return report

    def keep(self, test: Answers) -> None:
        """What each test sample adds to the main score, beside the report."""
        each = self.task.judging.each
        if each is not None and len(test.target):
            told = np.asarray(each(test.raw, test.target, self.plan), np.float64)
            save_tested(self.run, PerSample(self.survey.hashes[self.split.test], told))

    def answers(self, network: nn.Module, calibration: Calibration) -> Answers:
        """What the network says of the test part."""
        tested = self.split.test
        return Answers(
            *self._tested(network, tested, calibration),
            [self.survey.key(int(row)) for row in tested],
            self.picture,
            noun(self.survey.card),
            known=self._known(network),
            pair=None if self.task.own is None else partial(self.pair, network, calibration),
        )

    def _balance(self, network: nn.Module) -> None:
        """What held-back samples say of the shares of a text's two paths."""
        if isinstance(network, Ensemble):
            for member in network.members:
                self._balance(member)
        if not isinstance(network, Network):
            return
        held = part(self.plan, self.survey, self.split.validation, batch_size(self.plan), False)
        plain = replace_part(self.plan, "fit", label_smoothing=0.0)
        network.balance(
            ((batch.x, batch.y) for batch in held.epoch(0) if batch.y is not None),
            lambda raw, target: self.task.loss(raw, target, None, plain),
        )

    def _known(self, network: nn.Module) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """Answers for the samples learned from, where judging asks for them."""
        recalls = self.task.judging.recalls
        rows = np.sort(np.concatenate([self.split.train, self.split.validation]))
        if recalls is None or not recalls(self.targets(rows), self.targets(self.split.test)):
            return None
        return self._said(network, rows)

    def _said(
        self, network: nn.Module, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        batches = part(self.plan, self.survey, rows, batch_size(self.plan), shuffle=False)
        return said(network, batches, self.task, self.plan, None)

    def targets(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        targets: NDArray[Any] = self.task.encode(self.survey.targets(rows), self.plan).numpy()
        return targets

    def _tested(
        self, network: nn.Module, rows: NDArray[np.int64], known: Calibration
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Answers on the test part; where they have places, on each sample's own grid."""
        if self.task.own is None:
            return self._said(network, rows)
        samples = (self._sample(row) for row in rows.tolist())
        return on_own_grids(network, samples, self.task, self.plan, known)

    def _sample(self, row: int) -> Sample:
        return self.survey.listing.read(int(self.survey.usable[row]))

    def pair(self, network: nn.Module, known: Calibration, at: int) -> tuple[str, str]:
        """Truth and answer of the test sample at a position, drawn over it."""
        own, sample = self.task.own, self._sample(int(self.split.test[at]))
        assert own is not None, "asked only of tasks whose answers have places"
        said = own.answer(asker(network, self.plan), sample, self.plan, known)
        return own.drawn(sample.y, sample, self.plan), own.drawn(said, sample, self.plan)

    def picture(self, at: int) -> str:
        """The test sample at a position, drawn as the network sees it; the words of a text."""
        if self.plan.data.text is not None:
            return excerpt(self._read(self.split.test[at]))
        x = self.survey.store.gather(self.split.test[at : at + 1])[0].numpy()
        return picture(x, low=self.plan.data.low, high=self.plan.data.high)

    def _with_motion(
        self, report: Report, network: nn.Module, test: Answers, calibration: Calibration
    ) -> Report:
        """The report, and whether motion matters where the samples are clips."""
        along, judging = time_of(self.plan.axes), self.task.judging
        if along is None or self.survey.truths is not None or judging.main not in report.test:
            return report
        rows = np.random.default_rng(self.plan.seed).permutation(len(test.target))[:MOST]

        def ask(change: Change | None) -> Score:
            raw = test.raw[rows]
            if change is not None:
                some = self.split.test[rows]
                batches = part(self.plan, self.survey, some, batch_size(self.plan), shuffle=False)
                raw = logits(network, changed(batches.epoch(0), change), self.plan)
            keys = [test.keys[int(row)] for row in rows]
            answers = Answers(raw, test.target[rows], keys)
            return judging.judge(answers, self.plan, calibration, ()).scores[judging.main]

        found = motion(ask, along, self.plan.seed)
        figure = judging.figures[judging.main]
        told = sentence(found, figure)
        return dataclasses.replace(
            report,
            verdict=f"{report.verdict} {told}",
            invariance={**report.invariance, "motion": found.to_dict()},
            doubts=report.doubts if matters(found, figure) else (*report.doubts, DOUBT),
            details={**report.details, "verdict": [*report.details["verdict"], told]},
        )

    def baselines(self) -> tuple[Baseline, ...]:
        """What simple models say of the test part."""
        return ladder(self)

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """Texts as they were read."""
        return [text_of(self._read(row)) for row in rows]

    def _read(self, row: np.int64) -> NDArray[Any]:
        """The values of a sample as they were read from its file."""
        return self.survey.listing.read(int(self.survey.usable[row])).x
