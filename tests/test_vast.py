"""Pictures over a reader's limit: decoded onto the disk for those who ask, bombs refused."""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.datasets.inputs import inputs
from foveal.errors import DataError
from foveal.grid import IMAGE_AXES
from foveal.readers import _vast, image
from foveal.readers._vast import forget, room
from roads import command
from test_segment_road import net_for

SIZE = (90, 120)


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def low(monkeypatch):
    """Limits a ten-thousandth of the real ones."""
    for module in (image, _vast):
        monkeypatch.setattr(module, "MOST_PIXELS", 5_000)
    monkeypatch.setattr(_vast, "LIMIT", 50_000)
    monkeypatch.setattr(_vast, "_STRIP", 1000)


def saved(path: Path, mode: str, turn: int | None = None, **how) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (*SIZE, 4), dtype=np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(values[..., 0].astype(np.uint16) * 250)
    elif mode == "P":
        picture = Image.fromarray(values[..., :3]).quantize(17)
    elif mode in ("1", "L", "LA", "CMYK"):
        picture = Image.fromarray(values).convert("RGB").convert(mode)
    else:
        picture = Image.fromarray(values[..., : len(mode)])
    exif = Image.Exif()
    if turn:
        exif[274] = turn
        how["exif"] = exif
    picture.save(path, **how)
    return path


WAYS = [
    ("RGB", "png", {}),
    ("RGB", "png", {"turn": 6}),
    ("RGBA", "png", {}),
    ("LA", "png", {}),
    ("L", "png", {}),
    ("1", "png", {}),
    ("P", "png", {}),
    ("I;16", "png", {}),
    ("RGB", "jpg", {"quality": 90}),
    ("L", "jpg", {"turn": 3}),
    ("CMYK", "jpg", {}),
    ("RGB", "tif", {}),
    ("RGB", "tif", {"compression": "tiff_lzw"}),
    ("RGB", "tif", {"compression": "tiff_adobe_deflate"}),
    ("I;16", "tif", {}),
]


@pytest.mark.parametrize(("mode", "ending", "how"), WAYS)
def test_values_are_those_that_a_reader_gives(tmp_path, monkeypatch, mode, ending, how) -> None:
    path = saved(tmp_path / f"a.{ending}", mode, **how)
    wanted = image.read(path.read_bytes(), "a")
    monkeypatch.setattr(_vast, "MOST_PIXELS", 5_000)
    monkeypatch.setattr(_vast, "_STRIP", 1000)
    found = _vast.read(path, "a", tmp_path / "disk")
    assert np.array_equal(found.x, wanted.x)
    assert (found.x.dtype, found.grid, found.key) == (wanted.x.dtype, wanted.grid, "a")
    assert list((tmp_path / "disk").iterdir()) == []  # the file has no name
    forget(found.x)
    assert np.array_equal(found.x, wanted.x)


