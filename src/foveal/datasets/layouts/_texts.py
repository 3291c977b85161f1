"""Texts that lie together in files: items found by line, as a listing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...card import Skipped
from ...errors import DataError
from ...grid import Sample
from ...readers.text import as_sample
from ..listing import Listing, parts_present, stamp_of
from ..names import Names
from . import Place
from ._columns import by_column
from ._targets import Targets


@dataclass(slots=True)
class Texts:
    """What was found: one entry per text. keys name the file and the line."""

    keys: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)

    def add(
        self,
        key: str,
        text: str,
        value: Any,
        part: int,
        mode: str,
        reason: str = "",
        group: str = "",
    ) -> None:
        """One more text with what is to be learned of it; None with the reason why it is none.

        group: texts of one word stay together; "" stands alone.
        """
        if not text.strip():
            self.left_out.append(Skipped(key, "has no text"))
        elif value is None:
            self.left_out.append(Skipped(key, reason))
        else:
            self.keys.append(key)
            self.texts.append(text)
            self.values.append(value)
            self.parts.append(part)
            self.modes.append(mode)
            self.groups.append(group)

    def listing(self, place: Place, layout: str, targets: Targets) -> Listing:
        """All of it as a listing. Raises: DataError when there are not two classes."""
        labels, classes, count = targets.labels, targets.classes, len(self.keys)
        few = len(classes) < 2 or (count >= 20 and 2 * len(classes) > count)
        if targets.target == "label" and few:
            raise DataError(
                f"{count} texts with {len(classes)} different labels are nothing to learn from",
                where=str(place.path),
                mend="give two classes at least, and several texts of each",
            )
        parts, texts, modes = np.array(self.parts, np.int8), Names(self.texts), self.modes
        keys = Names(self.keys)

        def read(i: int) -> Sample:
            return as_sample(texts[i], keys[i], modes[i])

        content = b"" if targets.values is None else targets.values.tobytes()
        stamp = stamp_of(layout, str(place.path), labels, parts, classes, texts.content, content)
        asked = place.group if any(self.groups) else ""
        groups, why = by_column(self.groups, asked) if asked else (None, "")
        listing = Listing(
            path=str(place.path),
            name=place.name,
            layout=layout,
            keys=keys,
            labels=labels,
            parts=parts,
            has_parts=parts_present(parts),
            classes=classes,
            read=read,
            stamp=stamp,
            left_out=tuple(self.left_out),
            groups=groups,
            group_why=why,
        )
        return targets.placed(listing)
