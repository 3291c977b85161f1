"""Several networks that learn side by side: each as it would alone, and one answer of them all."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import foveal
from foveal import find, tasks
from foveal.errors import PlanError, RunError
from foveal.evaluation.predict import logits
from foveal.networks.ensemble import Ensemble, each
from foveal.plan import replace_part
from foveal.record import read_json, write_json
from foveal.training.stop import Interrupted, Stop
from foveal.verbs.folds import whole_run
from foveal.verbs.prepare_run import MOST_MEMBERS, worth_members
from roads import TINY, folders, shades
from test_folds_road import batch_of
from test_resume import stopping_toy
from test_tasks import EVERY, RANKS, Given, plan_for
from toy import Net, plan, train, weights

FIXED = {**TINY, "fit.precision": "fp32", "fit.threads": "1", "fit.channels_last": "false"}
THREE = {**FIXED, "fit.members": "3"}
ENOUGH = "20 s hold 250 steps (more than 250 epochs were never worth their time)"


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def capped(task="classify", rank=2, *, budget=60.0, why=ENOUGH, **fields):
    """A plan whose steps are as many as ever pay."""
    known = plan_for(Given("classify", rank).card)
    why_ = {**known.why, "fit.steps": why}
    return replace(known, task=task, budget=budget, why=why_, **fields)


@RANKS
@pytest.mark.parametrize(("left", "expected"), [(19.0, 1), (39.9, 1), (41.0, 2), (65.0, 3)])
def test_time_that_one_network_cannot_use_pays_for_more(rank, left, expected):
    count, why = worth_members(capped(rank=rank), 20.0, left)
    assert count == expected
    assert ("err less together" in why) == (expected > 1)


def test_there_are_never_more_than_pay():
    assert worth_members(capped(), 0.0, 1e6)[0] == MOST_MEMBERS


@pytest.mark.parametrize(
    "plan_",
    [
        capped(budget=None),
        capped(folds=3),
        capped(why="500 samples take 20 ms; 20 s hold 250 steps"),
        capped("detect"),
        capped("embed"),
    ],
    ids=["no budget", "folds", "time is short", "boxes", "vectors"],
)
def test_one_network_where_more_would_not_help_or_cannot_answer(plan_):
    assert worth_members(plan_, 1.0, 100.0) == (1, "one network can use all of the time")


def test_what_was_set_stays():
    own = capped()
    own = replace_part(own, "fit", members=2)
    own = replace(own, why={**own.why, "fit.members": "set by you to 2"})
    assert worth_members(own, 1.0, 100.0) == (2, "set by you to 2")


def test_each_member_learns_as_it_would_alone(tmp_path):
    task = find.load(tasks, "classify").TASK
    part = plan(steps=12)
    alone = [Net(), Net()]
    for net in alone:
        net.drop = torch.nn.Identity()  # whose chances would be drawn in another order
    torch.nn.init.normal_(alone[1].body[0].weight)
    both = Ensemble(copy.deepcopy(alone), lambda raws: task.joined(raws, capped(), {}))
    _, history = train(tmp_path / "both", part, net=both)
    for number, one in enumerate(alone):
        train(tmp_path / str(number), part, net=one)
        for (name, mine), theirs in zip(
            both.members[number].named_parameters(), one.parameters(), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5, msg=name)
    assert weights(alone[0]) != weights(alone[1])
    assert history.of("validation")[0]["loss"] < 2  # the mean of the members' losses


def test_a_single_network_is_asked_itself():
    net, x = Net().eval(), torch.randn(3, 1, 6, 6)
    (raw,) = each(net, x)
    assert torch.equal(raw, net(x))


def test_the_whole_road(tmp_path):
    data, run = folders(tmp_path / "set", *shades()), tmp_path / "run"
    report = foveal.train(data, epochs=8, out=run, changes=THREE)
    model = foveal.load(run)
    assert isinstance(model.network, Ensemble)
    assert len(model.network.members) == 3
    first, second = (m.state_dict() for m in list(model.network.members)[:2])
    assert any(not torch.equal(first[name], second[name]) for name in first)

    batch = batch_of(data, model.plan)
    said = [logits(m, [batch], model.plan) for m in model.network.members]
    chances = [torch.from_numpy(raw).softmax(1).numpy() for raw in said]
    whole = torch.from_numpy(logits(model.network, [batch], model.plan)).softmax(1).numpy()
    np.testing.assert_allclose(whole, np.mean(chances, 0), atol=1e-5)
    assert model.evaluate(data).test["accuracy"].value > 0.6

    one = foveal.train(data, epochs=1, out=tmp_path / "one", changes=FIXED)
    assert report.cost["macs_per_sample"] == 3 * one.cost["macs_per_sample"]


def test_they_go_on_to_the_same_bytes(tmp_path):
    def both():
        task = find.load(tasks, "classify").TASK
        return Ensemble([Net(), Net()], lambda raws: task.joined(raws, capped(), {}))

    whole, _ = train(tmp_path / "whole", plan(steps=12), net=both())
    stop = Stop()
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", plan(steps=12), net=both(), toy=stopping_toy(stop, 7), stop=stop)
    gone_on, _ = train(tmp_path / "cut", plan(steps=12), net=both(), resume=True)
    assert weights(gone_on) == weights(whole)


def test_folds_of_several_each(tmp_path):
    data, run = folders(tmp_path / "set", *shades()), tmp_path / "run"
    changes = {**FIXED, "fit.members": "2"}
    foveal.train(data, epochs=2, folds=2, out=run, changes=changes)
    model = foveal.load(run)
    assert [len(fold.members) for fold in model.network.members] == [2, 2]
    batch, known = batch_of(data, model.plan), model.report.calibration
    alone = [foveal.load(run / f"fold-{k}") for k in (1, 2)]
    raws = torch.stack([torch.from_numpy(logits(m.network, [batch], m.plan)) for m in alone])
    joined = model.task.joined(raws, model.plan, known)
    np.testing.assert_allclose(logits(model.network, [batch], model.plan), joined, atol=1e-5)
    assert whole_run(run / "fold-1") == run


@EVERY
def test_tasks_that_cannot_join_say_so_before_a_run_is_left_behind(name, tmp_path):
    from foveal.verbs.first_weights import check_members

    task = find.load(tasks, name).TASK
    several = replace_part(capped(name), "fit", members=2)
    if task.joined is not None:
        check_members(several)
        return
    with pytest.raises(PlanError, match="cannot answer together") as found:
        check_members(several)
    assert found.value.mend == "--set fit.members=1"


def test_no_network_at_all_is_refused(tmp_path):
    data = folders(tmp_path / "set", *shades())
    with pytest.raises(PlanError, match="there must be one at least"):
        foveal.train(data, epochs=1, out=tmp_path / "run", changes={"fit.members": "0"})
    assert not (tmp_path / "run" / "plan.json").exists()


def test_more_members_than_the_file_holds_are_refused(tmp_path):
    data, run = folders(tmp_path / "set", *shades()), tmp_path / "run"
    foveal.train(data, epochs=1, out=run, changes=FIXED)
    made = read_json(run / "plan.json")
    made["fit"]["members"] = 100_000
    write_json(run / "plan.json", made)
    with pytest.raises(RunError, match="larger network than"):
        foveal.load(run)


def test_a_budget_that_one_cannot_use_trains_more(tmp_path, monkeypatch):
    from foveal.planner import fitting

    monkeypatch.setattr(fitting, "MOST_EPOCHS", 3.0)
    data, run = folders(tmp_path / "set", *shades()), tmp_path / "run"
    report = foveal.train(data, budget=8, out=run, changes=FIXED)
    members = foveal.load(run).plan.fit.members
    assert 2 <= members <= MOST_MEMBERS
    assert report.cost["seconds"] < 13
    assert "err less together" in foveal.load(run).plan.why["fit.members"]
