"""Text: UTF-8, UTF-16 with its mark, or the Western 8-bit alphabets; one item is its bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..grid import TEXT_AXES, Grid, Sample
from . import Reader, unreadable

MOST_BYTES = 16 * 2**20  # of one text
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MARK = b"\xef\xbb\xbf"
_BLANK = b"\t\n\v\f\r\x1b"
# Bytes by which the two Western alphabets differ: controls in one, quotes and dashes in the other.
_WINDOWS = bytes(range(0x80, 0xA0))
_CONTROLS = bytes(b for b in (*range(32), 127) if b not in _BLANK)
_HIGH = bytes(range(128, 256))


def read(content: bytes, key: str) -> Sample:
    """The text in ``content`` as one item: x ``(1, L)``, the bytes of its UTF-8.

    Blanks at both ends are left out. The mode names the encoding it was written in.

    Raises: DataError when there is no text, or over 16 MB of it.
    """
    if len(content) > MOST_BYTES:
        raise unreadable(f"{len(content):,} bytes are more than one text may have", key)
    text, encoding = decode(content, key)
    return as_sample(text, key, encoding)


def as_sample(text: str, key: str, encoding: str = "UTF-8") -> Sample:
    """A string as one item. Raises: DataError when nothing but blanks is in it."""
    content = text.strip().encode("utf-8", "surrogatepass")
    if not content:
        raise unreadable("the text is empty", key)
    x = np.frombuffer(content, np.uint8)[None]
    return Sample(key, x, Grid(TEXT_AXES, x.shape[1:]), mode=encoding)


def decode(content: bytes, key: str) -> tuple[str, str]:
    """The text in ``content`` and the name of its encoding.

    UTF-16 is known by its mark. What is no UTF-8 is taken for Latin-1, or for Windows-1252 where
    bytes occur that only mean something there, as long as two of three bytes are plain ASCII.

    Raises: DataError when bytes occur that no text has, or the encoding cannot be told.
    """
    if content.startswith(_WIDE):
        try:
            return content.decode("utf-16"), "UTF-16"
        except UnicodeDecodeError as error:
            raise unreadable(f"it is not text in UTF-16 (byte {error.start})", key) from error
    odd = len(content) - len(content.translate(None, _CONTROLS))
    if b"\0" in content or 100 * odd > len(content):
        raise unreadable("it holds bytes that no text has, so it is no text", key)
    try:
        name = "UTF-8 with mark" if content.startswith(_MARK) else "UTF-8"
        return content.decode("utf-8-sig"), name
    except UnicodeDecodeError as error:
        high = len(content) - len(content.translate(None, _HIGH))
        if 3 * high > len(content) or content.startswith(_MARK):
            raise unreadable(
                f"it is text neither in UTF-8 (byte {error.start}) nor in Latin-1", key
            ) from error
    if len(content) == len(content.translate(None, _WINDOWS)):
        return content.decode("latin-1"), "Latin-1"
    return content.decode("cp1252", "replace"), "Windows-1252"


def is_text(head: bytes) -> bool:
    """Whether a file that begins with these bytes could be text."""
    if head.startswith(_WIDE):
        return True
    return bool(head) and len(head) == len(head.translate(None, _CONTROLS))


def _example(folder: Path) -> Path:
    path = folder / "example.txt"
    path.write_bytes("Tr\xe8s bien, et pas cher !\n".encode())
    return path


READER = Reader(suffixes=(".txt", ".text"), read=read, example=_example, ends=False)
