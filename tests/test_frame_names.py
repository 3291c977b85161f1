"""clips: names of frames that tell a clip, and names that only seem to."""

from dataclasses import replace

import numpy as np
import pytest

from foveal.datasets.asked_groups import grouped
from foveal.datasets.frame_names import clips
from foveal.verbs.source import Source, examine
from made import listing_of
from roads import CLASSES, save, shades


def told(form, clips_each=3, frames=6, step=1):
    """Keys and labels of two classes with clips of their own."""
    rows = [
        (form.format(k="ab"[k], c=c + 10 * k, i=1 + step * i), k)
        for k in range(2)
        for c in range(clips_each)
        for i in range(frames)
    ]
    return [key for key, _ in rows], np.array([k for _, k in rows])


@pytest.mark.parametrize(
    "form",
    [
        "{k}/clip{c}_{i:04}.png",
        "{k}/ride {c:02} {i}.jpg",
        "{k}/Seq{c:02}VD_f{i:05}.png",
        "{k}/video-{c}-frame-{i}.png",
        "train/{k}/{c}_{i:03}.png",
    ],
)
def test_frames_of_a_clip_are_told_by_their_names(form):
    keys, labels = told(form)
    groups, why = clips(keys, labels)
    assert groups.tolist() == np.repeat(np.arange(6), 6).tolist()
    assert "frames of 6 clips" in why


def test_every_tenth_frame_will_do_and_one_odd_name_stands_alone():
    keys, labels = told("{k}/clip{c}_{i}.png", step=10)
    groups, _ = clips([*keys, "a/cover.png"], np.append(labels, 0))
    assert groups[-1] == -1
    assert len({*groups[:-1].tolist()}) == 6


def test_one_clip_may_lie_in_several_folders_unless_a_number_comes_twice():
    keys = [
        f"{'open' if i % 20 < 10 else 'shut'}/v{c}_{i:03}.png" for c in range(4) for i in range(40)
    ]
    labels = np.array([key.startswith("shut") for key in keys]).astype(int)
    groups, why = clips(keys, labels)
    assert groups.tolist() == np.repeat(np.arange(4), 40).tolist()
    assert "4 clips" in why
    twice = [f"{k}/v{c}_{i:03}.png" for k in "ab" for c in range(4) for i in range(9)]
    groups, why = clips(twice, np.repeat([0, 1], 36))
    assert "8 clips" in why
    assert groups.tolist() == np.repeat(np.arange(8), 9).tolist()


@pytest.mark.parametrize(
    "form",
    [
        "{k}/img_{c}{i:04}.png",  # a camera's counter
        "{k}/IMG_{c}{i:04}.png",
        "{k}/{c}{i:04}.png",  # numbers alone
        "{k}/{k}_{c}{i:04}.png",  # one name for all of a class
        "{k}/clip{i}_{c}.png",  # clips of three frames
    ],
)
def test_counters_are_no_clips(form):
    assert clips(*told(form)) == (None, "")


def test_words_need_company_and_steps_must_be_even():
    kinds = ["flu", "cold", "cough", "fever", "pain"]
    for count, known in ((2, False), (3, False), (4, True)):
        keys = [f"sick/{kind}_{i:03}.png" for kind in kinds[:count] for i in range(20)]
        assert (clips(keys, np.zeros(len(keys), int))[0] is not None) == known
    chance = np.random.default_rng(0)
    keys = [f"a/clip{c}_{i}.png" for c in range(5) for i in chance.permutation(1000)[:20]]
    assert clips(keys, np.zeros(100, int)) == (None, "")


def test_one_clip_that_is_most_of_a_class_is_none():
    keys = [f"a/clip1_{i}.png" for i in range(50)] + [f"a/clip2_{i}.png" for i in range(10)]
    assert clips(keys, np.zeros(60, int)) == (None, "")
    assert clips([], np.zeros(0, int)) == (None, "")
    assert clips(keys, np.full(60, -1)) == (None, "")


@pytest.mark.parametrize(
    ("form", "words"), [("drive{c}_{i:03}.png", "frames of 5"), ("patient_{c}_{i}.png", "patient")]
)
def test_pictures_beside_masks_and_boxes_stay_together_as_well(form, words):
    keys = [form.format(c=c, i=i) for c in range(5) for i in range(6)]
    plain = replace(listing_of([np.zeros((1, 4, 4))] * 30), keys=keys)
    for target in ("mask", "boxes"):
        found = grouped(replace(plain, target=target), "auto")
        assert found.groups.tolist() == np.repeat(np.arange(5), 6).tolist()
        assert words in found.group_why
        alone = grouped(replace(plain, target=target), "none")
        assert alone.groups is None
        assert alone.group_why.startswith("set by you")
    assert grouped(plain, "auto").groups is None  # its layout has asked names already


def test_frames_stay_on_one_side_and_the_card_says_so(tmp_path):
    x, y = shades(each=24)
    seen = dict.fromkeys(range(3), 0)
    for picture, label in zip(x, y.tolist(), strict=True):
        clip, frame = divmod(seen[label], 8)
        seen[label] += 1
        save(picture, tmp_path / CLASSES[label] / f"take{label}{clip}_{frame:04}.png")
    found = examine(Source(str(tmp_path)))
    assert found.card.groups == 9
    assert "frames of 9 clips" in found.card.why["groups"]
    alone = examine(Source(str(tmp_path), group="none"))
    assert alone.groups is None
    assert alone.card.why["groups"].startswith("set by you: each sample stands alone")
