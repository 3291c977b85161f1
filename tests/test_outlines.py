"""Shapes of things: runs and polygons become cells, exactly as said, and within limits."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foveal.datasets.annotations import coco, outlines
from foveal.datasets.annotations.outlines import Outline, outline, painted
from foveal.datasets.annotations.runs import mask_of, runs_of, spelled
from foveal.datasets.layouts import find_listing
from foveal.datasets.survey import survey
from foveal.datasets.targets import brought
from foveal.errors import DataError
from foveal.target import VOID
from foveal.verbs.look import look

SIZE = (24, 32)


@pytest.fixture(autouse=True)
def _fresh(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path_factory.mktemp("cache")))


def blob(seed: int, size=SIZE) -> np.ndarray:
    """Ragged cells: long and short runs, and some columns without any."""
    rng = np.random.default_rng(seed)
    return (rng.random(size) < rng.random()) & (rng.random(size[1]) < 0.8)


def plain_runs(mask: np.ndarray) -> list[int]:
    """Runs by a slow loop, column by column."""
    found, inside = [0], False
    for cell in mask.T.ravel().tolist():
        if cell != inside:
            found.append(0)
            inside = cell
        found[-1] += 1
    return found


@pytest.mark.parametrize("seed", range(8))
def test_runs_are_those_of_the_coco_tool(seed: int) -> None:
    tool = pytest.importorskip("faster_coco_eval.core.mask")
    mask = blob(seed, (13 + 40 * seed, 29))
    told = tool.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = told["counts"] if isinstance(told["counts"], str) else told["counts"].decode()
    runs = runs_of(text, mask.shape)
    assert runs.tolist() == plain_runs(mask)
    assert runs_of(plain_runs(mask), mask.shape).tolist() == runs.tolist()
    assert spelled(runs) == text
    assert np.array_equal(mask_of(runs, mask.shape), mask)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_any_mask_comes_back_from_its_runs(seed: int, rows: int, columns: int) -> None:
    mask = blob(seed, (rows, columns))
    runs = runs_of(plain_runs(mask), mask.shape)
    assert np.array_equal(mask_of(runs_of(spelled(runs), mask.shape), mask.shape), mask)


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([10, -2, 4], (3, 4)),
        ([5, 5], (3, 4)),
        ([5.0, 7], (3, 4)),
        ([True, 11], (3, 4)),
        ([10**30], (3, 4)),
        ([], (3, 4)),
        ([12] + [0] * 20, (3, 4)),
        ([0], (0, 4)),
        ([10**10], (10**5, 10**5)),
        ("", (3, 4)),
        ("ü", (3, 4)),
        ("!!", (3, 4)),
        ("P" * 9, (3, 4)),
        ("oooooooooooo0", (3, 4)),
        ("1" * 50, (3, 4)),
        (None, (3, 4)),
        ({}, (3, 4)),
    ],
)
def test_what_are_no_runs_is_none(counts, size) -> None:
    assert runs_of(counts, size) is None


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_no_text_breaks_the_reading_of_runs(text: str) -> None:
    runs = runs_of(text, (6, 7))
    assert runs is None or (runs.sum() == 42 and runs.min() >= 0)


def by_middles(ring: np.ndarray, size) -> np.ndarray:
    """Whether each cell's middle is inside, by counting the edges to its left in a slow loop."""
    out = np.zeros(size, bool)
    ends = np.roll(ring, -1, axis=0)
    for row in range(size[0]):
        for column in range(size[1]):
            y, x, odd = row + 0.5, column + 0.5, False
            for (ya, xa), (yb, xb) in zip(ring, ends, strict=True):
                if (ya <= y) != (yb <= y):
                    odd ^= xa + (y - ya) / (yb - ya) * (xb - xa) <= x
            out[row, column] = odd
    return out


