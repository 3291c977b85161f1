"""What goes wrong with masks and boxes in real sets: planted into copies, and named by `look`."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.datasets.layouts import find_listing
from foveal.readers._codes import codes
from foveal.verbs.look import look

MOST = 66  # pictures of a copy: what is looked at beside its targets are 64


@pytest.fixture(autouse=True)
def _fresh(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path_factory.getbasetemp() / "planted"))


def camvid(shared: Path, root: Path, *, shift: int = 0, parts=("train",)) -> Path:
    """Pictures and masks of CamVid by links; of picture k the mask of picture k + ``shift``."""
    for part in parts:
        (root / part).mkdir(parents=True)
        (root / f"{part}annot").mkdir()
        files = sorted((shared / "data/camvid" / part).iterdir())[:MOST]
        for k, file in enumerate(files[: len(files) - shift]):
            (root / part / file.name).symlink_to(file)
            other = files[k + shift].with_suffix(".png").name
            mask = shared / "data/camvid" / f"{part}annot" / other
            (root / f"{part}annot" / file.with_suffix(".png").name).symlink_to(mask)
    return root


def rewritten(link: Path, mask: np.ndarray) -> None:
    link.unlink()
    Image.fromarray(mask.astype(np.uint8)).save(link)


def bccd(shared: Path, root: Path, change=lambda text, k: text, shift: int = 0) -> Path:
    """Pictures and annotations of bccd, a test part of six; ``change`` rewrites an annotation."""
    data = shared / "data/bccd/BCCD"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    files = sorted((data / "Annotations").iterdir())[: MOST + shift]
    for k, file in enumerate(files[:MOST]):
        (root / f"JPEGImages/{file.stem}.jpg").symlink_to(data / f"JPEGImages/{file.stem}.jpg")
        text = files[k + shift].read_text("utf-8")
        (root / "Annotations" / file.name).write_text(change(text, k), "utf-8")
    names = [file.stem for file in files[:MOST]]
    (root / "ImageSets/Main/train.txt").write_text("\n".join(names[:-6]))
    (root / "ImageSets/Main/test.txt").write_text("\n".join(names[-6:]))
    return root


def doubts(root: Path) -> str:
    return "\n".join(look(root).doubts)


def test_what_is_right_raises_no_such_doubt(shared, tmp_path) -> None:
    told = doubts(camvid(shared, tmp_path / "camvid")) + doubts(bccd(shared, tmp_path / "bccd"))
    for words in ("shifted", "other files", "no sample in", "order", "swapped", "without a mask"):
        assert words not in told, words


def test_shifted_masks(shared, tmp_path) -> None:
    told = doubts(camvid(shared, tmp_path / "set", shift=1))
    assert "label files may be shifted by one" in told


def test_shifted_annotations(shared, tmp_path) -> None:
    root = bccd(shared, tmp_path / "set", shift=1)
    told = doubts(root)
    assert "what lies in boxes looks like what lies elsewhere" in told
    assert f"{MOST} samples have an annotation that names another picture" in told


def test_missing_masks(shared, tmp_path) -> None:
    root = camvid(shared, tmp_path / "set")
    lost = sorted((root / "trainannot").iterdir())[3:5]
    for file in lost:
        file.unlink()
    told = doubts(root)
    assert "2 files without a mask of the same name are left out" in told
    assert lost[0].stem in told


def test_missing_annotations(shared, tmp_path) -> None:
    root = bccd(shared, tmp_path / "set")
    for file in sorted((root / "Annotations").iterdir())[3:5]:
        file.unlink()
    assert "2 pictures have no annotation file and are left out" in doubts(root)


def test_a_class_of_masks_that_appears_only_in_test(shared, tmp_path) -> None:
    root = camvid(shared, tmp_path / "set", parts=("train", "test"))
    for link in sorted((root / "trainannot").iterdir()):
        mask = codes(link.read_bytes(), link.name)
        if (mask == 10).any():
            rewritten(link, np.where(mask == 10, 11, mask))
    card = look(root)
    assert card.counts["test"][10] > 0
    assert "no sample in the train part of 'Bicyclist'" in "\n".join(card.doubts)


def test_a_class_of_boxes_that_appears_only_in_test(shared, tmp_path) -> None:
    def change(text: str, k: int) -> str:
        return text if k >= MOST - 6 else text.replace(">Platelets<", ">RBC<")

    told = doubts(bccd(shared, tmp_path / "set", change))
    assert "no sample in the train part of 'Platelets'" in told


def test_corners_in_the_wrong_order(shared, tmp_path) -> None:
    def change(text: str, k: int) -> str:
        swap = {"xmin": "xmax", "xmax": "xmin", "ymin": "ymax", "ymax": "ymin"}
        return re.sub("(xmin|xmax|ymin|ymax)", lambda m: swap[m[1]], text) if k < 5 else text

    told = doubts(bccd(shared, tmp_path / "set", change))
    assert re.search(r"\d+ in 5 samples: boxes with corners in the wrong order: they are", told)


def test_x_and_y_exchanged(shared, tmp_path) -> None:
    def change(text: str, k: int) -> str:
        swap = {"x": "y", "y": "x"}
        return re.sub("([xy])(min|max)", lambda m: swap[m[1]] + m[2], text)

    told = doubts(bccd(shared, tmp_path / "set", change))
    assert "would not with x and y exchanged, so these may be in the wrong order" in told


def test_width_and_height_exchanged(shared, tmp_path) -> None:
    def change(text: str, k: int) -> str:
        return text.replace("<width>640", "<width>480").replace("<height>480", "<height>640")

    root = bccd(shared, tmp_path / "set", change)
    told = doubts(root)
    assert f"{MOST} samples have width and height swapped in the annotation, boxes kept" in told
    assert len(find_listing(root).read(0).y) > 0


def test_masks_that_lie_on_their_side(shared, tmp_path) -> None:
    root = camvid(shared, tmp_path / "set")
    link = sorted((root / "trainannot").iterdir())[0]
    rewritten(link, codes(link.read_bytes(), link.name).T)
    card = look(root)
    assert "its mask has 480 x 360 cells where it has 360 x 480 itself" in card.skipped[0].reason
    assert "1 file cannot be used and are left out" in "\n".join(card.doubts)
