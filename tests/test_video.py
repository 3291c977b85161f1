"""Video files: containers, sampling, size, rotation, limits and what each refusal says."""

import contextlib
import io
import struct
import sys
import tracemalloc

import av
import numpy as np
import pytest

from films import COMMON, EXACT, film, write_film
from foveal import readers
from foveal.errors import DataError
from foveal.grid import data_of, time_of
from foveal.readers import video


def read(path):
    return video.read(path.read_bytes(), path.name)


@pytest.mark.parametrize("suffix", EXACT)
def test_frames_come_out_as_they_went_in(tmp_path, suffix):
    x = film()
    sample = read(write_film(tmp_path / f"a{suffix}", x, *EXACT[suffix]))
    assert sample.x.dtype == np.uint8
    assert np.array_equal(sample.x, x.transpose(3, 0, 1, 2))
    assert (sample.key, sample.mode) == (f"a{suffix}", "RGB")


@pytest.mark.parametrize("suffix", COMMON)
def test_every_container_is_read_by_its_ending(tmp_path, suffix):
    path = write_film(tmp_path / f"a{suffix}", film(colour=False), rate=20)
    assert readers.reader_for(path.name) is video.READER
    sample = readers.read(path.read_bytes(), path.name)
    assert sample.x.shape == (3, 6, 16, 24)
    assert np.abs(sample.x.astype(int) - film(colour=False).transpose(3, 0, 1, 2)).mean() < 12
    time, y, x = sample.grid.axes
    assert (time.name, time.kind, time.unit, time.mirrors) == ("time", "time", "s", False)
    assert time.step == pytest.approx(0.05)
    assert (y.name, x.name, y.kind) == ("y", "x", "space")
    assert (data_of(sample.grid.axes), time_of(sample.grid.axes)) == ("video", 0)


def test_grey_video_has_one_channel(tmp_path):
    x = film(colour=False)[..., 0]
    sample = read(write_film(tmp_path / "a.mkv", x, "ffv1", "gray"))
    assert np.array_equal(sample.x, x[None])
    assert sample.mode == "L"


def test_a_gif_is_a_picture_unless_it_is_asked_for_as_a_clip(tmp_path):
    x = film(5, colour=False)[..., 0]
    path = write_film(tmp_path / "a.gif", x, "gif", "gray")
    content = path.read_bytes()
    assert readers.read(content, path.name).x.shape[1:] == (16, 24)
    sample = readers.read(content, path.name, moving=True)
    assert sample.x.shape == (3, 5, 16, 24)
    assert np.array_equal(sample.x[0], x)


@pytest.mark.parametrize(
    ("count", "kept", "every"), [(1, 1, 1), (63, 63, 1), (64, 32, 2), (127, 32, 4), (1000, 63, 16)]
)
def test_long_clips_keep_frames_at_even_distances(count, kept, every):
    frames, distance = video.evenly(range(count), lambda frame: frame)
    assert frames == list(range(0, count, every))
    assert (len(frames), distance, video.spacing(count)) == (kept, every, every)


@pytest.mark.parametrize("count", range(1, 300))
def test_the_distance_is_the_same_whether_the_length_is_known(count):
    frames, distance = video.evenly(range(count), lambda frame: frame)
    assert distance == video.spacing(count)
    assert len(frames) <= 63
    assert len(frames) == count if count < 64 else len(frames) >= 32


