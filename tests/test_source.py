"""Sources: natural order, what is hidden, and archives that cannot be trusted."""

import os
import stat
import threading
import zipfile

import pytest

from foveal.datasets.archive import ZipSource
from foveal.datasets.names import Names, hidden, natural
from foveal.datasets.source import FolderSource, open_source, read_file
from foveal.errors import DataError


def archive(path, entries, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content, **options)
    return path


def test_natural_order():
    names = ["s10/2", "s2/10", "s2/9", "S1/1", "s01/2", "a-b/1", "a/9", "s2", "é", "Z"]
    expected = ["a/9", "a-b/1", "S1/1", "s01/2", "s2", "s2/9", "s2/10", "s10/2", "Z", "é"]
    assert sorted(names, key=natural) == expected
    assert natural("x" + "9" * 10_000) > natural("x" + "8" * 10_000)


def test_names_are_a_sequence_of_little_weight():
    words = ["", "a", "日本/猫.png", "caf\udce9", *(f"class/{i:06}.png" for i in range(1000))]
    names = Names(words)
    assert list(names) == words
    assert names[-1] == words[-1]
    assert list(names[2:5]) == words[2:5]
    with pytest.raises(IndexError):
        names[len(words)]
    assert names.content != Names(words[::-1]).content


@pytest.mark.parametrize(
    "name", [".git", "__MACOSX", ".ipynb_checkpoints", "Thumbs.db", "desktop.ini", ".DS_Store"]
)
def test_what_belongs_to_the_system_is_hidden(tmp_path, name):
    assert hidden(name)
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(b"")
    assert list(FolderSource(tmp_path).names) == ["b.png"]
    packed = archive(tmp_path / "a.zip", [(f"{name}/a.png", b""), ("b.png", b"")])
    assert list(ZipSource(packed).names) == ["b.png"]


def test_folder_and_zip_give_the_same(tmp_path):
    folder = tmp_path / "set"
    entries = [(f"c{c}/{i}.bin", bytes([c, i]) * 1000) for c in (10, 2) for i in (1, 30, 4)]
    for name, content in entries:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    packed = open_source(archive(tmp_path / "set.zip", entries))
    plain = open_source(folder)
    expected = ["c2/1.bin", "c2/4.bin", "c2/30.bin", "c10/1.bin", "c10/4.bin", "c10/30.bin"]
    assert list(plain.names) == list(packed.names) == expected
    for i, name in enumerate(expected):
        assert plain.read(i) == packed.read(i) == dict(entries)[name]
    assert plain.sizes.tolist() == packed.sizes.tolist() == [2000] * 6


def test_the_stamp_changes_with_the_files(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    first = FolderSource(tmp_path).stamp
    assert FolderSource(tmp_path).stamp == first
    (tmp_path / "a").write_bytes(b"22")
    second = FolderSource(tmp_path).stamp
    (tmp_path / "b").write_bytes(b"")
    assert len({first, second, FolderSource(tmp_path).stamp}) == 3


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    os.symlink(tmp_path, tmp_path / "a" / "again")
    assert list(FolderSource(tmp_path).names) == ["a/x"]


def test_pipes_are_no_files_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert list(FolderSource(tmp_path).names) == []
    with pytest.raises(DataError, match="not a regular file"):
        read_file(tmp_path / "pipe.png", "pipe.png")


def test_a_file_that_vanished_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    source = FolderSource(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"cannot be read \(No such file(.|\n)*where: a.png"):
        source.read(0)


def test_a_path_that_leads_nowhere(tmp_path):
    with pytest.raises(DataError, match="there is no file or folder 'none'"):
        open_source(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../up.png", "leaves its folder"),
        ("a/../../up.png", "leaves its folder"),
        ("a/./b.png", "leaves its folder"),
        ("a//b.png", "leaves its folder"),
        ("/etc/passwd", "absolute name"),
        ("C:/up.png", "absolute name"),
        ("a\\..\\up.png", "backslash"),
    ],
)
def test_names_that_leave_the_archive(tmp_path, name, reason):
    path = archive(tmp_path / "a.zip", [("ok.png", b"1"), (name, b"2")])
    with pytest.raises(DataError, match=f"not safe(.|\n)*{reason}"):
        ZipSource(path)


def test_names_that_clash(tmp_path):
    path = archive(tmp_path / "a.zip", [("A.png", b"1"), ("a.PNG", b"2")])
    with pytest.raises(DataError, match="same name as another"):
        ZipSource(path)


def test_links_in_an_archive(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="is a link"):
        ZipSource(archive(tmp_path / "a.zip", [(info, "/etc")]))


def test_entries_that_share_bytes(tmp_path):
    path = archive(tmp_path / "a.zip", [("a", b"1" * 50), ("b", b"2" * 50)])
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = bytes(4)  # its local header: that of the first entry
    path.write_bytes(content)
    with pytest.raises(DataError, match="share the same bytes"):
        ZipSource(path)


def test_an_entry_that_grows_beyond_what_it_declares(tmp_path):
    path = archive(tmp_path / "a.zip", [("a", bytes(10_000_000))])
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"wrong length or checksum(.|\n)*where: a"):
        ZipSource(path).read(0)


def test_a_bomb_is_refused_by_its_ratio(tmp_path):
    path = archive(tmp_path / "a.zip", [("a", bytes(20_000_000))])
    with pytest.raises(DataError, match="over 1000 times"):
        ZipSource(path)


@pytest.mark.parametrize("place", [40, 60])
def test_changed_bytes_are_noticed(tmp_path, place):
    path = archive(tmp_path / "a.zip", [("a", os.urandom(500))])
    content = bytearray(path.read_bytes())
    content[place] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged in the archive(.|\n)*where: a"):
        ZipSource(path).read(0)


def test_every_single_byte_changed_gives_content_or_a_data_error(tmp_path):
    path = archive(tmp_path / "a.zip", [("a/1", b"one" * 20), ("b/2", b"two" * 20)])
    content = path.read_bytes()
    for at in range(len(content)):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        path.write_bytes(broken)
        try:
            source = ZipSource(path)
            read = {source.read(i) for i in range(len(source.names))}
        except DataError:
            continue
        assert read <= {b"one" * 20, b"two" * 20}


def test_threads_read_side_by_side(tmp_path):
    entries = [(f"{i}", bytes([i]) * 3000) for i in range(50)]
    source = ZipSource(archive(tmp_path / "a.zip", entries))
    wrong = []

    def work():
        for i in list(range(50)) * 5:
            if source.read(i) != bytes([i]) * 3000:
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