@pytest.mark.parametrize("seed", range(12))
def test_polygons_hold_the_cells_whose_middles_they_hold(seed: int) -> None:
    """Also crossing ones, ones that stick out, and corners right on middles."""
    rng = np.random.default_rng(seed)
    ring = rng.uniform(-6, 36, (int(rng.integers(3, 12)), 2))
    ring = np.round(ring * 2) / 2 + 0.01 if seed % 2 else ring
    one = Outline("a", (ring,))
    found = painted([one], {"a": 1}, SIZE, "k")
    assert np.array_equal(found == 1, by_middles(ring, SIZE))


def test_a_rectangle_holds_its_cells_and_neighbours_share_none() -> None:
    left = outline("a", [[2, 3, 10, 3, 10, 20, 2, 20]], None)
    right = outline("b", [[10, 3, 12.5, 3, 12.5, 20, 10, 20]], None)
    mask = painted([left, right], {"a": 1, "b": 2}, SIZE, "k")
    assert np.array_equal(np.argwhere(mask == 1).min(0), [3, 2])
    assert (mask == 1).sum() == 8 * 17
    assert (mask == 2).sum() == 2 * 17  # the middle of cell 12 lies on its right edge


def test_polygons_agree_with_the_coco_tool_but_for_rims() -> None:
    tool = pytest.importorskip("faster_coco_eval.core.mask")
    size = (200, 300)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        turn = np.sort(rng.uniform(0, 2 * np.pi, 24))
        reach = rng.uniform(40, 90, 24)
        ring = np.stack([100 + reach * np.sin(turn), 150 + reach * np.cos(turn)], 1)
        told = tool.frPyObjects([ring[:, ::-1].ravel().tolist()], *size)
        theirs = tool.decode(tool.merge(told)).astype(bool)
        ours = painted([Outline("a", (ring,))], {"a": 1}, size, "k") == 1
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.975


def test_the_smaller_lies_on_top_and_a_bare_box_is_void() -> None:
    big = outline("a", [[0, 0, 20, 0, 20, 20, 0, 20]], None)
    small = outline("b", [[5, 5, 9, 5, 9, 9, 5, 9]], None)
    bare = outline("a", [], (10.0, 16.0, 22.0, 30.0))
    for order in ([big, small, bare], [bare, small, big]):
        mask = painted(order, {"a": 1, "b": 2}, SIZE, "k")
        assert mask[6, 6] == 2
        assert mask[2, 2] == 1
        assert mask[12, 18] == 1  # a shape tells more than a box
        assert mask[15, 25] == VOID
        assert mask[0, 31] == 0
        assert (mask == VOID).sum() == 12 * 14 - 10 * 4


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        [[]],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, "6"]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, 3, 4, 5, 1e300]],
        [[1, 2, 3, 4, 5, True]],
        [[0, 0, 5, 0, 5, 5], None],
        [1, 2, 3],
        {},
        {"size": [3, 4]},
        {"size": [3, 4], "counts": [5]},
        {"size": [3.0, 4], "counts": [12]},
        {"size": "34", "counts": [12]},
        "runs",
        [[0.0] * (2 * outlines.MOST_POINTS + 2)],
    ],
)
def test_what_is_no_shape_is_its_box_or_nothing(said) -> None:
    assert outline("a", said, None) is None
    bare = outline("a", said, (1.0, 2.0, 3.0, 4.0))
    assert not bare.known
    assert bare.box == (1, 2, 3, 4)


def test_flat_lists_are_polygons_too() -> None:
    flat, nested = (outline("a", said, None) for said in ([0, 0, 5, 0, 5, 5], [[0, 0, 5, 0, 5, 5]]))
    assert np.array_equal(flat.rings[0], nested.rings[0])


def test_runs_of_another_size_and_endless_drawing_are_refused() -> None:
    wrong = outline("a", {"size": [3, 4], "counts": [5, 7]}, None)
    with pytest.raises(DataError, match=r"drawn on 4 x 3 cells where the picture has 32 x 24"):
        painted([wrong], {"a": 1}, SIZE, "k")
    all_of_it = outline("a", [[0, 0, 32, 0, 32, 24, 0, 24]], None)
    with pytest.raises(DataError, match="its shapes cover it more than 200 times"):
        painted([all_of_it] * 300, {"a": 1}, SIZE, "k")
    zigzag = outline("a", [[0, 0, 1, 24] * 5000], None)
    with pytest.raises(DataError, match=r"cover it more than 200 times(.|\n)*k"):
        painted([zigzag], {"a": 1}, SIZE, "k")


