"""The directory of a zip archive: the entries that the standard library finds, in less memory."""

import io
import struct
import tracemalloc
import zipfile

import pytest

from foveal.datasets.directory import NotAZipError, entries

NAMES = ["a/1.png", "b/ü.png", "b/漢字.png", "long/" + "x" * 300, "folder/", "empty"]


def archive(names=NAMES, *, comment=b"", before=b"", method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    file.write(before)
    with zipfile.ZipFile(file, "a" if before else "w", method) as packed:
        for i, name in enumerate(names):
            packed.writestr(name, b"" if name.endswith("/") else b"content " * (i % 7))
        packed.comment = comment
    return file.getvalue()


def saved(tmp_path, content):
    path = tmp_path / "set.zip"
    path.write_bytes(content)
    return path


def told(path):
    """What `zipfile` says of every entry."""
    with zipfile.ZipFile(path) as packed:
        return [
            (i.filename, i.file_size, i.compress_size, i.header_offset, i.CRC, i.compress_type,
             i.flag_bits, i.external_attr)
            for i in packed.infolist()
        ]  # fmt: skip


def found(path):
    return [
        (e.name, e.size, e.packed, e.start, e.checksum, e.method, e.flags, e.attributes)
        for e in entries(path)
    ]


@pytest.mark.parametrize(
    "content",
    [
        archive(),
        archive([]),
        archive(comment=b"a comment of some length" * 100),
        archive(before=b"#!/bin/sh\nexit\n" * 50),
        archive(method=zipfile.ZIP_STORED),
        archive([f"{i:05d}.png" for i in range(20_000)]),  # several pieces of directory
    ],
    ids=["plain", "empty", "comment", "behind another file", "stored", "many"],
)
def test_lists_what_the_standard_library_lists(tmp_path, content):
    path = saved(tmp_path, content)
    assert found(path) == told(path)


def test_more_entries_than_16_bits_count(tmp_path):
    path = saved(tmp_path, archive([f"{i}" for i in range(66_000)], method=zipfile.ZIP_STORED))
    listed = found(path)
    assert len(listed) == 66_000
    assert listed == told(path)


def test_64_bit_sizes_are_taken_from_their_field(tmp_path):
    """Numbers of all ones, as archives over 4 GB have; nothing so large is made."""
    extra = struct.pack("<2H3Q", 1, 24, 5 << 32, 6 << 32, 7)
    head = struct.pack(
        "<4s4B4HL2L5H2L",
        *(b"PK\x01\x02", 45, 0, 45, 0, 0, 0, 0, 0, 9, 0xFFFFFFFF, 0xFFFFFFFF),
        *(1, len(extra), 0, 0, 0, 0, 0xFFFFFFFF),
    )
    directory = head + b"n" + extra
    content = directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0, 0)
    (entry,) = entries(saved(tmp_path, content))
    assert (entry.size, entry.packed, entry.start) == (5 << 32, 6 << 32, 7)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.99])
def test_a_cut_archive_is_no_archive(tmp_path, keep):
    content = archive()
    with pytest.raises(NotAZipError):
        found(saved(tmp_path, content[: int(len(content) * keep)]))


def test_a_damaged_directory_is_told_or_lists_other_facts(tmp_path):
    content = bytearray(archive())
    start = content.index(b"PK\x01\x02")
    for at in range(start, len(content)):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        try:
            listed = found(saved(tmp_path, bytes(broken)))
        except NotAZipError:
            continue
        assert len(listed) == len(NAMES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.replace(b"PK\x01\x02", b"PK\x01\x03"), "its directory is damaged"),
        (lambda c: c[:-18] + b"\1\0" + c[-16:], "it is split over several files"),
        (lambda c: c[:-10] + b"\xff\xff\xff\x00" + c[-6:], "its directory is damaged"),
    ],
)
def test_each_fault_is_named(tmp_path, change, says):
    with pytest.raises(NotAZipError, match=says):
        found(saved(tmp_path, change(archive())))


def test_memory_does_not_grow_with_the_number_of_entries(tmp_path):
    path = saved(tmp_path, archive([f"{i:06d}.png" for i in range(5_000)]))
    tracemalloc.start()
    count = sum(1 for _ in entries(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_000
    assert peak < 3 * 2**20
