"""Which files are pictures, which are masks of them, told from the names of folders and files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ._parts import part_of

_IMAGES = frozenset(
    {
        *("images", "image", "imgs", "img", "pictures", "photos", "inputs", "input", "scans"),
        *("jpegimages", "rgb", "volumes", "signals", "x"),
    }
)
_MASKS = frozenset(
    {
        *("labels", "label", "masks", "mask", "annotations", "annotation", "annots", "annot"),
        *("gt", "groundtruth", "ground_truth", "targets", "target", "segmentation", "y"),
        *("segmentations", "segmentationclass", "seg", "segs", "annot"),
    }
)
_JOINED = re.compile(
    r"^(train|training|val|valid|validation|test|testing)[_-]?"
    r"(annot|annots|annotations|labels|label|masks|mask|gt|images|image|imgs)$"
)
_NNUNET = {"imagestr": (0, "x"), "labelstr": (0, "y"), "imagests": (2, "x"), "labelsts": (2, "y")}
_CHANNEL = re.compile(r"_(\d{4})$")
_TAIL = re.compile(r"[_-](masks?|labels?|seg|segmentation|gt|annot|annotation|groundtruth)$", re.I)
_ENDS = (".nii.gz", ".gz")


@dataclass(frozen=True, slots=True)
class Pair:
    """One sample: files of its channels in order (one where a file holds all), and of its mask."""

    name: str
    part: int
    images: tuple[int, ...]
    mask: int


@dataclass(slots=True)
class Pairs:
    """Samples in the order of names, and files that have no partner.

    parts: whether the folders tell parts. camvid: whether they are called as CamVid's are.
    """

    found: list[Pair] = field(default_factory=list)
    no_mask: list[int] = field(default_factory=list)
    no_image: list[int] = field(default_factory=list)
    parts: bool = False
    camvid: bool = False


def pairs_of(names: Sequence[str], readable: Sequence[bool]) -> Pairs:
    """The pairs among readable files; empty where the names of folders tell of none."""
    images: dict[tuple[int | None, str], dict[int, int]] = {}
    masks: dict[tuple[int | None, str], int] = {}
    out = Pairs()
    for position, name in enumerate(names):
        role = _role(name) if readable[position] else None
        if role is None:
            continue
        kind, part, own = role
        out.camvid |= kind == "y" and "annot/" in name
        if kind == "y":
            masks.setdefault((part, own), position)
            continue
        channel = _CHANNEL.search(own)
        number = int(channel[1]) if channel else 0
        images.setdefault((part, own), {})[0] = position
        if channel:
            images.setdefault((part, own[: channel.start()]), {})[number] = position
    return _matched(images, masks, out)


def _matched(
    images: dict[tuple[int | None, str], dict[int, int]],
    masks: dict[tuple[int | None, str], int],
    out: Pairs,
) -> Pairs:
    taken: set[int] = set()
    for key, files in images.items():
        if key in masks:
            ordered = tuple(files[number] for number in sorted(files))
            out.found.append(Pair(key[1], key[0] or 0, ordered, masks[key]))
            out.parts |= key[0] is not None
            taken.update(files.values())
    paired = {pair.mask for pair in out.found}
    left = {position for files in images.values() for position in files.values()} - taken
    out.no_mask = sorted(left)
    out.no_image = sorted(set(masks.values()) - paired)
    out.found.sort(key=lambda pair: pair.images[0])
    return out


def _role(name: str) -> tuple[str, int | None, str] | None:
    """("x" or "y", part, name without both) of a file; None where its folders tell neither."""
    *folders, file = name.split("/")
    kind: str | None = None
    part: int | None = None
    bare = False
    rest = []
    for folder in folders:
        low = folder.strip().lower()
        joined = _JOINED.match(low)
        if low in _NNUNET and kind is None:
            part, kind = _NNUNET[low]
        elif joined and kind is None:
            part = part_of(joined[1])
            kind = "x" if joined[2].startswith("im") else "y"
        elif low in _IMAGES and kind is None:
            kind = "x"
        elif low in _MASKS and kind is None:
            kind = "y"
        elif part_of(low) is not None and part is None:
            part, bare = part_of(low), True
        else:
            rest.append(folder)
    stem = _stem(file)
    if kind is None:
        if not bare:
            return None
        kind = "x"
    if kind == "y":
        stem = _TAIL.sub("", stem)
    if part == 0 and any(folder.lower() == "imagestr" for folder in folders):
        part = None
    return kind, (None if _nnunet(folders) and part == 0 else part), "/".join([*rest, stem])


def _nnunet(folders: Sequence[str]) -> bool:
    return any(folder.lower() in _NNUNET for folder in folders)


def _stem(file: str) -> str:
    low = file.lower()
    for end in _ENDS:
        if low.endswith(end):
            return file[: -len(end)]
    return file.rpartition(".")[0] or file
