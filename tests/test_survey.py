"""survey: one reading, honest counts, every doubt said, and a memory that cannot mislead."""

import json
from dataclasses import replace

import numpy as np
import pytest

from foveal.card import Card
from foveal.datasets.cache import cache_folder
from foveal.datasets.facts import load
from foveal.datasets.prepare import prepare
from foveal.datasets.statistics import Statistics
from foveal.datasets.survey import stored, survey
from foveal.errors import DataError
from foveal.plan import DataPart
from made import files_under, listing_of, pictures


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def part_of(card, **changes):
    zeros = (0.0,) * card.channels
    part = DataPart(card.size, card.channels, card.fit, zeros, zeros, zeros, zeros, 0.1, 0.1)
    return replace(part, dtype=card.dtype, **changes)


def rows_of(found):
    return found.store.gather(np.arange(len(found.store))).numpy()


def says(card, text):
    return any(text in doubt for doubt in card.doubts)


def test_counts_sizes_and_figures():
    items = pictures(60)
    labels, parts = np.arange(60) % 3, np.repeat([0, 2], [45, 15])
    card = survey(listing_of(items, labels, parts)).card
    assert (card.parts, card.count) == ({"train": 45, "test": 15}, 60)
    assert card.counts == {"train": (15, 15, 15), "test": (5, 5, 5)}
    assert card.smallest == card.median == card.largest == card.size == (8, 8)
    assert (card.channels, card.dtype, card.fit, card.rank) == (3, "uint8", "stretch", 2)
    train = np.stack(items[:45]).astype(float)  # the test part has no say in the scale
    np.testing.assert_allclose(card.mean, train.mean((0, 2, 3)))
    np.testing.assert_allclose(card.std, train.std((0, 2, 3)))
    assert card.doubts == ()
    assert Card.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_the_store_holds_what_prepare_makes():
    items = [*pictures(6, (20, 30)), *pictures(6, (30, 20)), *pictures(8, (25, 25), channels=1)]
    found = survey(listing_of(items))
    assert found.card.fit == "pad"
    got = found.store.gather(np.arange(20)).numpy()
    for i, item in enumerate(items):
        assert np.array_equal(got[i], prepare(item, part_of(found.card)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(40,), (6, 7), (4, 5, 6)])
def test_every_rank_and_any_number_of_threads(size, threads):
    items = pictures(30, size, channels=2)
    found = survey(listing_of(items), threads=threads)
    assert found.card.size == size
    assert np.array_equal(found.store.gather(np.arange(30)).numpy(), np.stack(items))


def test_each_file_is_decoded_once_and_the_second_time_not_at_all():
    seen: list[int] = []
    listing = listing_of(pictures(700), seen=seen)
    first = survey(listing)
    assert len(seen) == 700
    again = survey(listing)
    assert len(seen) == 700
    assert again.card == first.card
    assert np.array_equal(again.hashes, first.hashes)
    assert np.array_equal(rows_of(again), rows_of(first))


def test_another_stamp_is_read_anew():
    survey(listing_of(pictures(30)))
    seen: list[int] = []
    survey(listing_of(pictures(30), stamp="changed", seen=seen))
    assert len(seen) == 30


