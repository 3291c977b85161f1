"""Sets of clips: folders of frames as a layout, and which clips come from one source video."""

import zipfile

import numpy as np
import pytest

from films import film, film_folders, frame_folders, movements, write_frames
from foveal.datasets.layouts import find_listing
from foveal.datasets.layouts._clips import moves, sources
from foveal.grid import data_of


@pytest.fixture
def clips(tmp_path):
    return frame_folders(tmp_path / "set", *movements(2, 5))


def test_class_folders_of_frame_folders_are_recognised(clips):
    listing = find_listing(clips)
    assert listing.layout == "class folders of frame folders"
    assert listing.classes == ("down", "left", "right", "up")
    assert list(listing.keys)[:2] == ["down/003", "down/007"]
    assert (len(listing), listing.has_parts) == (8, ("train",))
    sample = listing.read(0)
    assert (sample.key, sample.y, sample.x.shape) == ("down/003", "down", (1, 5, 16, 16))
    assert data_of(sample.grid.axes) == "video"


@pytest.mark.parametrize("wrap", ["", "data/deep/"])
@pytest.mark.parametrize("parts", [False, True])
def test_also_in_parts_and_wrapped_and_in_a_zip(tmp_path, wrap, parts):
    x, y = movements(2, 4)
    root = tmp_path / "set"
    for part in ("train", "test") if parts else ("",):
        frame_folders(root / wrap / part, x, y)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, str(path.relative_to(root)))
    for place in (root, tmp_path / "set.zip"):
        listing = find_listing(place)
        assert listing.layout == "class folders of frame folders"
        assert len(listing) == 8 * (1 + parts)
        assert listing.has_parts == (("train", "test") if parts else ("train",))
        assert listing.classes == ("down", "left", "right", "up")
        assert listing.read(3).x.shape == (1, 4, 16, 16)


def test_numbered_pictures_right_in_class_folders_stay_pictures(tmp_path):
    for part in ("", "train/", "test/"):
        root = tmp_path / f"set{bool(part)}"
        for name in ("cat", "dog"):
            write_frames(root / part / name, film(5))
    assert find_listing(tmp_path / "setFalse").layout == "class folders"
    assert find_listing(tmp_path / "setTrue").has_parts == ("train", "test")
    assert len(find_listing(tmp_path / "setTrue")) == 20


def test_pictures_of_people_in_folders_below_classes_stay_pictures(tmp_path):
    for name in ("ill", "well"):
        for person in range(4):
            write_frames(tmp_path / name / f"p{person}", film(5), "slice_{:03d}.png")
    assert find_listing(tmp_path).layout == "class folders"


def test_what_lies_beside_the_clips_is_listed(clips):
    write_frames(clips / "up" / "odd", film(1))
    write_frames(clips, film(1))
    listing = find_listing(clips)
    assert len(listing) == 8
    reasons = {s.key: s.reason for s in listing.left_out}
    assert set(reasons) == {"up/odd/0000.png", "0000.png"}
    assert set(reasons.values()) == {"lies in no folder of numbered frames without a gap"}


def test_many_other_pictures_make_it_a_set_of_pictures(clips):
    for number in range(3):
        write_frames(clips / "up" / f"odd{number}", film(3), "cat{}.png")
    assert find_listing(clips).layout == "class folders"


def test_the_stamp_follows_the_files(clips):
    before = find_listing(clips).stamp
    assert find_listing(clips).stamp == before
    write_frames(clips / "up" / "100", film(5))
    assert find_listing(clips).stamp != before


def test_video_files_in_class_folders(tmp_path):
    root = film_folders(tmp_path / "set", *movements(2, 4))
    listing = find_listing(root)
    assert listing.layout == "class folders"
    assert listing.read(0).x.shape == (3, 4, 16, 16)
    assert listing.groups is None


