"""The card: what a data set holds, and what is wrong with it. Made by `look`, read by all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .grid import IMAGE_AXES, Axis, Data, data_of
from .record import from_plain, to_plain
from .target import Number, Target

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not used, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Card:
    """Everything the planner may know of a data set.

    Args:
        path: what the user pointed at.
        layout: the recognised layout ("class folders", "zip of class folders", "idx", "npz", ...).
        target: what y looks like: "label" (one class), "labels" (any of the classes) or "numbers".
        axes: names, steps, units and kinds; their number is the rank. Where cells have a length,
            the steps are those that all samples were brought to.
        channels: channels per cell that the network will see (1 or 3 for pictures).
        dtype: numpy name of the widest dtype met ("uint8", "uint16", "float32").
        parts: samples usable in each given part. A set without a split has only "train".
        smallest, median, largest: cells along each axis over all samples.
        low, high, mean, std: intensity per channel, in the file's units (0.1 and 99.9 percentile).
        modes: colour modes met, with counts.
        classes: names in natural order; ``counts[part][i]`` belongs to ``classes[i]``: samples of
            it, or that have it among others. Empty where numbers are to be predicted.
        numbers: what is to be predicted where the target is "numbers".
        columns: of a table, that the target comes from.
        sides: of boxes, cells along each axis of the smallest twentieth, quarter, median, three
            quarters and largest twentieth, at ``size``.
        groups: how many groups of samples were found that must stay together (0: none were);
            ``why["groups"]`` tells what a group is and how it was told.
        skipped: files left out, with reasons.
        duplicates: groups of keys whose decoded values are the same (at most 50 groups shown).
        duplicate_count: samples that are exact copies of another sample.
        copies: groups of samples that are copies of each other, exact or changed (resized,
            encoded anew, mirrored, reworded), and copied, the samples in them all; changed: groups
            of keys of such that are not exact (at most 50 groups shown).
        doubts: sentences for a person.
        digest: hash of all decoded content and labels; same digest, same data.
        size, fit: the shape every sample was brought to while it was checked (see
            datasets/size.py), and how; a plan that keeps them needs no second reading. ``why``
            holds a sentence for each ("size", "fit").
        scale: "sample" where values mean nothing from file to file (MR): each sample was brought
            to its own mean and spread, and low to std are of the values after that.
        name: a short name for people (the folder's or file's name).
    """

    path: str
    layout: str
    target: Target
    channels: int
    dtype: str
    parts: dict[str, int]
    smallest: tuple[int, ...]
    median: tuple[int, ...]
    largest: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    digest: str
    name: str = ""
    axes: tuple[Axis, ...] = IMAGE_AXES
    modes: dict[str, int] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    duplicate_count: int = 0
    copies: int = 0
    copied: int = 0
    changed: tuple[tuple[str, ...], ...] = ()
    doubts: tuple[str, ...] = ()
    size: tuple[int, ...] = ()
    fit: Literal["stretch", "pad", "crop", "ragged", "spacing"] = "stretch"
    why: dict[str, str] = field(default_factory=dict)
    numbers: tuple[Number, ...] = ()
    groups: int = 0
    scale: Literal["set", "sample"] = "set"
    columns: tuple[str, ...] = ()
    sides: tuple[tuple[float, ...], ...] = ()

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def count(self) -> int:
        """Usable samples in all parts."""
        return sum(self.parts.values())

    @property
    def data(self) -> Data:
        """What the samples are: "picture", "text", "signal", "volume", "video" or "rows"."""
        return data_of(self.axes)

    def to_dict(self) -> dict[str, object]:
        return to_plain(self)

    @staticmethod
    def from_dict(values: dict[str, object], where: str = "card.json") -> Card:
        return from_plain(Card, values, where)
