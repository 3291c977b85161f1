"""What a packed picture says of its own size, asked before a decoder takes memory for it."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from . import unreadable

_SEARCHED = 2**16  # bytes in which the size must be told
# Start-of-frame markers of JPEG (ISO 10918-1, table B.1) and of JPEG-LS (ISO 14495-1, C.1.1).
_SIZES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


def check_frames(frames: Iterable[bytes], rows: int, columns: int, key: str) -> None:
    """Raises: DataError when a packed frame has another size than the header tells."""
    for frame in frames:
        found = size_of(frame)
        if found is None:
            raise unreadable("a packed picture in it does not tell its size", key)
        if found != (rows, columns):
            raise unreadable(
                f"a packed picture of {found[0]} x {found[1]} where the header tells "
                f"{rows} x {columns}",
                key,
            )


def size_of(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns of a JPEG, JPEG-LS or JPEG 2000 picture; None where none are told."""
    head = frame[:_SEARCHED]
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    # The size segment follows the start of a JPEG 2000 codestream at once (ISO 15444-1, A.5.1).
    start = head.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(head) < start + 24:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", head, start + 8)
    return (bottom - top, right - left) if bottom > top and right > left else None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _SIZES:
            rows, columns = struct.unpack_from(">2H", head, at + 5)
            return rows, columns
        else:
            at += 2 + max(2, int.from_bytes(head[at + 2 : at + 4], "big"))
    return None
