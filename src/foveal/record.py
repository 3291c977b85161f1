"""Frozen dataclasses to plain JSON values and back; an unknown key is an error with a hint."""

from __future__ import annotations

import dataclasses
import json
import os
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from .errors import FovealError, PlanError
from .find import nearest

T = TypeVar("T")


def to_plain(noun: Any) -> dict[str, object]:
    """Nested dicts, lists, numbers and strings: what JSON can hold."""
    plain: dict[str, object] = dataclasses.asdict(noun)
    return plain


def from_plain(kind: type[T], values: Any, where: str) -> T:
    """Build ``kind`` from plain values, checking every key and every type.

    Raises: PlanError that names the field, the value and the nearest known key.
    """
    built = _convert(kind, values, where)
    assert isinstance(built, kind)
    return built


def read_json(path: Path) -> Any:
    """The JSON document in ``path``. Raises: FovealError when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FovealError(
            f"cannot read {path.name}: {error.strerror}",
            where=str(path),
            mend="give the folder of a finished run, or train again",
        ) from error
    except (ValueError, RecursionError) as error:
        raise FovealError(
            f"{path.name} is not valid JSON ({str(error)[:80]})",
            where=str(path),
            mend="restore the file, or train again",
        ) from error


def write_json(path: Path, values: object) -> None:
    """Write atomically: a reader sees the old file or the new one, never a part.

    Names that are not Unicode (surrogates, from file systems) come back as they were.
    """
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    # A surrogate can only stand inside a JSON string, where \udc80 is its proper escape.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside the target, flush to disk, then rename over it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _convert(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _convert(next(k for k in inner if k is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in inner:
            raise _wrong(value, where, "one of " + ", ".join(map(repr, inner)))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(value, where, "a list")
        return tuple(_convert(inner[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(value, where, "a table of names and values")
        return {str(k): _convert(inner[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(kind, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (str, bool) and isinstance(value, kind):
        return value
    raise _wrong(value, where, {float: "a number", int: "a whole number"}.get(kind, kind.__name__))


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(value, where, "a table of names and values")
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in hints:
            raise PlanError(
                f"unknown key {key!r}",
                where=where,
                mend=nearest(str(key), hints) or f"known keys: {', '.join(hints)}",
            )
    needed = [f.name for f in dataclasses.fields(kind) if _required(f) and f.name not in value]
    if needed:
        raise PlanError(f"missing key {needed[0]!r}", where=where, mend="restore the file")
    return kind(**{k: _convert(hints[k], v, f"{where}: {k}") for k, v in value.items()})


def _required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _wrong(value: Any, where: str, wanted: str) -> PlanError:
    return PlanError(f"{value!r} is not {wanted}", where=where, mend=f"give {wanted}")