def test_small_and_other_pictures_are_left_to_their_reader(tmp_path, monkeypatch) -> None:
    small = saved(tmp_path / "a.png", "RGB")
    assert _vast.read(small, "a", tmp_path) is None
    monkeypatch.setattr(_vast, "MOST_PIXELS", 5_000)
    assert _vast.read(saved(tmp_path / "a.bmp", "RGB"), "a", tmp_path) is None
    (tmp_path / "b.png").write_bytes(b"")
    assert _vast.read(tmp_path / "b.png", "b", tmp_path) is None


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def bomb(width: int, height: int, content: bytes) -> bytes:
    """A PNG whose header promises so many grey pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(content, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_what_cannot_be_is_refused_before_it_is_decoded(tmp_path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bomb(20_000, 20_000, bytes(20_000)))
    with pytest.raises(DataError, match=r"20000 x 20000 pixels are promised, but \d+ bytes"):
        _vast.read(path, "a", tmp_path)
    path.write_bytes(bomb(30_000, 30_000, bytes(2 * 10**6)))
    with pytest.raises(DataError, match=r"30000 x 30000 pixels are more than the limit of 500,000"):
        _vast.read(path, "a", tmp_path)


def test_too_little_memory_and_disk_are_told(tmp_path, monkeypatch, low) -> None:
    path = saved(tmp_path / "a.png", "RGB")
    monkeypatch.setattr(_vast, "_memory", lambda: 40_000)
    with pytest.raises(DataError, match=r"120 x 90 pixels take 0 MB to decode, of 0 MB"):
        _vast.read(path, "a", tmp_path)
    with pytest.raises(DataError, match=r"no room on the disk: 9\d\d,\d\d\d,\d\d\d MB are needed"):
        room((10**9, 10**6), np.uint8, tmp_path)


def test_damage_is_told(tmp_path, low) -> None:
    content = saved(tmp_path / "a.png", "RGB").read_bytes()
    for number, bad in enumerate(
        (content[:-40], content[:3000] + b"x" + content[3001:], bomb(100, 100, bytes(500)))
    ):
        path = tmp_path / f"bad{number}.png"
        path.write_bytes(bad)
        with pytest.raises(DataError, match="damaged picture"):
            _vast.read(path, "bad", tmp_path)


def test_only_those_who_ask_get_vast_pictures(tmp_path, low) -> None:
    path = saved(tmp_path / "a.png", "RGB")
    ((_, refused),) = inputs([path], IMAGE_AXES)
    assert "more than the limit of 5,000" in refused.what
    ((_, found),) = inputs([path], IMAGE_AXES, vast=True)
    assert found.x.shape == (3, *SIZE)
    saved(tmp_path / "b.png", "RGB").write_bytes(bomb(300, 300, bytes(90_300)))
    ((_, refused),) = inputs([tmp_path / "b.png"], IMAGE_AXES, vast=True)
    assert "300 x 300 pixels are more than the limit of 50,000" in refused.what


def test_a_vast_picture_becomes_a_label_file(tmp_path, low, monkeypatch) -> None:
    """From small pictures learned to one four times over the limit, by the command's own road."""
    from foveal.tasks import _windows
    from foveal.verbs.predict import stream

    rng, data = np.random.default_rng(0), tmp_path / "set"
    for folder in ("images", "masks"):
        (data / folder).mkdir(parents=True)
    for i in range(30):
        mask = np.zeros((24, 32), np.uint8)
        top, left = rng.integers(1, 12, 2)
        mask[top : top + 9, left : left + 12] = 1
        x = np.clip(rng.normal(80, 10, mask.shape) + 90 * mask, 0, 255).astype(np.uint8)
        Image.fromarray(x).save(data / "images" / f"{i}.png")
        Image.fromarray(255 * mask).save(data / "masks" / f"{i}.png")
    foveal.train(data, epochs=10, out=tmp_path / "run", changes=net_for(2))
    mask = np.zeros((120, 160), np.uint8)
    mask[30:80, 40:100] = 1
    x = np.clip(rng.normal(80, 10, mask.shape) + 90 * mask, 0, 255).astype(np.uint8)
    Image.fromarray(x).save(tmp_path / "large.png")
    monkeypatch.setattr(_windows, "VAST", 5_000)
    found, _, plan = stream(tmp_path / "run", [tmp_path / "large.png"], folder=tmp_path / "said")
    assert plan.judge.window == (24, 32)
    (answer,) = found
    with Image.open(tmp_path / "said" / answer["file"]) as written:
        said = np.array(written)
    assert said.shape == mask.shape
    assert (said == mask).mean() > 0.9
    assert answer["shares"]["foreground"] == pytest.approx(said.mean(), abs=1e-5)


def test_windows_show_a_bar_with_the_time_left(tmp_path) -> None:
    data = tmp_path / "set"
    for folder in ("images", "masks"):
        (data / folder).mkdir(parents=True)
    for i in range(12):
        x = np.random.default_rng(i).integers(0, 255, (16, 16), dtype=np.uint8)
        Image.fromarray(x).save(data / "images" / f"{i}.png")
        Image.fromarray((x > 127).astype(np.uint8)).save(data / "masks" / f"{i}.png")
    foveal.train(data, epochs=1, out=tmp_path / "run", changes=net_for(2))
    big = np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(big).save(content, format="PNG")
    (tmp_path / "big.png").write_bytes(content.getvalue())
    done = command("predict", "run", "big.png", "--json", cwd=tmp_path)
    assert "error" not in json.loads(done.stdout.splitlines()[0])
