"""Which columns of a table are learned, and how: inferred, asked for, and refused in words."""

import re
import shutil

import numpy as np
import pytest

import foveal
from foveal.datasets.layouts import find_listing, from_arrays
from foveal.datasets.layouts._frames import stretches
from foveal.datasets.layouts._targets import is_number
from foveal.datasets.targets import brought, matched, strata
from foveal.errors import DataError
from roads import folders, save, shades

NAMES = [f"{i}.png" for i in range(24)]


@pytest.fixture
def folder(tmp_path):
    x, _ = shades(8)
    for name, picture in zip(NAMES, x, strict=True):
        save(picture, tmp_path / "files" / name)
    return tmp_path


def write(folder, header, rows, name="set.csv"):
    lines = ([header] if header else []) + [f"files/{n},{r}" for n, r in zip(NAMES, rows)]  # noqa: B905
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def test_a_column_of_fractions_is_a_number(folder):
    path = write(folder, "path,age", [f"{20 + i * 1.5}" for i in range(24)])
    listing = find_listing(path)
    assert (listing.target, listing.outputs, listing.columns) == ("numbers", ("age",), ("age",))
    assert listing.values[:3, 0].tolist() == [20, 21.5, 23]
    assert listing.labels.tolist() == [0] * 24
    assert listing.classes == ()
    assert listing.read(2).y == (23.0,)
    why = "column 'age': 24 different values, with fractions: numbers, not classes"
    assert listing.target_why == why


def test_few_whole_numbers_are_classes_unless_asked_otherwise(folder):
    path = write(folder, "path,count", [str(i % 3) for i in range(24)])
    listing = find_listing(path)
    assert (listing.target, listing.classes) == ("label", ("0", "1", "2"))
    numbers = brought(listing, "numbers")
    assert numbers.outputs == ("count",)
    assert numbers.values[:4, 0].tolist() == [0, 1, 2, 0]
    card = foveal.look(path, task="regress")
    assert card.target == "numbers"
    assert card.numbers[0].mean == pytest.approx(1)
    assert card.counts == {"train": ()}
    assert brought(numbers, "label").classes == listing.classes
    sets = brought(listing, "labels")
    assert sets.values[:3].tolist() == np.eye(3).tolist()
    assert brought(sets, "label").labels.tolist() == listing.labels.tolist()


def test_columns_of_0_and_1_are_classes_of_which_any_may_be(folder):
    rows = [f"{i % 2},{int(i < 5)},id{i}" for i in range(24)]
    listing = find_listing(write(folder, "path,red,round,id", rows))
    assert (listing.target, listing.classes) == ("labels", ("red", "round"))
    assert listing.values[:2].tolist() == [[0, 1], [1, 1]]
    assert listing.read(1).y == ("red", "round")
    assert listing.target_why == "2 columns of 0 and 1; left aside: 'id'"
    card = foveal.look(folder / "set.csv")
    assert card.counts == {"train": (12, 5)}
    assert "9 samples have none of the classes" in card.doubts


def test_exactly_one_1_in_each_row_is_one_class(folder):
    rows = [f"{int(i % 3 == 0)},{int(i % 3 == 1)},{int(i % 3 == 2)}" for i in range(24)]
    listing = find_listing(write(folder, "path,a,b,c", rows))
    assert (listing.target, listing.classes) == ("label", ("a", "b", "c"))
    assert listing.labels[:4].tolist() == [0, 1, 2, 0]
    assert "exactly one is 1" in listing.target_why


@pytest.mark.parametrize("mark", [";", "|", " ; "])
def test_names_apart_by_a_mark(folder, mark):
    rows = [["cat", f"cat{mark}dog", "", f"dog{mark}"][i % 4] for i in range(24)]
    listing = find_listing(write(folder, "path,Finding Labels", rows))
    assert (listing.target, listing.classes) == ("labels", ("cat", "dog"))
    assert listing.values[:4].tolist() == [[1, 0], [1, 1], [0, 0], [0, 1]]


def test_several_columns_of_numbers(folder):
    rows = [f"{i / 7},{i * 1.25}" for i in range(24)]
    listing = find_listing(write(folder, "path,x,y_mm", rows))
    assert listing.outputs == ("x", "y_mm")
    assert listing.values.shape == (24, 2)


