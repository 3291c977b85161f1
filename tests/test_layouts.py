"""Layouts: what is recognised, how parts and classes are named, and what each message says."""

import gzip
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from foveal.datasets.layouts import find_listing, from_arrays
from foveal.datasets.listing import stamp_of
from foveal.errors import DataError
from foveal.grid import Axis

RANDOM = np.random.default_rng(0)


def picture(path, shade=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = RANDOM.integers(0, 256, (4, 5), dtype=np.uint8)
    if shade is not None:
        values[:] = shade
    Image.fromarray(values).save(path)


def zipped(folder, target, prefix=""):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + str(path.relative_to(folder)))
    return target


@pytest.fixture
def pets(tmp_path):
    """Three classes in folders, with the litter that real folders hold."""
    root = tmp_path / "pets"
    for name in ("s1", "s2", "s10"):
        for i in (1, 2, 10):
            picture(root / name / f"{i}.png")
    (root / "README.md").write_text("about")
    (root / "s1" / "notes.txt").write_text("odd")
    (root / "s2" / "Thumbs.db").write_text("odd")
    picture(root / ".ipynb_checkpoints" / "a.png")
    picture(root / "__MACOSX" / "a.png")
    picture(root / "stray.png")
    return root


def named(listing):
    return [None if i < 0 else listing.classes[i] for i in listing.labels]


def parts(listing):
    return {key: int(part) for key, part in zip(listing.keys, listing.parts, strict=True)}


def test_class_folders(pets):
    listing = find_listing(pets)
    assert listing.layout == "class folders"
    assert listing.name == "pets"
    assert listing.classes == ("s1", "s2", "s10")
    assert len(listing) == 9
    assert list(listing.keys)[:4] == ["s1/1.png", "s1/2.png", "s1/10.png", "s2/1.png"]
    assert named(listing) == [key.split("/")[0] for key in listing.keys]
    assert listing.has_parts == ("train",)
    assert listing.labels.dtype == np.int32
    assert listing.parts.dtype == np.int8
    reasons = {skipped.key: skipped.reason for skipped in listing.left_out}
    assert reasons == {
        "s1/notes.txt": "no reader knows this kind of file",
        "stray.png": "lies beside the class folders, not inside one",
    }


def test_samples_tell_their_class_and_key(pets):
    listing = find_listing(pets)
    sample = listing.read(8)
    assert (sample.key, sample.y, sample.x.shape) == ("s10/10.png", "s10", (1, 4, 5))
    (pets / "s10" / "10.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"where: s10/10\.png"):
        listing.read(8)


@pytest.mark.parametrize("prefix", ["", "wrap/", "two/wraps/"])
def test_the_same_inside_a_zip(pets, tmp_path, prefix):
    listing = find_listing(zipped(pets, tmp_path / "pets.zip", prefix))
    assert listing.layout == "zip of class folders"
    assert listing.name == "pets"
    assert listing.classes == ("s1", "s2", "s10")
    assert len(listing) == 9
    np.testing.assert_array_equal(listing.read(4).x, find_listing(pets).read(4).x)


def test_a_folder_that_holds_nothing_but_a_zip_of_the_data(pets, tmp_path):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    (downloads / "README.md").write_text("where it came from")
    zipped(pets, downloads / "Pets.ZIP")
    listing = find_listing(downloads)
    assert listing.path == str(downloads / "Pets.ZIP")
    assert named(listing) == named(find_listing(pets))
    zipped(pets, downloads / "more.zip")
    with pytest.raises(DataError, match="no known data set: 3 files"):
        find_listing(downloads)


@pytest.mark.parametrize("middle", ["val", "valid", "Validation", "dev"])
def test_folders_of_parts(tmp_path, middle):
    for part, count in (("train", 3), (middle, 2), ("test", 1)):
        for name in ("cat", "dog"):
            for i in range(count):
                picture(tmp_path / part / name / f"{i}.png")
    picture(tmp_path / "extra" / "cat" / "0.png")
    listing = find_listing(tmp_path)
    assert listing.has_parts == ("train", "validation", "test")
    assert np.bincount(listing.parts).tolist() == [6, 4, 2]
    assert listing.classes == ("cat", "dog")
    assert [s.key for s in listing.left_out] == ["extra/cat/0.png"]
    assert "beside the folders of the parts" in listing.left_out[0].reason


def test_a_test_part_alone(tmp_path):
    for name in ("cat", "dog"):
        picture(tmp_path / "test" / name / "0.png")
    listing = find_listing(tmp_path)
    assert listing.has_parts == ("test",)
    assert listing.classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path):
    for name in ("train", "car", "plane"):
        picture(tmp_path / name / "0.png")
    assert find_listing(tmp_path).classes == ("car", "plane", "train")


