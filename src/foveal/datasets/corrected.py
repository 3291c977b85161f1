"""A listing with labels corrected and samples left out, as tables of the user say.

A split goes on being drawn by the labels that were there before, so that figures before and after
are about the same test part.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..find import nearest
from .layouts._table import Table, parse
from .listing import Listing
from .source import read_file

SHOWN = 5
_YES = frozenset({"yes", "true", "1", "x"})


def corrected(listing: Listing, exclude: str | None, relabel: str | None) -> Listing:
    """The listing after both tables.

    exclude: a csv file with a column "sample", or a text file with one name a line. Of a table
    with a column "suspect" only rows that say yes count. relabel: a csv file with columns "sample"
    and "label"; where "label" is empty, or not there, "likely" of a suspect row counts.
    ``foveal labels`` writes a file that will do for either.

    Raises: DataError for a file without such columns, a sample that is not there, or a class
        that does not exist.
    """
    if relabel is not None:
        listing = _relabelled(listing, relabel)
    return listing if exclude is None else _without(listing, exclude)


def _without(listing: Listing, path: str) -> Listing:
    table = _table(path)
    sample, suspect = _needed(table, "sample", path), _column(table, "suspect")
    names = [cells[sample] for _, cells in table.rows if _asked(cells, suspect)]
    rows = _places(listing, names, path)
    labels = listing.labels.copy()
    labels[rows] = -1
    told = f"{len(rows):,} samples were left out by you ({Path(path).name})"
    return replace(
        listing,
        labels=labels,
        drawn=_drawn(listing),
        doubts=(*listing.doubts, *[told] * bool(rows)),
    )


def _relabelled(listing: Listing, path: str) -> Listing:
    if listing.target != "label":
        raise DataError(
            f"targets of the kind {listing.target!r} cannot be corrected by a table",
            where="--relabel",
            mend="leave the samples out with --exclude, or correct the files themselves",
        )
    table = _table(path)
    sample, label = _needed(table, "sample", path), _column(table, "label")
    likely, suspect = _column(table, "likely"), _column(table, "suspect")
    if label is None and likely is None:
        raise _lacks("label", table, path)
    wanted: dict[str, str] = {}
    for _, cells in table.rows:
        name = cells[label] if label is not None else ""
        if not name and likely is not None and suspect is not None and _asked(cells, suspect):
            name = cells[likely]
        if name:
            wanted[cells[sample]] = name
    rows = _places(listing, list(wanted), path)
    place = {name: i for i, name in enumerate(listing.classes)}
    labels = listing.labels.copy()
    for row, name in zip(rows, wanted.values(), strict=True):
        if name not in place:
            raise DataError(
                f"class {name!r} does not exist",
                where=path,
                mend=nearest(name, listing.classes)
                or f"there are: {', '.join(listing.classes[:20])}",
            )
        labels[row] = place[name]
    changed = int((labels != listing.labels).sum())
    told = f"{changed:,} labels were corrected by you ({Path(path).name})"
    return replace(
        listing,
        labels=labels,
        drawn=_drawn(listing),
        doubts=(*listing.doubts, *[told] * bool(changed)),
    )


def _drawn(listing: Listing) -> np.ndarray:
    return listing.labels if listing.drawn is None else listing.drawn


def _table(path: str) -> Table:
    content = read_file(Path(path), path)
    if Path(path).suffix.lower() == ".txt":
        lines = content.decode("utf-8", "replace").splitlines()
        return Table(
            ("sample",), [(i, [n.strip()]) for i, n in enumerate(lines, 1) if n.strip()], []
        )
    return parse(content, path)


def _column(table: Table, name: str) -> int | None:
    lower = [known.lower() for known in table.header]
    return lower.index(name) if name in lower else None


def _needed(table: Table, name: str, path: str) -> int:
    column = _column(table, name)
    if column is None:
        raise _lacks(name, table, path)
    return column


def _lacks(name: str, table: Table, path: str) -> DataError:
    return DataError(
        f"there is no column {name!r}; columns: {', '.join(table.header[:8])}",
        where=path,
        mend="give a csv file with a line of names such as sample,label; `foveal labels DATA "
        "--out FILE.csv` writes one",
    )


def _asked(cells: list[str], suspect: int | None) -> bool:
    return suspect is None or cells[suspect].lower() in _YES


def _places(listing: Listing, names: list[str], path: str) -> list[int]:
    """Positions of samples by name. Raises: DataError for one that is not there."""
    wanted = set(names)
    place = {key: i for i, key in enumerate(listing.keys) if key in wanted}
    gone = [name for name in names if name not in place]
    if gone:
        known = listing.keys[0] if len(listing) else ""
        raise DataError(
            f"{len(gone)} of {len(names)} samples are not in the data: "
            + ", ".join(map(repr, gone[:SHOWN])),
            where=path,
            mend=f"name them as `foveal labels` does, such as {known!r}",
        )
    return [place[name] for name in names]
