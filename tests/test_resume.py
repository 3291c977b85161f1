"""A run cut anywhere and resumed ends with the same bytes as one that was never cut."""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from foveal.errors import RunError
from foveal.training.checkpoint import load, load_best
from foveal.training.history import rows
from foveal.training.stop import Interrupted, Stop
from toy import TASK, Net, Toy, fit, plan, shifted, train, train_in_a_process, weights

STEPS = 12
PLAN = plan(steps=STEPS, ema=0.9, recall=0.8)
CLOCKS = {"seconds", "samples_per_second"}


def stopping_toy(stop, at):
    """Asks to stop while batch number ``at`` is being made."""
    count = [0]

    def on_batch(epoch, number, x):
        count[0] += 1
        if count[0] == at:
            stop.ask("a test")
        return x

    return Toy(on_batch)


def story(run):
    """The history without what a clock says."""
    return [{k: v for k, v in row.items() if k not in CLOCKS} for row in rows(run)]


@pytest.fixture(scope="module")
def uncut(tmp_path_factory):
    run = tmp_path_factory.mktemp("uncut")
    net, _ = train(run, PLAN)
    return weights(net), story(run)


@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_interrupted_at_any_step_and_resumed_nothing_differs(tmp_path, uncut, at):
    stop = Stop()
    with pytest.raises(Interrupted) as caught:
        train(tmp_path, PLAN, toy=stopping_toy(stop, at), stop=stop)
    assert f"after step {at - 1} of {STEPS}" in caught.value.what
    assert caught.value.mend == f"foveal train --resume {tmp_path}"
    strange = Net()
    for parameter in strange.parameters():  # nothing may come from the network that is handed in
        nn.init.constant_(parameter, 7.0)
    net, _ = train(tmp_path, PLAN, net=strange, resume=True)
    assert weights(net) == uncut[0]
    assert story(tmp_path) == uncut[1]


def test_cut_at_every_single_step_nothing_differs(tmp_path, uncut):
    for at in range(STEPS):
        stop = Stop()
        with pytest.raises(Interrupted):
            train(tmp_path, PLAN, toy=stopping_toy(stop, 2), stop=stop, resume=at > 0)
        if load(tmp_path / "checkpoint").step == STEPS - 1:
            break
    net, history = train(tmp_path, PLAN, resume=True)
    assert weights(net) == uncut[0]
    assert history.steps == STEPS


def test_the_callers_own_chance_is_neither_used_nor_changed(tmp_path, uncut):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    net = Net()
    torch.manual_seed(5)
    train(tmp_path, PLAN, net=net)
    assert torch.equal(torch.rand(3), expected)
    assert weights(net) == uncut[0]


def test_another_seed_gives_other_weights(tmp_path, uncut):
    net, _ = train(tmp_path, replace(PLAN, seed=1))
    assert weights(net) != uncut[0]


def test_resuming_a_finished_run_changes_nothing(tmp_path, uncut):
    train(tmp_path, PLAN)
    net, history = train(tmp_path, PLAN, net=Net(), resume=True)
    assert weights(net) == uncut[0]
    assert history.steps == STEPS
    assert story(tmp_path) == uncut[1]


def test_resuming_nothing_starts_anew(tmp_path, uncut):
    net, _ = train(tmp_path, PLAN, resume=True)
    assert weights(net) == uncut[0]


def test_starting_anew_forgets_an_older_run(tmp_path, uncut):
    train(tmp_path, plan(steps=30))
    net, _ = train(tmp_path, PLAN)
    assert weights(net) == uncut[0]
    assert story(tmp_path) == uncut[1]
    assert load(tmp_path / "checkpoint").step == STEPS


def test_a_line_written_after_the_checkpoint_is_told_only_once(tmp_path, uncut):
    stop = Stop()
    with pytest.raises(Interrupted):
        train(tmp_path, PLAN, toy=stopping_toy(stop, 6), stop=stop)
    with open(tmp_path / "history.jsonl", "ab") as file:
        file.write(b'{"kind": "validation", "step": 8}\n{"kind": "valid')
    train(tmp_path, PLAN, resume=True)
    assert story(tmp_path) == uncut[1]


def test_another_network_is_refused(tmp_path):
    train(tmp_path, PLAN)
    other = Net()
    other.head = nn.Linear(8, 3)
    with pytest.raises(RunError, match=r"does not fit this network(.|\n)*plan\.json"):
        train(tmp_path, PLAN, net=other, resume=True)


def test_the_best_weights_are_those_of_the_best_validation(tmp_path):
    scores = iter([0.2, 0.9, 0.4])
    toy, seen = Toy(), {}

    def validate(network):
        score = next(scores)
        seen[score] = weights(network)
        return {"accuracy": score}

    history = fit(Net(), TASK, toy, shifted, validate, plan(steps=3, ema=0.5), tmp_path)
    best = load_best(tmp_path / "checkpoint")
    assert {n: t.numpy().tobytes() for n, t in best.tensors.items()} == seen[0.9]
    assert (history.best, history.best_step, history.score) == (0.9, 2, 0.4)
    assert best.facts == {"score": 0.9}


def test_a_signal_stops_politely_and_the_second_at_once():
    before = signal.getsignal(signal.SIGINT)
    with Stop() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def child(run, steps, resume, polite=False):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["torch", "toy"])
    process = processes.Process(target=train_in_a_process, args=(run, steps, resume, polite))
    process.start()
    return process


def until_started(run, process):
    while process.is_alive() and not (run / "checkpoint" / "index.json").exists():
        time.sleep(0.01)


def test_sigterm_saves_and_says_how_to_go_on(tmp_path):
    process = child(tmp_path, 100_000, False, polite=True)
    until_started(tmp_path, process)
    process.terminate()
    process.join()
    assert process.exitcode == 130
    assert "stopped by SIGTERM after step" in (tmp_path / "error.txt").read_text()
    assert load(tmp_path / "checkpoint") is not None


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_the_bytes_are_the_same(tmp_path, kills):
    """Each kill lands anywhere: in a step, a validation, a save. Then once to the end."""
    whole, cut, steps = tmp_path / "whole", tmp_path / "cut", 100 * kills
    whole.mkdir()
    cut.mkdir()
    process = child(whole, steps, False)
    until_started(whole, process)
    began = time.monotonic()
    process.join()
    seconds = time.monotonic() - began
    dice, reached, killed = random.Random(kills), 0, 0
    for sitting in range(kills):
        process = child(cut, steps, sitting > 0)
        until_started(cut, process)
        time.sleep(dice.random() * 1.5 * seconds / kills)
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        assert load(cut / "checkpoint").step >= reached
        reached = load(cut / "checkpoint").step
    assert killed > 0
    process = child(cut, steps, True)
    process.join()
    assert process.exitcode == 0
    assert (cut / "final").read_bytes() == (whole / "final").read_bytes()
    assert story(cut) == story(whole)
