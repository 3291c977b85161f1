"""Pascal VOC, COCO and YOLO on disk: recognised, split, and faults named by `look`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.datasets.annotations import Noted, coco, voc, yolo
from foveal.datasets.layouts import find_listing
from foveal.errors import DataError
from foveal.verbs.look import look

SIZE = (48, 64)
CLASSES = ("cat", "dog")
BOXES = np.array([[4.0, 8, 20, 30], [10, 20, 40, 60]])


def noted(boxes=BOXES, names=CLASSES, size=SIZE, **more) -> Noted:
    return Noted(tuple(names), np.array(boxes, float).reshape(-1, 4), size, **more)


def picture(path: Path, size=SIZE, seed=0, turn: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    if turn:
        exif[274] = turn
    image.save(path, exif=exif)


def voc_set(root: Path, count: int = 6) -> Path:
    """Six pictures, in the lists train (4), val (1) and test (1)."""
    for i in range(count):
        picture(root / f"JPEGImages/p{i}.jpg", seed=i)
        path = root / f"Annotations/p{i}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(voc.write(noted(), f"p{i}.jpg"))
    sets = root / "ImageSets/Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("p0\np1\np2\np3\n")
    (sets / "val.txt").write_text("p4\n")
    (sets / "test.txt").write_text("p5\n")
    return root


def coco_set(root: Path) -> Path:
    for part, rows in (("train2017", (0, 1, 2)), ("val2017", (3,))):
        for i in rows:
            picture(root / part / f"p{i}.jpg", seed=i)
        document = coco.write({f"p{i}.jpg": noted() for i in rows}, CLASSES)
        path = root / f"annotations/instances_{part}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
    return root


def yolo_set(root: Path) -> Path:
    for part, rows in (("train", (0, 1, 2)), ("val", (3,))):
        for i in rows:
            picture(root / f"images/{part}/p{i}.jpg", seed=i)
            path = root / f"labels/{part}/p{i}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(yolo.write(noted(), CLASSES))
    (root / "data.yaml").write_text("names: [cat, dog]\nnc: 2\n")
    return root


@pytest.mark.parametrize(
    ("make", "layout", "parts"),
    [
        (voc_set, "Pascal VOC", [0, 0, 0, 0, 1, 2]),
        (coco_set, "COCO", [0, 0, 0, 1]),
        (yolo_set, "YOLO", [0, 0, 0, 1]),
    ],
)
def test_every_format_gives_the_same_boxes(tmp_path, make, layout, parts) -> None:
    listing = find_listing(make(tmp_path / "set"))
    assert listing.layout == layout
    assert listing.target == "boxes"
    assert listing.classes == CLASSES
    assert listing.parts.tolist() == parts
    assert listing.doubts == ()
    for i in range(len(listing)):
        sample = listing.read(i)
        assert sample.x.shape == (3, *SIZE)
        np.testing.assert_allclose(sample.y, [[0, *BOXES[0]], [1, *BOXES[1]]], atol=1e-6)


def doubts(root: Path) -> str:
    return "\n".join(find_listing(root).doubts)


def test_faults_of_voc_are_named_by_look(tmp_path) -> None:
    root = voc_set(tmp_path / "set")

    def write(i: int, one: Noted, name: str | None = None) -> None:
        (root / f"Annotations/p{i}.xml").write_bytes(voc.write(one, name or f"p{i}.jpg"))

    write(0, noted([BOXES[0], [9, 9, 9, 9]]))
    write(1, noted([[20, 30, 4, 8], [-9, 0, 10, 99]]))
    write(2, noted([BOXES[0], [100, 100, 120, 120]]))
    write(3, noted(size=SIZE[::-1]))
    write(4, noted(), "p0.jpg")
    (root / "Annotations/p5.xml").unlink()
    write(6, noted())
    picture(root / "JPEGImages/p7.jpg", seed=7)
    card = look(root)
    told = "\n".join(card.doubts)
    for words in (
        "1 in 1 sample: boxes without area: they are left out (JPEGImages/p0.jpg)",
        "1 in 1 sample: boxes with corners in the wrong order: they are exchanged",
        "1 in 1 sample: boxes that stick out of the frame: they are cut off",
        "1 in 1 sample: boxes that lie outside the frame: they are left out",
        "1 sample has width and height swapped in the annotation, boxes kept as they fit",
        "1 sample has an annotation that names another picture: files may be shifted",
        "2 pictures have no annotation file and are left out",
        "1 annotation files have no picture and are left out",
    ):
        assert words in told, words
    assert {s.key for s in card.skipped} >= {"JPEGImages/p7.jpg", "Annotations/p6.xml"}


def test_a_class_that_appears_only_in_test_is_named(tmp_path) -> None:
    root = voc_set(tmp_path / "set")
    odd = noted(names=("cat", "emu"))
    (root / "Annotations/p5.xml").write_bytes(voc.write(odd, "p5.jpg"))
    assert "no sample in the train part of 'emu'" in "\n".join(look(root).doubts)


def test_a_turned_picture_has_its_boxes_turned(tmp_path) -> None:
    root = voc_set(tmp_path / "set")
    picture(root / "JPEGImages/p0.jpg", turn=6)
    listing = find_listing(root)
    assert "1 sample has been turned by its EXIF mark" in "\n".join(listing.doubts)
    sample = listing.read(0)
    assert sample.x.shape == (3, 64, 48)
    assert sample.y[0].tolist() == [0, 8, 48 - 20, 30, 48 - 4]


def test_voc_in_folders_of_parts_with_files_side_by_side(tmp_path) -> None:
    for part, i in (("train", 0), ("train", 1), ("test", 2)):
        picture(tmp_path / f"{part}/p{i}.png", seed=i)
        (tmp_path / f"{part}/p{i}.xml").write_bytes(voc.write(noted(), f"p{i}.png"))
    assert find_listing(tmp_path).parts.tolist() == [2, 0, 0]


def test_a_broken_annotation_is_left_out_and_told(tmp_path) -> None:
    root = voc_set(tmp_path / "set")
    (root / "Annotations/p1.xml").write_bytes(b"<annotation><object>")
    listing = find_listing(root)
    assert len(listing) == 5
    assert any(s.key == "Annotations/p1.xml" and "no XML" in s.reason for s in listing.left_out)


def test_no_box_at_all_is_an_error(tmp_path) -> None:
    root = voc_set(tmp_path / "set")
    for i in range(6):
        (root / f"Annotations/p{i}.xml").write_bytes(voc.write(noted([], ()), f"p{i}.jpg"))
    with pytest.raises(DataError, match="not one box in 6 annotations can be used"):
        find_listing(root)


def test_coco_tells_what_is_missing(tmp_path) -> None:
    root = coco_set(tmp_path / "set")
    (root / "train2017/p0.jpg").unlink()
    picture(root / "train2017/new.jpg", seed=9)
    told = doubts(root)
    assert "1 annotated pictures are not there and are left out" in told
    assert "1 pictures are named in no annotation file and are left out" in told


def test_coco_keeps_pictures_of_one_name_in_two_folders_apart(tmp_path) -> None:
    for part, size in (("train", SIZE), ("test", (32, 32))):
        picture(tmp_path / part / "p.jpg", size)
        document = coco.write({"p.jpg": noted([[1, 1, 9, 9]], ("cat",), size)}, CLASSES)
        (tmp_path / f"{part}.json").write_text(json.dumps(document))
    listing = find_listing(tmp_path)
    assert [listing.read(i).x.shape[1:] for i in range(2)] == [(32, 32), SIZE]
    assert listing.parts.tolist() == [2, 0]
    assert listing.doubts == ()


def test_yolo_tells_what_is_missing_and_counts_it_as_empty(tmp_path) -> None:
    root = yolo_set(tmp_path / "set")
    (root / "labels/train/p0.txt").unlink()
    (root / "labels/train/alone.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (root / "data.yaml").unlink()
    listing = find_listing(root)
    told = "\n".join(listing.doubts)
    assert "1 pictures have no label file: they count as empty" in told
    assert "1 label files have no picture and are left out" in told
    assert "no data.yaml or classes.txt names the classes: they are numbers" in told
    assert listing.classes == ("0", "1")
    assert len(listing.read(0).y) == 0


def test_yolo_beside_the_pictures_with_lists_of_parts(tmp_path) -> None:
    for i in range(3):
        picture(tmp_path / f"obj/p{i}.jpg", seed=i)
        (tmp_path / f"obj/p{i}.txt").write_bytes(yolo.write(noted(), CLASSES))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "train.txt").write_text("data/obj/p0.jpg\ndata/obj/p1.jpg\n")
    (tmp_path / "test.txt").write_text("data/obj/p2.jpg\n")
    listing = find_listing(tmp_path)
    assert listing.classes == CLASSES
    assert listing.parts.tolist() == [0, 0, 2]
    assert listing.doubts == ()


def test_bccd_reads_whole(shared) -> None:
    listing = find_listing(shared / "data/bccd/BCCD")
    assert np.bincount(listing.parts).tolist() == [205, 87, 72]
    assert listing.classes == ("Platelets", "RBC", "WBC")
    assert "4,886 boxes in 364 samples" in listing.target_why
    assert len(listing.doubts) == 2
    assert "2 in 2 samples: boxes without area" in listing.doubts[0]
    assert "BloodImage_00113.jpg: WBC of 27 x 31, mostly 181 x 201" in listing.doubts[1]


def things(root: Path, shift: int) -> Path:
    """Sixty pictures with a bright thing each, annotated as the picture ``shift`` further on."""
    rng = np.random.default_rng(0)
    places = rng.integers(0, 30, (60, 2))
    for i, (top, left) in enumerate(places.tolist()):
        pixels = rng.normal(100, 10, (*SIZE, 3))
        pixels[top : top + 12, left : left + 12] += 80
        path = root / f"images/p{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        y, x = places[(i + shift) % 60]
        labels = root / f"labels/p{i:02d}.txt"
        labels.parent.mkdir(exist_ok=True)
        labels.write_bytes(yolo.write(noted([[y, x, y + 12, x + 12]], ("cat",)), CLASSES))
    return root


def test_shifted_annotations_are_named_by_look(tmp_path) -> None:
    words = "what lies in boxes looks like what lies elsewhere"
    assert words not in "\n".join(look(things(tmp_path / "right", 0)).doubts)
    assert words in "\n".join(look(things(tmp_path / "shifted", 7)).doubts)
