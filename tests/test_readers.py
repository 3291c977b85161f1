"""Every file in readers/ keeps the same promises. A new file is tested without a new test."""

import contextlib

import numpy as np
import pytest

from foveal import find, readers
from foveal.errors import DataError

NAMES = find.names(readers)


@pytest.fixture(params=NAMES)
def example(request, tmp_path):
    """(reader, path of the tiny valid file that it wrote)."""
    reader = find.load(readers, request.param).READER
    return reader, reader.example(tmp_path)


def test_reads_its_own_example(example):
    reader, path = example
    sample = reader.read(path.read_bytes(), "the key")
    assert sample.key == "the key"
    assert sample.x.shape[1:] == sample.grid.size
    assert sample.x.ndim == sample.grid.rank + 1
    assert sample.x.dtype.isnative
    assert sample.mode


def test_is_found_by_its_suffixes(example):
    reader, path = example
    assert readers.reader_for(path.name) is reader
    for suffix in reader.suffixes:
        assert readers.reader_for(f"A.B{suffix.upper()}") is reader, suffix


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_refuses_a_file_cut_short_by_name(example, keep):
    reader, path = example
    content = path.read_bytes()
    if keep and not reader.ends:
        pytest.skip("a text may end anywhere")
    with pytest.raises(DataError, match="folder/cut") as caught:
        reader.read(content[: int(len(content) * keep)], "folder/cut")
    assert caught.value.where == "folder/cut"
    assert caught.value.mend


def test_raises_nothing_else_on_any_changed_byte(example):
    reader, path = example
    content = path.read_bytes()
    change = np.random.default_rng(0)
    for at in range(len(content)):
        broken = bytearray(content)
        broken[at] ^= int(change.integers(1, 256))
        with contextlib.suppress(DataError):
            sample = reader.read(bytes(broken), "broken")
            assert sample.x.shape[1:] == sample.grid.size


def test_noise_is_refused(example):
    reader, _ = example
    noise = np.random.default_rng(0)
    for length in (1, 4, 8, 100, 5000):
        with pytest.raises(DataError):
            reader.read(b"\xfe" + noise.bytes(length), "noise")


@pytest.mark.parametrize("name", ["notes.doc", "png", "a.b/png", "", "x.png.exe"])
def test_no_reader_takes_a_name_without_a_known_suffix(name):
    assert readers.reader_for(name) is None
    with pytest.raises(DataError, match="no reader knows"):
        readers.read(b"", name)
