"""Checkpoints that survive a kill at any moment: tensors beside an index, checked by hash."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from ..errors import FovealError, RunError
from ..record import read_json, write_bytes, write_json

VERSION = 1
KEPT = 2
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class State:
    """All that a run needs to go on: tensors by name, and plain facts."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save(folder: Path, state: State, best: State | None = None) -> None:
    """Write ``state``, and ``best`` when a new best came up since; keep the last two.

    Tensor files carry their step in the name and are never written twice; the index that
    points at them is replaced last. Whoever is killed in between leaves the old index, which
    points at old files that are still whole.

    Raises: RunError when the disk is full or not writable; what was there is kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        index = _index(folder)
        entry = _write(folder, "state", state)
        kept = [e for e in index["states"] if e["step"] != state.step][: KEPT - 1]
        chosen = index["best"] if best is None else _write(folder, "best", best)
        write_json(folder / INDEX, {"version": VERSION, "states": [entry, *kept], "best": chosen})
        sweep(folder)
    except OSError as error:
        raise RunError(
            f"cannot save a checkpoint: {error.strerror or error}",
            where=str(folder),
            mend="free some disk space, then continue with `foveal train --resume`",
        ) from error


def load(folder: Path) -> State | None:
    """The newest state that is whole, or None when none was ever saved.

    Raises: RunError when there are checkpoints but none of them can be used.
    """
    entries = _index(folder)["states"]
    for entry in entries:
        tensors = _read(folder, entry)
        if tensors is not None:
            return State(entry["step"], tensors, entry["facts"])
    if entries:
        raise _damaged(folder)
    return None


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin so, by the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def load_best(folder: Path) -> State | None:
    """Weights of the best validation so far. Raises: RunError when their file is damaged."""
    entry = _index(folder)["best"]
    if entry is None:
        return None
    tensors = _read(folder, entry)
    if tensors is None:
        raise _damaged(folder)
    return State(entry["step"], tensors, entry["facts"])


def sweep(folder: Path) -> None:
    """Remove what no index points at: superseded files, and what killed saves left behind."""
    if not folder.is_dir():
        return
    index = _index(folder)
    used = {INDEX, *(e["file"] for e in [*index["states"], index["best"]] if e)}
    for path in folder.iterdir():
        ours = path.name.endswith(".part") or path.suffix == ".safetensors"
        if ours and path.name not in used:
            path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Forget all checkpoints; the index first, so that no kill leaves one without its files."""
    (folder / INDEX).unlink(missing_ok=True)
    sweep(folder)


def _write(folder: Path, kind: str, state: State) -> dict[str, Any]:
    content = safetensors.torch.save({n: t.contiguous() for n, t in state.tensors.items()})
    free = shutil.disk_usage(folder).free
    if free < 2 * len(content):
        raise OSError(f"{free >> 20} MB are free, {len(content) >> 19} MB are wanted")
    digest = hashlib.sha256(content).hexdigest()
    # The digest in the name: a run resumed from an older state never writes over a file in use.
    file = f"{kind}-{state.step:08d}-{digest[:8]}.safetensors"
    write_bytes(folder / file, content)
    return {"step": state.step, "file": file, "sha256": digest, "facts": state.facts}


def _read(folder: Path, entry: dict[str, Any]) -> dict[str, Tensor] | None:
    """The tensors of an entry; None when the file is gone or not the one that was written."""
    try:
        content = (folder / entry["file"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            return None
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
        return tensors
    except (OSError, safetensors.SafetensorError):
        return None


def _index(folder: Path) -> dict[str, Any]:
    """The index, checked; an empty one where there is none."""
    if not (folder / INDEX).exists():
        return {"states": [], "best": None}
    try:
        index: dict[str, Any] = read_json(folder / INDEX)
        if index["version"] != VERSION:
            raise RunError(
                f"checkpoint version {index['version']!r} is not {VERSION}",
                where=str(folder),
                mend="continue it with the Foveal that started it, or train again",
            )
        for entry in [*index["states"], *([index["best"]] if index["best"] else [])]:
            if not _entry_is_sound(entry):
                raise _damaged(folder)
        return index
    except (KeyError, TypeError) as error:
        raise _damaged(folder) from error
    except FovealError as error:
        raise RunError(error.what, where=error.where, mend=error.mend) from error


def _entry_is_sound(entry: dict[str, Any]) -> bool:
    # A name with a folder in it could point anywhere on the disk.
    return (
        type(entry["step"]) is int
        and isinstance(entry["facts"], dict)
        and isinstance(entry["sha256"], str)
        and isinstance(entry["file"], str)
        and Path(entry["file"]).name == entry["file"]
    )


def _damaged(folder: Path) -> RunError:
    return RunError(
        "the checkpoints are damaged",
        where=str(folder),
        mend="remove this folder and train again, or restore it from a copy",
    )
