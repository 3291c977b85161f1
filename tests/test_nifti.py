"""NIfTI: values, steps and orientation as SimpleITK has them; every refusal by name."""

import gzip
import itertools
import struct

import numpy as np
import pytest
import SimpleITK

from foveal.errors import DataError
from foveal.readers import nifti as reader
from foveal.readers import read
from foveal.readers._scan import restored
from scans import affine, nifti


def by_itk(path):
    """Values (z, y, x), steps (z, y, x), turned towards right, front, up by SimpleITK."""
    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), "RAS")
    return SimpleITK.GetArrayFromImage(image), image.GetSpacing()[::-1]


def ours(path):
    return read(path.read_bytes(), path.name)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, 1)])
@pytest.mark.parametrize("angle", [0.0, 12.0])
def test_odd_affines_come_out_as_simpleitk_has_them(tmp_path, order, signs, angle):
    values = np.random.default_rng(0).integers(-999, 999, (4, 5, 6)).astype(np.int16)
    matrix = affine(order, signs, (0.7, 1.3, 2.9), angle, (5, -6, 7))
    path = nifti(tmp_path / "odd.nii.gz", values, matrix)
    sample, (wanted, steps) = ours(path), by_itk(path)
    assert np.array_equal(sample.x[0], wanted)
    assert [a.step for a in sample.grid.axes] == pytest.approx(steps, rel=1e-5)
    assert np.array_equal(restored(sample.x, sample.affine)[0], values)


def test_real_scans_come_out_as_simpleitk_has_them(shared):
    for path in sorted((shared / "data" / "hippocampus" / "images").iterdir())[::40]:
        sample, (wanted, steps) = ours(path), by_itk(path)
        assert np.array_equal(sample.x[0], wanted)
        assert sample.x.dtype == wanted.dtype
        assert [a.step for a in sample.grid.axes] == pytest.approx(steps)


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64"],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_every_kind_of_number_stays_what_it_is(tmp_path, dtype, ending):
    values = np.arange(60).reshape(3, 4, 5).astype(dtype)
    sample = ours(nifti(tmp_path / f"x{ending}", values))
    assert sample.x.dtype == dtype
    assert np.array_equal(sample.x[0], values.transpose(2, 1, 0))
    assert sample.mode == "NIfTI"


def test_slope_and_intercept_are_applied(tmp_path):
    part = nifti(tmp_path / "part.nii", np.full((2, 2, 2), 7, np.uint8))
    content = bytearray(part.read_bytes())
    content[112:120] = struct.pack("<2f", 0.5, 1.0)
    assert (read(bytes(content), "x.nii").x == 4.5).all()
    content[112:120] = struct.pack("<2f", 3.0, -1024.0)
    assert (found := read(bytes(content), "x.nii").x).dtype == np.int16
    assert (found == -1003).all()
    content[112:120] = struct.pack("<2f", 0.0, 5.0)  # a slope of nothing means: as they stand
    assert (read(bytes(content), "x.nii").x == 7).all()


def test_values_of_a_cell_become_channels(tmp_path):
    values = np.arange(120, dtype=np.int16).reshape(2, 3, 5, 4)
    sample = ours(nifti(tmp_path / "four.nii", values))
    assert sample.x.shape == (4, 5, 3, 2)
    assert np.array_equal(sample.x, values.transpose(3, 2, 1, 0))
    vector = ours(nifti(tmp_path / "vector.nii", values.reshape(2, 3, 5, 1, 4)))
    assert np.array_equal(vector.x, sample.x)
    one = ours(nifti(tmp_path / "one.nii", values[..., :1].reshape(2, 3, 5, 1, 1)))
    assert one.x.shape == (1, 5, 3, 2)


