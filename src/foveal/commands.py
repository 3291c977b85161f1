"""Commands that stand beside the road: compare, audit, enroll, identify runs; labels of data.

As in the command line's own file: arguments in, one verb called, words out.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from .doors import door
from .options import Bad, Changes, Data, Group, Json, Run, Seed, Target, edits_of, span_of


def audit(
    run: Run,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="Other data; its own test part if not.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="A tenth of the training time when left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a run again with its samples moved, turned, scaled and spoiled; say what helps."""
    span = span_of(budget, None)
    with door(reuse_memory=True) as progress:
        from .tables import show_audit
        from .verbs.audit import audit as verb

        found = verb(run, data, budget=span, progress=progress)
        if as_json:  # ASCII only, as every document of the command line
            typer.echo(json.dumps(found.to_dict(), indent=1, allow_nan=False))
        else:
            show_audit(found)


def compare(
    run: Run,
    other: Annotated[Path, typer.Argument(metavar="RUN", help="Another run of the same task.")],
    as_json: Json = False,
) -> None:
    """Say whether one run is better than another, or whether that may be luck."""
    with door() as progress:
        from .verbs.compare import compare as verb

        found = verb(run, other)
        if as_json:  # ASCII only, as every document of the command line
            typer.echo(json.dumps(found.to_dict(), indent=1, allow_nan=False))
        else:
            progress.say(found.verdict)


def enroll(
    run: Run,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="One folder of samples per identity.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where; RUN/gallery when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put known faces, or other identities, into a gallery for `identify`."""
    with door(reuse_memory=True) as progress:
        from .answers import enrolled
        from .verbs.gallery import enroll as verb

        enrolled(verb(run, folder, out=out, progress=progress), as_json, progress)


def identify(
    run: Run,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Files, folders, zips.")],
    gallery: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Made by enroll; RUN/gallery if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say who each input is, or "unknown": one line each, with its score."""
    with door(reuse_memory=True) as progress:
        from .answers import give
        from .verbs.gallery import asked

        found, telling, plan = asked(run, inputs, gallery=gallery, progress=progress)
        give(found, telling, plan, out=None, as_json=as_json, progress=progress)


def labels(
    data: Data,
    target: Target = "",
    group: Group = "auto",
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="For all networks together; 5m if left out.")
    ] = None,
    folds: Annotated[int, typer.Option(metavar="K", min=2, help="So many networks.")] = 4,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="A table for --exclude and --relabel.")
    ] = None,
    seed: Seed = 0,
    bad_files: Bad = "skip",
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    """Rank labels by how doubtful they are, told by networks that never met the samples."""
    span, edits = span_of(budget, None), edits_of(changes)
    with door(reuse_memory=True) as progress:
        from .answers import show_doubts
        from .verbs.labels import BUDGET
        from .verbs.labels import labels as verb
        from .verbs.source import columns

        found = verb(
            data,
            target=columns(target),
            group=group,
            budget=BUDGET if span is None else span,
            folds=folds,
            out=out,
            seed=seed,
            changes=edits,
            bad_files=bad_files,
            progress=progress,
        )
        if as_json:
            rows = [dataclasses.asdict(doubt) for doubt in found]
            typer.echo(json.dumps(rows, indent=1, allow_nan=False))
        else:
            show_doubts(found)
