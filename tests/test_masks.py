"""Pictures beside masks: which files pair, which values are which classes, what is wrong."""

import gzip
import json

import numpy as np
import pytest
from PIL import Image

from foveal.datasets.layouts import find_listing
from foveal.datasets.mispaired import mispaired
from foveal.datasets.survey import survey
from foveal.errors import DataError
from foveal.readers._codes import COLOUR, codes, said
from foveal.target import VOID

SIZE = (6, 8)


@pytest.fixture(autouse=True)
def _fresh(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path_factory.mktemp("cache")))


def shapes(seed, values=(0, 1, 2)):
    rng = np.random.default_rng(seed)
    return rng.choice(np.array(values), SIZE)


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


def mask(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def pair(root, images, masks, name="a", seed=0, values=(0, 1, 2)):
    picture(root / images / f"{name}.png", seed)
    mask(root / masks / f"{name}.png", shapes(seed, values))


WAYS = [
    ("images", "labels"),
    ("images", "masks"),
    ("JPEGImages", "SegmentationClass"),
    ("set/img", "set/gt"),
]


@pytest.mark.parametrize(("images", "masks"), WAYS)
def test_pairs_without_parts(tmp_path, images, masks):
    for i in range(3):
        pair(tmp_path, images, masks, f"p{i}", i)
    listing = find_listing(tmp_path)
    assert (listing.layout, listing.target, len(listing)) == ("pictures beside masks", "mask", 3)
    assert listing.has_parts == ("train",)
    sample = listing.read(1)
    assert sample.x.shape == (3, *SIZE)
    assert np.array_equal(sample.y, shapes(1))
    assert listing.doubts == ()


PARTS = [
    ("{}", "{}annot"),
    ("{}/images", "{}/masks"),
    ("images/{}", "labels/{}"),
    ("{}_images", "{}_labels"),
]


@pytest.mark.parametrize(("images", "masks"), PARTS)
def test_pairs_in_parts(tmp_path, images, masks):
    for number, part in enumerate(("train", "val", "test")):
        for i in range(2 + number):
            pair(tmp_path, images.format(part), masks.format(part), f"{part}{i}", i)
    listing = find_listing(tmp_path)
    assert listing.has_parts == ("train", "validation", "test")
    assert np.bincount(listing.parts).tolist() == [2, 3, 4]
    assert listing.target == "mask"


def test_names_may_end_in_what_they_are(tmp_path):
    picture(tmp_path / "images" / "cell 1.png")
    mask(tmp_path / "masks" / "cell 1_mask.png", shapes(0))
    assert len(find_listing(tmp_path)) == 1


def test_folders_called_mask_may_be_classes(tmp_path):
    for name in ("mask", "no_mask"):
        for i in range(3):
            picture(tmp_path / name / f"{i}.png", i)
    assert find_listing(tmp_path).target == "label"


def test_what_has_no_partner_is_named(tmp_path):
    for i in range(3):
        pair(tmp_path, "images", "labels", f"p{i}", i)
    picture(tmp_path / "images" / "lonely.png")
    mask(tmp_path / "labels" / "lost.png", shapes(0))
    listing = find_listing(tmp_path)
    assert [s.reason for s in listing.left_out] == [
        "has no mask of its name",
        "is a mask of no picture",
    ]
    card = survey(listing).card
    assert any("without a mask of the same name" in d and "lonely" in d for d in card.doubts)
    assert any("masks of no picture" in d and "lost.png" in d for d in card.doubts)


def test_masks_of_another_size_are_named(tmp_path):
    for i in range(30):
        pair(tmp_path, "images", "labels", f"p{i}", i)
    mask(tmp_path / "labels" / "p7.png", shapes(0).T)
    card = survey(find_listing(tmp_path)).card
    assert "8 x 6 cells where it has 6 x 8" in card.skipped[0].reason
    for i in range(30):
        mask(tmp_path / "labels" / f"p{i}.png", shapes(i).T)
    with pytest.raises(DataError, match=r"8 x 6 cells where it has 6 x 8"):
        survey(find_listing(tmp_path))


def test_a_class_that_only_the_test_part_has_is_named(tmp_path):
    for i in range(12):
        pair(tmp_path, "train", "trainannot", f"a{i}", i, (0, 1))
        pair(tmp_path, "test", "testannot", f"b{i}", i, (0, 1, 2))
    listing = find_listing(tmp_path)
    card = survey(listing).card
    assert card.counts == {"train": (12, 12, 0), "test": (12, 12, 12)}
    assert any("no sample in the train part of" in doubt for doubt in card.doubts)


def test_a_value_outside_the_table_is_named(tmp_path):
    for i in range(3):
        pair(tmp_path, "images", "labels", f"p{i}", i)
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    listing = find_listing(tmp_path)
    mask(tmp_path / "labels" / "p1.png", np.full(SIZE, 9))
    with pytest.raises(DataError, match=r"value 9, which is no class: they are 0 sky, 1 road"):
        listing.read(1)


def two(tmp_path, name, save):
    root = tmp_path / name
    for i in range(3):
        picture(root / "images" / f"p{i}.png", i)
        (root / "labels").mkdir(exist_ok=True)
        save(shapes(i, (0, 1)).astype(np.uint8), root / "labels" / f"p{i}.png")
    return find_listing(root)


def palette(values, path):
    image = Image.new("P", values.shape[::-1])
    image.putdata(values.ravel().tolist())
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.save(path)


def test_0_and_255_a_palette_and_grey_saved_as_colour_are_the_same_masks(tmp_path):
    found = [
        two(tmp_path, "plain", lambda v, p: Image.fromarray(v).save(p)),
        two(tmp_path, "white", lambda v, p: Image.fromarray(255 * v).save(p)),
        two(tmp_path, "palette", palette),
        two(tmp_path, "colour", lambda v, p: Image.fromarray(np.stack([255 * v] * 3, -1)).save(p)),
        two(tmp_path, "bits", lambda v, p: Image.fromarray(255 * v).convert("1").save(p)),
    ]
    for listing in found:
        assert listing.classes == ("background", "foreground")
        assert np.array_equal(listing.read(2).y, shapes(2, (0, 1)))
    assert "0 background, 255 foreground" in found[1].target_why


def test_255_among_others_is_void(tmp_path):
    for i in range(3):
        pair(tmp_path, "images", "labels", f"p{i}", i, (0, 3, 7, 255))
    listing = find_listing(tmp_path)
    assert len(listing.classes) == 3
    assert "void 255" in listing.target_why
    y = listing.read(0).y
    assert np.array_equal(y == VOID, shapes(0, (0, 3, 7, 255)) == 255)
    assert set(np.unique(y)) == {0, 1, 2, VOID}


def test_colours_are_classes(tmp_path):
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 64]], np.uint8)
    for i in range(3):
        picture(tmp_path / "images" / f"p{i}.png", i)
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(table[shapes(i)]).save(tmp_path / "masks" / f"p{i}.png")
    listing = find_listing(tmp_path)
    assert set(listing.classes[1:]) == {"#ff0000", "#008040"}
    order = [listing.classes.index(n) for n in (listing.classes[0], "#ff0000", "#008040")]
    assert np.array_equal(listing.read(1).y, np.array(order)[shapes(1)])
    assert said(COLOUR + 0xFF0000) == "#ff0000"


