"""Texts that lie together in files: items found by line, as a listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...card import Skipped
from ...errors import DataError
from ...grid import Sample
from ...readers.text import as_sample
from ..listing import Listing, encode, parts_present, stamp_of
from ..names import Names
from . import Place
from ._parts import with_label


@dataclass(slots=True)
class Texts:
    """What was found: one entry per text. keys name the file and the line."""

    keys: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)

    def add(self, key: str, text: str, label: str, part: int, mode: str) -> None:
        """One more text, or a word on why its line is none."""
        if not text.strip():
            self.left_out.append(Skipped(key, "has no text"))
        elif not label:
            self.left_out.append(Skipped(key, "has no class"))
        else:
            self.keys.append(key)
            self.texts.append(text)
            self.labels.append(label)
            self.parts.append(part)
            self.modes.append(mode)

    def listing(self, place: Place, layout: str) -> Listing:
        """All of it as a listing. Raises: DataError when there are not two classes."""
        names: Sequence[str | None] = self.labels
        labels, classes = encode(names, str(place.path))
        few = len(classes) < 2 or (len(names) >= 20 and 2 * len(classes) > len(names))
        if few:
            raise DataError(
                f"{len(names)} texts with {len(classes)} different labels are nothing to learn "
                "from",
                where=str(place.path),
                mend="give two classes at least, and several texts of each",
            )
        parts, texts, modes = np.array(self.parts, np.int8), Names(self.texts), self.modes
        keys = Names(self.keys)

        def read(i: int) -> Sample:
            return as_sample(texts[i], keys[i], modes[i])

        return Listing(
            path=str(place.path),
            name=place.name,
            layout=layout,
            keys=keys,
            labels=labels,
            parts=parts,
            has_parts=parts_present(parts),
            classes=classes,
            read=with_label(read, labels, classes),
            stamp=stamp_of(layout, str(place.path), labels, parts, classes, texts.content),
            left_out=tuple(self.left_out),
        )
