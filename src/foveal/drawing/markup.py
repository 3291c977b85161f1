"""Text made safe for HTML, and the few shapes that sections share."""

from __future__ import annotations

import base64
import binascii
import html
import re
import struct
import unicodedata
from collections.abc import Sequence

from .words import percent

PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+={0,2}")
PLACE = re.compile(r'<section id="([^"]+)" data-place="([^"]+)"')
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # what a name could hide or turn around with


def esc(value: object) -> str:
    """``value`` as text that is safe between tags and inside quoted attributes.

    Control, direction and surrogate characters become visible codes: a file called
    "\\u202egnp.exe" is shown as it is, not as it pretends to be.
    """
    text = str(value)
    if not text.isascii() or not text.isprintable():
        text = "".join(_visible(c) for c in text)
    return html.escape(text, quote=True)


def name(value: object, most: int = 80) -> str:
    """A class or file name: escaped, shortened in the middle, set apart from the text around."""
    text = str(value)
    if len(text) <= most:
        return f"<bdi>{esc(text)}</bdi>"
    half = most // 2 - 1
    short = text[:half] + "…" + text[-half:]
    return f'<bdi title="{esc(text[:400])}">{esc(short)}</bdi>'


def section(anchor: str, place: str, title: str, body: str, lead: str = "") -> str:
    """A landmark with a heading, an opening sentence (HTML) and its content (HTML).

    ``place`` is its name among the links at the top.
    """
    opening = f'<p class="lead">{lead}</p>' if lead else ""
    return (
        f'<section id="{anchor}" data-place="{esc(place)}" aria-labelledby="{anchor}-title">'
        f'<h2 id="{anchor}-title">{esc(title)}</h2>{opening}{body}</section>'
    )


def anchors(body: str) -> list[tuple[str, str]]:
    """Anchor and place of every section in ``body``, both safe HTML."""
    return PLACE.findall(body)


def image(uri: str, alt: str) -> str:
    """A picture as `drawing.pictures` makes them; nothing where ``uri`` is no such."""
    if not PICTURE.fullmatch(uri):
        return ""
    try:
        width, height = struct.unpack(">II", base64.b64decode(uri[22:54])[16:24])
    except (binascii.Error, struct.error):
        return ""
    kind = ' class="cells"' if max(width, height) <= 96 else ""
    return f'<img{kind} src="{uri}" width="{width}" height="{height}" alt="{esc(alt)}">'


def shown(sample: str, alt: str) -> str:
    """A sample as its report keeps it: a picture, or the words of a text; nothing for "".

    What begins like a picture and is none is not shown as words.
    """
    if not sample or sample.startswith("data:"):
        return image(sample, alt)
    return f"<blockquote>{esc(sample)}</blockquote>"


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numeric: Sequence[int] = (),
    kind: str = "",
) -> str:
    """A table of HTML cells; a row's first cell is its header, ``numeric`` columns align right.

    It scrolls by itself when it is wider than the page, by keyboard too.
    """
    marks = [' class="n"' if i in numeric else "" for i in range(len(head))]
    top = "".join(f'<th scope="col"{m}>{esc(h)}</th>' for h, m in zip(head, marks, strict=True))
    lines = []
    for row in rows:
        cells = "".join(f"<td{m}>{c}</td>" for c, m in zip(row[1:], marks[1:], strict=True))
        lines.append(f'<tr><th scope="row">{row[0]}</th>{cells}</tr>')
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{esc(caption)}">'
        f'<table class="{kind}"><caption>{esc(caption)}</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def between(low: float, high: float) -> str:
    """An interval of shares, in per cent, in small letters."""
    return f'<span class="range">{percent(low)} to {percent(high)}</span>'


def details(summary: str, body: str, *, opened: bool = False) -> str:
    """``body`` (HTML) behind a line to click on."""
    return f"<details{' open' if opened else ''}><summary>{esc(summary)}</summary>{body}</details>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and HTML values side by side."""
    rows = "".join(f"<div><dt>{esc(k)}</dt><dd>{v}</dd></div>" for k, v in pairs)
    return f'<dl class="facts">{rows}</dl>'


def _visible(character: str) -> str:
    if unicodedata.category(character) not in HIDDEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