def test_columns_that_are_asked_for(folder):
    path = write(folder, "path,age,red,kind", [f"{i / 3},{i % 2},k{i % 2}" for i in range(24)])
    with pytest.raises(DataError, match=r"cannot be told(.|\n)*--target COLUMN"):
        find_listing(path)
    assert find_listing(path, target=["AGE"]).outputs == ("age",)
    assert find_listing(path, target=["4"]).classes == ("k0", "k1")
    both = find_listing(path, target=["age", "red"])
    assert both.outputs == ("age", "red")
    assert both.target_why == "set by you: --target age,red"
    with pytest.raises(DataError, match=r"no column 'agee'(.|\n)*did you mean 'age'"):
        find_listing(path, target=["agee"])
    with pytest.raises(DataError, match=r"'kind' holds no numbers"):
        find_listing(path, target=["age", "kind"])
    assert foveal.look(path, target=["kind"]).classes == ("k0", "k1")


def test_what_is_no_table_has_no_columns(tmp_path):
    x, y = shades(8)
    np.savez(tmp_path / "set.npz", x=x, y=y)
    with pytest.raises(DataError, match=r"'age' was asked for, but npz have no columns"):
        foveal.look(tmp_path / "set.npz", target=["age"])


def test_a_row_without_its_number_is_left_out_and_named(folder):
    rows = [["", "nan", "x", "7.5"][i] if i < 4 else f"{i}.5" for i in range(24)]
    path = write(folder, "path,age", rows)
    with pytest.raises(DataError, match="are nothing to learn from"):
        find_listing(path)  # a column with a word in it holds classes
    rows[2] = "1.5"
    listing = find_listing(write(folder, "path,age", [r.replace("nan", "") for r in rows]))
    assert len(listing) == 22
    assert listing.left_out[0].reason == "set.csv line 2: has no number for 'age'"


def test_the_log_of_a_driving_simulator(folder):
    lines = []
    for i, name in enumerate(NAMES):
        stamp = f"2018_07_16_17_11_{i // 10:02d}_{i % 10 * 100:03d}.png"
        shutil.copy(folder / "files" / name, folder / f"center_{stamp}")
        paths = ",".join(f"C:\\u\\IMG\\{side}_{stamp}" for side in ("center", "left", "right"))
        lines.append(f"{paths},{0.25 * (i % 5)},0.9,0,{20 + i}")
    shutil.rmtree(folder / "files")
    (folder / "driving_log.csv").write_text("\n".join(lines))
    listing = find_listing(folder)
    assert len(listing) == 24  # the first line is a frame, not a header
    assert listing.outputs == ("steering",)
    assert listing.values[:3, 0].tolist() == [0, 0.25, 0.5]
    assert listing.target_why.startswith("the log of a driving simulator")
    assert find_listing(folder, target=["speed"]).columns == ("speed",)
    assert find_listing(folder, target=["4"]).columns == ("steering",)


def test_a_table_without_names_has_numbered_columns(folder):
    path = write(folder, "", [f"{i / 3},a" for i in range(24)])
    with pytest.raises(DataError, match="there are '2', '3'"):
        find_listing(path)
    assert find_listing(path, target=["2"]).target == "numbers"


def test_parts_in_tables_of_their_own_learn_the_same(folder):
    write(folder, "path,age", [f"{i}.5" for i in range(12)], "train.csv")
    (folder / "test.csv").write_text("path,age\nfiles/20.png,3\nfiles/21.png,4\n")
    listing = find_listing(folder)
    assert listing.target == "numbers"
    assert listing.values[listing.parts == 2, 0].tolist() == [3, 4]
    (folder / "test.csv").write_text("path,a,b\nfiles/20.png,0.5,1.5\nfiles/21.png,0.7,1.7\n")
    with pytest.raises(DataError, match=r"not the columns 'age' of the first table"):
        find_listing(folder)


def test_a_column_that_tells_whose_a_sample_is(folder):
    rows = [f"{i % 2},{'' if i == 3 else f'p{i // 4}'}" for i in range(24)]
    listing = find_listing(write(folder, "path,label,Patient ID", rows))
    assert listing.groups[:5].tolist() == [1, 1, 1, -1, 2]
    assert "7 names in a column" in listing.group_why
    assert foveal.look(folder / "set.csv").groups == 6
    assert foveal.look(folder / "set.csv", group="none").groups == 0


