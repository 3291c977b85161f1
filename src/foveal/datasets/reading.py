"""Read every item of a listing once: check it, measure it, write it to a store."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..grid import Sample
from ..plan import DataPart
from ..progress import Progress
from ..record import to_plain
from ..target import VOID
from .cache import Store, key_of
from .draft import Draft
from .facts import VERSION, Facts, Form
from .listing import Listing
from .prepare import cells_first, prepare, stored_as
from .probe import DEPTHS, Probe, depth, seen_channels
from .statistics import Statistics
from .truth_store import TruthStore, draft_of, with_starts
from .truths import Truth, truth_of

_CHUNK_BYTES = 8 * 2**20
_CHUNK = 256
Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One decoded item: what is noted of it, and its row ``(*S, C)`` for the store. truth: rows
    of its target where that lies on the grid, truth_hash: of the same as read."""

    size: tuple[int, ...]
    mode: str
    channels: int
    dtype: str
    hash: int
    row: Values
    truth: Values | None = None
    truth_hash: int = 0


def look(sample: Sample, part: DataPart, truth: Truth | None = None) -> Seen:
    """Everything noted of one sample. Raises: DataError when it cannot be used."""
    x, _ = seen_channels(sample)
    row = prepare(sample.x, part, key=sample.key, grid=sample.grid)
    known = truth is not None and sample.y is not None
    return Seen(
        size=sample.x.shape[1:],
        mode=sample.mode,
        channels=len(x),
        dtype=depth(sample.x),
        hash=_hash(cells_first(x)),
        row=cells_first(row),
        truth=None if truth is None else truth_rows(truth, sample, part),
        truth_hash=_hash(np.asarray(sample.y)) if known else 0,
    )


def truth_rows(truth: Truth, sample: Sample, part: DataPart) -> Values:
    """The target's rows; of an unknown one none, or one of void where each must have one."""
    if sample.y is not None:
        return truth.rows(sample, part)
    shape, dtype = truth.form(part)
    return np.full((0 if truth.ragged else 1, *shape), VOID, dtype)


def _hash(values: Values) -> int:
    cells = np.ascontiguousarray(values)
    mixed = hashlib.blake2b(f"{cells.shape}{cells.dtype.str}".encode(), digest_size=8)
    mixed.update(cells.reshape(-1).view(np.uint8).data)
    return int.from_bytes(mixed.digest(), "little")


def read_all(
    listing: Listing,
    probe: Probe,
    form: Form,
    *,
    threads: int,
    stop: bool,
    memory: bool,
    progress: Progress,
) -> tuple[Facts, Store, TruthStore | None]:
    """Facts of every item and the stores of the good ones and of their targets where these lie on
    the grid, in file order.

    Should an item turn out to have colour or a depth that the probe did not meet, the pass is
    made again with what is known then. ``memory`` keeps the store off the disk.

    Raises: DataError of the first bad item when ``stop`` is set, or when the disk is full.
    """
    read: Callable[[int], Sample] = probe.read
    for _ in range(4):  # channels can grow once, the depth twice
        reading = _Reading(listing, form, memory, progress)
        facts, stores, wider = reading.run(read, threads, stop)
        if wider == form:
            assert stores is not None, "a pass without surprises ends with a store"
            return facts, *stores
        form, read = wider, listing.read
    raise AssertionError("the form of a set settles after four passes")