def test_a_missing_class_shifts_no_label(tmp_path):
    for name in ("cat", "dog", "emu"):
        picture(tmp_path / "train" / name / "0.png")
    for name in ("dog", "emu"):
        picture(tmp_path / "test" / name / "0.png")
    listing = find_listing(tmp_path)
    assert listing.classes == ("cat", "dog", "emu")
    assert dict(zip(listing.keys, named(listing), strict=True))["test/dog/0.png"] == "dog"


def test_a_class_that_is_never_trained_is_an_error(tmp_path):
    for name in ("cat", "dog"):
        picture(tmp_path / "train" / name / "0.png")
    picture(tmp_path / "test" / "Cat" / "0.png")
    with pytest.raises(DataError, match=r"test part has classes that the train part lacks: 'Cat'"):
        find_listing(tmp_path)


def test_one_class_is_not_enough(tmp_path):
    picture(tmp_path / "only" / "0.png")
    with pytest.raises(
        DataError, match=r"only one class folder, 'only'(.|\n)*one folder per class"
    ):
        find_listing(tmp_path)


@pytest.mark.parametrize("content", [[], ["a.png", "b.png"], ["x.txt"]])
def test_what_is_no_data_set_is_described(tmp_path, content):
    for name in content:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        find_listing(tmp_path)
    assert ("no visible file" if not content else f"{len(content)} files") in caught.value.what
    for known in ("per class", "npz", "idx", "csv"):
        assert known in caught.value.mend


def test_folders_of_arrays(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "0.npy", np.ones((6, 7, 3), np.float32))
    assert find_listing(tmp_path).read(0).x.shape == (3, 6, 7)


def test_the_stamp_tells_changes(pets):
    before = find_listing(pets).stamp
    assert find_listing(pets).stamp == before
    picture(pets / "s1" / "11.png")
    assert find_listing(pets).stamp != before


def write_idx(path, value):
    head = b"\0\0\x08" + bytes([value.ndim]) + struct.pack(f">{value.ndim}I", *value.shape)
    content = head + value.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files(tmp_path, ending):
    x = RANDOM.integers(0, 256, (30, 6, 5))
    for part, rows in (("train", slice(0, 20)), ("t10k", slice(20, 30))):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{ending}", x[rows])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{ending}", np.arange(30)[rows] % 10)
    listing = find_listing(tmp_path)
    assert listing.layout == "idx"
    assert listing.classes == tuple("0123456789")
    assert listing.has_parts == ("train", "test")
    assert listing.keys[25] == "t10k-images-idx3-ubyte[5]"
    sample = listing.read(25)
    assert sample.y == "5"
    np.testing.assert_array_equal(sample.x[0], x[25])
    (tmp_path / f"train-labels-idx1-ubyte{ending}").unlink()
    with pytest.raises(DataError, match=r"no labels beside it(.|\n)*add train-labels-idx1"):
        find_listing(tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("keys", "given"),
    [
        (("x", "y"), ("train",)),
        (("x_train", "y_train", "x_test", "y_test"), ("train", "test")),
        (("train_images", "train_labels", "val_images", "val_labels"), ("train", "validation")),
    ],
)
def test_npz(tmp_path, save, keys, given):
    x = RANDOM.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
    y = np.arange(12).reshape(12, 1) % 3
    save(tmp_path / "set.npz", **{k: y if k.startswith("y") or "labels" in k else x for k in keys})
    for path in (tmp_path, tmp_path / "set.npz"):
        listing = find_listing(path)
        assert listing.layout == "npz"
        assert listing.has_parts == given
        assert listing.classes == ("0", "1", "2")
        assert len(listing) == 12 * len(given)
        sample = listing.read(len(listing) - 1)
        assert sample.y == "2"
        np.testing.assert_array_equal(sample.x, x[11].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((3, 4, 4))}, "'x' has no labels"),
        ({"a": np.ones(3), "b": np.ones(3)}, "no array is named as items are; there are: a, b"),
        ({"x": np.ones((3, 4, 4)), "y": np.ones(2)}, "has 3 items, but labels of shape"),
        ({"x": np.ones((3, 4, 4)), "y": np.ones((3, 5, 2))}, "has 3 items, but labels of shape"),
        ({"x": np.ones(3), "y": np.ones(3)}, "is not a stack of items"),
        ({"x": np.ones((3, 4, 4)), "y": np.array([np.inf, 1, 2])}, "a target is infinite"),
        ({"x": np.ones((3, 4, 4)), "y": np.array([np.nan, 1, 2])}, "are not whole numbers"),
    ],
)
def test_arrays_that_do_not_pair(tmp_path, arrays, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError, match=message):
        find_listing(tmp_path / "set.npz")


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("images", "labels")])
def test_npy_pairs(tmp_path, x, y):
    np.save(tmp_path / f"{x}.npy", RANDOM.random((6, 5, 4)))
    np.save(tmp_path / f"{y}.npy", np.array(["b", "a"] * 3))
    for path in (tmp_path, tmp_path / f"{x}.npy"):
        listing = find_listing(path)
        assert listing.layout == "npy"
        assert listing.classes == ("a", "b")
        assert listing.read(0).y == "b"