def test_groups_by_a_column_that_is_asked_for(folder):
    rows = [f"{i % 2},p{i // 4},{'' if i == 3 else f's{i // 8}'}" for i in range(24)]
    path = write(folder, "path,label,patient,site", rows)
    assert foveal.look(path).groups == 6
    by_site = foveal.look(path, group="Site")
    assert by_site.groups == 3
    assert by_site.why["groups"] == "set by you: --group Site (4 values)"
    assert by_site.classes == ("0", "1")
    assert foveal.look(path, group="4").groups == 3
    with pytest.raises(DataError, match=r"there is no column 'sit'(.|\n)*site"):
        foveal.look(path, group="sit")


def test_a_column_that_groups_is_not_learned(folder):
    path = write(folder, "path,height,site", [f"{i / 7},{i % 3}" for i in range(24)])
    listing = find_listing(path, group="site")
    assert listing.outputs == ("height",)
    assert listing.groups.tolist() == [i % 3 for i in range(24)]


def test_texts_of_one_writer_stay_together(tmp_path):
    lines = [f"a {w} line of words {i},{w},w{i % 5}" for i in range(40) for w in ("good", "bad")]
    (tmp_path / "set.csv").write_text("text,label,writer\n" + "\n".join(lines) + "\n")
    listing = find_listing(tmp_path / "set.csv", group="writer")
    assert listing.groups[:4].tolist() == [0, 0, 1, 1]
    assert listing.classes == ("bad", "good")
    assert find_listing(tmp_path / "set.csv", target=["label"]).groups is None


def test_a_pattern_of_names_groups_any_data(folder):
    path = write(folder, "path,label", [str(i % 2) for i in range(24)])
    card = foveal.look(path, group=r"files/(\d)")
    assert card.groups == 10
    assert card.why["groups"].startswith("set by you: --group files/(")
    some = foveal.look(path, group=r"files/1(\d)")
    assert some.groups == 10
    assert "14 names without it stand alone" in some.why["groups"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("files(", "is no pattern"),
        (r"(\d)(\d)", "has 2 parts in brackets, not one"),
        (r"patient(\d+)", "is in none of the names, such as 'files/0.png'"),
    ],
)
def test_patterns_that_tell_no_group_are_refused(folder, pattern, words):
    path = write(folder, "path,label", [str(i % 2) for i in range(24)])
    with pytest.raises(DataError, match=re.escape(words)):
        foveal.look(path, group=pattern)


def test_a_column_needs_a_table(tmp_path):
    x, y = shades(4)
    data = folders(tmp_path / "set", x, y)
    with pytest.raises(DataError, match=r"'site' are not known: class folders have no columns"):
        foveal.look(data, group="site")


