"""Pictures: what each mode becomes, that it stands upright, and what is refused."""

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from foveal.errors import DataError
from foveal.readers import image

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def packed(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize("values", [GREY, COLOUR], ids=["grey", "colour"])
def test_keeps_every_value(kind, values):
    sample = image.read(packed(Image.fromarray(values), kind), "a")
    expected = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    np.testing.assert_array_equal(sample.x, expected)
    assert sample.x.dtype == np.uint8
    assert sample.grid.size == (5, 7)
    assert [axis.name for axis in sample.grid.axes] == ["y", "x"]


def test_webp_without_loss():
    content = packed(Image.fromarray(COLOUR), "WEBP", lossless=True)
    np.testing.assert_array_equal(image.read(content, "a").x, COLOUR.transpose(2, 0, 1))


def test_sixteen_bits_stay(tmp_path):
    deep = RANDOM.integers(0, 65536, (4, 6), dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        sample = image.read(packed(Image.fromarray(deep), kind), "a")
        np.testing.assert_array_equal(sample.x[0], deep)
        assert sample.x.dtype == np.uint16
        assert sample.mode.startswith("I;16")


def test_float_stays_and_must_be_finite():
    values = RANDOM.normal(size=(4, 6)).astype(np.float32)
    np.testing.assert_array_equal(
        image.read(packed(Image.fromarray(values), "TIFF"), "a").x[0], values
    )
    values[1, 2] = np.nan
    with pytest.raises(DataError, match="not finite"):
        image.read(packed(Image.fromarray(values), "TIFF"), "a")


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("RGBA", 4), ("LA", 2)],
)
def test_channels_of_each_mode(mode, channels):
    sample = image.read(packed(Image.fromarray(COLOUR).convert(mode)), "a")
    assert sample.x.shape == (channels, 5, 7)
    assert sample.mode == mode


def test_bits_become_black_and_white():
    bits = Image.fromarray(GREY > 127)
    x = image.read(packed(bits), "a").x
    np.testing.assert_array_equal(x[0], np.where(GREY > 127, 255, 0))


def test_a_palette_gives_its_colours_and_its_transparency():
    palette = Image.fromarray(COLOUR).quantize(8)
    expected = np.asarray(palette.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(image.read(packed(palette), "a").x, expected)
    clear = image.read(packed(palette, transparency=0), "a").x
    np.testing.assert_array_equal(clear[3], np.where(np.asarray(palette) == 0, 0, 255))


def test_cmyk_becomes_rgb():
    content = packed(Image.fromarray(COLOUR).convert("CMYK"), "TIFF")
    sample = image.read(content, "a")
    assert sample.mode == "CMYK"
    np.testing.assert_allclose(sample.x, COLOUR.transpose(2, 0, 1), atol=2)


def test_only_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("L", (6, 4), shade) for shade in (10, 200)]
    content = packed(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.unique(image.read(content, "a").x).tolist() == [10]


UPRIGHT = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
# How a camera held in each way stores the upright picture (the inverse of what a reader does).
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: np.rot90(UPRIGHT, 1),
    7: np.rot90(UPRIGHT, 2).T,
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_stands_upright_once(turn, kind):
    exif = Image.Exif()
    exif[274] = turn
    stored = Image.fromarray(np.ascontiguousarray(STORED[turn]))
    options = {"lossless": True} if kind == "WEBP" else {}
    x = image.read(packed(stored, kind, exif=exif, **options), "a").x
    assert x.shape[1:] == (3, 4)
    np.testing.assert_array_equal(x[0], UPRIGHT)


@pytest.mark.parametrize("turn", range(1, 9))
def test_jpeg_orientations_agree_with_one_another(shared, turn):
    folder = shared / "hostile" / "generated" / "images"
    first = image.read((folder / "exif_orientation_1.jpg").read_bytes(), "1").x
    content = (folder / f"exif_orientation_{turn}.jpg").read_bytes()
    x = image.read(content, "n").x
    with Image.open(io.BytesIO(content)) as picture:
        stored = np.asarray(picture).transpose(2, 0, 1)
    assert x.shape == first.shape
    np.testing.assert_array_equal(
        image._TURNS[turn](stored.transpose(1, 2, 0)), x.transpose(1, 2, 0)
    )


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"x" * 99,
    ],
)
def test_a_broken_exif_block_means_upright(exif):
    assert image._orientation(exif) == 1


def test_the_name_does_not_decide_the_format():
    content = packed(Image.fromarray(COLOUR), "JPEG")
    assert image.read(content, "really_a_jpeg.png").x.shape == (3, 5, 7)


def test_large_pictures_are_copied_in_strips(monkeypatch):
    whole = image.read(packed(Image.fromarray(COLOUR)), "a").x
    monkeypatch.setattr(image, "_STRIP", 8)
    np.testing.assert_array_equal(image.read(packed(Image.fromarray(COLOUR)), "a").x, whole)


@pytest.mark.parametrize("size", [(50_001, 1_000), (0, 5), (100_000, 100_000)])
def test_the_header_is_believed_before_memory_is_taken(size):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(DataError, match=r"limit|no pixels|damaged"):
        image.read(b"\x89PNG\r\n\x1a\n" + head + body, "bomb")


def test_a_large_webp_is_refused_before_its_canvas():
    head = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\x3f\0" * 2
    with pytest.raises(DataError, match="16384 x 16384 pixels are more"):
        image.read(b"RIFF" + struct.pack("<I", 22) + b"WEBP" + head, "bomb")


def test_a_wrong_checksum_is_named():
    content = bytearray(packed(Image.fromarray(COLOUR)))
    at = content.index(b"IDAT") + 6
    content[at] ^= 1
    with pytest.raises(DataError, match="checksum in PNG chunk b'IDAT'"):
        image.read(bytes(content), "a")


@pytest.mark.parametrize("content", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<html>", b"<svg/>", b"GIF88a"])
def test_other_formats_are_never_opened(content):
    with pytest.raises(DataError, match="not a picture we know"):
        image.read(content, "picture.png")


def test_an_empty_file_is_called_empty():
    with pytest.raises(DataError, match="the file is empty"):
        image.read(b"", "a.png")


def test_threads_do_not_disturb_one_another_or_the_warning_filters():
    before = list(warnings.filters)
    content = packed(Image.fromarray(COLOUR), "TIFF")
    wrong = []

    def work():
        for _ in range(50):
            if not np.array_equal(image.read(content, "a").x, COLOUR.transpose(2, 0, 1)):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert warnings.filters == before


def test_the_quick_jpeg_road_gives_the_values_of_the_slow_one(monkeypatch):
    pytest.importorskip("simplejpeg")
    rng = np.random.default_rng(0)
    for mode, size in [("RGB", (33, 20)), ("L", (16, 50)), ("RGB", (1, 1)), ("CMYK", (9, 9))]:
        shape = (size[1], size[0], len(mode)) if mode != "L" else size[::-1]
        for options in ({"quality": 75}, {"quality": 95, "progressive": True}):
            picture = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode)
            file = io.BytesIO()
            picture.save(file, "JPEG", **options)
            quick = image.read(file.getvalue(), "a.jpg")
            with monkeypatch.context() as slow:
                slow.setattr(image, "_simplejpeg", lambda: None)
                plain = image.read(file.getvalue(), "a.jpg")
            np.testing.assert_array_equal(quick.x, plain.x)
            assert (quick.x.dtype, quick.mode) == (plain.x.dtype, plain.mode)
