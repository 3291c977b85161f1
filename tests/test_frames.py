"""Folders of numbered frames: which are clips, and what a clip of them holds."""

import numpy as np
import pytest
from PIL import Image

from films import film, write_frames
from foveal.datasets.frames import frame_folders, read_frames
from foveal.datasets.inputs import inputs
from foveal.errors import DataError
from foveal.grid import IMAGE_AXES, Axis, Sample, time_axis
from foveal.readers import read

CLIP_AXES = (time_axis(0.1), Axis("y"), Axis("x"))


def frames(*stems, folder="a/b", suffix="png"):
    return [f"{folder}/{stem}.{suffix}" for stem in stems]


@pytest.mark.parametrize(
    "names",
    [
        frames("0001", "0002", "0003", "0004"),
        frames("1", "2", "3", "4", suffix="JPG"),
        frames("frame_000", "frame_001", "frame_002", "frame_003"),
        frames("img_5", "img_10", "img_15", "img_20"),
        frames("image-1", "image-2", "image-3", "image-4", suffix="webp"),
        frames("F00", "F01", "F02", "F03"),
    ],
)
def test_numbered_pictures_without_a_gap_are_a_clip(names):
    assert frame_folders(names) == {"a/b": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    "names",
    [
        frames("1", "2", "3"),  # too few
        frames("1", "2", "4", "5"),  # one is missing
        frames("1", "2", "3", "4", "cover"),  # another picture among them
        frames("01", "1", "2", "3", "4"),  # a number twice
        frames("slice_1", "slice_2", "slice_3", "slice_4"),  # of a scan
        frames("cat1", "cat2", "cat3", "cat4"),
        frames("1", "2", "3", "4", suffix="npy"),
    ],
)
def test_other_pictures_are_not(names):
    assert frame_folders(names) == {}


def test_frames_stand_in_the_order_of_their_numbers():
    names = [*frames("10", "2", "4", "6", "8"), "a/c/1.png", "notes.txt"]
    assert frame_folders(names) == {"a/b": [1, 2, 3, 4, 0]}


def reader_of(pictures):
    def one(position):
        x = pictures[position]
        return Sample(f"frame {position}", x, None, mode="RGB" if len(x) == 3 else "L")

    return one


def test_a_clip_holds_its_frames_upright_and_in_order():
    x = film(5).transpose(0, 3, 1, 2)
    clip = read_frames(reader_of(x), [4, 0, 1, 2, 3], "a/b")
    assert np.array_equal(clip.x, x[[4, 0, 1, 2, 3]].transpose(1, 0, 2, 3))
    time = clip.grid.axes[0]
    assert (time.name, time.kind, time.unit, time.step) == ("time", "time", "frame", 1.0)
    assert not time.mirrors
    assert (clip.key, clip.mode) == ("a/b", "RGB")


def test_long_clips_are_read_at_even_distances_only():
    seen = []

    def one(position):
        seen.append(position)
        return Sample("a", np.full((1, 4, 4), position % 256, np.uint8), None, mode="L")

    clip = read_frames(one, range(200), "a")
    assert seen == list(range(0, 200, 4))
    assert clip.x.shape == (1, 50, 4, 4)
    assert clip.grid.axes[0].step == 4.0


def test_large_frames_are_shrunk():
    clip = read_frames(reader_of([np.full((3, 400, 800), 7, np.uint8)] * 4), range(4), "a")
    assert clip.x.shape == (1, 4, 181, 362)
    assert (clip.x == 7).all()


def test_grey_and_colour_deep_and_clear_frames_share_a_clip():
    colour = np.zeros((3, 4, 4), np.uint8)
    colour[0] = 200
    deep = np.full((1, 4, 4), 257 * 9, np.uint16)
    clear = np.full((2, 4, 4), 0, np.uint8)
    clip = read_frames(reader_of([colour, deep, clear, colour]), range(4), "a")
    assert clip.x.dtype == np.uint8
    assert clip.x[:, :, 0, 0].T.tolist() == [[200, 0, 0], [9, 9, 9], [255, 255, 255], [200, 0, 0]]


def test_frames_of_two_sizes_are_refused():
    x = [np.zeros((1, 4, 4), np.uint8)] * 3 + [np.zeros((1, 4, 5), np.uint8)]
    with pytest.raises(
        DataError, match=r"frame 4 has 4 x 5 pixels, the first 4 x 4(.|\n)*a/b(.|\n)*one size"
    ):
        read_frames(reader_of(x), range(4), "a/b")


class TestInputs:
    """`foveal predict` on a model that sees clips."""

    def test_folders_of_frames_are_items_in_their_place(self, tmp_path):
        x = film(6, colour=False)[..., 0]
        write_frames(tmp_path / "set" / "a", x)
        write_frames(tmp_path / "set" / "c" / "deep", x[::-1])
        Image.fromarray(x[0]).save(tmp_path / "set" / "b.png")
        found = list(inputs([tmp_path / "set", tmp_path / "set" / "a"], CLIP_AXES))
        keys = [key.removeprefix(str(tmp_path)) for key, _ in found]
        assert keys == ["/set/a", "/set/b.png", "/set/c/deep", "/set/a"]
        assert [item.x.shape for _, item in found] == [
            *((1, 6, 16, 24), (1, 16, 24), (1, 6, 16, 24), (1, 6, 16, 24))
        ]
        assert np.array_equal(found[0][1].x[0], x)
        assert np.array_equal(found[2][1].x[0], x[::-1])

    def test_for_pictures_they_are_pictures(self, tmp_path):
        write_frames(tmp_path / "a", film(5))
        assert len(list(inputs([tmp_path], IMAGE_AXES))) == 5

    def test_a_gif_is_a_clip_for_those_who_see_clips(self, tmp_path):
        x = [Image.fromarray(frame) for frame in film(5)]
        x[0].save(tmp_path / "a.gif", save_all=True, append_images=x[1:])
        ((_, clip),) = inputs([tmp_path / "a.gif"], CLIP_AXES)
        ((_, picture),) = inputs([tmp_path / "a.gif"])
        assert (clip.x.shape, picture.x.shape[1:]) == ((3, 5, 16, 24), (16, 24))

    def test_a_bad_frame_names_its_clip(self, tmp_path):
        write_frames(tmp_path / "a", film(5))
        (tmp_path / "a" / "0002.png").write_bytes(b"broken")
        ((key, error),) = inputs([tmp_path], CLIP_AXES)
        assert isinstance(error, DataError)
        assert error.where == key


def test_frames_are_read_as_any_picture_is(tmp_path):
    """EXIF, palettes and 16 bits: through the readers, not around them."""
    x = film(4)
    write_frames(tmp_path, x)
    names = sorted(p.name for p in tmp_path.iterdir())
    clip = read_frames(lambda i: read((tmp_path / names[i]).read_bytes(), names[i]), range(4), "a")
    assert np.array_equal(clip.x, x.transpose(3, 0, 1, 2))
