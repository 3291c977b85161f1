"""The loop: it learns, it averages, it goes coarse first, it survives what is not finite."""

import itertools
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from foveal.errors import RunError
from foveal.layers import Whiten
from foveal.progress import Progress
from foveal.training.averaging import Average
from foveal.training.checkpoint import load
from foveal.training.deadline import Deadline
from foveal.training.journey import LAST
from foveal.training.loop import _mix
from toy import TASK, Net, Toy, fit, plan, poisoned, shifted, train, weights


def finite(run):
    return all(bool(t.isfinite().all()) for t in load(run / "checkpoint").tensors.values())


@pytest.mark.parametrize("optimiser", ["muon", "sgd"])
def test_the_loss_falls_and_the_toy_is_learnt(tmp_path, optimiser):
    _, history = train(tmp_path, plan(steps=60, optimiser=optimiser, label_smoothing=0.0))
    losses = [row["loss"] for row in history.of("validation")]
    assert losses[-1] < 0.5 * losses[0]
    assert history.score == 1.0


def test_label_smoothing_keeps_the_loss_up(tmp_path):
    last = [
        train(tmp_path, plan(steps=60, label_smoothing=s))[1].rows[-1]["loss"] for s in (0.0, 0.4)
    ]
    entropy = 0.5004  # of (0.8, 0.2), below which no smoothed loss can fall
    assert last[0] < 0.3 < entropy < last[1]


def test_history_has_a_line_per_pass_and_one_to_begin_with(tmp_path):
    _, history = train(tmp_path, plan(steps=22))
    assert history.rows[0] == {"kind": "start", "steps": 22, "per_epoch": 4, "seed": 0}
    lines = history.of("validation")
    assert [row["step"] for row in lines] == [4, 8, 12, 16, 20, 22]
    assert [row["epoch"] for row in lines] == [1.0, 2.0, 3.0, 4.0, 5.0, 5.5]
    assert lines[-1]["progress"] == 1.0
    assert history.samples_per_second > 0


def test_a_run_of_few_passes_is_validated_at_tenths(tmp_path):
    _, history = train(tmp_path, plan(steps=10))
    assert [row["step"] for row in history.of("validation")] == list(range(1, 11))


def test_a_long_run_is_validated_fifty_times_at_most(tmp_path):
    _, history = train(tmp_path, plan(steps=404))
    assert len(history.of("validation")) <= 50


def test_the_network_ends_in_evaluation_with_the_mean_of_its_weights(tmp_path):
    plain, _ = train(tmp_path / "plain", plan(steps=12))
    mean, _ = train(tmp_path / "mean", plan(steps=12, ema=0.9))
    assert not mean.training
    assert weights(plain) != weights(mean)
    state = load(tmp_path / "mean" / "checkpoint").tensors
    kept = {n.removeprefix("network."): t for n, t in state.items() if n.startswith("network.")}
    assert weights(plain) == {n: t.numpy().tobytes() for n, t in kept.items()}
    for name, value in mean.named_parameters():
        assert torch.equal(value, state[f"average.{name}"])
    torch.testing.assert_close(mean.body[1].running_mean, state["average.body.1.running_mean"])


