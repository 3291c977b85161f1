"""An ensemble says the mean of what its members say, in every task that has a mean."""

import numpy as np
import pytest
import torch
from torch import nn

from foveal import find, tasks
from foveal.evaluation.predict import View, logits
from foveal.grid import Batch
from foveal.networks.ensemble import Ensemble, log_mean
from test_tasks import EVERY, RANKS, Given, plan_for


def test_the_log_of_a_mean_stays_exact_where_the_mean_is_tiny():
    logs = torch.tensor([[-2000.0, 0.0], [-2000.0, -2000.0]], dtype=torch.float64)
    found = log_mean(logs)
    np.testing.assert_allclose(found, [-2000.0, np.log(0.5)])


@EVERY
@RANKS
def test_joined_answers_are_the_mean_of_the_answers(name, rank):
    given = Given(name, rank)
    task, plan = given.task, given.plan
    if task.joined is None:
        assert task.alone
        return
    assert not task.alone
    ideal = task.ideal(given.target, plan).double()
    noise = torch.Generator().manual_seed(0)
    raws = torch.stack(
        [s * ideal + torch.randn(ideal.shape, generator=noise).double() for s in (0.1, 0.2, -0.1)]
    )
    said, truth = given.kept(raws[0].float())
    for known in ({}, task.judging.calibrate(said, truth, plan)):
        mean = torch.stack([task.finish(raw, plan, known) for raw in raws]).mean(0)
        found = task.finish(task.joined(raws, plan, known), plan, known)
        np.testing.assert_allclose(found, mean, rtol=1e-9, atol=1e-12)


class Brightness(nn.Module):
    """Two answers that see how a grid lies, so that a mirrored view differs."""

    def __init__(self, slope):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x, mask=None):
        return self.slope * torch.stack([x[..., 0].mean((1, 2)), x.mean((1, 2, 3))], 1)


def test_every_member_looks_at_every_view_before_they_join():
    task = find.load(tasks, "classify").TASK
    plan = plan_for(Given("classify", 2).card)
    members = [Brightness(1.0), Brightness(-3.0)]
    both = Ensemble(members, lambda raws: task.joined(raws, plan, {}))
    batch = Batch(torch.randn(5, 1, 6, 6), None, torch.arange(5))
    views = (View((), (), 0.5), View((1,), (), 0.5))
    each = [logits(m, [batch], plan, views=views) for m in members]
    mean = np.mean([torch.from_numpy(raw).softmax(1).numpy() for raw in each], 0)
    found = torch.from_numpy(logits(both, [batch], plan, views=views)).softmax(1)
    np.testing.assert_allclose(found, mean, rtol=1e-5)
    plain = both(batch.x).softmax(1).detach()
    assert not np.allclose(plain, mean, atol=1e-3)


def test_the_members_weights_are_the_ensembles():
    both = Ensemble([Brightness(1.0), Brightness(2.0)], lambda raws: raws.mean(0))
    assert list(both.state_dict()) == ["members.0.slope", "members.1.slope"]
    assert both.eval().members[0].training is False


@pytest.mark.parametrize("name", ["detect", "embed"])
def test_what_has_no_mean_says_why(name):
    task = find.load(tasks, name).TASK
    assert task.joined is None
    assert "no mean" in task.alone