def test_colours_become_channels(tmp_path):
    colour = np.zeros((2, 3, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    colour["R"], colour["B"][0, 1, 2] = 9, 77
    sample = ours(nifti(tmp_path / "rgb.nii", colour))
    assert sample.x.shape == (3, 4, 3, 2)
    assert (sample.x[0] == 9).all()
    assert sample.x[2, 2, 1, 0] == 77


def test_two_axes_are_a_picture(tmp_path):
    matrix = affine(steps=(0.5, 0.25, 1))
    sample = ours(nifti(tmp_path / "flat.nii", np.arange(6, dtype=np.int16).reshape(2, 3), matrix))
    assert sample.x.shape == (1, 3, 2)
    assert [(a.name, a.step) for a in sample.grid.axes] == [("y", 0.25), ("x", 0.5)]


def test_one_slice_stays_a_volume(tmp_path):
    assert ours(nifti(tmp_path / "thin.nii", np.ones((4, 5, 1), np.int16))).x.shape == (1, 1, 5, 4)


@pytest.mark.parametrize(("unit", "step"), [("meter", 2.0), ("mm", 2.0), ("micron", 2.0)])
def test_units_are_brought_to_millimetres(tmp_path, unit, step):
    factor = {"meter": 1000, "mm": 1, "micron": 0.001}[unit]
    path = nifti(tmp_path / "u.nii", np.ones((2, 2, 2), np.int16), np.diag([step, step, step, 1]))
    content = bytearray(path.read_bytes())
    content[123] = {"meter": 1, "mm": 2, "micron": 3}[unit] | 8
    sample = read(bytes(content), "u.nii")
    assert [a.step for a in sample.grid.axes] == pytest.approx([step * factor] * 3)


def test_packed_in_several_members_and_with_padding_behind(tmp_path):
    plain = nifti(tmp_path / "x.nii", np.arange(6000, dtype=np.int16).reshape(10, 20, 30))
    content = plain.read_bytes()
    wanted = read(content, "x.nii").x
    packed = b"".join(gzip.compress(content[at : at + 999]) for at in range(0, len(content), 999))
    assert np.array_equal(read(packed, "x.nii.gz").x, wanted)
    assert np.array_equal(read(packed + bytes(100), "x.nii.gz").x, wanted)
    assert np.array_equal(read(gzip.compress(content + bytes(5000)), "x.nii.gz").x, wanted)


def changed(content: bytes, at: int, code: str, *values) -> bytes:
    out = bytearray(content)
    struct.pack_into(f"<{code}", out, at, *values)
    return bytes(out)


@pytest.mark.parametrize(
    ("at", "code", "values", "says"),
    [
        (344, "4s", (b"nope",), "its mark is missing"),
        (344, "4s", (b"ni1\0",), "a pair of files"),
        (40, "8h", (9, 3, 4, 5, 1, 1, 1, 1), r"axes; a volume has three|makes no sense"),
        (40, "8h", (5, 3, 4, 5, 2, 2, 1, 1), "not one volume"),
        (40, "8h", (4, 3, 4, 5, 99, 1, 1, 1), "no series in time"),
        (40, "8h", (3, 0, 4, 5, 1, 1, 1, 1), "no cells"),
        (40, "8h", (3, -3, 4, 5, 1, 1, 1, 1), "no cells"),
        (40, "8h", (3, 9999, 9999, 9999, 1, 1, 1, 1), "more than the limit"),
        (40, "8h", (3, 30, 40, 50, 1, 1, 1, 1), "need 120,352 bytes, 472 are there"),
        (70, "h", (1792,), "values of complex128 are not real numbers"),
        (70, "h", (999,), "its header makes no sense"),
        (108, "f", (float("nan"),), "begin at byte nan"),
        (108, "f", (1e9,), "begin at byte"),
        (116, "f", (float("nan"),), "scaled by 2 and nan"),
    ],
)
def test_lying_headers_are_named(tmp_path, at, code, values, says):
    plain = nifti(tmp_path / "x.nii", np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    content = changed(plain.read_bytes(), 112, "f", 2.0)
    for packed in (False, True):
        broken = changed(content, at, code, *values)
        with pytest.raises(DataError, match=rf"({says})(.|\n)*where: x\.nii"):
            reader.read(gzip.compress(broken) if packed else broken, "x.nii")


def test_what_is_not_finite_is_named(tmp_path):
    values = np.ones((2, 2, 2), np.float32)
    values[1, 1, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        ours(nifti(tmp_path / "nan.nii", values))
    path = nifti(tmp_path / "big.nii", np.full((2, 2, 2), 200, np.uint8))
    with pytest.raises(DataError, match="not finite"):
        read(changed(path.read_bytes(), 112, "2f", 3e38, 0.0), "big.nii")


def test_bombs_and_cut_archives_are_named(tmp_path):
    content = nifti(tmp_path / "x.nii", np.zeros((8, 8, 8), np.int16)).read_bytes()
    with pytest.raises(DataError, match="far more than its header tells"):
        read(gzip.compress(content + bytes(10**7)), "x.nii.gz")
    with pytest.raises(DataError, match="far more than its header tells"):
        read(gzip.compress(content) + gzip.compress(b"") * 200_000, "x.nii.gz")
    with pytest.raises(DataError, match="ends too early"):
        read(gzip.compress(content)[:-4], "x.nii.gz")
    wrong = bytearray(gzip.compress(content))
    wrong[-5] ^= 1
    with pytest.raises(DataError, match="damaged gzip file"):
        read(bytes(wrong), "x.nii.gz")
    with pytest.raises(DataError, match="the file is empty"):
        read(b"", "x.nii")


def test_the_missing_library_is_named(tmp_path, monkeypatch):
    content = nifti(tmp_path / "x.nii", np.zeros((2, 2, 2), np.int16)).read_bytes()
    monkeypatch.setitem(__import__("sys").modules, "nibabel.nifti1", None)
    with pytest.raises(DataError, match=r"nibabel(.|\n)*pip install 'foveal\[medical\]'"):
        read(content, "x.nii")
