"""The command line: arguments in, one verb called, words out. No logic of its own.

Standard output holds what a program reads (one JSON document with --json, one line per answer
of `predict`); everything for people goes to standard error.
Exit codes: 0 done; 1 a mistake to mend, or a fault of ours; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .clock import process_began
from .commands import audit, compare, enroll, identify, labels
from .doors import door, usage
from .options import (
    Audit,
    Bad,
    Budget,
    Changes,
    Coverage,
    Data,
    Epochs,
    Exclude,
    Folds,
    Group,
    Json,
    NewData,
    Relabel,
    Repeats,
    Resume,
    Run,
    Seed,
    Symmetry,
    Target,
    Task,
    Test,
    Unknown,
    edits_of,
    span_of,
)

_started: float | None = None  # of the process, where it was started for one command

app = typer.Typer(
    name="foveal",
    help="Fit a convolutional neural network to pictures, scans, clips, sounds or texts; judge it.",
    epilog="Start with `foveal demo`, or `foveal look` on a folder of yours.",
    no_args_is_help=True,
    # Rich help costs 0.3 s, and rich tracebacks print local values; both are off.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from . import __version__

        typer.echo(f"foveal {__version__}")
        raise typer.Exit


@app.callback()
def foveal(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Fit a convolutional neural network to pictures, scans, clips, sounds or texts; judge it."""


@app.command()
def look(
    data: Data,
    task: Task = "auto",
    target: Target = "",
    group: Group = "auto",
    test: Test = None,
    bad_files: Bad = "skip",
    as_json: Json = False,
) -> None:
    """Say what is there, and what is wrong with it."""
    with door() as progress:
        from .tables import show_card
        from .verbs.look import look as verb
        from .verbs.source import columns

        card = verb(
            data,
            task=task,
            target=columns(target),
            group=group,
            bad_files=bad_files,
            test=test,
            progress=progress,
        )
        _print(card.to_dict()) if as_json else show_card(card)


@app.command()
def plan(
    data: Data,
    task: Task = "auto",
    target: Target = "",
    group: Group = "auto",
    test: Test = None,
    budget: Budget = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    symmetry: Symmetry = "auto",
    bad_files: Bad = "skip",
    changes: Changes = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plan here.")] = None,
    as_json: Json = False,
) -> None:
    """Decide every number of the network and its training, and say why."""
    span, edits = span_of(budget, epochs), edits_of(changes)
    with door() as progress:
        from .record import write_json
        from .tables import show_plan
        from .verbs.plan import plan as verb
        from .verbs.source import columns

        made = verb(
            data,
            task=task,
            target=columns(target),
            group=group,
            test=test,
            budget=span,
            epochs=epochs,
            seed=seed,
            symmetry=symmetry,
            changes=edits,
            bad_files=bad_files,
            progress=progress,
        )
        if out is not None:
            write_json(out, made.to_dict())
            progress.say(f"plan written to {out}")
        _print(made.to_dict()) if as_json else show_plan(made)


@app.command()
def train(
    data: NewData = None,
    task: Task = "auto",
    target: Target = "",
    group: Group = "auto",
    test: Test = None,
    budget: Budget = None,
    epochs: Epochs = None,
    folds: Folds = 0,
    repeats: Repeats = 0,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="Folder of the new run.")] = None,
    seed: Seed = 0,
    symmetry: Symmetry = "auto",
    bad_files: Bad = "skip",
    exclude: Exclude = None,
    relabel: Relabel = None,
    changes: Changes = None,
    audit_too: Audit = False,
    resume: Resume = None,
    as_json: Json = False,
) -> None:
    """Look, plan, train, judge: a folder becomes a model and a report."""
    span, edits = span_of(budget, epochs), edits_of(changes)
    if (data is None) == (resume is None):
        raise usage("give DATA to train on, or --resume RUN to go on with a run; not both")
    several = folds or repeats or audit_too
    if resume is not None and (test, budget, epochs, out, changes, several) != (None,) * 5 + (0,):
        raise usage("a resumed run keeps its own plan; give --resume RUN alone")
    with door(reuse_memory=True) as progress:
        from .tables import show_report
        from .verbs.source import columns
        from .verbs.train import resume as again
        from .verbs.train import train as verb

        if resume is not None:
            report = again(resume, started=_started, progress=progress)
        else:
            assert data is not None, "checked above"
            report = verb(
                data,
                task=task,
                target=columns(target),
                group=group,
                test=test,
                budget=span,
                epochs=epochs,
                folds=folds,
                repeats=repeats,
                out=out,
                seed=seed,
                symmetry=symmetry,
                changes=edits,
                bad_files=bad_files,
                exclude=exclude,
                relabel=relabel,
                audit=audit_too,
                started=_started,
                progress=progress,
            )
        _print(report.to_dict()) if as_json else show_report(report)


@app.command()
def evaluate(run: Run, data: Data, as_json: Json = False) -> None:
    """Judge a trained run on other data with known answers."""
    with door(reuse_memory=True) as progress:
        from .tables import show_report
        from .verbs.evaluate import evaluate as verb

        report = verb(run, data, progress=progress)
        _print(report.to_dict()) if as_json else show_report(report)


@app.command()
def predict(
    run: Run,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Files, folders, zips.")],
    out: Annotated[
        Path | None, typer.Option(metavar="OUT", help="FILE.jsonl, FILE.csv; FOLDER: masks, boxes.")
    ] = None,
    coverage: Coverage = None,
    unknown: Unknown = False,
    as_json: Json = False,
) -> None:
    """Answer for new files: one line each, with how sure that is."""
    if out is not None and out.suffix.lower() not in {".jsonl", ".csv", ""}:
        raise usage(f"--out {out} must end in .jsonl or .csv, or name a folder")
    with door(reuse_memory=True) as progress:
        from .answers import give
        from .verbs.predict import stream

        folder = out if out is not None and not out.suffix else None
        found, telling, plan = stream(
            run, inputs, folder=folder, coverage=coverage, unknown=unknown, progress=progress
        )
        out = out if folder is None else folder / "predictions.jsonl"
        give(found, telling, plan, out=out, as_json=as_json, progress=progress)


app.command()(compare)
app.command()(audit)
app.command()(enroll)
app.command()(identify)
app.command()(labels)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder of the run.")] = Path(
        "runs/demo"
    ),
    as_json: Json = False,
) -> None:
    """Train on handwritten digits that come with scikit-learn, in under a minute."""
    with door(reuse_memory=True) as progress:
        from .tables import show_report
        from .verbs.demo import demo as verb
        from .verbs.folder import free_folder

        out = free_folder(out)
        report = verb(out, started=_started, progress=progress)
        _print(report.to_dict()) if as_json else show_report(report)


def main() -> None:
    """The entry point of the command `foveal`."""
    global _started  # noqa: PLW0603 - the one thing a command learns from outside of its words
    _started = process_began()
    app()


def _print(values: dict[str, Any]) -> None:
    """One JSON document. ASCII only, so that no name and no terminal can break it."""
    typer.echo(json.dumps(values, indent=1, allow_nan=False))
