"""The plan: every decision of a run, each with its reason. Only `planner` writes one."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import PlanError
from .find import nearest
from .forms import SoundPart, TextPart
from .grid import Axis, Data, data_of, time_axis
from .net import NetPart
from .record import from_plain, to_plain
from .target import Number

__all__ = [
    "AugmentPart",
    "DataPart",
    "FitPart",
    "JudgePart",
    "NetPart",
    "Plan",
    "SoundPart",
    "TextPart",
    "replace_part",
]

VERSION = 1
Fit = Literal["stretch", "pad", "crop", "ragged", "spacing"]


@dataclass(frozen=True, slots=True)
class DataPart:
    """How a sample becomes network input, and how the set is split.

    size: cells along each axis after `prepare`. fit: how another shape is brought to it:
    "stretch" (each axis scaled), "pad" (scaled to fit inside, rest filled with its own mean),
    "crop" (scaled to cover, centre kept), "ragged" (not scaled: what is longer is cut, behind
    what is shorter stands padding that a mask hides from the network) or "spacing" (every sample
    brought to the same ``step`` between cells, in the axes' unit, then cut or filled around its
    centre). low, high: raw values
    mapped to 0 and 1, per channel; mean, std: of those, per channel. validation,
    test: share held back from the training part when the data brings no such part (0 when it
    does). dtype: the set's own depth (``card.dtype``); samples of another depth are brought to
    it. scale: "set" maps values as above; "sample" first brings each sample to zero mean and
    unit spread, channel by channel (magnetic resonance, whose units mean nothing). text, sound:
    how such samples become numbers. sampled: axes, by position, along which whole cells are
    picked at even distances and never blended (the frames of a clip); ``fit`` is about the others.
    """

    size: tuple[int, ...]
    channels: int
    fit: Fit
    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: float
    test: float
    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    scale: Literal["set", "sample"] = "set"
    text: TextPart | None = None
    sound: SoundPart | None = None
    step: tuple[float, ...] = ()
    sampled: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AugmentPart:
    """Random changes that keep the label, made on whole batches.

    translate: largest shift along each axis, in cells. flip: axes that may be mirrored.
    alternate: mirror every second epoch instead of by coin. cutout: edge of the erased box in
    cells, 0 for none. brightness, contrast: largest change, as a share of one std and of 1.
    warp: largest change of speed along each axis, as a share (none: no change). gain: largest
    change of a sample's distance from its own mean, as a share. zoom: largest change of size of
    what is seen, as a share, anywhere in the frame; not where targets are masks. turn:
    largest angle in degrees, either way, in the plane of two of the axes ``plane`` (by position).
    """

    translate: tuple[int, ...]
    flip: tuple[bool, ...]
    alternate: bool
    cutout: int
    brightness: float
    contrast: float
    warp: tuple[float, ...] = ()
    gain: float = 0.0
    zoom: float = 0.0
    turn: float = 0.0
    plane: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FitPart:
    """How the weights are found.

    optimiser: "muon" (Muon on kernels and matrices, Nesterov SGD on the rest) or "sgd". lr: its
    peak rate; other_lr: of the parameters that Muon leaves to SGD. weight_decay: decoupled; never
    on norms and biases. epochs: passes over the training part; steps: of the optimiser in all.
    warmup: share of the steps before the peak rate. ema: decay per step of the averaged weights, 0
    for none. precision: "fp32" or "bf16". coarse: share of the steps at ``coarse_size``. weights:
    of each output in the loss; none: all alike. winograd: wide convolutions in fewer
    multiplications. members: networks that learn side by side and answer together. recall: share
    of the target, in the end, that is what the network said of the sample before (classes alone).
    """

    optimiser: Literal["muon", "sgd"]
    lr: float
    other_lr: float
    momentum: float
    weight_decay: float
    batch: int
    epochs: float
    steps: int
    warmup: float
    label_smoothing: float
    ema: float
    precision: Literal["fp32", "bf16"]
    channels_last: bool
    threads: int
    device: str
    coarse: float
    coarse_size: tuple[int, ...]
    weights: tuple[float, ...] = ()
    winograd: bool = False
    members: int = 1
    recall: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgePart:
    """How answers are made and scored: averaged views per sample, and their shifts in cells.

    turns: views at so many angles, evenly over those that training turned samples by; one where
    it turned them by none, and for less than 2. sizes: views at so many sizes, from a sample's own
    down to the smallest that training made of it; one where it made none, and for less than 2.
    window: samples more than twice as large along an axis are answered in overlapping windows of
    so many of their own cells, where answers have places; () where none are.
    """

    mirror: bool
    shift: int
    bootstrap: int
    window: tuple[int, ...] = ()
    turns: int = 1
    sizes: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """Complete: same plan, data, seed and machine give the same model.

    ``why["net.widths"]`` holds one sentence per number; an edited number says "set by you".
    ``budget`` is the whole command's time in seconds, None when epochs were given. ``folds``: so
    many networks of this plan answer together, each with a budget of its own; 0 for one.
    """

    task: str
    axes: tuple[Axis, ...]
    classes: tuple[str, ...]
    data: DataPart
    augment: AugmentPart
    net: NetPart
    fit: FitPart
    judge: JudgePart
    budget: float | None
    seed: int
    why: dict[str, str] = field(default_factory=dict)
    version: int = VERSION
    numbers: tuple[Number, ...] = ()
    folds: int = 0

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def reads(self) -> tuple[Axis, ...]:
        """Axes of a sample as read: a recording has time alone, whatever becomes of it."""
        sound = self.data.sound
        return self.axes if sound is None else (time_axis(1 / sound.rate),)

    @property
    def outputs(self) -> int:
        """Numbers that the head gives: a vector's, one per class, or one per number to be told."""
        return self.net.vector or len(self.classes) or len(self.numbers)

    @property
    def sees(self) -> Data:
        """What the network sees: "picture", "text", "signal", "volume", "video" or "rows"."""
        return data_of(self.axes)

    def to_dict(self) -> dict[str, object]:
        return to_plain(self)

    @staticmethod
    def from_dict(values: dict[str, object], where: str = "plan.json") -> Plan:
        """Raises: PlanError for an unknown key, a wrong type or another version."""
        found = values.get("version", VERSION) if isinstance(values, dict) else None
        if found != VERSION:
            raise PlanError(
                f"version {found!r} is not {VERSION}",
                where=where,
                mend="plan again with this Foveal",
            )
        return from_plain(Plan, values, where)

    def by_user(self, key: str) -> bool:
        """Whether the user set the number ``key``, such as "fit.threads", and it is to stay."""
        return self.why.get(key, "").startswith("set by you")

    def edited(self, changes: dict[str, str]) -> Plan:
        """A copy with ``changes`` such as ``{"net.widths": "[16, 32]"}`` made, by the user.

        Raises: PlanError when a key does not exist or a value does not fit.
        """
        values: Any = self.to_dict()
        for key, text in changes.items():
            _edit(values, key, text)
            values["why"][key] = f"set by you to {text}"
        return Plan.from_dict(values, "--set")


def _edit(values: dict[str, Any], key: str, text: str) -> None:
    part, _, name = key.rpartition(".")
    known = [
        f"{p}.{n}" if isinstance(v, dict) else p
        for p, v in values.items()
        if p not in {"why", "version", "classes", "numbers", "axes", "folds"}
        for n in (v if isinstance(v, dict) else [p])
    ]
    if key not in known:
        raise PlanError(
            f"unknown key {key!r}",
            where="--set",
            mend=nearest(key, known) or "see `foveal plan` for the keys",
        )
    place = values[part] if part else values
    old = place[name]
    try:
        new = json.loads(text)
    except ValueError:
        new = text
    place[name] = _spread(new, old)


def _spread(new: Any, old: Any) -> Any:
    """A bare number for a list of equal axes means the same on every axis."""
    if isinstance(old, list | tuple) and old and not isinstance(new, list):
        return [_spread(new, o) for o in old]
    return new


def replace_part(plan: Plan, part: str, **changes: Any) -> Plan:
    """A copy of ``plan`` with fields of one part replaced (``part="fit", epochs=3``)."""
    changed: Any = dataclasses.replace(getattr(plan, part), **changes)
    return dataclasses.replace(plan, **{part: changed})