def table(path, rows):
    path.write_text("\n".join(rows) + "\n")


def test_a_table_of_paths(pets):
    table(
        pets / "list.csv",
        [
            "id,file,kind,split",
            "1,s1/1.png,a,train",
            "2,.\\s1\\2.png,b,train",
            "3,s1/10,b,test",
            "4,s2/1.png,a,test",
            "5,../../etc/passwd,a,train",
            "6,s2/2.png,,train",
        ],
    )
    with pytest.raises(DataError, match="cannot be told: there are 'id', 'kind'"):
        find_listing(pets)
    table(pets / "list.csv", (pets / "list.csv").read_text().replace("kind", "Label").splitlines())
    for path in (pets, pets / "list.csv"):
        listing = find_listing(path)
        assert listing.layout == "table of paths"
        assert parts(listing) == {
            "s1/1.png": 0, "s1/2.png": 0, "s1/10.png": 2, "s2/1.png": 2
        }  # fmt: skip
        assert named(listing) == ["a", "b", "b", "a"]
        assert listing.read(1).y == "b"
        assert [s.reason for s in listing.left_out] == [
            "list.csv line 6: names no readable file, or several",
            "list.csv line 7: has no class",
        ]


def test_a_table_in_each_part_in_other_dialects(pets):
    table(pets / "train.tsv", ["path\tclass", "s1/1.png\tx", "s1/2.png\ty"])
    table(pets / "test.csv", ["path;class", "s2/1.png;x"])
    listing = find_listing(pets)
    assert parts(listing) == {"s2/1.png": 2, "s1/1.png": 0, "s1/2.png": 0}


def test_two_tables_must_be_told_apart(pets):
    for name in ("one.csv", "two.csv"):
        table(pets / name, ["path,class", "s1/1.png,x", "s1/2.png,y"])
    with pytest.raises(DataError, match=r"2 tables name files: 'one.csv', 'two.csv'"):
        find_listing(pets)