def test_photographs_are_no_masks(tmp_path):
    for i in range(3):
        picture(tmp_path / "images" / f"p{i}.png", i)
        (tmp_path / "masks").mkdir(exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "masks" / f"p{i}.png")
    with pytest.raises(DataError, match=r"values, which are too many for classes"):
        find_listing(tmp_path)


def nifti(path, values):
    nibabel = pytest.importorskip("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, np.diag([-1.0, 1.5, 2.0, 1.0]))
    path.write_bytes(gzip.compress(image.to_bytes()))


@pytest.mark.parametrize("labels", [{"0": "bg", "1": "front"}, {"bg": 0, "front": 1}])
def test_raw_folders_of_volumes_with_channels(tmp_path, labels):
    rng = np.random.default_rng(0)
    for i in range(2):
        for channel in range(2):
            values = rng.integers(0, 100, (4, 5, 6)).astype(np.int16)
            nifti(tmp_path / "imagesTr" / f"case_{i}_{channel:04d}.nii.gz", values)
        nifti(tmp_path / "labelsTr" / f"case_{i}.nii.gz", (values > 50).astype(np.uint8))
    nifti(tmp_path / "imagesTs" / "case_9_0000.nii.gz", values)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    listing = find_listing(tmp_path)
    assert (len(listing), listing.classes, listing.has_parts) == (2, ("bg", "front"), ("train",))
    sample = listing.read(1)
    assert sample.x.shape == (2, 6, 5, 4)
    assert np.array_equal(sample.y, (sample.x[1] > 50).astype(np.uint8))
    assert "dataset.json" in listing.target_why


def test_signals_as_arrays(tmp_path):
    for i in range(3):
        rng = np.random.default_rng(i)
        for name in ("signals", "labels"):
            (tmp_path / name).mkdir(exist_ok=True)
        np.save(tmp_path / "signals" / f"{i}.npy", rng.normal(size=50).astype(np.float32))
        np.save(tmp_path / "labels" / f"{i}.npy", (rng.random(50) < 0.2).astype(np.int64))
    listing = find_listing(tmp_path)
    sample = listing.read(0)
    assert sample.x.shape == (1, 50)
    assert sample.y.shape == (50,)
    assert listing.target == "mask"


def test_half_a_class_is_none(tmp_path):
    np.save(tmp_path / "a.npy", np.full((1, 4, 4), 0.5))
    with pytest.raises(DataError, match=r"no whole numbers, so no classes(.|\n)*a.npy"):
        codes((tmp_path / "a.npy").read_bytes(), "a.npy")


def test_camvid_has_its_names_and_its_void(shared):
    listing = find_listing(shared / "data" / "camvid")
    assert np.bincount(listing.parts).tolist() == [123, 34, 78]
    assert listing.classes[0] == "Sky"
    assert len(listing.classes) == 11
    assert "void 11" in listing.target_why


def test_hippocampus_pairs_by_name(shared):
    listing = find_listing(shared / "data" / "hippocampus")
    assert len(listing) == 260
    assert listing.classes == ("background", "1", "2")
    assert len(listing.left_out) == 3


def scenes(count=24, size=(32, 40)):
    """Blocks on noise and their masks, each scene another."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.2, (count, 1, *size)).astype(np.float32)
    y = np.zeros((count, *size), np.uint8)
    for one, mask in zip(x, y, strict=True):
        a, b = rng.integers(0, 20, 2)
        mask[a : a + 10, b : b + 12] = 1
        one[0] += mask
    return x, y


def test_masks_that_fit_the_next_picture_better_are_named():
    x, y = scenes()
    assert mispaired(x, y) == ""
    assert "of the picture before their own" in mispaired(x, np.roll(y, 1, axis=0))
    assert "of the picture after their own" in mispaired(x, np.roll(y, -1, axis=0))
    assert mispaired(x[:3], np.roll(y, 1, axis=0)[:3]) == ""  # too few to tell
    assert mispaired(x, np.random.default_rng(0).permutation(y)) == ""


def test_shifted_label_files_are_named_by_look(tmp_path):
    x, y = scenes()
    for i in range(len(x)):
        for folder, values in (("images", 100 + 100 * x[i, 0]), ("labels", y[i - 1])):
            (tmp_path / folder).mkdir(exist_ok=True)
            shown = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
            shown.save(tmp_path / folder / f"p{i}.png")
    card = survey(find_listing(tmp_path)).card
    assert any("label files may be shifted by one" in doubt for doubt in card.doubts)


@pytest.mark.parametrize("shape", [(50,), (50, 2), (7, 9), (4, 5, 6)])
def test_stacks_of_items_and_masks(tmp_path, shape):
    rng = np.random.default_rng(0)
    grid = shape[:1] if shape == (50, 2) else shape
    x, y = rng.normal(size=(20, *shape)).astype(np.float32), rng.integers(0, 3, (20, *grid))
    np.savez(tmp_path / "set.npz", train_x=x[:15], train_y=y[:15], test_x=x[15:], test_y=y[15:])
    listing = find_listing(tmp_path / "set.npz")
    assert (listing.target, listing.has_parts) == ("mask", ("train", "test"))
    sample = listing.read(16)
    assert sample.x.shape[1:] == grid
    assert np.array_equal(sample.y, y[16])