def test_gifs_among_videos_are_clips_and_alone_they_are_pictures(tmp_path):
    x, y = movements(2, 4)
    film_folders(tmp_path / "both", x, y)
    film_folders(tmp_path / "both", x[:2], y[:2], ".gif")
    film_folders(tmp_path / "alone", x, y, ".gif")
    both, alone = find_listing(tmp_path / "both"), find_listing(tmp_path / "alone")
    at = list(both.keys).index("left/000.gif")
    assert both.read(at).x.shape == (3, 4, 16, 16)
    assert alone.read(0).x.shape[1:] == (16, 16)


def test_most_files_decide_whether_a_set_moves():
    assert moves(["a/1.mp4", "a/2.MKV", "b/3.png"])
    assert not moves(["a/1.mp4", "b/2.png"])
    assert not moves([])


def grouped(*names, classes=("a", "b")):
    labels = np.array([classes.index(name.split("/")[0]) for name in names], np.int32)
    groups, why = sources(names, labels, classes)
    return None if groups is None else groups.tolist(), why


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("v_Run_g{0:02d}_c{1:02d}.avi", "v_Run_g01_c01.avi"),  # UCF-101
        ("clip_{1:02d}_of_match{0}.mp4", "clip_01_of_match1.mp4"),
        ("part-{1}-from-{0}st.mp4", "part-1-from-1st.mp4"),
        ("match{0}_clip_{1}.mp4", "match1_clip_1.mp4"),
        ("Match{0}-Scene{1}.mkv", "Match1-Scene1.mkv"),
        ("match{0} segment {1}", "match1 segment 1"),
    ],
)
def test_clips_of_one_video_are_grouped_by_their_names(form, shown):
    names = [f"{c}/{form.format(video, clip)}" for c in "ab" for video in (1, 2) for clip in (1, 2)]
    groups, why = grouped(*names)
    assert groups == [0, 0, 1, 1, 2, 2, 3, 3]
    assert why == f"clips of one source video, told from names such as {shown!r}"


def test_a_name_that_tells_nothing_stands_alone():
    names = [f"a/v_Run_g{g}_c{c}.avi" for g in (1, 2) for c in range(5)] + ["a/odd.avi"]
    names += [f"b/v_Hop_g{g}_c{c}.avi" for g in (1, 2) for c in range(5)]
    groups, _ = grouped(*names)
    assert groups == [0] * 5 + [1] * 5 + [-1] + [2] * 5 + [3] * 5


@pytest.mark.parametrize(
    "names",
    [
        ["a/cat_1.mp4", "a/cat_2.mp4", "b/coop_1.mp4", "b/coop_2.mp4"],  # no word for a clip
        ["a/cat_clip_1.mp4", "a/cat_clip_2.mp4", "b/x_clip_1.mp4", "b/x_clip_2.mp4"],  # one each
        ["a/clip_1_of_2.mp4", "a/clip_2_of_2.mp4", "b/clip_1_of_2.mp4", "b/clip_2_of_2.mp4"],
        ["a/p_clip_1.mp4", "a/q_clip_1.mp4", "b/r_clip_1.mp4", "b/s_clip_1.mp4"],  # all alone
        ["a/p_clip_1.mp4", "a/p_clip_2.mp4", "a/1.mp4", "b/2.mp4", "b/3.mp4", "b/4.mp4"],  # few
    ],
)
def test_names_that_show_no_source_give_no_groups(names):
    assert grouped(*names) == (None, "")


def test_groups_reach_the_listing(tmp_path):
    x, _ = movements(2, 4)
    for number, clip in enumerate(x):
        name = f"v_{number % 2}_g{number // 4}_c{number // 2 % 2}"
        write_frames(tmp_path / "ab"[number % 2] / name, clip)
    listing = find_listing(tmp_path)
    assert listing.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert "v_0_g0_c0" in listing.group_why


def test_clips_of_one_class_alone_are_no_set_of_clips(tmp_path):
    for number in range(4):
        write_frames(tmp_path / "only" / f"{number}", film(4))
    assert find_listing(tmp_path).layout == "class folders"