def picture(path: Path, size=SIZE, seed=0, turn: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    exif = Image.Exif()
    if turn:
        exif[274] = turn
    Image.fromarray(pixels).save(path, exif=exif)


def annotated(mask: np.ndarray, number: int, kind: int, way: str) -> dict[str, object]:
    """A rectangle's annotation, its shape written in one of three ways."""
    (top, left), (bottom, right) = np.argwhere(mask).min(0), np.argwhere(mask).max(0) + 1
    top, left, bottom, right = map(int, (top, left, bottom, right))
    runs = plain_runs(mask)
    said: object = [[left, top, right, top, right, bottom, left, bottom]]
    if way != "polygons":
        counts = runs if way == "runs" else spelled(np.array(runs))
        said = {"size": list(mask.shape), "counts": counts}
    box = [left, top, right - left, bottom - top]
    return {"id": 1, "image_id": number, "category_id": kind, "bbox": box, "segmentation": said}


def shape_set(root: Path, way: str = "polygons", boxes: bool = True, count: int = 4) -> np.ndarray:
    """Pictures with a small light thing on a larger dark one, and their masks ``(N, *S)``."""
    rng = np.random.default_rng(0)
    masks = np.zeros((count, *SIZE), np.uint8)
    annotations = []
    for i in range(count):
        y, x = rng.integers(0, 8, 2)
        dark, light = (np.zeros(SIZE, bool) for _ in "ab")
        dark[y : y + 12, x : x + 16] = True
        light[y + 2 : y + 7, x + 3 : x + 9] = True
        masks[i][dark], masks[i][light] = 1, 2
        picture(root / f"p{i}.png", seed=i)
        annotations += [annotated(light, i, 9, way), annotated(dark, i, 4, way)]
    for one in annotations:
        if not boxes:
            del one["bbox"]
    document = {
        "images": [
            {"id": i, "file_name": f"p{i}.png", "height": SIZE[0], "width": SIZE[1]}
            for i in range(count)
        ],
        "annotations": annotations,
        "categories": [{"id": 4, "name": "dark"}, {"id": 9, "name": "light"}],
    }
    (root / "all.json").write_text(json.dumps(document))
    return masks


def edited(root: Path, change) -> Path:
    path = root / "all.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return root


@pytest.mark.parametrize("way", ["polygons", "runs", "text"])
def test_boxes_are_learned_unless_masks_are_asked_for(tmp_path, way) -> None:
    masks = shape_set(tmp_path, way)
    listing = find_listing(tmp_path)
    assert (listing.target, listing.classes) == ("boxes", ("dark", "light"))
    assert "8 have shapes, of which --task segment learns masks" in listing.target_why
    found = brought(listing, "mask")
    assert (found.target, found.layout) == ("mask", "COCO, shapes as masks")
    assert found.classes == ("background", "dark", "light")
    assert found.doubts == ()
    assert "8 shapes in 4 samples, the smaller on top where they overlap" in found.target_why
    for i, mask in enumerate(masks):
        assert np.array_equal(found.read(i).y, mask)
    assert found.stamp != listing.stamp


def test_look_tells_which_task_is_taken(tmp_path) -> None:
    shape_set(tmp_path, count=12)
    card = look(tmp_path)
    assert card.target == "boxes"
    assert "--task segment learns masks" in card.why["target"]
    card = look(tmp_path, task="segment")
    assert card.target == "mask"
    assert card.counts["train"] == (12, 12, 12)


def test_shapes_alone_are_learned_as_masks(tmp_path) -> None:
    masks = shape_set(tmp_path, boxes=False)
    listing = find_listing(tmp_path)
    assert listing.target == "mask"
    assert np.array_equal(listing.read(2).y, masks[2])


def test_boxes_alone_are_no_masks(tmp_path) -> None:
    shape_set(tmp_path)
    edited(tmp_path, lambda d: [a.pop("segmentation") for a in d["annotations"]])
    listing = find_listing(tmp_path)
    assert listing.also == {}
    with pytest.raises(DataError, match="'boxes' cannot become 'mask'"):
        brought(listing, "mask")


def test_a_test_set_elsewhere_brings_its_shapes(tmp_path) -> None:
    first, second = shape_set(tmp_path / "a"), shape_set(tmp_path / "b", "runs")
    found = brought(find_listing(tmp_path / "a", test=tmp_path / "b"), "mask")
    assert found.target == "mask"
    assert found.parts.tolist() == [0] * 4 + [2] * 4
    assert np.array_equal(found.read(1).y, first[1])
    assert np.array_equal(found.read(5).y, second[1])


def test_faults_of_shapes_are_named(tmp_path) -> None:
    shape_set(tmp_path, count=6)

    def change(d) -> None:
        d["annotations"][0]["segmentation"] = [[1, 2, 3]]
        d["annotations"][3] |= {"segmentation": None, "bbox": None}
        d["images"][2] |= {"height": SIZE[1], "width": SIZE[0]}
        d["images"][3] |= {"height": 2 * SIZE[0], "width": 2 * SIZE[1]}
        d["images"][4] |= {"height": 99, "width": 10}

    found = brought(find_listing(edited(tmp_path, change)), "mask")
    told = "\n".join(found.doubts)
    for words in (
        "1 sample has width and height swapped in the annotation, shapes kept as they fit the "
        "picture (p2.png)",
        "1 sample has another size in the annotation, of the same proportions: its shapes are",
        "1 sample has another size in the annotation, which its shapes do not fit: it is left out",
        "1 in 1 sample: annotations that are neither a shape nor a box: they are left out (p1.png)",
        "1 in 1 sample: a box without a usable shape: its cells count as void (p0.png)",
    ):
        assert words in told, words
    assert [s.key for s in found.left_out] == ["p4.png"]
    assert found.keys[-1] == "p5.png"
    y = found.read(3).y
    assert y.shape == SIZE
    assert (y > 0).sum() == pytest.approx(12 * 16 / 4, abs=12)


def test_shapes_are_turned_along_with_their_picture(tmp_path) -> None:
    masks = shape_set(tmp_path, "runs")
    picture(tmp_path / "p1.png", turn=6)
    found = brought(find_listing(tmp_path), "mask")
    assert "1 sample has been turned by its EXIF mark after its shapes" in "\n".join(found.doubts)
    assert np.array_equal(found.read(1).y, np.rot90(masks[1], -1))


def test_too_little_and_too_much_is_an_error(tmp_path) -> None:
    shape_set(tmp_path)

    def bare(d) -> None:
        for one in d["annotations"]:
            one["segmentation"] = [[1, 2]]

    with pytest.raises(DataError, match="not one shape in 4 annotated pictures can be used"):
        brought(find_listing(edited(tmp_path, bare)), "mask")
    shape_set(tmp_path)
    more = [{"id": i, "name": f"c{i}"} for i in range(300)]
    edited(tmp_path, lambda d: d["categories"].extend(more))
    listing = coco.read((tmp_path / "all.json").read_bytes(), "all.json")
    assert listing.drawn == 8
    with pytest.raises(DataError, match="classes of boxes are more than 250"):
        find_listing(tmp_path)
    edited(tmp_path, lambda d: [a.pop("bbox") for a in d["annotations"]])
    with pytest.raises(DataError, match="classes of cells are more than 250"):
        find_listing(tmp_path)


def test_runs_on_another_size_than_stated_leave_the_picture_out(tmp_path) -> None:
    shape_set(tmp_path, "runs", count=120)

    def change(d) -> None:
        d["annotations"][0]["segmentation"] = {"size": [5, 5], "counts": [20, 5]}

    card = survey(brought(find_listing(edited(tmp_path, change)), "mask")).card
    assert "drawn on 5 x 5 cells where the picture has 32 x 24" in card.skipped[0].reason
