"""A trained run judged on other data, with the same preparation and the same figures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..card import PARTS, Skipped
from ..errors import DataError
from ..progress import SILENT, Progress
from ..report import Report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..datasets.listing import Listing
    from ..grid import Batch, Sample
    from .model import Model


def evaluate(run: str | Path, data: str | Path, *, progress: Progress = SILENT) -> Report:
    """The report of a finished run on ``data``: its test part when it has one, else all of it.

    Classes are matched by name. Nothing is written.
    Raises: DataError for a class the model does not know, or when too much cannot be read.
    """
    from .model import load

    return evaluate_model(load(run), data, None, progress=progress)


def evaluate_model(
    model: Model, data: Any, y: Sequence[Any] | None, *, progress: Progress = SILENT
) -> Report:
    """The same for a model in memory, on a path or on arrays with their labels ``y``."""
    from ..drawing.words import noun
    from ..evaluation.predict import logits, on_own_grids
    from ..evaluation.summary import summarise
    from ..tasks import Answers

    started = time.monotonic()
    listing, targets = as_known(model, listed(data, y, model))
    positions = np.flatnonzero(judged(listing) & (listing.labels >= 0))
    reader, own = Reader(model, listing, positions), model.task.own
    with progress.bar("judging", len(positions)) as tick:
        if own is not None:
            samples, known = reader.samples(tick, targets), model.report.calibration
            raw, truth = on_own_grids(model.network, samples, model.task, model.plan, known)
        else:
            raw = logits(model.network, reader.batches(tick), model.plan)
    reader.check()
    kept = np.array(reader.kept, np.int64)
    if own is None:
        truth = model.task.encode(targets[kept], model.plan).numpy()
    card = dataclasses.replace(
        model.card,
        path=listing.path,
        skipped=(*listing.left_out, *reader.bad),
        doubts=(),
        duplicate_count=0,
    )
    report = summarise(
        model.task,
        card,
        model.plan,
        Answers(
            raw,
            truth,
            [listing.keys[int(i)] for i in kept],
            reader.picture,
            noun(card),
            pair=None if own is None else reader.pair,
        ),
        calibration=model.report.calibration,
        sizes={**model.report.data, "test": len(kept)},
    )
    seconds = time.monotonic() - started
    cost = {
        "seconds": round(seconds, 2),
        "samples_per_second": round(len(kept) / seconds, 1),
        "device": model.plan.fit.device,
        "threads": model.plan.fit.threads,
    }
    return dataclasses.replace(report, cost=cost)


class Reader:
    """Prepared batches of some items of a listing; what could not be read is remembered."""

    def __init__(self, model: Model, listing: Listing, positions: NDArray[np.int64]) -> None:
        self.model, self.listing, self.positions = model, listing, positions
        self.kept: list[int] = []
        self.lost: list[int] = []
        self.bad: list[Skipped] = []
        self.table: NDArray[np.int64] = np.zeros(0, np.int64)

    def batches(self, tick: Any) -> Iterator[Batch]:
        import torch

        from ..datasets.cache import batched
        from ..evaluation.predict import batch_size
        from ..grid import Batch

        # As many as when the run was judged: sums of other batches round differently.
        together = batch_size(self.model.plan)
        for start in range(0, len(self.positions), together):
            chosen = self.positions[start : start + together]
            rows = [x for x in map(self._one, chosen.tolist()) if x is not None]
            tick(len(chosen))
            if rows:
                yield Batch(batched(rows), None, torch.arange(len(rows)))

    def samples(self, tick: Any, table: NDArray[np.int64]) -> Iterator[Sample]:
        """Items as read, with targets on the grid as the model's classes: ``table[own] = its``."""
        from ..datasets.truths import truth_of

        truth = truth_of(self.listing.target)
        assert truth is not None, "asked only where targets lie on the grid"
        self.table = table
        for position in self.positions.tolist():
            tick(1)
            try:
                item = self.listing.read(position)
            except DataError as error:
                self._lose(position, error)
                continue
            self.kept.append(position)
            yield dataclasses.replace(item, y=truth.renamed(item.y, table))

    def pair(self, at: int) -> tuple[str, str]:
        """Truth and answer of a kept item, drawn over it."""
        from ..datasets.truths import truth_of
        from ..evaluation.predict import asker

        own, truth, plan = self.model.task.own, truth_of(self.listing.target), self.model.plan
        assert own is not None, "asked only of tasks whose answers have places"
        assert truth is not None, "and of their targets"
        item = self.listing.read(self.kept[at])
        ask, known = asker(self.model.network, plan), self.model.report.calibration
        said = own.answer(ask, item, plan, known)
        true = truth.renamed(item.y, self.table)
        return own.drawn(true, item, plan), own.drawn(said, item, plan)

    def _lose(self, position: int, error: DataError) -> None:
        self.bad.append(Skipped(self.listing.keys[position], error.what))
        self.lost.append(position)

    def _one(self, position: int) -> NDArray[Any] | None:
        from ..datasets.prepare import prepare

        key = self.listing.keys[position]
        try:
            item = self.listing.read(position)
            x = prepare(item.x, self.model.plan.data, key=key, grid=item.grid)
        except DataError as error:
            self._lose(position, error)
            return None
        self.kept.append(position)
        return x

    def check(self) -> None:
        """Raises: DataError when more could not be read than training forgives, or all."""
        from ..datasets.survey import forgiven

        classes = self.listing.labels
        count = np.bincount(classes[self.positions], minlength=len(self.listing.classes))
        lost = np.bincount(classes[np.array(self.lost, int)], minlength=len(self.listing.classes))
        if (lost > forgiven(count)).any() or not self.kept:
            first = f", {self.bad[0].key!r} first: {self.bad[0].reason}" if self.bad else ""
            raise DataError(
                f"{len(self.bad)} of {len(self.positions)} items cannot be read{first}",
                where=self.listing.path,
                mend="replace or remove them: of a class at most 1 % (or one of 20) is skipped",
            )

    def picture(self, at: int) -> str:
        from ..datasets.prepare import prepare
        from ..datasets.tokens import excerpt
        from ..drawing.pictures import picture

        data = self.model.plan.data
        item = self.listing.read(self.kept[at])
        if data.text is not None:
            return excerpt(item.x)
        x = prepare(item.x, data, grid=item.grid)
        return picture(x, low=data.low, high=data.high)