class _Reading:
    """One pass over a listing under one form."""

    def __init__(self, listing: Listing, form: Form, memory: bool, progress: Progress) -> None:
        self.listing, self.form, self.progress = listing, form, progress
        self.memory, self.part = memory, form.part()
        self.truth = truth_of(listing.target)
        self.facts = Facts.blank(len(listing), form, len(listing.classes) if self.truth else 0)
        self.modes: dict[str, int] = {}
        self.reasons: dict[str, str] = {}
        # Training values set the scale; the others only do where there is no training part.
        self.statistics = [Statistics(form.channels, form.dtype) for _ in range(2)]
        self.wider = form

    def run(
        self, read: Callable[[int], Sample], threads: int, stop: bool
    ) -> tuple[Facts, tuple[Store, TruthStore | None] | None, Form]:
        form, count = self.form, len(self.listing)
        kind, memory = stored_as(self.part), self.memory
        with ExitStack() as stack:
            draft = stack.enter_context(
                Draft(form.size, form.channels, kind, expected=count, memory=memory)
            )
            truths = None
            if self.truth is not None:
                truths = stack.enter_context(draft_of(self.truth, self.part, count, memory))
            tick = stack.enter_context(self.progress.bar("reading", count))
            chunk = max(1, min(_CHUNK, _CHUNK_BYTES // max(draft.form.row_bytes, 1)))
            found = _ordered(lambda i: self._one(read, i, stop), range(count), threads, 2 * chunk)
            for at in range(0, count, chunk):
                part = [next(found) for _ in range(min(chunk, count - at))]
                self._note(at, part, draft, truths)
                tick(len(part))
                if self.wider != form:
                    return self.facts, None, self.wider
            facts = self._finished()
            store = draft.finish(facts.form.store)
            kept: TruthStore | None = None
            if truths is not None and self.truth is not None:
                pieces = facts.pieces[~facts.bad]
                kept = with_starts(self.truth, truths.finish(facts.form.truth), pieces)
        return facts, (store, kept), form

    def _one(self, read: Callable[[int], Sample], i: int, stop: bool) -> Seen | str:
        try:
            return look(read(i), self.part, self.truth)
        except DataError as error:
            if stop:
                raise DataError(
                    error.what,
                    where=error.where,
                    mend=f"{error.mend}; --bad-files skip leaves out a few such files",
                ) from error
            return error.what

    def _note(self, at: int, part: list[Seen | str], draft: Draft, truths: Draft | None) -> None:
        rows: list[Values] = []
        where: list[int] = []
        for i, seen in enumerate(part, at):
            if isinstance(seen, str):
                self.facts.bad[i] = True
                self.reasons[str(i)] = seen
                continue
            self._widen(seen)
            self.facts.sizes[i] = seen.size
            self.facts.mode[i] = self.modes.setdefault(seen.mode, len(self.modes))
            self.facts.hashes[i] = seen.hash
            rows.append(seen.row)
            where.append(i)
            if truths is not None and self.truth is not None:
                self._note_truth(i, seen, truths, self.truth)
        if not rows:
            return
        block = np.stack(rows)
        flat = block.reshape(len(block), -1)
        self.facts.flat[where] = np.fmin.reduce(flat, axis=1) == np.fmax.reduce(flat, axis=1)
        train = self.listing.parts[where] == 0
        for statistics, chosen in zip(self.statistics, (train, ~train), strict=True):
            if chosen.any():
                statistics.add(block if chosen.all() else block[chosen])
        draft.add(block)

    def _note_truth(self, i: int, seen: Seen, draft: Draft, truth: Truth) -> None:
        """Keep the target of item i."""
        rows = seen.truth
        assert rows is not None, "each item of such a set has rows, be they none"
        self.facts.truths[i], self.facts.pieces[i] = seen.truth_hash, len(rows)
        self.facts.cover[i] = truth.cover(rows, self.facts.cover.shape[1])
        draft.add(rows[..., None])

    def _widen(self, seen: Seen) -> None:
        """Note a colour picture in a grey set, or a deeper one than all before."""
        wider = self.wider
        if wider.channels == 1 and seen.channels == 3:
            wider = replace(wider, channels=3)
        if DEPTHS.index(seen.dtype) > DEPTHS.index(wider.dtype):
            wider = replace(wider, dtype=seen.dtype)
        self.wider = wider

    def _finished(self) -> Facts:
        good = self.statistics[0] if self.statistics[0].count else self.statistics[1]
        low, high, mean, std = good.result() if good.count else (np.zeros(0),) * 4
        hashes = self.facts.hashes[~self.facts.bad]
        form = replace(
            self.form,
            modes=tuple(self.modes),
            low=tuple(low.tolist()),
            high=tuple(high.tolist()),
            mean=tuple(mean.tolist()),
            std=tuple(std.tolist()),
            store=store_key(hashes, self.form.part()),
            truth=truth_key(hashes, self.facts.truths[~self.facts.bad], self.form.part()),
            reasons=self.reasons,
        )
        return replace(self.facts, form=form)


def store_key(hashes: NDArray[np.uint64], part: DataPart) -> str:
    """Name of the store of these samples, in this order, in this form: equal content is shared."""
    form = (part.size, part.channels, part.fit, part.dtype, part.scale, part.step, part.sampled)
    made = [to_plain(noun) for noun in (part.text, part.sound) if noun is not None]
    return key_of(VERSION, hashes.tobytes(), form, made)


def truth_key(hashes: NDArray[np.uint64], truths: NDArray[np.uint64], part: DataPart) -> str:
    """Name of the store of the targets of these samples, in this order, in this form."""
    return key_of("truth", truths.tobytes(), store_key(hashes, part))


def _ordered(make: Any, items: Iterable[int], threads: int, ahead: int) -> Iterator[Any]:
    """``make`` of each item in order, by ``threads`` at once, at most ``ahead`` not yet taken."""
    if threads < 2:
        yield from map(make, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Any]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