def test_the_step_of_time_grows_with_what_is_left_out(tmp_path):
    x = np.arange(100, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    sample = read(write_film(tmp_path / "a.mkv", x, "ffv1", "gray", rate=25))
    assert sample.x[0, :, 0, 0].tolist() == list(range(0, 100, 2))
    assert sample.grid.axes[0].step == pytest.approx(2 / 25)


def test_large_frames_are_shrunk_as_they_are_read(tmp_path):
    x = np.zeros((3, 600, 1200), np.uint8)
    x[:, :, 600:] = 200
    sample = read(write_film(tmp_path / "a.mkv", x, "ffv1", "gray"))
    assert sample.x.shape == (1, 3, 181, 362)
    assert (sample.x[..., :178] == 0).all()
    assert (sample.x[..., 184:] == 200).all()
    assert video.shrunk(181, 362) == (181, 362)
    assert video.shrunk(1, 1000000) == (1, 256000)


def test_memory_does_not_grow_with_the_length(tmp_path):
    peaks = []
    for count in (80, 320):
        x = np.zeros((count, 240, 240), np.uint8)
        content = write_film(tmp_path / f"{count}.mkv", x, "ffv1", "gray").read_bytes()
        tracemalloc.start()
        video.read(content, "a")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 3 * 64 * 240 * 240
    assert abs(peaks[1] - peaks[0]) < 0.6 * peaks[0]


def turned(content, a, b, c, d):
    """An mp4 whose track asks for this matrix (ISO 14496-12, section 8.3.2)."""
    at = content.index(b"tkhd") + 4
    at += 40 if content[at] == 0 else 52
    changed = bytearray(content)
    struct.pack_into(">9i", changed, at, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return bytes(changed)


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), lambda x: x),
        ((0, 1, -1, 0), lambda x: np.rot90(x, -1, (2, 3))),  # a phone held upright
        ((-1, 0, 0, -1), lambda x: np.rot90(x, 2, (2, 3))),
        ((0, -1, 1, 0), lambda x: np.rot90(x, 1, (2, 3))),
        ((-1, 0, 0, 1), lambda x: x[..., ::-1]),
        ((1, 0, 0, -1), lambda x: x[..., ::-1, :]),
        ((0, 1, 1, 0), lambda x: x.swapaxes(2, 3)),
        ((0, -1, -1, 0), lambda x: np.rot90(x, 2, (2, 3)).swapaxes(2, 3)),
        ((1, 1, 0, 1), lambda x: x),  # slanted: left as it is
    ],
)
def test_the_rotation_that_a_file_asks_for_is_applied(tmp_path, matrix, upright):
    content = write_film(tmp_path / "a.mp4", film()).read_bytes()
    plain = video.read(content, "a").x
    assert np.array_equal(video.read(turned(content, *matrix), "a").x, upright(plain))


@pytest.mark.parametrize("suffix", COMMON)
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.7, 0.95, 0.995])
def test_a_file_cut_short_is_refused(tmp_path, suffix, keep):
    content = write_film(tmp_path / f"a{suffix}", film(12)).read_bytes()
    with pytest.raises(DataError, match="ends too early") as caught:
        video.read(content[: int(len(content) * keep)], "folder/cut")
    assert caught.value.where == "folder/cut"
    assert "good copy" in caught.value.mend


def test_a_film_whose_index_stands_in_front_is_refused_when_cut(tmp_path):
    path = write_film(tmp_path / "a.mp4", film(12), options={"movflags": "faststart"})
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert video.read(content, "a").x.shape[1] == 12
    with pytest.raises(DataError, match="ends too early"):
        video.read(content[:-40], "a")


def test_a_segment_of_unknown_length_is_read_to_its_end(tmp_path):
    """As browsers record: the length of the segment is all ones."""
    content = write_film(tmp_path / "a.webm", film(), options={"live": "1"}).read_bytes()
    at = content.index(b"\x18\x53\x80\x67") + 4
    assert content[at : at + 8] == b"\x01" + b"\xff" * 7
    assert video.read(content, "a").x.shape == (3, 6, 16, 24)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".webm"])
def test_damage_raises_nothing_else(tmp_path, suffix):
    content = write_film(tmp_path / f"a{suffix}", film(3, (16, 16))).read_bytes()
    change = np.random.default_rng(0)
    for at in np.unique(np.linspace(0, len(content) - 1, 250).astype(int)):
        broken = bytearray(content)
        broken[at] ^= int(change.integers(1, 256))
        with contextlib.suppress(DataError):
            sample = video.read(bytes(broken), "broken")
            assert sample.x.shape[1:] == sample.grid.size


