"""How a text or a sound becomes numbers on a grid: parts of the plan that only these have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TextPart:
    """How text becomes numbers: each token a column of ids into tables that the network learns.

    unit: what a token is. lower: whether capitals count as small letters. words: known tokens,
    the most frequent first; token i has the id i + 2, 0 is padding and 1 any other. affixes:
    lengths of beginnings and endings of a word that have ids too. run: so have runs of two to so
    many tokens (1 for none). buckets: rows of a table into which these pieces are hashed. shape:
    whether capitals and digits of a token have an id, too.
    """

    unit: Literal["words", "characters", "bytes"]
    lower: bool
    words: tuple[str, ...]
    affixes: tuple[int, ...]
    run: int
    buckets: int
    shape: bool = False

    @property
    def pieces(self) -> int:
        """Ids of one token beside its own: of its beginnings and endings, and of its shape."""
        return 2 * len(self.affixes) + self.shape

    @property
    def rows(self) -> int:
        """Ids of one token: its own, those of its pieces, and of runs."""
        return self.pieces + max(self.run, 1)


@dataclass(frozen=True, slots=True)
class SoundPart:
    """How a waveform becomes a picture of loudness by pitch and time (log mel spectrogram).

    rate: samples per second that every recording is brought to. window, hop: seconds. bands:
    mel bands between ``low`` and ``high`` Hz; 0 leaves the waveform as it is, at that rate.
    """

    rate: float
    window: float
    hop: float
    bands: int
    low: float
    high: float
