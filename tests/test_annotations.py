"""Boxes as files say them: read, written, and what is done about what is wrong."""

import json

import numpy as np
import pytest

from foveal.datasets.annotations import Noted, coco, voc, yolo
from foveal.datasets.annotations.rules import FAULTS, settled, turned
from foveal.errors import DataError

SIZE = (480, 640)


def noted(*rows, names=None, size=SIZE, **more) -> Noted:
    boxes = np.array(rows, float).reshape(-1, 4)
    return Noted(tuple(names or ["cell"] * len(boxes)), boxes, size, **more)


SOME = noted((10, 20, 30.5, 60), (0, 0, 480, 640), (1, 2, 3, 4), names=("a & b", "<c>", "ü"))


def same(found: Noted, wanted: Noted) -> None:
    assert found.names == wanted.names
    np.testing.assert_allclose(found.boxes, wanted.boxes, rtol=1e-7, atol=1e-6)


def test_a_round_trip_through_every_format_keeps_every_box() -> None:
    classes = list(SOME.names)
    first = voc.read(voc.write(SOME, "x.jpg"), "x.xml")
    assert first.size == SIZE
    assert first.says == "x.jpg"
    document = coco.read(json.dumps(coco.write({"x.jpg": first}, classes)).encode(), "c.json")
    assert document.classes == tuple(classes)
    assert document.strays == 0
    second = document.pictures["x.jpg"]
    assert second.size == SIZE
    third = yolo.read(yolo.write(second, classes), "x.txt", SIZE, dict(enumerate(classes)))
    for found in (first, second, third):
        same(found, SOME)


def test_said_boxes_carry_their_scores_into_coco() -> None:
    told = coco.write({"x.jpg": SOME}, SOME.names, {"x.jpg": [0.9, 0.8, 0.7]})
    assert [one["score"] for one in told["annotations"]] == [0.9, 0.8, 0.7]
    assert told["annotations"][0]["bbox"] == [20, 10, 40, 20.5]
    assert told["images"][0] == {"id": 1, "file_name": "x.jpg", "height": 480, "width": 640}


BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c "&b;&b;&b;&b;">]>
<annotation><filename>&c;</filename></annotation>"""


@pytest.mark.parametrize(
    "content", [BOMB, BOMB.decode().replace('1.0"?', '1.0" encoding="utf-16"?').encode("utf-16")]
)
def test_voc_refuses_entities_in_any_encoding(content: bytes) -> None:
    with pytest.raises(DataError, match="declares a document type or entities"):
        voc.read(content, "a.xml")


def test_voc_refuses_what_is_too_deep_too_long_or_no_xml() -> None:
    with pytest.raises(DataError, match="more elements than any annotation has"):
        voc.read(b"<a>" * 30 + b"</a>" * 30, "a.xml")
    with pytest.raises(DataError, match="more elements than any annotation has"):
        voc.read(b"<annotation>" + b"<b/>" * 200_001 + b"</annotation>", "a.xml")
    with pytest.raises(DataError, match="no XML that can be read"):
        voc.read(b"\x89PNG", "a.xml")
    with pytest.raises(DataError, match="more than an annotation may have"):
        voc.read(b" " * (voc.MOST_BYTES + 1), "a.xml")


def test_voc_notes_objects_without_corners() -> None:
    text = (
        b"<annotation><object><name>a</name><bndbox><xmin>x</xmin></bndbox></object>"
        b"<object><name>b</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax>"
        b"</bndbox><part><name>p</name><bndbox><xmin>9</xmin></bndbox></part></object></annotation>"
    )
    found = voc.read(text, "a.xml")
    same(found, noted((2, 1, 4, 3), names=("b",)))
    assert len(found.broken) == 1
    assert found.size is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [a, 'b c', \"d\"]\nnc: 3\n", ["a", "b c", "d"]),
        ("nc: 2\nnames:\n  0: a  # first\n  1: b\n\nother: 3", ["a", "b"]),
        ("names:\n- a\n- b\nnc: 2", ["a", "b"]),
        ("names: {0: a, 1: b}", ["a", "b"]),
        ("names: [a,\n  b]\n", ["a", "b"]),
        ("\ufeffa\n\nb\n", ["a", "b"]),
    ],
)
def test_names_of_classes_are_read_from_what_people_write(text: str, names: list[str]) -> None:
    assert list(yolo.names_in(text).values()) == names


def test_yolo_takes_polygons_by_their_bounds_and_notes_other_lines() -> None:
    text = b"0 0.5 0.5 0.5 0.5\n1 0.1 0.2 0.3 0.2 0.3 0.6\n\n0 nan\nx 1 2 3 4\n0.5 1 1 1 1\n"
    found = yolo.read(text, "x.txt", (100, 200), {0: "a"})
    same(found, noted((25, 50, 75, 150), (20, 20, 60, 60), names=("a", "1")))
    assert len(found.broken) == 3
    with pytest.raises(DataError, match="no text"):
        yolo.read(b"\xff\xfe\x00", "x.txt", (1, 1), {})


def test_coco_refuses_and_notes() -> None:
    with pytest.raises(DataError, match="no JSON that can be read"):
        coco.read(b"{", "c.json")
    with pytest.raises(DataError, match="no JSON that can be read"):
        coco.read(b"[" * 200_000, "c.json")
    with pytest.raises(DataError, match="lists of images, annotations and categories"):
        coco.read(b'{"images": []}', "c.json")
    with pytest.raises(DataError, match="no image in it has a name"):
        coco.read(b'{"images": [3], "annotations": [], "categories": []}', "c.json")
    images = [{"id": 1, "file_name": "../../etc/x.jpg"}, {"id": 2, "file_name": "/a/./b.jpg"}]
    box = {"image_id": 2, "category_id": 7, "bbox": [1, 2, 3, 4]}
    crowd, lost, wrong = box | {"iscrowd": 1}, box | {"image_id": 9}, box | {"bbox": [1, 2]}
    bad = box | {"category_id": []}
    values = {
        "images": images,
        "annotations": [box, crowd, lost, wrong, bad, "x"],
        "categories": [{"id": 7, "name": "a"}],
    }
    found = coco.read(json.dumps(values).encode(), "c.json")
    assert list(found.pictures) == ["a/b.jpg"]  # nothing leaves the folder
    same(found.pictures["a/b.jpg"], noted((2, 1, 6, 4), names=("a",)))
    assert len(found.pictures["a/b.jpg"].broken) == 2
    assert found.strays == 2


def test_boxes_that_fit_with_x_and_y_exchanged_are_told() -> None:
    told = settled(noted((500, 10, 600, 50), (10, 20, 30, 40)), SIZE)
    assert told.faults == {"crossed": 1, "gone": 1}
    told = settled(noted((500, 10, 600, 50), (10, 600, 30, 640)), SIZE)
    assert "crossed" not in told.faults  # the other box would not fit then


@pytest.mark.parametrize(
    ("rows", "fault", "left"),
    [
        ([(5, 5, 5, 9)], "flat", 0),
        ([(9, 9, 5, 5)], "order", 1),
        ([(-20, -3, 50, 50)], "outside", 1),
        ([(-0.3, 0, 50, 640.2)], None, 1),
        ([(500, 10, 700, 50)], "gone", 0),
        ([(np.nan, 10, 600, 50)], "number", 0),
        ([(1, 2, 3, 4), (1, 2, 3, 4)], "copy", 1),
    ],
)
def test_every_fault_of_a_box_has_its_rule(rows, fault, left) -> None:
    found = settled(noted(*rows), SIZE)
    assert list(found.faults) == ([fault] if fault else [])
    assert set(found.faults) <= set(FAULTS)
    assert len(found.boxes) == len(found.kept) == left
    if left:
        low, high = found.boxes[:, :2], found.boxes[:, 2:]
        assert (low >= 0).all()
        assert (high <= SIZE).all()
        assert (low < high).all()


def test_swapped_width_and_height() -> None:
    fits, misfits = (10, 20, 30, 40), (10, 20, 600, 40)
    found = settled(noted(fits, size=(640, 480)), SIZE)
    assert list(found.faults) == ["swapped"]
    assert found.boxes.tolist() == [list(fits)]
    found = settled(noted(fits, misfits, size=(640, 480)), SIZE)
    assert list(found.faults) == ["misfit"]
    assert len(found.boxes) == 0


@pytest.mark.parametrize("turn", range(1, 9))
def test_boxes_turn_as_their_picture_does(turn: int) -> None:
    from foveal.readers.image import _TURNS

    picture = np.zeros((5, 8), int)
    picture[1:3, 2:6] = 1
    upright = _TURNS[turn](picture)
    y0, x0, y1, x1 = turned(np.array([[1.0, 2, 3, 6]]), (5, 8), turn)[0].astype(int)
    expected = np.zeros(upright.shape, int)
    expected[y0:y1, x0:x1] = 1
    assert (upright == expected).all()


def test_a_turned_picture_turns_its_boxes_and_a_smaller_one_scales_them() -> None:
    found = settled(noted((10, 20, 30, 40), size=(480, 640)), (640, 480), turn=6)
    assert list(found.faults) == ["turned"]
    assert found.boxes.tolist() == [[20, 450, 40, 470]]
    found = settled(noted((10, 20, 30, 40)), (240, 320))
    assert list(found.faults) == ["scaled"]
    assert found.boxes.tolist() == [[5, 10, 15, 20]]
    found = settled(noted((10, 20, 30, 40)), (400, 320))
    assert list(found.faults) == ["other"]
    assert found.boxes.tolist() == [[10, 20, 30, 40]]


@pytest.mark.parametrize("rank", [1, 3])
def test_the_rules_hold_for_intervals_and_cuboids(rank: int) -> None:
    low, high = [2.0] * rank, [9.0] * rank
    one = Noted(("a", "a"), np.array([high + low, low + low]), (8,) * rank)
    found = settled(one, (8,) * rank)
    assert found.faults == {"order": 1, "flat": 1, "outside": 1}
    assert found.boxes.tolist() == [[2.0] * rank + [8.0] * rank]
