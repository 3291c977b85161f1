"""Numbers that are not finite, put in anywhere: recovered or stopped, and never saved."""

import random

import pytest
import torch
from safetensors.torch import load_file

from foveal.errors import RunError
from foveal.training import journey as books
from foveal.training.checkpoint import load, load_best
from foveal.training.faults import BAD_BATCH, halved, sound
from foveal.training.history import rows
from toy import Net, Toy, plan, train

STEPS = 24
KINDS = ("batch", "weight", "gradient", "loss", "statistics")


class Spoiled(Net):
    """A net into which a bad number is put at one step, in one place."""

    def __init__(self, kind: str, at: int, value: float) -> None:
        super().__init__()
        self.kind, self.at, self.value, self.made, self.always = kind, at, value, 0, False

    def forward(self, x, mask=None):
        if not self.training:
            return super().forward(x)
        self.made += 1
        now = self.made == self.at or (self.always and self.made > self.at)
        x = x.float()
        with torch.no_grad():
            if now and self.kind == "batch":
                x[0] = self.value
            if now and self.kind == "weight":
                self.body[0].weight.view(-1)[3] = self.value
            if now and self.kind == "statistics":
                self.body[1].running_mean[2] = self.value
        raw = super().forward(x)
        if now and self.kind == "gradient":
            raw.register_hook(lambda gradient: gradient * self.value)
        return raw * self.value if now and self.kind == "loss" else raw


def whole(run):
    """Whether every checkpoint that is there is finite."""
    states = [load(run / "checkpoint"), load_best(run / "checkpoint")]
    return all(sound(state.tensors.values()) for state in states if state is not None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_number_is_recovered_from(tmp_path, kind, value):
    at = random.Random(f"{kind}{value}").randint(2, STEPS - 4)
    net, history = train(tmp_path, plan(steps=STEPS), net=Spoiled(kind, at, value))
    assert history.steps == STEPS
    assert whole(tmp_path)
    if kind != "statistics":  # these do not enter a step of training, but a checkpoint
        assert history.of("fault")
    if kind in ("weight", "statistics"):  # it stays bad until the run goes back
        assert history.of("rewind")
    assert sound(net.state_dict().values())


def test_a_run_too_short_for_a_checkpoint_goes_back_at_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("foveal.training.journey.Journey._may", lambda self, now: False)
    net, history = train(tmp_path, plan(steps=STEPS), net=Spoiled("statistics", 7, float("inf")))
    assert history.of("rewind") == [{"kind": "rewind", "step": STEPS, "to": 0}]
    assert sound(net.state_dict().values())


def test_weights_that_are_bad_at_the_end_are_not_saved(tmp_path):
    net = Spoiled("statistics", STEPS, float("nan"))
    net.always = True
    with pytest.raises(RunError) as caught:
        train(tmp_path, plan(steps=STEPS), net=net)
    assert caught.value.what == f"the weights were not finite at step {STEPS}, and are not saved"
    assert f"foveal train --resume {tmp_path} goes on" in caught.value.mend
    assert whole(tmp_path)
    assert load(tmp_path / "checkpoint").step < STEPS
    again, history = train(tmp_path, plan(steps=STEPS), resume=True)
    assert history.steps == STEPS
    assert sound(again.state_dict().values())


def test_the_batch_is_kept_where_nothing_helps(tmp_path):
    bad = Toy(lambda epoch, number, x: x.float() * float("inf"))
    with pytest.raises(RunError, match="again and again"):
        train(tmp_path, plan(steps=STEPS), toy=bad)
    assert not torch.isfinite(load_file(tmp_path / BAD_BATCH)["x"]).all()
    assert [row["kind"] for row in rows(tmp_path)].count("fault") == 2 * (books.FAULTS + 1)
    assert whole(tmp_path)


def test_what_is_sound():
    good = [torch.ones(3), torch.arange(4), torch.zeros(0)]
    assert sound(good)
    assert sound([])
    assert sound([torch.full((2,), 3e38)])
    for value in (float("nan"), float("inf"), float("-inf")):
        assert not sound([*good, torch.tensor([1.0, value])])


@pytest.mark.parametrize(("parts", "samples", "then"), [(1, 16, 2), (2, 16, 4), (4, 16, 8)])
def test_a_batch_is_halved_until_two_samples_are_left(parts, samples, then):
    assert halved(parts, samples) == then


def test_two_samples_are_not_halved():
    with pytest.raises(RunError) as caught:
        halved(8, 16)
    assert caught.value.what == "memory ran out with 2 samples in the network at a time"
    assert "--set net.widths=... or data.size=..." in caught.value.mend
