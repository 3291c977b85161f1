"""Inputs to predict on: every kind of place, one item at a time, errors in their place."""

import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from foveal.datasets.inputs import inputs
from foveal.datasets.layouts.series import SERIES_AXES
from foveal.errors import DataError
from foveal.grid import IMAGE_AXES, Axis, Sample
from recordings import ts

VOLUME = (Axis("z"), *IMAGE_AXES)
RANDOM = np.random.default_rng(0)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (4, 5), dtype=np.uint8)).save(path)
    return path


def shapes(items):
    return [item.x.shape for _, item in items]


def test_a_file_a_folder_and_a_zip_in_the_order_given(tmp_path):
    for i in (1, 2, 10):
        picture(tmp_path / "deep" / "er" / f"{i}.png")
    (tmp_path / "deep" / "README.md").write_text("about")
    (tmp_path / "deep" / "er" / "notes.txt").write_text("odd")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "deep" / "er" / "1.png", "x/1.png")
    found = list(inputs([tmp_path / "deep/er/2.png", tmp_path / "deep", str(tmp_path / "a.zip")]))
    keys = [key.removeprefix(str(tmp_path)) for key, _ in found]
    assert keys == [
        *("/deep/er/2.png", "/deep/er/1.png", "/deep/er/2.png", "/deep/er/10.png"),
        *("/deep/er/notes.txt", "/a.zip: x/1.png"),
    ]
    assert [isinstance(item, Sample) for _, item in found] == [True] * 4 + [False, True]
    assert all(item.key == key for key, item in found if isinstance(item, Sample))
    assert found[4][1].what == "no reader knows this kind of file"


def test_errors_come_in_their_place_and_name_the_item(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "1.png").write_bytes(b"broken")
    picture(tmp_path / "set" / "2.png")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04")
    found = list(inputs([tmp_path / "none.png", tmp_path / "set", tmp_path / "bad.zip"]))
    assert [type(item) for _, item in found] == [DataError, DataError, Sample, DataError]
    assert all(item.where == key for key, item in found if isinstance(item, DataError))


@pytest.mark.parametrize(
    ("name", "shape", "axes", "expected"),
    [
        ("one", (6, 7), IMAGE_AXES, [(1, 6, 7)]),
        ("one", (6, 7, 3), IMAGE_AXES, [(3, 6, 7)]),
        ("one", (3, 6, 7), IMAGE_AXES, [(3, 6, 7)]),
        ("one", (5, 6, 7), IMAGE_AXES, [(1, 6, 7)] * 5),
        ("x", (3, 6, 7), IMAGE_AXES, [(1, 6, 7)] * 3),
        ("test_images", (2, 6, 7, 3), IMAGE_AXES, [(3, 6, 7)] * 2),
        ("one", (5, 6, 7), VOLUME, [(1, 5, 6, 7)]),
        ("one", (2, 5, 6, 7, 1), VOLUME, [(1, 5, 6, 7)] * 2),
        ("one", (9,), VOLUME[:1], [(1, 9)]),
        ("one", (8, 9), VOLUME[:1], [(1, 9)] * 8),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_stacks_and_single_arrays(tmp_path, name, shape, axes, expected, order):
    value = np.asarray(RANDOM.random(shape), order=order)
    np.save(tmp_path / f"{name}.npy", value)
    assert shapes(inputs([tmp_path / f"{name}.npy"], axes)) == expected


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_gives_its_items_and_not_its_labels(tmp_path, save):
    x = RANDOM.random((3, 6, 7))
    save(tmp_path / "a.npz", test_images=x, test_labels=np.ones(3))
    found = list(inputs([tmp_path / "a.npz"]))
    assert [key.removeprefix(str(tmp_path)) for key, _ in found] == [
        f"/a.npz: test_images[{i}]" for i in range(3)
    ]
    np.testing.assert_array_equal(found[2][1].x[0], x[2])


def test_a_long_list_of_numbers_is_one_error(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(1_000_000, np.uint8))
    ((_, error),) = inputs([tmp_path / "x.npy"])
    assert "is not a stack of items" in error.what


def test_a_row_that_is_not_finite_does_not_stop_the_others(tmp_path):
    x = np.ones((3, 6, 7))
    x[1, 2, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    kinds = [type(item) for _, item in inputs([tmp_path / "x.npy"])]
    assert kinds == [Sample, DataError, Sample]


def test_memory_does_not_grow_with_a_stack(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3000, 64, 64), np.uint8))  # 12 MB
    tracemalloc.start()
    try:
        count = sum(1 for _ in inputs([tmp_path / "x.npy"]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 3000
    assert peak < 2_000_000


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    paths = [picture(tmp_path / f"{i}.png") for i in range(3)]
    stream = inputs(paths)
    next(stream)
    paths[1].write_bytes(b"")
    assert isinstance(next(stream)[1], DataError)


def test_idx_stacks(shared):
    path = shared / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
    stream = inputs([path])
    key, sample = next(stream)
    assert key == f"{path}[0]"
    assert sample.x.shape == (1, 28, 28)
    assert sum(1 for _ in stream) == 9_999


def test_a_file_of_series_gives_each_of_them_where_series_are_asked_for(tmp_path):
    path = ts(tmp_path / "a.ts", [[[1, 2, 3]], [[4, 5, 6, 7]]], ["x", "y"])
    found = list(inputs([path], SERIES_AXES))
    assert [key for key, _ in found] == [f"{path} line 6", f"{path} line 7"]
    assert [item.x.tolist() for _, item in found] == [[[1, 2, 3]], [[4, 5, 6, 7]]]
    ((_, error),) = inputs([path])
    assert error.what == "no reader knows this kind of file"
    path.write_text("@data\n1,two")
    ((key, error),) = inputs([tmp_path], SERIES_AXES)
    assert (key, error.what) == (str(path), "'two' is no number")