def test_equal_content_elsewhere_shares_one_store():
    survey(listing_of(pictures(30)))
    survey(listing_of(pictures(30), stamp="moved"))
    assert sum(name.endswith("pixels.bin") for name in files_under(cache_folder())) == 1


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "store"])
def test_a_damaged_memory_is_ignored_and_rebuilt(harm):
    listing = listing_of(pictures(30))
    first = survey(listing)
    (path,) = (cache_folder() / "surveys").iterdir()
    content = bytearray(path.read_bytes())
    if harm == "store":
        (pixels,) = (cache_folder() / "stores").glob("*/pixels.bin")
        pixels.write_bytes(b"")
    elif harm == "flip":
        at = content.index(first.hashes.tobytes())
        content[at] ^= 1
        path.write_bytes(content)
        assert load(listing) is None
    else:
        path.write_bytes(content[: len(content) // 2] if harm == "cut" else b"")
        assert load(listing) is None
    again = survey(listing)
    assert again.card == first.card
    assert np.array_equal(rows_of(again), rows_of(first))


def test_arrays_need_not_touch_the_disk():
    found = survey(listing_of(pictures(30)), remember=False)
    assert not cache_folder().exists()
    assert len(stored(found, part_of(found.card, size=(4, 4))).store) == 30
    assert not cache_folder().exists()


def test_another_size_makes_another_store_once():
    items, seen = pictures(30), []
    found = survey(listing_of(items, seen=seen))
    assert stored(found, part_of(found.card)).store is found.store
    part = part_of(found.card, size=(4, 6), channels=1)
    for _ in range(2):
        small = stored(found, part).store
        assert np.array_equal(small.gather(np.array([7]))[0].numpy(), prepare(items[7], part))
        assert len(seen) == 60


def test_grey_saved_as_colour_counts_as_grey():
    grey = pictures(20, channels=1)
    found = survey(listing_of([np.repeat(x, 3, 0) for x in grey]))
    assert found.card.channels == 1
    assert np.array_equal(found.store.gather(np.arange(20)).numpy(), np.stack(grey))


def test_grey_in_one_mode_is_a_copy_of_the_same_in_another():
    (x,) = pictures(1, channels=1)
    card = survey(listing_of([x, np.repeat(x, 3, 0), *pictures(20, seed=1)])).card
    assert card.duplicate_count == 1


def test_one_late_colour_picture_makes_the_set_colour():
    grey = pictures(1500, (4, 4), channels=1)
    (colour,) = pictures(1, (4, 4))
    grey[1001] = colour  # an odd place that the probe of 512 does not meet
    found = survey(listing_of(grey))
    assert found.card.channels == 3
    assert np.array_equal(found.store.gather(np.array([1001]))[0].numpy(), colour)


@pytest.mark.parametrize("deep", [np.uint16, np.float32])
def test_one_late_deep_picture_makes_the_set_deep(deep):
    items = pictures(1500, (4, 4), channels=1)
    items[1001] = items[1001].astype(deep) * deep(100)
    found = survey(listing_of(items))
    assert found.card.dtype == np.dtype(deep).name
    assert found.store.dtype == "float32"
    assert np.array_equal(found.store.gather(np.array([1001]))[0].numpy(), items[1001])
    white = 257 if deep is np.uint16 else 1
    assert np.array_equal(found.store.gather(np.array([3]))[0].numpy(), items[3] * float(white))


def test_alpha_goes_by_the_mode_and_not_by_the_number_of_channels():
    items = pictures(20, channels=4)
    assert survey(listing_of(items, modes=["RGBA"] * 20)).card.channels == 3
    assert survey(listing_of(items, modes=["P"] * 20, stamp="palette")).card.channels == 3
    bands = listing_of(items, modes=["uint8 x 4"] * 20, stamp="bands")
    assert survey(bands).card.channels == 4


@pytest.mark.parametrize(
    ("count", "bad", "forgiven"), [(19, 1, False), (20, 1, True), (20, 2, False)]
)
def test_few_bad_files_are_forgiven_from_twenty_on(count, bad, forgiven):
    listing = listing_of([*pictures(count - bad), *["cut short"] * bad])
    if forgiven:
        card = survey(listing).card
        assert [(s.key, s.reason) for s in card.skipped] == [("item 19", "cut short")]
        assert says(card, "1 file cannot be used")
    else:
        with pytest.raises(DataError, match=rf"{bad} of {count} files of 'class 0'"):
            survey(listing)


def test_one_percent_of_a_class_may_be_bad():
    items, labels = pictures(600, (4, 4)), np.repeat([0, 1], 300)
    items[:3] = ["torn"] * 3
    assert survey(listing_of(items, labels)).card.count == 597
    items[3] = "torn"  # 4 of 300 in one class, though under 1 % of all
    with pytest.raises(DataError, match=r"4 of 300 files of 'class 0'"):
        survey(listing_of(items, labels, stamp="more"))


def test_rows_follow_the_good_items():
    items = pictures(40)
    items[7] = "cut short"
    found = survey(listing_of(items, np.arange(40) % 2))
    assert found.usable.tolist() == [i for i in range(40) if i != 7]
    assert found.labels.tolist() == [i % 2 for i in found.usable]
    assert (found.parts == 0).all()
    assert found.key(7) == "item 8"
    assert np.array_equal(found.store.gather(np.array([7]))[0].numpy(), items[8])


def test_beyond_the_limit_ten_files_are_named():
    listing = listing_of([*pictures(20), *[f"reason {i}" for i in range(15)]])
    with pytest.raises(DataError, match=r"15 of 35") as caught:
        survey(listing)
    assert all(f"item {20 + i}: reason {i}" in str(caught.value) for i in range(10))
    assert "reason 10" not in str(caught.value)


def test_a_hopeless_set_is_refused():
    with pytest.raises(DataError, match=r"none of 3 files can be read(.|\n)*item 0: broken"):
        survey(listing_of(["broken"] * 3))
    with pytest.raises(DataError, match="nothing to read"):
        survey(listing_of([]))


def test_stop_stops_at_the_first_bad_file_also_from_memory():
    items = pictures(1200, (4, 4))
    items[1001] = "cut short"
    listing = listing_of(items)
    for _ in range(2):
        with pytest.raises(DataError, match=r"cut short(.|\n)*item 1001(.|\n)*--bad-files skip"):
            survey(listing, bad_files="stop")
        survey(listing)


def test_values_that_are_not_finite_and_other_ranks_are_bad():
    items: list[object] = [x.astype(np.float32) for x in pictures(200, (4, 4))]
    items[5] = np.full((3, 4, 4), np.nan, np.float32)
    items[6] = np.zeros((3, 4), np.float32)
    card = survey(listing_of(items), limit=0.02).card
    assert [s.key for s in card.skipped] == ["item 5", "item 6"]


def test_copies_are_counted_and_their_harm_is_said():
    items = pictures(60)
    items[1] = items[0]  # same class
    items[3] = items[2]  # another class
    items[59] = items[4]  # another part
    labels = np.arange(60) % 2
    labels[1] = labels[0]
    labels[59] = labels[4]
    card = survey(listing_of(items, labels, np.repeat([0, 2], 30))).card
    assert card.duplicate_count == 3
    assert card.duplicates == (("item 0", "item 1"), ("item 2", "item 3"), ("item 4", "item 59"))
    assert says(card, "3 samples are exact copies")
    assert says(card, "1 sample lies in two given parts")
    assert says(card, "1 sample has copies under different classes")


def test_doubts_about_classes():
    labels = np.repeat([0, 1, 2], [100, 9, 1])
    card = survey(listing_of(pictures(110, (4, 4)), labels, classes=("a", "b", "c", "none"))).card
    assert says(card, "no sample in the train part of 'none'")
    assert says(card, "under 10 samples of 'b', 'c'")
    assert says(card, "'a' has 100 times as many samples as 'c'")
    assert says(survey(listing_of(pictures(20), stamp="one")).card, "only one class")
    assert says(survey(listing_of(pictures(20), stamp="one")).card, "only 20 usable samples")


def test_doubts_about_shapes_values_and_modes():
    items = pictures(60, (32, 32))
    items[0] = pictures(1, (16, 160))[0]
    items[1] = pictures(1, (4, 32))[0]
    items[2] = np.full((3, 32, 32), 7, np.uint8)
    items[3] = items[3][:1]
    card = survey(listing_of(items, modes=["RGB"] * 3 + ["L"] + ["RGB"] * 56)).card
    assert says(card, "1 sample has fewer than 8 cells")
    assert says(card, "2 samples have an aspect more than 4 times")
    assert says(card, "1 sample is constant")
    assert says(card, "RGB (59), L (1); all are brought to colour")


def test_empty_files_are_told_apart():
    listing = listing_of([*pictures(250, (4, 4)), "the file is empty", "cut short"])
    card = survey(listing).card
    assert says(card, "1 file is empty")
    assert says(card, "1 file cannot be used")


def test_the_digest_is_of_content_and_not_of_order():
    items, labels = pictures(30), np.arange(30) % 2
    once = survey(listing_of(items, labels)).card.digest
    assert survey(listing_of(items[::-1], labels[::-1], stamp="b")).card.digest == once
    assert survey(listing_of(items, 1 - labels, stamp="c")).card.digest != once


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_statistics_agree_with_numpy(dtype):
    top = {"uint8": 255, "uint16": 65535, "float32": 1000}[dtype]
    values = np.random.default_rng(0).gamma(2, top / 15, (900, 20, 20, 2)).clip(0, top)
    values = values.astype(dtype)
    gathered = Statistics(2, dtype)
    stored_as = values if dtype == "uint8" else values.astype(np.float32)
    for part in np.array_split(stored_as, 7):
        gathered.add(part)
    low, high, mean, std = gathered.result()
    flat = values.reshape(-1, 2).astype(np.float64)
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(std, flat.std(0), rtol=1e-5)
    wanted = np.quantile(flat, [0.001, 0.999], axis=0)
    if dtype == "float32":  # read from a third of the values
        np.testing.assert_allclose([low, high], wanted, rtol=0.05)
    else:
        np.testing.assert_allclose([low, high], wanted, atol=1)
    assert sum(map(len, gathered.kept)) <= 300_000


def test_a_real_set(shared):
    from foveal.datasets.layouts import find_listing

    listing = find_listing(shared / "data" / "orl-faces")
    card = survey(listing).card
    assert (card.parts, card.channels, card.size) == ({"train": 400}, 1, (112, 92))
    assert len(card.classes) == 40
    assert survey(listing).card == card
