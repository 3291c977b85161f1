"""Which weights are kept: first ones, best ones, last ones."""

import pytest
import torch

from foveal.progress import SILENT
from foveal.tasks import classify, embed
from foveal.training import checkpoint
from foveal.training.checkpoint import State
from foveal.training.history import History
from foveal.verbs.choice import choose
from foveal.verbs.first_weights import new_network
from foveal.verbs.plan import Wish, draw
from foveal.verbs.source import Source, examine
from roads import TINY, folders, shades
from test_gallery import PEOPLE, faces


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    root = folders(tmp_path_factory.mktemp("choice") / "people", *faces(), PEOPLE)
    survey = examine(Source(str(root)), task="embed")
    return draw(survey, Wish("embed", None, 1, 0, "auto", dict(TINY)))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    root = folders(tmp_path_factory.mktemp("choice") / "shades", *shades())
    survey = examine(Source(str(root)), task="classify")
    return draw(survey, Wish("classify", None, 1, 0, "auto", dict(TINY)))


def trained(drawn):
    """A network that has gone on from its first weights."""
    network = new_network(*drawn)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1
    return network


def history(name, first, best, last, step=0):
    """A course from a first validation to a last one, with a best one between."""
    rows = ({"kind": "validation", "step": step, name: first},)
    return History(rows, 10, 1.0, 1.0, last, max(first, best, last), 5)


def kept(drawn, course, tmp_path):
    plan, survey, split = drawn
    network = trained(drawn)
    best = {n: t * 2 if t.is_floating_point() else t for n, t in network.state_dict().items()}
    whole = {f"network.{n}": t for n, t in network.state_dict().items()}
    checkpoint.save(tmp_path / "checkpoint", State(10, whole, {}), State(5, best, {"score": 1.0}))
    before = {n: t.clone() for n, t in network.state_dict().items()}
    choose(network, course, tmp_path, plan, survey, split, SILENT)
    now = network.state_dict()
    named = {"last": before, "best": best, "first": new_network(*drawn).state_dict()}
    found = [w for w, s in named.items() if all(torch.equal(s[n], now[n]) for n in now)]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("first", "best", "last", "which"),
    [
        (0.90, 0.90, 0.80, "first"),
        (0.90, 0.95, 0.95, "first"),  # no more than luck, with so few samples
        (0.50, 0.99, 0.99, "last"),
        (0.50, 0.99, 0.60, "best"),
    ],
)
def test_first_weights_stand_unless_training_beats_luck(people, tmp_path, first, best, last, which):
    luck = embed.TASK.judging.luck(0.9, len(people[2].validation))
    assert 0.05 < luck < 0.4
    assert kept(people, history("auc", first, best, last), tmp_path) == which


def test_a_course_without_its_beginning_keeps_the_old_rule(people, tmp_path):
    assert kept(people, history("auc", 0.9, 0.9, 0.9, step=3), tmp_path) == "last"


@pytest.mark.parametrize(("best", "which"), [(0.6, "last"), (0.99, "best")])
def test_tasks_that_begin_by_chance(classes, tmp_path, best, which):
    assert classify.TASK.start is None
    assert kept(classes, history("accuracy", 0.5, best, 0.6), tmp_path) == which
