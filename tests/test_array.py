"""Arrays: which axis holds channels, what is refused, and that stacks stay on disk."""

import io
import zipfile

import numpy as np
import pytest

from foveal.errors import DataError
from foveal.grid import IMAGE_AXES, Axis
from foveal.readers import array

RANDOM = np.random.default_rng(0)


def npy(value):
    out = io.BytesIO()
    np.save(out, value)
    return out.getvalue()


def forged(header):
    """An .npy file of 100 values whose header says what it likes."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(100)


@pytest.mark.parametrize(
    ("shape", "axes", "size"),
    [
        ((9,), 1, (1, 9)),
        ((8, 9), 2, (1, 8, 9)),
        ((2, 2), 2, (1, 2, 2)),
        ((8, 9, 3), 2, (3, 8, 9)),
        ((3, 8, 9), 2, (3, 8, 9)),
        ((3, 8, 4), 2, (4, 3, 8)),
        ((7, 8, 9), 3, (1, 7, 8, 9)),
        ((7, 8, 9, 2), 3, (2, 7, 8, 9)),
        ((2, 7, 8, 9), 3, (2, 7, 8, 9)),
    ],
)
def test_the_rule_for_channels(shape, axes, size):
    value = RANDOM.normal(size=shape).astype(np.float32)
    sample = array.read(npy(value), "a")
    assert len(sample.grid.axes) == axes
    assert sample.x.shape == size
    assert sample.x.size == value.size


def test_axes_given_settle_what_shapes_cannot():
    signal = (Axis("time", kind="time", mirrors=False),)
    assert array.as_sample(np.ones((12, 50)), "a", signal).x.shape == (12, 50)
    assert array.as_sample(np.ones((50, 2)), "a", signal).x.shape == (2, 50)
    assert array.as_sample(np.ones((13, 64, 64)), "a", IMAGE_AXES).x.shape == (13, 64, 64)
    with pytest.raises(DataError, match=r"shape \(5,\) is not one item"):
        array.as_sample(np.ones(5), "a", IMAGE_AXES)


@pytest.mark.parametrize("shape", [(), (5, 6, 7, 8), (1, 2, 3, 4, 5)])
def test_shapes_that_are_no_item(shape):
    with pytest.raises(DataError, match="not one item"):
        array.read(npy(np.ones(shape)), "a")


@pytest.mark.parametrize("dtype", ["?", "i1", "<u2", ">u2", ">f4", "<f8", "e"])
@pytest.mark.parametrize("fortran", [False, True])
def test_every_kind_of_number_and_order(dtype, fortran):
    value = (RANDOM.random((4, 6)) * 100).astype(dtype)
    x = array.read(npy(np.asfortranarray(value) if fortran else value), "a").x
    np.testing.assert_array_equal(x[0], value)
    assert x.dtype.isnative


def test_values_must_be_finite_and_there():
    with pytest.raises(DataError, match="not finite"):
        array.read(npy(np.array([[1.0, np.inf]])), "a")
    with pytest.raises(DataError, match="no cells"):
        array.read(npy(np.ones((0, 4))), "a")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (10,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (10,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 8), }",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (5,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), 'more': 1}",
        "__import__('os').system('touch CANARY_RAN')",
        "[" * 60,
    ],
)
def test_a_lying_header_takes_no_memory(header):
    with pytest.raises(DataError):
        array.read(forged(header), "a")


def test_an_npz_of_one_array_is_an_item_and_of_two_is_not():
    out = io.BytesIO()
    np.savez_compressed(out, a=np.ones((3, 4)))
    assert array.read(out.getvalue(), "a").x.shape == (1, 3, 4)
    np.savez(out, a=np.ones((3, 4)), b=np.ones(3))
    with pytest.raises(DataError, match="holds 2 arrays"):
        array.read(out.getvalue(), "a")


def test_an_npz_bomb_stops_at_the_limit(monkeypatch):
    monkeypatch.setattr(array, "MOST_ITEM", 1000)
    out = io.BytesIO()
    np.savez_compressed(out, a=np.zeros(2000, np.uint8))
    with pytest.raises(DataError, match="2,000 bytes are over the limit of 1,000"):
        array.read(out.getvalue(), "a")


def test_a_small_file_may_hold_less_than_a_large_one(monkeypatch):
    monkeypatch.setattr(array, "MOST_FROM_SMALL", 1000)
    out = io.BytesIO()
    np.savez_compressed(out, a=np.zeros(2000, np.uint8))
    members = array.open_npz(out, 300, "a")
    with pytest.raises(DataError, match="over the limit"):
        array.load_member(out, members["a"], 300, "a")
    assert array.load_member(out, members["a"], 2**30, "a").shape == (2000,)


def test_an_npz_naming_an_array_twice_is_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", npy(np.ones(3)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", npy(np.ones(4)))
    with pytest.raises(DataError, match="twice"):
        array.open_npz(out, len(out.getvalue()), "a")


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<f4"])
def test_rows_are_read_from_disk_one_by_one(tmp_path, dtype):
    value = (RANDOM.random((7, 4, 5)) * 99).astype(dtype)
    path = tmp_path / "x.npy"
    np.save(path, value)
    rows = array.open_rows(path, 0, path.stat().st_size, "x")
    assert isinstance(rows, array.Rows)
    assert len(rows) == 7
    for i in (6, 0, 3):
        np.testing.assert_array_equal(rows[i], value[i])
        assert rows[i].flags.writeable
    np.testing.assert_array_equal(rows.whole(), value)


def test_rows_of_columns_first_arrays_are_loaded(tmp_path):
    value = np.asfortranarray(RANDOM.random((7, 4, 5)))
    np.save(tmp_path / "x.npy", value)
    rows = array.open_rows(tmp_path / "x.npy", 0, 10**6, "x")
    np.testing.assert_array_equal(rows, value)


def test_a_file_that_shrinks_meanwhile_is_noticed(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((7, 4, 5)))
    rows = array.open_rows(path, 0, path.stat().st_size, "x")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="row 6 is no longer in the file"):
        rows[6]
