"""Plans for series and sounds: each rule, and the whole road on tiny generated sets."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.card import Card
from foveal.errors import PlanError
from foveal.grid import Axis, time_axis
from foveal.networks.build import build
from foveal.planner.kinds import Rows
from foveal.planner.kinds.signal import observe
from foveal.planner.machine import Machine
from foveal.planner.make import make_plan
from foveal.planner.sound import Heard
from foveal.record import read_json
from foveal.verbs.model import load
from foveal.verbs.train import train
from recordings import spoken, tone, ts, wav, waves

MACHINE = Machine("cpu", "made", 1, "fp32", True, 100.0, {"fp32": 100.0}, 4096)
SERIES = Axis("time", kind="time", mirrors=False)


def card_of(length=150, count=50, axis=SERIES, channels=1, **changes):
    one = (0.0,) * channels
    card = Card(
        path="made",
        layout="time series",
        target="label",
        channels=channels,
        dtype="float32",
        parts={"train": count, "test": count},
        smallest=(length,),
        median=(length,),
        largest=(length,),
        low=tuple(v - 2 for v in one),
        high=tuple(v + 2 for v in one),
        mean=one,
        std=tuple(v + 1 for v in one),
        classes=("a", "b"),
        counts={"train": (count // 2,) * 2, "test": (count // 2,) * 2},
        digest="0",
        axes=(axis,),
        size=(length,),
        why={"size": "told", "fit": "told"},
    )
    return replace(card, **changes)


def sounds(rate=8000, seconds=0.4, count=1000, **changes):
    return card_of(round(rate * seconds), count, time_axis(1 / rate), **changes)


def planned(card, **wishes):
    return make_plan(card, MACHINE, **{"budget": 600.0, **wishes})


@pytest.mark.parametrize("length", [1, 5, 16, 100, 427, 2000, 20000])
def test_series_of_any_length_get_a_network_that_answers(length):
    plan = planned(card_of(length))
    assert plan.net.block == "residual"
    assert all(k[0] % 2 for k in plan.net.kernels)
    cells = -(-length // plan.net.stem_stride[0])
    assert cells <= 2 * 512
    x = torch.randn(3, 1, length)
    assert build(plan).eval()(x).shape == (3, 2)


def test_every_number_of_the_plan_has_its_reason():
    for card in (card_of(), sounds()):
        plan = planned(card)
        for part in ("data", "augment", "net", "fit", "judge"):
            for name in plan.to_dict()[part]:
                if f"{part}.{name}" not in {"augment.cutout", "fit.weights"}:
                    assert plan.why.get(f"{part}.{name}"), f"{part}.{name}"


def test_tiny_training_parts_hold_nothing_back_and_say_why():
    plan = planned(card_of(count=50))
    assert plan.data.validation == 0
    assert "too coarse to choose weights by" in plan.why["data.validation"]
    assert planned(card_of(count=1000)).data.validation > 0
    given = card_of(parts={"train": 50, "validation": 20, "test": 50})
    assert "own validation part" in planned(given).why["data.validation"]


def test_series_are_shifted_and_warped_but_never_reversed():
    plan = planned(card_of(100), symmetry="flips")
    assert plan.augment.translate == (5,)
    assert plan.augment.warp == (0.1,)
    assert plan.augment.flip == (False,)


def test_lengths_that_nearly_agree_are_stretched_and_others_masked():
    near = card_of(100, smallest=(90,), largest=(110,), size=(110,), fit="ragged")
    plan = planned(near)
    assert (plan.data.fit, plan.data.size) == ("stretch", (100,))
    far = card_of(100, smallest=(20,), largest=(200,), size=(200,), fit="ragged")
    assert planned(far).data.fit == "ragged"


def test_a_sound_becomes_a_picture_by_rule_until_it_is_measured():
    plan = planned(sounds())
    assert plan.data.sound.bands == 40
    assert plan.data.size == (40, 40)
    assert plan.sees == "signal"
    assert plan.reads == (time_axis(1 / 8000),)
    assert "by rule" in plan.why["data.sound"]
    assert planned(sounds(rate=2000)).data.sound.bands == 0
    assert planned(sounds(seconds=0.05)).data.sound.bands == 0
    assert planned(sounds(rate=44100)).data.sound.bands == 64


def test_what_was_measured_decides():
    for mel, wave, bands in ((0.9, 0.8, 40), (0.7, 0.8, 0)):
        plan = planned(sounds(), found=Heard(mel, wave, 200, 0.4, 0.3))
        assert plan.data.sound.bands == bands
        assert f"ridge names {mel:.1%} from the mel picture" in plan.why["data.sound"]
    assert planned(sounds(), found=Heard(0.9, 0.8, 200, 0.4, 0.3)).data.mean == (0.4,)


def test_long_recordings_get_longer_steps():
    plan = planned(sounds(seconds=30))
    assert plan.data.size[1] <= 264
    assert plan.data.sound.hop > 0.1


def test_a_stereo_waveform_is_mixed_to_one_channel():
    plan = planned(sounds(rate=2000, channels=2))
    assert plan.data.channels == len(plan.data.low) == len(plan.data.std) == 1


def test_the_size_of_a_picture_of_sound_can_be_edited():
    plan = planned(sounds(), changes={"data.size": "[40, 64]"})
    assert plan.data.size == (40, 64)
    with pytest.raises(PlanError, match="does not fit a grid of rank 2"):
        planned(sounds(), changes={"data.size": "[40]"})


def recordings(kind, count=60, length=1600):
    """(N, 1, L): tones of two pitches, or clicks at two places whose pitch says nothing."""
    chance = np.random.default_rng(0)
    y = np.arange(count) % 2
    t = np.arange(length) / 8000
    if kind == "pitch":
        hertz = np.where(y, 500, 900) * chance.uniform(0.9, 1.1, count)
        x = np.sin(2 * np.pi * hertz[:, None] * t + chance.uniform(0, 6, (count, 1)))
    else:
        x = chance.normal(0, 1, (count, length))
    return x[:, None].astype(np.float32), y.astype(np.int32)


def test_the_measurement_hears_pitch():
    x, y = recordings("pitch")
    x[3, :, 1000:] = np.nan  # a shorter one
    rows = Rows(lambda at: x[at], np.arange(60), y, 0)
    found = observe(sounds(seconds=0.2), rows)
    assert found.mel >= 0.95
    assert found.count == 60
    assert 0 < found.mean < 1
    noise = recordings("noise")[0]
    other = observe(sounds(seconds=0.2), Rows(lambda at: noise[at], np.arange(60), y, 0))
    assert other.mel < 0.8


def test_series_that_are_no_sound_are_not_measured():
    rows = Rows(lambda at: np.zeros((len(at), 1, 9), np.float32), np.arange(9), np.zeros(9, int), 0)
    assert observe(card_of(), rows) is None
    assert observe(sounds(), rows) is None  # one class alone tells nothing


FAST = {"net.widths": "[8, 8, 8]"}


def test_the_whole_road_on_series(tmp_path):
    x, names = waves(40, channels=2)
    ts(tmp_path / "set" / "Made_TRAIN.ts", x[:24], names[:24], "@dimensions 2")
    ts(tmp_path / "set" / "Made_TEST.ts", x[24:], names[24:], "@dimensions 2")
    report = train(tmp_path / "set", epochs=12, out=tmp_path / "run")
    assert report.test["accuracy"].value == 1
    assert report.baselines["random_convolutions"] == 1
    assert report.data["validation"] == 0
    json.dumps(report.to_dict(), allow_nan=False)


def test_the_whole_road_on_series_of_unequal_length(tmp_path):
    x, names = waves(40)
    x = [[row[: 20 + 5 * (i % 5)] for row in item] for i, item in enumerate(x)]
    report = train(ts(tmp_path / "made.ts", x, names), epochs=20, out=tmp_path / "run")
    assert read_json(tmp_path / "run" / "plan.json")["data"]["fit"] == "ragged"
    assert report.test["accuracy"].value >= 0.8


def test_the_whole_road_on_sounds_with_whole_speakers_held_out(tmp_path):
    spoken(tmp_path / "set", classes=2, speakers=5, each=5)
    report = train(tmp_path / "set", epochs=30, out=tmp_path / "run")
    assert report.data["test"] == 10  # all recordings of one speaker
    assert report.data["groups"]["groups"]["test"] == 1
    assert any("the 10 test recordings come from 1 group (the second" in d for d in report.doubts)
    assert report.test["accuracy"].value >= 0.8
    assert "random_convolutions" in report.baselines
    new = wav(tmp_path / "new.wav", np.stack([tone(1200, 0.4, 16000)] * 2), rate=16000)
    (answer,) = load(tmp_path / "run").predict(new)
    assert answer.label == "1"
