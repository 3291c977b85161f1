"""The shared language: errors, grid, record, card, plan, report, find, and spans of time."""

import dataclasses
import json
import math
import pickle
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal import find, tasks
from foveal.card import Card, Skipped
from foveal.duration import seconds, spoken
from foveal.errors import DataError, FovealError, PlanError, RunError
from foveal.grid import IMAGE_AXES, Axis, Grid
from foveal.plan import (
    AugmentPart,
    DataPart,
    FitPart,
    JudgePart,
    NetPart,
    Plan,
    replace_part,
)
from foveal.record import from_plain, read_json, to_plain, write_bytes, write_json
from foveal.report import Report, Score

words = st.text(max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**9)
BY_HAND = {Card: {"axes": st.just(IMAGE_AXES)}, Plan: {"version": st.just(1)}}


def nouns(kind):
    """Any value of a noun, each field from its own type."""
    plain = st.dictionaries(words, st.one_of(counts, numbers, words, st.none()), max_size=3)
    overrides = {
        name: plain
        for name in (
            *("data", "cost", "calibration", "invariance", "details", "folds"),
            *("leaks", "optimism", "repeats"),
        )
        if kind is Report
    }
    overrides |= BY_HAND.get(kind, {})
    return st.builds(kind, **{f.name: overrides.get(f.name, ...) for f in dataclasses.fields(kind)})


st.register_type_strategy(str, words)
st.register_type_strategy(float, numbers)
st.register_type_strategy(int, counts)
NOUNS = [Axis, Score, Skipped, Card, DataPart, AugmentPart, NetPart, FitPart, JudgePart]
NOUNS += [Plan, Report]


