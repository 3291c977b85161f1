"""The idx format: types, gzip, and headers that lie."""

import gzip
import struct

import numpy as np
import pytest

from foveal.errors import DataError
from foveal.readers import idx


def packed(value, code=8):
    head = b"\0\0" + bytes([code, value.ndim]) + struct.pack(f">{value.ndim}I", *value.shape)
    return head + value.tobytes()


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gz"])
def test_every_type(code, dtype, wrap):
    value = np.arange(24).astype(dtype).reshape(2, 3, 4)
    got = idx.load(wrap(packed(value, code)), "a")
    np.testing.assert_array_equal(got, value)
    assert got.dtype.isnative
    assert got.flags.writeable


def test_large_gzipped_arrays_pass_the_first_kilobyte_whole():
    value = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(idx.load(gzip.compress(packed(value)), "a"), value)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("change", [-1, 1, 1000])
def test_a_length_that_is_not_the_declared_one(wrap, change):
    content = packed(np.zeros((5, 4), np.uint8))
    content = content[:change] if change < 0 else content + bytes(change)
    with pytest.raises(DataError, match=r"shape \(5, 4\) of uint8 needs 20 bytes"):
        idx.load(wrap(content), "a")


def test_a_gzip_bomb_unpacks_no_further_than_its_header():
    bomb = gzip.compress(packed(np.zeros((2, 2), np.uint8)) + bytes(50_000_000))
    with pytest.raises(DataError, match="needs 4 bytes, 1,013 are there"):
        idx.load(bomb, "a")


def test_a_header_over_the_limit_is_refused_first():
    head = b"\0\0\x08\x02" + struct.pack(">II", 2**32 - 1, 2**32 - 1)
    with pytest.raises(DataError, match="over the limit"):
        idx.load(gzip.compress(head), "a")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0", b"\0\0\x07\x01\0\0\0\0", b"\0\0\x08\0", b"\0\0\x08\x03\0\0", b"abcdefgh"],
)
@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_damaged_header(content, wrap):
    with pytest.raises(DataError, match="where: the/key"):
        idx.load(wrap(content), "the/key")


def test_a_damaged_gzip_file():
    content = bytearray(gzip.compress(packed(np.arange(200, dtype=np.uint8))))
    content[12] ^= 0xFF
    with pytest.raises(DataError):
        idx.load(bytes(content), "a")