def test_an_average_is_the_mean_it_says_to_be():
    net = torch.nn.Linear(1, 1)
    net.weight.data.fill_(0.0)
    average = Average(net, 0.75)
    expected = 0.0
    for step in range(1, 41):
        net.weight.data.fill_(float(step))
        average.update(step)
        keep = min(0.75, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
    with average.shown():
        assert net.weight.item() == pytest.approx(expected, rel=1e-5)
    assert net.weight.item() == 40.0


def test_without_decay_there_is_no_average():
    net = torch.nn.Linear(1, 1)
    before = net.weight.item()
    average = Average(net, 0.0)
    average.update(1)
    with average.shown():
        assert net.weight.item() == before
    assert average.state() == {}


def test_the_first_share_of_the_steps_is_coarse(tmp_path):
    net, _ = train(tmp_path, plan(steps=40, coarse=0.5, coarse_size=(4, 4)))
    trained = [size for size in net.sizes if size]
    coarse = trained.count((4, 4))
    assert coarse == 20
    assert trained.index((8, 8)) <= 4  # validation always sees the full size
    assert trained[-1] == (8, 8)


def test_a_run_cut_short_still_ends_at_the_full_size(tmp_path):
    """Norms that hold the statistics of the coarse size alone would mistake the full one."""
    made = replace(plan(steps=40, coarse=0.9, coarse_size=(4, 4)), budget=10.0)
    net, _ = train(tmp_path, made)
    sizes = [size for size in net.sizes if size]
    assert sizes.count((4, 4)) == 40 - LAST


def test_half_precision_learns_too(tmp_path):
    net, history = train(tmp_path, plan(steps=40, precision="bf16"))
    assert history.score == 1.0
    assert net.head.weight.dtype == torch.float32


def test_memory_layout_changes_nothing_but_rounding(tmp_path):
    last, first = (
        train(tmp_path, plan(steps=4, channels_last=c, optimiser="sgd"))[0] for c in (True, False)
    )
    assert last.body[3].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last.state_dict(), first.state_dict(), atol=1e-4, rtol=1e-3)


def test_a_bad_batch_is_skipped_at_half_the_rate_and_leaves_no_trace(tmp_path):
    net, history = train(tmp_path, plan(steps=20), toy=poisoned(lambda n: n == 3))
    assert history.of("fault") == [{"kind": "fault", "step": 2, "brake": 0.5}]
    assert history.steps == 20
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())
    assert finite(tmp_path)


def test_after_calm_the_full_rate_comes_back(tmp_path):
    _, history = train(tmp_path, plan(steps=240), toy=poisoned(lambda n: n == 3))
    before, after = (
        next(r["rate"] for r in history.of("validation") if r["step"] >= s) for s in (95, 115)
    )
    assert after > 1.5 * before
    assert load(tmp_path / "checkpoint").facts["brake"] == 1.0


def test_a_burst_sets_the_run_back_to_its_last_good_state(tmp_path):
    """Four faults in a row; made again after the rewind, the batches are sound."""
    _, history = train(tmp_path, plan(steps=20), toy=poisoned(lambda n: 6 <= n < 10))
    assert [row["step"] for row in history.of("fault")] == [5, 6, 7, 8]
    (rewind,) = history.of("rewind")
    assert rewind["step"] == 8
    assert rewind["to"] in (0, 4)
    assert history.steps == 20
    assert finite(tmp_path)


def test_without_hope_it_stops_and_saves_the_batch(tmp_path):
    with pytest.raises(RunError, match=r"not finite at step(.|\n)*bad_batch(.|\n)*fit\.lr"):
        train(tmp_path, plan(steps=40), toy=poisoned(lambda n: n > 6))
    batch = load_file(tmp_path / "bad_batch.safetensors")
    assert batch["x"].shape == (16, 1, 8, 8)
    assert batch["x"].isnan().all()
    assert set(batch) == {"x", "y", "index"}
    assert finite(tmp_path)


def test_an_exploding_rate_is_a_message_not_a_wreck(tmp_path):
    try:
        train(tmp_path, plan(steps=40, optimiser="sgd", lr=1e30, other_lr=1e30))
    except RunError as error:
        assert "fit.lr" in error.mend  # noqa: PT017 - it may also come through alive
    assert finite(tmp_path)


def test_neighbouring_seeds_and_steps_share_no_chance():
    drawn = {_mix(seed, step) for seed in range(50) for step in range(200)}
    assert len(drawn) == 50 * 200
    assert all(0 <= value < 2**63 for value in drawn)


def test_progress_is_shown_with_loss_and_score(tmp_path):

    class Heard(Progress):
        units = 0

        @contextmanager
        def bar(self, title, total=None):
            assert (title, total) == ("training", 1000)

            def tick(units):
                self.units += units

            yield tick

    heard, toy = Heard(), Toy()
    score = {"accuracy": 0.5}
    fit(Net(), TASK, toy, shifted, lambda n: score, plan(steps=7), tmp_path, progress=heard)
    assert heard.units == 1000


