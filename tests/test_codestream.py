"""What packed pictures say of their own size."""

import io

import numpy as np
import pytest
from PIL import Image

from foveal.errors import DataError
from foveal.readers._codestream import check_frames, size_of


def packed(kind, size=(7, 9), mode="L", **options):
    file = io.BytesIO()
    Image.fromarray(np.zeros(size, np.uint8)).convert(mode).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(7, 9), (300, 2)])
def test_sizes_are_those_that_were_packed(size, mode):
    assert size_of(packed("JPEG", size, mode)) == size
    assert size_of(packed("JPEG", size, mode, progressive=True)) == size
    assert size_of(packed("JPEG", size, mode, comment=b"x" * 500)) == size
    assert size_of(packed("JPEG2000", size, mode)) == size


def test_jpeg_ls_tells_its_size_in_its_own_marker():
    assert size_of(b"\xff\xd8\xff\xf7\x00\x0b\x08\x00\x07\x00\x09\x01\x01\x11\x00") == (7, 9)
    assert size_of(b"\xff\xd8\xff\xff\xff\xf7\x00\x0b\x08\x00\x07\x00\x09\x01\x01\x11") == (7, 9)


@pytest.mark.parametrize(
    "frame",
    [
        *(b"", b"\xff\xd8", b"nothing", b"\xff\xd8\x00\x00" * 9, b"\xff\x4f\xff\x51\x00"),
        b"\xff\xd8" + b"\xff\xd0" * 40,
        b"\xff\xd8\xff\xe0\x00\x00" * 40,
        b"\xff\x4f\xff\x51" + bytes(60),
    ],
)
def test_what_tells_none_is_refused(frame):
    assert size_of(frame) is None
    with pytest.raises(DataError, match=r"does not tell its size(.|\n)*where: scan"):
        check_frames([frame], 7, 9, "scan")


def test_another_size_is_refused():
    check_frames([packed("JPEG")] * 3, 7, 9, "scan")
    with pytest.raises(DataError, match="of 7 x 9 where the header tells 9 x 7"):
        check_frames([packed("JPEG")], 9, 7, "scan")


def test_no_bytes_raise_anything_else():
    rng = np.random.default_rng(0)
    for start in (b"\xff\xd8", b"\xff\x4f\xff\x51", packed("JPEG")[:40], packed("JPEG2000")[:99]):
        for length in range(0, 200, 7):
            size_of(start + rng.bytes(length))
