"""Look at every item once: what is there, what is wrong with it, and its pixels in the cache."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..card import Card
from ..errors import DataError
from ..plan import DataPart
from ..progress import SILENT, Progress
from .cache import Store, open_store
from .copies import Near, near_copies, none
from .draft import Draft
from .examine import examine
from .facts import Facts, load, save
from .listing import Listing
from .prepare import cells_first, prepare, stored_as
from .probe import Probe
from .reading import read_all, store_key, truth_key, truth_rows
from .targets import strata
from .truth_store import TruthStore, draft_of, open_truths, with_starts
from .truths import Truth, truth_of

SHOWN = 10
FORGIVEN_FROM = 20
LOOKED = 64  # samples that are looked at beside their targets
MEASURED = 20_000  # things whose size is looked at
_CHUNK_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A data set that has been read through.

    Args:
        card: what people and the planner need to know of it.
        usable: positions of the good items in the listing; row i of the store is item
            ``usable[i]``.
        hashes: of the decoded values of each usable item; equal hashes are exact copies.
        store: prepared pixels of the usable items, at ``card.size``.
        truths: their targets where these lie on the grid (masks), in the same rows; else None.
        facts: what was noted of every item of the listing.
        near: which rows are changed copies of others.
    """

    card: Card
    listing: Listing
    usable: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    store: Store
    facts: Facts
    truths: TruthStore | None = None
    near: Near = field(default_factory=none)

    @property
    def copied(self) -> NDArray[np.uint64]:
        """Equal where rows are copies of each other, exact or changed, ``(N,)``."""
        return self.near.joined(self.hashes)

    @property
    def labels(self) -> NDArray[np.int32]:
        """Class of each row of the store, -1 for none."""
        return self.listing.labels[self.usable]

    @property
    def parts(self) -> NDArray[np.int8]:
        """Part of each row of the store: 0 train, 1 validation, 2 test."""
        return self.listing.parts[self.usable]

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """Group of each row of the store, -1 for none; None where no groups were found."""
        groups = self.listing.groups
        return None if groups is None else groups[self.usable]

    @property
    def strata(self) -> NDArray[np.int32]:
        """What every part of a split should hold in equal shares, -1 where nothing is known."""
        if self.truths is not None:
            cover = self.facts.cover[self.usable]
            return strata("labels", self.labels, (cover > 0).astype(np.float32))
        values = self.listing.values
        own = None if values is None else values[self.usable]
        drawn = self.listing.drawn
        labels = self.labels if drawn is None else drawn[self.usable]
        return strata(self.listing.target, labels, own)

    def targets(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """What is to be learned of some rows, as ``Task.encode`` takes it.

        ``(N,)`` positions in the classes, or ``(N, K)`` values where there is no single class,
        or the targets on the grid of few rows: of many, `Batches` gathers them as needed.
        """
        if self.truths is not None:
            return self.truths.gather(rows).numpy()
        values = self.listing.values
        return self.labels[rows] if values is None else values[self.usable[rows]]

    def key(self, row: int) -> str:
        """Name of the item in a row of the store."""
        return self.listing.keys[int(self.usable[row])]


def survey(
    listing: Listing,
    *,
    bad_files: Literal["skip", "stop"] = "skip",
    limit: float = 0.01,
    threads: int | None = None,
    remember: bool = True,
    near: bool = True,
    progress: Progress = SILENT,
) -> Survey:
    """Read every item of ``listing`` once; the next time, remember it.

    What was found is kept in the cache folder under the listing's stamp, so that a set that has
    not changed opens at once.

    Args:
        bad_files: "skip" leaves bad files out, while they are few; "stop" stops at the first.
        limit: share of each class that may be bad. A class of 20 or more may lose one file
            whatever the share; a smaller one none beyond it.
        threads: items decoded at the same time; None takes two where items are large.
        remember: False touches no disk, and keeps the store in memory: for small arrays that
            are there already.

    Raises: DataError for a bad file that is not forgiven, an empty set, or a full disk.
    """
    if not len(listing):
        raise DataError(
            "there is nothing to read", where=listing.path, mend="give a folder that holds samples"
        )
    facts = load(listing) if remember else None
    store = open_store(facts.form.store) if facts else None
    truth, truths = truth_of(listing.target), None
    if facts is not None and truth is not None:
        truths = open_truths(truth, facts.form.truth, facts.pieces[~facts.bad])
    gone = store is None or (truth is not None and truths is None)
    if facts is None or store is None or gone or len(store) != np.count_nonzero(~facts.bad):
        facts, store, truths = _read(listing, bad_files, threads, remember, progress)
    _judge(listing, facts, bad_files, limit)
    usable = np.flatnonzero(~facts.bad)
    hashes = facts.hashes[usable]
    changed = none()
    if near:
        changed = near_copies(store, facts.form.axes, hashes, remember=remember, progress=progress)
    card = replace(examine(listing, facts, changed), sides=_sides(truths, truth))
    known = np.flatnonzero(listing.labels[usable] >= 0)
    card = replace(card, doubts=(*_beside(store, truths, truth, known), *card.doubts))
    return Survey(card, listing, usable, hashes, store, facts, truths, changed)


def _beside(
    store: Store, truths: TruthStore | None, truth: Truth | None, known: NDArray[np.intp]
) -> list[str]:
    """What a look at samples beside their targets raises."""
    if truths is None or truth is None or truth.doubt is None or not len(known):
        return []
    rows = known[:LOOKED]  # neighbours: one may wear the target of the next
    told = truth.doubt(store.gather(rows).numpy(), truths.gather(rows).numpy())
    return [told] * bool(told)


def _sides(truths: TruthStore | None, truth: Truth | None) -> tuple[tuple[float, ...], ...]:
    """`Card.sides` from things spread over the whole set; () where there are none."""
    if truths is None or truth is None or truth.sides is None or not len(truths.store):
        return ()
    count = len(truths.store)
    rows = np.unique(np.linspace(0, count - 1, MEASURED).astype(np.int64))
    sides = truth.sides(truths.store.gather(rows)[:, 0].numpy())
    shares = np.quantile(sides, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    return tuple(tuple(round(float(v), 2) for v in row) for row in shares)


def stored(survey: Survey, data: DataPart, *, progress: Progress = SILENT) -> Survey:
    """``survey`` with its rows as ``data`` wants them: the survey itself where that fits.

    Any other size, fit, depth or number of channels reads the files a second time; the stores it
    makes are kept and shared like the first.

    Raises: DataError when an item has changed meanwhile, or the disk is full.
    """
    card, listing = survey.card, survey.listing
    step = tuple(a.step for a in card.axes) if card.fit == "spacing" else ()
    own = (card.size, card.fit, card.channels, card.dtype, card.scale, step)
    plain = data.text is None and data.sound is None
    if plain and own == (data.size, data.fit, data.channels, data.dtype, data.scale, data.step):
        return survey
    key, memory, count = store_key(survey.hashes, data), not survey.store.key, len(survey.usable)
    truth, truth_name = truth_of(listing.target), _truth_name(survey, data)
    pieces = survey.facts.pieces[survey.usable]
    found = None if memory else open_store(key)
    if found is not None and len(found) == count:
        truths = None if truth is None else open_truths(truth, truth_name, pieces)
        if truth is None or truths is not None:
            return replace(survey, store=found, truths=truths)
    with ExitStack() as stack:
        draft = stack.enter_context(
            Draft(data.size, data.channels, stored_as(data), expected=count, memory=memory)
        )
        aside = None
        if truth is not None:
            aside = stack.enter_context(draft_of(truth, data, count, memory))
        tick = stack.enter_context(progress.bar("preparing", count))
        chunk = max(1, min(256, _CHUNK_BYTES // draft.form.row_bytes))
        for at in range(0, count, chunk):
            items = [listing.read(int(i)) for i in survey.usable[at : at + chunk]]
            rows = [cells_first(prepare(s.x, data, key=s.key, grid=s.grid)) for s in items]
            draft.add(np.stack(rows))
            if aside is not None and truth is not None:
                for sample in items:
                    aside.add(truth_rows(truth, sample, data)[..., None])
            tick(len(rows))
        store = draft.finish(key)
        if aside is None or truth is None:
            return replace(survey, store=store)
        truths = with_starts(truth, aside.finish(truth_name), pieces)
        return replace(survey, store=store, truths=truths)


def _truth_name(survey: Survey, data: DataPart) -> str:
    return truth_key(survey.hashes, survey.facts.truths[survey.usable], data)


def _read(
    listing: Listing, bad_files: str, threads: int | None, remember: bool, progress: Progress
) -> tuple[Facts, Store, TruthStore | None]:
    probe = Probe(listing)
    form = probe.form()
    if form is None or (bad_files == "stop" and probe.bad):
        if bad_files == "stop":
            raise _stopped(probe.bad[0])
        raise _too_many(listing, f"none of {len(probe.bad)} files can be read", probe.bad)
    facts, store, truths = read_all(
        listing,
        probe,
        form,
        threads=probe.threads() if threads is None else threads,
        stop=bad_files == "stop",
        memory=not remember,
        progress=progress,
    )
    if remember:
        save(facts, listing)
    return facts, store, truths


def _judge(listing: Listing, facts: Facts, bad_files: str, limit: float) -> None:
    """Raises: DataError when a class loses more items than are forgiven."""
    bad = np.flatnonzero(facts.bad)
    if not len(bad):
        return
    errors = [
        DataError(facts.form.reasons.get(str(i), "cannot be read"), where=listing.keys[i], mend="")
        for i in bad[:SHOWN].tolist()
    ]
    if bad_files == "stop":
        raise _stopped(errors[0])
    classes = max(len(listing.classes), 1) + 1  # items without a label are a class of their own
    count = np.bincount(listing.labels + 1, minlength=classes)
    lost = np.bincount(listing.labels[bad] + 1, minlength=classes)
    allowed = forgiven(count, limit)
    if (lost <= allowed).all():
        return
    worst = int(np.argmax(lost - allowed))
    alone = listing.target == "label"
    name = "the items" if worst else "the items without a label"
    name = repr(listing.classes[worst - 1]) if worst and alone else name
    what = f"{lost[worst]} of {count[worst]} files of {name} cannot be used"
    raise _too_many(listing, f"{what} ({len(bad)} of {len(listing)} in all)", errors)


def forgiven(count: NDArray[np.integer], limit: float = 0.01) -> NDArray[np.integer]:
    """How many bad items each class may lose ``(K,)``, of ``count`` items each."""
    return np.maximum((count * limit).astype(np.int64), count >= FORGIVEN_FROM)


def _too_many(listing: Listing, what: str, errors: list[DataError]) -> DataError:
    shown = "".join(f"\n    {error.where}: {error.what}" for error in errors[:SHOWN])
    return DataError(
        f"{what}; the first are:{shown}",
        where=listing.path,
        mend="replace or remove these files: of a class at most 1 % (or one of 20) is skipped",
    )


def _stopped(error: DataError) -> DataError:
    return DataError(
        error.what,
        where=error.where,
        mend="replace or remove this file, or let `--bad-files skip` leave out a few such files",
    )
