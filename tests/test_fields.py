"""What file names tell of classes and of who was recorded."""

import numpy as np
import pytest

from foveal.datasets.fields import groups_by_names, told_by_names
from foveal.datasets.layouts import find_listing
from foveal.datasets.survey import survey
from foveal.errors import DataError
from recordings import spoken, tone, wav

DIGITS = [f"{d}_{s}_{i}.wav" for d in range(10) for s in ("ann", "bob", "eve") for i in range(4)]


def test_class_speaker_and_counter_are_told_apart():
    told = told_by_names(DIGITS)
    assert told.classes == [name.split("_")[0] for name in DIGITS]
    assert told.groups == [name.split("_")[1] for name in DIGITS]
    assert "first field of the file names, as in '0_ann_0.wav': 10 values, 12 files each" in (
        told.class_why
    )
    assert "second field of the file names has 3 values ('ann', 'bob', 'eve'" in told.group_why


@pytest.mark.parametrize("pattern", ["{c}.{i}.wav", "{c}{i}.wav", "{c}-{i:03d}.wav", "{c} {i}.wav"])
def test_a_word_and_a_counter_are_a_class_without_groups(pattern):
    names = [pattern.format(c=c, i=i) for c in ("cat", "dog") for i in range(9)]
    told = told_by_names(names)
    assert set(told.classes) == {"cat", "dog"}
    assert told.groups is None


def test_constant_fields_tell_nothing():
    names = [f"rec_{c}_x_{i}.wav" for c in ("low", "high") for i in range(5)]
    assert set(told_by_names(names).classes) == {"low", "high"}
    assert "second field" in told_by_names(names).class_why


def test_the_last_number_counts_even_where_it_has_few_values():
    names = [f"{d}_{'ab'[s]}x_{i}.wav" for d in range(8) for s in (0, 1) for i in range(4)]
    assert sorted(set(told_by_names(names).classes)) == list("01234567")


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{20210101 + i // 5}_{i:04d}.wav" for i in range(50)],  # dates and counters
        [f"frame_{i:04d}.wav" for i in range(50)],
        [f"{i}.wav" for i in range(50)],
        ["a_b.wav", "c.wav", "d_e_f.wav"],  # different numbers of fields
        [f"{c}_{i}.wav" for c in "abcdefgh" for i in range(2)],  # too few of each
    ],
)
def test_names_that_tell_no_class_are_left_alone(names):
    assert told_by_names(names).classes is None


def test_speakers_are_found_where_folders_tell_the_class():
    names = [
        f"{w}/{h:08x}_nohash_{i}.wav" for w in "ab" for h in range(0xA000, 0xA010) for i in (0, 1)
    ]
    told = groups_by_names(names, [name[0] for name in names])
    assert len(set(told.groups)) == 16
    assert groups_by_names([f"{i}.wav" for i in range(8)], ["a", "b"] * 4).groups is None


def test_a_word_that_only_repeats_the_class_is_no_group():
    names = [f"{c}/{c}s_{i}.wav" for c in ("cat", "dog", "cow") for i in range(5)]
    assert groups_by_names(names, [name.split("/")[0] for name in names]).groups is None


def test_a_flat_folder_of_recordings_is_a_set_and_the_card_says_how(tmp_path):
    spoken(tmp_path / "set")
    (tmp_path / "set" / "README.md").write_text("about")
    listing = find_listing(tmp_path / "set")
    assert listing.layout == "recordings with the class in their names"
    assert (listing.classes, len(set(listing.groups.tolist()))) == (("0", "1", "2"), 4)
    card = survey(listing).card
    assert card.data == "signal"
    assert card.groups == 4
    assert "taken for who was recorded" in card.why["groups"]
    assert any("the class is the first field" in doubt for doubt in card.doubts)


def test_a_folder_around_all_recordings_tells_nothing(tmp_path):
    spoken(tmp_path / "data" / "recordings")
    (tmp_path / "README.md").write_text("about")
    listing = find_listing(tmp_path)
    assert listing.layout == "recordings with the class in their names"
    assert len(listing) == 36
    assert listing.keys[0] == "data/recordings/0_aaa_0.wav"
    assert not listing.left_out


def test_parts_may_be_folders_of_named_recordings(tmp_path):
    spoken(tmp_path / "train")
    spoken(tmp_path / "test", each=2)
    assert find_listing(tmp_path).has_parts == ("train", "test")


def test_other_files_beside_recordings_are_listed(tmp_path):
    spoken(tmp_path)
    (tmp_path / "notes.xyz").write_text("?")
    assert [skipped.key for skipped in find_listing(tmp_path).left_out] == ["notes.xyz"]


def test_recordings_whose_names_tell_nothing_are_no_set(tmp_path):
    for i in range(12):
        wav(tmp_path / f"{i}.wav", tone(300))
    with pytest.raises(DataError, match="recordings in one folder with the class in their names"):
        find_listing(tmp_path)


def test_real_names_tell_digit_and_speaker(shared):
    listing = find_listing(shared / "data" / "spoken-digits" / "recordings")
    assert listing.classes == tuple("0123456789")
    assert np.bincount(listing.groups).tolist() == [250] * 6


def test_speakers_of_recordings_in_class_folders_become_groups(tmp_path):
    flat = spoken(tmp_path / "flat")
    for path in flat.iterdir():
        digit, rest = path.name.split("_", 1)
        (tmp_path / "set" / digit).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "set" / digit / rest)
    listing = find_listing(tmp_path / "set")
    speakers = [key.split("/")[1].split("_")[0] for key in listing.keys]
    pairs = set(zip(listing.groups.tolist(), speakers, strict=True))
    assert len(pairs) == len(set(speakers)) == 4
    assert "taken for who was recorded" in listing.group_why