def test_a_loss_is_shown_only_when_it_is_known(tmp_path):
    class Heard(Progress):
        def __init__(self):
            self.said = []

        def status(self, text):
            self.said.append(text)

    heard, ticks = Heard(), itertools.count()
    deadline = Deadline(1e9, most=8, clock=lambda: float(next(ticks)))
    score = {"accuracy": 0.5}
    fit(
        Net(),
        TASK,
        Toy(),
        shifted,
        lambda n: score,
        plan(steps=8),
        tmp_path,
        deadline=deadline,
        progress=heard,
    )
    assert "accuracy 0.500" in heard.said  # right behind a validation
    assert not any("loss 0.000" in said for said in heard.said)


class Wide(Net):
    """A net that has memory for so many samples at a time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x, mask=None):
        if self.training and len(x) > self.most:
            torch.empty(1 << 62, dtype=torch.uint8)
        return super().forward(x, mask)


def test_where_memory_runs_out_a_batch_is_learned_in_parts(tmp_path):
    _, history = train(tmp_path, plan(steps=20), net=Wide(5))
    assert history.of("memory") == [
        {"kind": "memory", "step": 0, "parts": 2},
        {"kind": "memory", "step": 0, "parts": 4},
    ]
    assert history.steps == 20
    assert history.score > 0.8
    state = load(tmp_path / "checkpoint")
    assert state.facts["parts"] == 4
    assert finite(tmp_path)


def test_parts_have_the_gradients_of_the_whole_batch(tmp_path):
    """Without norms over the batch nothing but rounding differs."""

    class Plain(Wide):
        def __init__(self, most: int) -> None:
            super().__init__(most)
            self.body[1], self.body[4], self.drop = *[torch.nn.Identity()] * 2, torch.nn.Identity()

    asked = plan(steps=8, optimiser="sgd", lr=0.05)
    whole, _ = train(tmp_path / "whole", asked, net=Plain(16))
    parts, history = train(tmp_path / "parts", asked, net=Plain(6))
    assert len(history.of("memory")) == 2
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_where_not_even_two_samples_fit_it_says_so(tmp_path):
    with pytest.raises(RunError) as caught:
        train(tmp_path, plan(steps=4), net=Wide(1))
    assert caught.value.what == "memory ran out with 2 samples in the network at a time"
    assert "--set net.widths" in caught.value.mend


def test_other_errors_of_a_network_are_not_taken_for_memory(tmp_path):
    class Broken(Net):
        def forward(self, x, mask=None):
            raise RuntimeError("the sizes do not fit")

    with pytest.raises(RuntimeError, match="the sizes do not fit"):
        train(tmp_path, plan(steps=4), net=Broken())


class Whitened(Net):
    """A net behind a whitened stem of which each step's bias is kept."""

    def __init__(self):
        super().__init__()
        self.whiten = Whiten(2, 1, 2, outputs=2)
        self.body[0] = torch.nn.Conv2d(2, 8, 3, padding=1, bias=False)
        self.seen = []

    def forward(self, x, mask=None):
        self.sizes.append(tuple(x.shape[2:]))
        if self.training:
            self.seen.append(self.whiten.convolution.bias.detach().clone())
        x = self.whiten(x.float() / 255 - 0.5)
        return self.head(self.drop(self.body(x).mean((2, 3))))


@pytest.mark.parametrize(
    ("coarse", "size", "still_from"),
    [(0.5, (4, 4), 20), (0.0, (8, 8), 40), (0.0, (4, 4), 40), (0.5, (8, 8), 40)],
)
def test_a_whitened_stem_stands_still_behind_the_coarse_steps(tmp_path, coarse, size, still_from):
    net = Whitened()
    first = net.whiten.convolution.weight.clone()
    train(tmp_path, plan(steps=40, coarse=coarse, coarse_size=size), net=net)
    moved = [not torch.equal(a, b) for a, b in zip(net.seen, net.seen[1:], strict=False)]
    assert all(moved[: still_from - 1])
    assert not any(moved[still_from:])
    assert torch.equal(net.whiten.convolution.weight, first)