@pytest.mark.parametrize("kind", NOUNS, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_a_noun_survives_json(kind, data):
    noun = data.draw(nouns(kind))
    text = json.dumps(to_plain(noun), allow_nan=False)
    assert from_plain(kind, json.loads(text), "here") == noun


@pytest.mark.parametrize("kind", NOUNS, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_a_noun_says_which_key_is_unknown(kind, data):
    values = to_plain(data.draw(nouns(kind)))
    name = next(iter(values))
    with pytest.raises(PlanError) as caught:
        from_plain(kind, {**values, f"{name}x": 1}, "file.json")
    assert caught.value.what == f"unknown key '{name}x'"
    assert caught.value.where == "file.json"
    assert "did you mean" in caught.value.mend or "known keys" in caught.value.mend


@pytest.mark.parametrize(
    ("field", "value", "what", "where"),
    [
        ("path", 3, "3 is not str", "card.json: path"),
        ("channels", "3", "'3' is not a whole number", "card.json: channels"),
        ("channels", True, "True is not a whole number", "card.json: channels"),
        ("channels", 3.0, "3.0 is not a whole number", "card.json: channels"),
        ("smallest", 8, "8 is not a list", "card.json: smallest"),
        ("smallest", [8, "x"], "'x' is not a whole number", "card.json: smallest[1]"),
        ("low", [None], "None is not a number", "card.json: low[0]"),
        ("low", [False], "False is not a number", "card.json: low[0]"),
        ("parts", ["train"], "['train'] is not a table of names and values", "card.json: parts"),
        ("parts", {"train": "9"}, "'9' is not a whole number", "card.json: parts.train"),
        ("skipped", ["a.png"], "'a.png' is not a table of names and values", "skipped[0]"),
        (
            "fit",
            "zoom",
            "'zoom' is not one of 'stretch', 'pad', 'crop', 'ragged', 'spacing'",
            "card.json: fit",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place(card, field, value, what, where):
    with pytest.raises(PlanError) as caught:
        Card.from_dict({**card.to_dict(), field: value})
    assert caught.value.what == what
    assert caught.value.where.endswith(where)
    assert caught.value.mend.startswith("give ")


def test_a_missing_key_is_named(card):
    values = card.to_dict()
    del values["layout"]
    with pytest.raises(PlanError, match=r"missing key 'layout'(.|\n)*mend: .*restore the file"):
        Card.from_dict(values)


def test_what_is_not_a_table_is_no_noun():
    with pytest.raises(PlanError, match="7 is not a table"):
        from_plain(Score, 7, "report.json")


@pytest.fixture
def card():
    return Card(
        path="pets",
        layout="class folders",
        target="label",
        channels=3,
        dtype="uint8",
        parts={"train": 5, "test": 2},
        smallest=(8, 9),
        median=(10, 10),
        largest=(12, 11),
        low=(0.0,) * 3,
        high=(255.0,) * 3,
        mean=(120.0,) * 3,
        std=(60.0,) * 3,
        classes=("cat", "dog"),
        counts={"train": (3, 2), "test": (1, 1)},
        digest="ab",
        skipped=(Skipped("cat/x.png", "is empty"),),
    )


@pytest.fixture
def plan():
    return Plan(
        task="classify",
        axes=IMAGE_AXES,
        classes=("cat", "dog"),
        data=DataPart((8, 8), 1, "stretch", (0.0,), (255.0,), (0.5,), (0.2,), 0.1, 0.2),
        augment=AugmentPart((1, 1), (False, True), True, 0, 0.0, 0.0),
        net=NetPart(
            stem="convolution",
            stem_width=8,
            stem_kernel=(3, 3),
            stem_stride=(1, 1),
            block="plain",
            down="max",
            widths=(8, 16),
            depths=(1, 1),
            strides=((2, 2), (2, 2)),
            kernels=((3, 3), (3, 3)),
            norm="batch",
            activation="relu",
            gate=False,
            pool="average",
            hidden=(),
            dropout=0.0,
            drop_path=0.0,
            scale=1.0,
        ),
        fit=FitPart(
            optimiser="sgd",
            lr=0.1,
            other_lr=0.1,
            momentum=0.9,
            weight_decay=0.0,
            batch=16,
            epochs=2.0,
            steps=10,
            warmup=0.1,
            label_smoothing=0.0,
            ema=0.0,
            precision="fp32",
            channels_last=False,
            threads=1,
            device="cpu",
            coarse=0.0,
            coarse_size=(8, 8),
        ),
        judge=JudgePart(False, 0, 100),
        budget=None,
        seed=0,
        why={"net.widths": "narrow is enough"},
    )


class TestErrors:
    @pytest.mark.parametrize("kind", [FovealError, DataError, PlanError, RunError])
    def test_have_three_parts_in_one_message(self, kind):
        error = kind("it broke", where="a.png", mend="mend it")
        assert str(error) == "it broke\n  where: a.png\n  mend:  mend it"

    @pytest.mark.parametrize("kind", [FovealError, DataError, PlanError, RunError])
    def test_cross_process_borders_whole(self, kind):
        error = pickle.loads(pickle.dumps(kind("it broke", where="a.png", mend="mend it")))
        assert type(error) is kind
        assert (error.what, error.where, error.mend) == ("it broke", "a.png", "mend it")

    def test_a_plan_error_is_a_value_error(self):
        assert issubclass(PlanError, ValueError)


class TestGrid:
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    def test_rank_is_the_number_of_axes(self, size):
        axes = tuple(Axis(str(i)) for i in range(len(size)))
        assert Grid(axes, tuple(size)).rank == len(size)

    def test_nouns_are_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Axis("x").step = 2.0


class TestCard:
    def test_counts_all_parts(self, card):
        assert card.count == 7
        assert card.rank == 2


class TestPlan:
    def test_rank_is_the_number_of_axes(self, plan):
        assert plan.rank == 2

    def test_another_version_is_refused(self, plan):
        with pytest.raises(
            PlanError, match=r"version 9 is not 1(.|\n)*plan again with this Foveal"
        ):
            Plan.from_dict({**plan.to_dict(), "version": 9})

    @pytest.mark.parametrize(
        ("key", "text", "value"),
        [
            ("net.widths", "[4, 8]", (4, 8)),
            ("net.widths", "32", (32, 32)),
            ("net.strides", "1", ((1, 1), (1, 1))),
            ("net.dropout", "0.5", 0.5),
            ("net.dropout", "1", 1.0),
            ("net.gate", "true", True),
            ("net.pool", "max", "max"),
            ("fit.batch", "64", 64),
            ("fit.precision", '"bf16"', "bf16"),
            ("augment.flip", "false", (False, False)),
            ("judge.shift", "2", 2),
        ],
    )
    def test_a_number_can_be_edited(self, plan, key, text, value):
        edited = plan.edited({key: text})
        part, _, name = key.partition(".")
        assert getattr(getattr(edited, part), name) == value
        assert edited.why[key] == f"set by you to {text}"
        assert edited.why["net.widths"] == (
            f"set by you to {text}" if key == "net.widths" else "narrow is enough"
        )

    def test_whole_values_can_be_edited(self, plan):
        assert plan.edited({"seed": "7"}).seed == 7
        assert plan.edited({"budget": "60"}).budget == 60.0

    def test_an_edit_leaves_the_old_plan_alone(self, plan):
        before = plan.to_dict()
        plan.edited({"net.widths": "64", "seed": "3"})
        assert plan.to_dict() == before

    @pytest.mark.parametrize(
        ("key", "mend"),
        [
            ("net.width", "did you mean 'net.widths'?"),
            ("widths", "did you mean 'net.widths'?"),
            ("zzz", "see `foveal plan` for the keys"),
            ("why", "see `foveal plan` for the keys"),
            ("version", "foveal plan"),
            ("", "see `foveal plan` for the keys"),
        ],
    )
    def test_an_unknown_key_is_helped(self, plan, key, mend):
        with pytest.raises(PlanError) as caught:
            plan.edited({key: "1"})
        assert caught.value.what == f"unknown key {key!r}"
        assert caught.value.where == "--set"
        assert mend in caught.value.mend or "did you mean" in caught.value.mend

    @pytest.mark.parametrize(
        ("key", "text", "what"),
        [
            ("fit.batch", "many", "'many' is not a whole number"),
            ("net.block", "dense", "'dense' is not one of 'plain', 'residual'"),
            ("net.gate", "1", "1 is not bool"),
            ("net.widths", '["a"]', "'a' is not a whole number"),
        ],
    )
    def test_a_value_that_does_not_fit_is_refused(self, plan, key, text, what):
        with pytest.raises(PlanError, match=what):
            plan.edited({key: text})

    def test_one_part_can_be_replaced(self, plan):
        changed = replace_part(plan, "fit", epochs=9.0, steps=3)
        assert (changed.fit.epochs, changed.fit.steps, changed.fit.lr) == (9.0, 3, plan.fit.lr)
        assert changed.net is plan.net


class TestFiles:
    def test_json_is_written_and_read(self, tmp_path):
        values = {"name": "café ☕", "sizes": [1, 2.5, None], "deep": {"a": True}}
        write_json(tmp_path / "a.json", values)
        assert read_json(tmp_path / "a.json") == values
        assert [p.name for p in tmp_path.iterdir()] == ["a.json"]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_json_cannot_hold_is_never_written(self, tmp_path, value):
        write_json(tmp_path / "a.json", {"old": 1})
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", {"new": value})
        assert read_json(tmp_path / "a.json") == {"old": 1}

    def test_a_failed_write_leaves_the_old_file_and_no_litter(self, tmp_path):
        target = tmp_path / "taken"
        target.mkdir()
        (target / "inside").write_text("kept")
        with pytest.raises(OSError, match="taken"):
            write_bytes(target, b"new")
        assert [p.name for p in tmp_path.iterdir()] == ["taken"]
        assert (target / "inside").read_text() == "kept"

    @settings(max_examples=20)
    @given(old=st.binary(max_size=50), new=st.binary(max_size=50))
    def test_a_file_is_replaced_whole(self, tmp_path_factory, old, new):
        path = tmp_path_factory.mktemp("whole") / "file"
        write_bytes(path, old)
        write_bytes(path, new)
        assert path.read_bytes() == new

    def test_a_missing_file_says_what_to_give(self, tmp_path):
        with pytest.raises(FovealError) as caught:
            read_json(tmp_path / "plan.json")
        assert caught.value.what == "cannot read plan.json: No such file or directory"
        assert caught.value.where == str(tmp_path / "plan.json")
        assert caught.value.mend == "give the folder of a finished run, or train again"

    @pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[" * 100_000])
    def test_a_damaged_file_is_named(self, tmp_path, content):
        (tmp_path / "card.json").write_bytes(content)
        with pytest.raises(
            FovealError, match=r"card.json is not valid JSON(.|\n)*restore the file"
        ):
            read_json(tmp_path / "card.json")


class TestFind:
    def test_the_folder_is_the_list(self):
        assert "classify" in find.names(tasks)
        assert all(not name.startswith("_") for name in find.names(tasks))

    def test_a_file_is_found_by_its_name(self):
        assert find.load(tasks, "classify").__name__ == "foveal.tasks.classify"

    def test_a_misspelt_name_is_helped(self):
        with pytest.raises(FovealError) as caught:
            find.load(tasks, "clasify")
        assert caught.value.what == "there is no task called 'clasify'"
        assert "classify" in caught.value.where
        assert caught.value.mend == "did you mean 'classify'?"

    def test_a_far_name_is_told_of_files(self):
        with pytest.raises(FovealError, match=r"pass the path of a \.py file of yours"):
            find.load(tasks, "zzzzzz")

    def test_a_file_of_ones_own_needs_no_installation(self, tmp_path):
        (tmp_path / "mine.py").write_text("TASK = 'mine'")
        found = find.load(tasks, str(tmp_path / "mine.py"))
        assert isinstance(found, types.ModuleType)
        assert found.TASK == "mine"

    def test_a_missing_file_of_ones_own_is_named(self, tmp_path):
        with pytest.raises(FovealError, match=r"there is no file '.*mine.py'(.|\n)*check the path"):
            find.load(tasks, str(tmp_path / "mine.py"))

    def test_nearest_is_silent_when_nothing_is_near(self):
        assert find.nearest("zzz", ["classify"]) == ""


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "span"),
        [
            ("90s", 90),
            ("10m", 600),
            ("10 min", 600),
            ("1h30m", 5400),
            ("1h 30m 5s", 5405),
            ("600", 600),
            ("2.5m", 150),
            ("1H", 3600),
            (45, 45),
            (0.5, 0.5),
        ],
    )
    def test_reads_what_people_write(self, text, span):
        assert seconds(text) == span

    @pytest.mark.parametrize("text", ["", "soon", "-5m", "0", "5x", "10m1h", "1e3", "nan", "m", 0])
    def test_refuses_the_rest(self, text):
        with pytest.raises(PlanError) as caught:
            seconds(text)
        assert caught.value.what == f"{text!r} is not a span of time"
        assert caught.value.where == "budget"
        assert caught.value.mend == "write it as 90s, 10m, 1h30m or a number of seconds above 0"

    @given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
    def test_adds_hours_minutes_and_seconds(self, h, m, s):
        span = 3600 * h + 60 * m + s
        if span:
            assert seconds(f"{h}h{m}m{s}s") == span

    @pytest.mark.parametrize(
        ("span", "text"),
        [
            (0.04, "0.0 s"),
            (8.34, "8.3 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.97, "1 min 00 s"),
            (125, "2 min 05 s"),
            (3599.7, "1 h 00 min"),
            (5400, "1 h 30 min"),
        ],
    )
    def test_is_spoken_plainly(self, span, text):
        assert spoken(span) == text