def test_files_listed_twice(pets):
    table(
        pets / "list.csv",
        [
            "f,label",
            "s1/1.png,a",
            "s1/1.png,b",
            "s1/2.png,a",
            "s1/2.png,a",
            "s2/1.png,b",
            "s2/2.png",
        ],
    )
    listing = find_listing(pets)
    assert list(listing.keys) == ["s1/2.png", "s2/1.png"]
    assert [s.reason for s in listing.left_out] == [
        "list.csv line 3: listed twice, with 'a' and 'b'",
        "list.csv line 5: listed twice",
        "has 1 cells, the header 2",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,\0\n", "zero bytes"),
        (b"a,b\n\xff\xfe\xfd\n", "not text in UTF-8"),
        (b'a,b\n"open,1\n', "unexpected end of data"),
        (b"a,a\n1,2\n", "does not name each column once"),
        (b"", "does not name each column once"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", "field larger"),
        (b"file,label\nnone.png,a\n", "no column of 'list.csv' names files"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, content, message):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_listing(tmp_path / "list.csv")


def test_a_column_of_names_is_no_column_of_classes(tmp_path):
    rows = [f"{i}.png,person {i}" for i in range(30)]
    for i in range(30):
        picture(tmp_path / f"{i}.png")
    table(tmp_path / "list.csv", ["file,label", *rows])
    with pytest.raises(DataError, match="30 items with 30 different labels"):
        find_listing(tmp_path)


def test_a_stray_table_does_not_hide_class_folders(pets):
    (pets / "scores.csv").write_bytes(b"\0\0 broken")
    assert find_listing(pets).layout == "class folders"


def test_from_arrays():
    x = RANDOM.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    listing = from_arrays(x, list("abcabc"), test=(x[:2], ["a", "b"]), validation=(x[:1], ["c"]))
    assert listing.has_parts == ("train", "validation", "test")
    assert listing.classes == ("a", "b", "c")
    assert list(listing.keys)[-2:] == ["test[0]", "test[1]"]
    sample = listing.read(1)
    sample.x[:] = 0
    np.testing.assert_array_equal(listing.read(1).x, x[1].transpose(2, 0, 1))
    assert from_arrays(x, list("abcabc")).stamp != from_arrays(x, list("abcabb")).stamp


def test_from_arrays_of_signals():
    axes = (Axis("time", kind="time", mirrors=False),)
    listing = from_arrays(np.ones((4, 9)), [1, 2, 1, 2], axes=axes)
    assert listing.read(0).x.shape == (1, 9)
    assert listing.read(0).grid.axes == axes
    assert listing.classes == ("1", "2")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1, 2], [3]], [0, 1], "cannot become an array"),
        (np.array([None, 1]), [0, 1], "objects that are not text"),
        (np.ones((2, 3)), np.array([{}, {}]), "objects that are not text"),
        (np.ones((2, 3), complex), [0, 1], "holds no numbers"),
        (np.ones((2, 3, 4)), [0, 1, 2], "2 items, but labels"),
    ],
)
def test_from_arrays_refuses(x, y, message):
    with pytest.raises(DataError, match=message):
        from_arrays(x, y)


def test_a_test_set_of_its_own(pets, tmp_path):
    other = tmp_path / "other"
    for name in ("s10", "s1"):
        picture(other / name / "9.png", shade=7)
    listing = find_listing(pets, test=other)
    assert listing.has_parts == ("train", "test")
    assert len(listing) == 11
    assert listing.classes == ("s1", "s2", "s10")
    assert named(listing)[-2:] == ["s1", "s10"]
    assert listing.read(10).y == "s10"
    assert np.unique(listing.read(10).x).tolist() == [7]
    assert "other" in listing.keys[10]
    picture(other / "new" / "1.png")
    with pytest.raises(DataError, match="train part lacks: 'new'"):
        find_listing(pets, test=other)


def test_a_test_set_replaces_the_own_one(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            picture(tmp_path / "one" / part / name / "0.png")
    listing = find_listing(tmp_path / "one", test=tmp_path / "one")
    assert np.bincount(listing.parts).tolist() == [2, 0, 2]
    assert "2 items: another test set was given" in listing.left_out[-1].reason


def test_stamps_tell_shapes_and_pieces_apart():
    assert stamp_of("ab", "c") != stamp_of("a", "bc")
    assert stamp_of(np.zeros((2, 3))) != stamp_of(np.zeros((3, 2)))


def test_cifar_in_its_zip(shared):
    listing = find_listing(shared / "data" / "cifar10" / "CIFAR-10-images.zip")
    assert np.bincount(listing.parts).tolist() == [50_000, 0, 10_000]
    assert len(listing.classes) == 10
    assert listing.left_out == ()
    for i in (0, 33_333, 59_999):
        sample = listing.read(i)
        assert sample.x.shape == (3, 32, 32)
        assert sample.key.split("/")[1] == sample.y


def test_the_shared_sets(shared):
    faces = find_listing(shared / "data" / "orl-faces")
    assert faces.classes[:3] == ("s1", "s2", "s3")
    assert faces.classes[-1] == "s40"
    assert faces.read(0).x.shape == (1, 112, 92)
    chest = find_listing(shared / "data" / "pneumonia")
    assert np.bincount(chest.parts).tolist() == [4708, 524, 624]
    digits = find_listing(shared / "data" / "mnist")
    assert np.bincount(digits.parts).tolist() == [60_000, 0, 10_000]
    brain = find_listing(shared / "data" / "brain-mri")
    assert np.bincount(brain.labels).tolist() == [98, 155]
    assert brain.left_out == ()