def listed(data: Any, y: Sequence[Any] | None, model: Model) -> Listing:
    from ..datasets.layouts import find_listing, from_arrays

    if isinstance(data, str | Path):
        if y is not None:
            raise DataError(
                "a path brings its own labels, but y was given too",
                where=str(data),
                mend="leave y out, or give the samples as an array",
            )
        try:
            return find_listing(data, target=model.card.columns, apart=bool(model.task.apart))
        except DataError:  # a table without such columns; whether others will do is seen by name
            return find_listing(data, apart=bool(model.task.apart))
    if y is None:
        raise DataError(
            "arrays were given without their labels", where="evaluate", mend="give y as well"
        )
    apart = bool(model.task.apart)
    return from_arrays(data, np.asarray(y), axes=model.plan.axes, apart=apart)


def judged(listing: Listing) -> NDArray[np.bool_]:
    """Which items to judge ``(N,)``: the test part where there is one, else all."""
    if "test" not in listing.has_parts:
        return np.ones(len(listing), bool)
    return np.asarray(listing.parts == PARTS.index("test"))


def as_known(model: Model, listing: Listing) -> tuple[Listing, NDArray[Any]]:
    """The listing with targets of the kind that the task wants, and these as the model knows them.

    Of targets on the grid: the model's positions of classes by the listing's own.
    Raises: DataError for a class the model does not know, and the like.
    """
    from ..datasets.targets import brought, matched, renaming

    listing = brought(listing, model.task.target)
    if model.task.own is not None:
        return listing, renaming(listing, model.plan.classes)
    if model.task.apart:  # classes are the data's own
        return listing, listing.labels
    return listing, matched(listing, model.plan.classes, [n.name for n in model.plan.numbers])