X = np.random.default_rng(0).random((30, 6, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("y", "target"),
    [
        (np.linspace(0, 1, 30), "numbers"), (np.linspace(0, 1, 30)[:, None], "numbers"),
        (np.random.default_rng(0).random((30, 3)), "numbers"), (np.arange(30) % 3, "label"),
        ((np.arange(30) % 3).astype(float), "label"), (np.arange(30) * 1.0, "numbers"),
        (np.arange(60).reshape(30, 2) % 2 * [1, 0] + [0, 1], "label"),
        (np.random.default_rng(0).integers(0, 2, (30, 3)), "labels"),
        (np.array(["a", "b"] * 15), "label"),
    ],
)  # fmt: skip
def test_arrays_tell_what_they_hold(y, target):
    listing = from_arrays(X, y)
    assert listing.target == target
    assert (listing.values is None) == (target == "label")


def test_missing_numbers_in_arrays_are_known_to_be_missing():
    y = np.linspace(0, 1, 30)
    y[4] = np.nan
    listing = from_arrays(X, y)
    assert listing.labels.tolist() == [-1 if i == 4 else 0 for i in range(30)]
    with pytest.raises(DataError, match="targets have \\[1, 2\\] values per item"):
        from_arrays(X, y, test=(X, np.random.default_rng(0).random((30, 2))))


def test_numbers_or_classes():
    few = np.tile(np.arange(5.0), 10)
    assert not is_number(few)
    assert is_number(few + 0.5)
    assert is_number(np.arange(100.0) * 3)  # hardly ever the same
    assert not is_number(np.tile(np.arange(100.0), 5))  # a hundred classes of five
    sparse = np.tile(np.arange(100.0) * 7, 5)
    assert is_number(sparse)
    assert not is_number(sparse, kind="i")  # whole numbers of an array name classes


def test_targets_that_cannot_be_brought():
    pets = from_arrays(X, np.array(["cat", "dog"] * 15))
    with pytest.raises(DataError, match=r"class 'cat' is no number(.|\n)*classify"):
        brought(pets, "numbers")
    numbers = from_arrays(X, np.linspace(0, 1, 30))
    with pytest.raises(DataError, match="30 values are no classes"):
        brought(numbers, "label")
    with pytest.raises(DataError, match="is neither 0 nor 1"):
        brought(numbers, "labels")
    sets = from_arrays(X, np.random.default_rng(0).integers(0, 2, (30, 3)))
    with pytest.raises(DataError, match="items have no class or several"):
        brought(sets, "label")
    assert brought(sets, "numbers").outputs == ("0", "1", "2")
    assert brought(pets, "label") is pets


def test_a_model_finds_its_own_by_name(folder):
    listing = find_listing(write(folder, "path,x,y_mm", [f"{i / 7},{i}.5" for i in range(24)]))
    assert matched(listing, (), ["y_mm"])[:2, 0].tolist() == [0.5, 1.5]
    with pytest.raises(DataError, match=r"number 'z' of the model is missing(.|\n)*x, y_mm"):
        matched(listing, (), ["z"])
    pets = from_arrays(X, np.array(["cat", "dog"] * 15))
    assert matched(pets, ["ape", "dog", "cat"], ())[:2].tolist() == [2, 1]
    with pytest.raises(DataError, match="'cat' is unknown to the model"):
        matched(pets, ["ape", "dog"], ())
    sets = brought(pets, "labels")
    assert matched(sets, ["ape", "dog", "cat"], ())[0].tolist() == [0, 0, 1]


def test_strata_are_classes_rarest_classes_or_tenths():
    known = np.zeros(6, np.int32)
    values = np.array([[1, 0], [1, 1], [1, 0], [0, 0], [1, 0], [1, 0]], np.float32)
    assert strata("labels", known, values).tolist() == [1, 2, 1, 0, 1, 1]
    assert strata("label", known, None) is known
    numbers = np.r_[np.zeros(80), np.linspace(1, 2, 20)].astype(np.float32)[:, None]
    found = strata("numbers", np.r_[np.zeros(99), -1].astype(np.int32), numbers)
    assert len(set(found[:80].tolist())) == 1
    assert len(set(found[80:99].tolist())) >= 2
    assert found[99] == -1


CLOCK = [f"center_2018_07_16_17_{i // 60 % 60:02d}_{i % 60:02d}_{i % 10}00.jpg" for i in range(200)]


def test_frames_by_the_clock_fall_into_stretches_in_order_of_time():
    order = np.random.default_rng(0).permutation(200)
    groups, why = stretches([f"C:\\a\\{CLOCK[i]}" for i in order], None)
    assert len(np.unique(groups)) == 20
    by_time = groups[np.argsort(order)]
    assert (np.diff(by_time) >= 0).all()
    assert why == "frames 1.1 s apart by the times in their names, in 20 stretches that stay whole"


def test_numbered_frames_need_targets_that_change_little_by_little():
    names = [f"frame{i:05d}.png" for i in range(200)]
    smooth = np.sin(np.arange(200) / 9)[:, None]
    groups, why = stretches(names, smooth)
    assert groups.tolist() == sorted(groups.tolist())
    assert "little by little" in why
    assert stretches(names, smooth[np.random.default_rng(0).permutation(200)]) is None
    assert stretches(names, None) is None


@pytest.mark.parametrize(
    "names",
    [
        CLOCK[:99],
        [f"2018_07_{1 + i % 28:02d}_{i % 24:02d}_00_00.jpg" for i in range(200)],  # hours apart
        [f"2018_77_16_17_11_{i % 60:02d}.jpg" for i in range(200)],  # no such month
        ["no time"] * 200,
    ],
)
def test_names_that_show_no_time(names):
    assert stretches(names, np.random.default_rng(0).random((len(names), 1))) is None
