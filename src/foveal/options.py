"""What the commands take: arguments and options that several of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .doors import usage

Data = Annotated[Path, typer.Argument(metavar="DATA", help="Folder, zip, idx, npz, npy or csv.")]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run, as `foveal train` made it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Bad = Annotated[
    Literal["skip", "stop"],
    typer.Option(help="Files that cannot be read: leave out and list (up to 1 %), or stop."),
]
Test = Annotated[
    Path | None, typer.Option(metavar="DATA", help="Data to test on, in the same classes.")
]
Task = Annotated[
    str, typer.Option(metavar="TASK", help="What to learn; auto reads it off the data.")
]
Target = Annotated[
    str,
    typer.Option(metavar="COLUMN[,COLUMN]", help="Columns of a table to learn, by name or number."),
]
Group = Annotated[
    str,
    typer.Option(
        metavar="auto|none|COLUMN|PATTERN",
        help="What stays on one side of the split: what was found, nothing, rows with the same "
        "value of a column, or names with the same bracketed part, as in 'patient(\\d+)'.",
    ),
]
Exclude = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Samples to leave out: a csv of `labels`, or one a line."),
]
Relabel = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A csv with corrected labels: columns sample, label."),
]
Budget = Annotated[
    str | None,
    typer.Option(
        help="Time for the whole command; for each with --folds or --repeats: 90s, 10m, 1h30m.",
        metavar="TIME",
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        metavar="K",
        help="Cross-validate: K runs, each judged on its own part and kept together as one model.",
    ),
]
Repeats = Annotated[
    int,
    typer.Option(metavar="K", help="Train K times with other seeds: how far chance moves scores."),
]
Epochs = Annotated[
    float | None, typer.Option(metavar="N", help="Passes over the data, instead of a budget.")
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, data, plan and machine: same model.")]
Audit = Annotated[
    bool, typer.Option("--audit", help="Then move and turn the test samples, and ask again.")
]
Symmetry = Annotated[
    Literal["auto", "none", "flips", "rotations", "full"],
    typer.Option(help="Flips and turns: where the data allows them, or as you say."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Edit the plan, e.g. net.dropout=0.1."),
]
Coverage = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Sets of classes, or intervals, that hold the truth so often, e.g. 0.9.",
    ),
]
Unknown = Annotated[
    bool, typer.Option("--unknown", help="Say unknown of what is like nothing that was learned.")
]


def span_of(budget: str | None, epochs: float | None) -> float | None:
    """Seconds of a budget; a wrong usage ends the command."""
    from .duration import seconds
    from .errors import PlanError

    if budget is not None and epochs is not None:
        raise usage("give --budget or --epochs, not both")
    if epochs is not None and not 0 < epochs < 1e6:
        raise usage(f"--epochs {epochs:g} must be above 0")
    try:
        return None if budget is None else seconds(budget)
    except PlanError as error:
        raise usage(f"--budget: {error.what}; {error.mend}") from error


def edits_of(changes: list[str] | None) -> dict[str, str]:
    """The edits of --set, by key; a wrong usage ends the command."""
    for change in changes or []:
        if not change.partition("=")[0].strip() or "=" not in change:
            raise usage(f"--set {change!r} must have the form key=value, e.g. net.dropout=0.1")
    pairs = (change.partition("=") for change in changes or [])
    return {key.strip(): value.strip() for key, _, value in pairs}


NewData = Annotated[
    Path | None, typer.Argument(metavar="DATA", help="Folder, zip, idx, npz, npy or csv.")
]
Resume = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")
]