def box(kind, content=b""):
    return struct.pack(">I", 8 + len(content)) + kind + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello, world", "not a video we know"),
        (b"GIF89a", "the file ends too early"),
        (b"\x1a\x45\xdf\xa3", "the file ends too early"),
        (b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x80", "damaged video"),
        (b"RIFF\x04\0\0\0AVI ", "damaged video"),
        (box(b"ftyp", b"isom\0\0\2\0isom"), "damaged video"),
        (struct.pack(">I", 2) + b"ftypisom", "the file ends too early"),
        (box(b"ftyp", b"isom") + struct.pack(">I", 1) + b"mdat", "the file ends too early"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n", "not a video we know"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video we know"),
    ],
)
def test_what_is_no_video_is_refused_with_a_reason(content, message):
    with pytest.raises(DataError, match=message) as caught:
        video.read(content, "odd.mp4")
    assert caught.value.where == "odd.mp4"


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match="there is no video in the file"):
        read(path)


def test_unknown_codecs_are_named(tmp_path, monkeypatch):
    path = write_film(tmp_path / "a.mp4", film())
    monkeypatch.setattr(video, "_CODECS", frozenset({"vp9"}))
    with pytest.raises(DataError, match="coded as h264, which is none of the codecs we read"):
        read(path)


def test_a_frame_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write_film(tmp_path / "a.mkv", film(), "ffv1", "bgr0")
    monkeypatch.setattr(video, "MOST_PIXELS", 24 * 16 - 1)
    with pytest.raises(DataError, match=r"24 x 16 pixels are more than|damaged video"):
        read(path)


def test_a_header_that_lies_about_its_size_takes_no_memory(tmp_path):
    content = write_film(tmp_path / "a.avi", film(), "rawvideo", "bgr24").read_bytes()
    wide = bytearray(content)
    at = content.index(b"strf") + 8
    assert struct.unpack_from("<II", content, at + 4)[0] == 24
    struct.pack_into("<ii", wide, at + 4, 60000, 60000)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"damaged video|more than the limit"):
        video.read(bytes(wide), "a.avi")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize("limit", ["MOST_FRAMES", "MOST_DECODED"])
def test_a_film_is_no_clip(tmp_path, monkeypatch, limit):
    path = write_film(tmp_path / "a.mp4", film(12))
    monkeypatch.setattr(video, limit, 5 if limit == "MOST_FRAMES" else 5 * 24 * 16)
    with pytest.raises(DataError, match=r"over 5 frames of 24 x 16: too long .*cut it into clips"):
        read(path)


def test_frames_that_change_their_size_are_brought_to_the_first(tmp_path):
    small, large = (write_film(tmp_path / f"{n}.webm", film(4, (n, n))) for n in (16, 32))
    joined = io.BytesIO()
    with av.open(joined, "w", format="webm") as out:
        with av.open(str(small)) as first:
            stream = out.add_stream_from_template(first.streams.video[0])
        at = 0
        for path in (small, large):
            with av.open(str(path)) as source:
                for packet in source.demux(video=0):
                    if packet.dts is not None:
                        packet.dts = packet.pts = at
                        at += 100
                        packet.stream = stream
                        out.mux(packet)
    assert video.read(joined.getvalue(), "a").x.shape == (3, 8, 16, 16)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    content = write_film(tmp_path / "a.mp4", film()).read_bytes()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match="needs PyAV, which is not installed") as caught:
        video.read(content, "a.mp4")
    assert caught.value.mend == "pip install 'foveal[video]'"


def test_one_thread_decodes_one_file(tmp_path, monkeypatch):
    seen = []
    plain = video._frames

    def noted(container, stream, key):
        seen.append(stream.codec_context.thread_count)
        return plain(container, stream, key)

    monkeypatch.setattr(video, "_frames", noted)
    read(write_film(tmp_path / "a.mp4", film()))
    assert seen == [1]


def test_lip_words_are_read_whole(shared):
    paths = sorted((shared / "data" / "lip-words").glob("*/*.mp4"))
    assert len(paths) == 46
    samples = [read(path) for path in paths[::5]]
    assert {s.x.shape for s in samples} == {(3, 17, 80, 112)}
    assert {round(1 / s.grid.axes[0].step) for s in samples} == {29}
