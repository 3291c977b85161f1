"""Vectors for identities: the split, the first weights, the whole road, galleries."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.card import Card
from foveal.datasets.split import by_class, split
from foveal.errors import DataError, PlanError, RunError
from foveal.metrics.verification import area
from foveal.networks.build import build
from foveal.plan import replace_part
from foveal.tasks import embed
from foveal.tasks._embed_start import directions
from foveal.verbs.gallery import Facts, Gallery, enroll, identify, open_gallery, save
from foveal.verbs.model import load
from foveal.verbs.source import Source, examine
from foveal.verbs.train import train
from roads import TINY, command, folders, strict
from toy import plan as toy_plan

PEOPLE = tuple(f"p{i}" for i in range(12))


def faces(count=12, each=6, seed=0):
    """Pictures of ``count`` patterns, ``each`` with its own light and noise; and who it is."""
    rng = np.random.default_rng(seed)
    pattern = rng.normal(size=(count, 4, 4)).repeat(4, 1).repeat(4, 2)
    who = np.repeat(np.arange(count), each)
    x = 128 + 30 * pattern[who] + 12 * rng.normal(size=(len(who), 16, 16))
    x = x + 25 * rng.normal(size=(len(who), 1, 1))
    return x.clip(0, 255).astype(np.uint8), who


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two passes over twelve people, and the folder of their pictures."""
    root = tmp_path_factory.mktemp("faces")
    folders(root / "people", *faces(), PEOPLE)
    report = train(root / "people", task="embed", epochs=2, out=root / "run", changes=dict(TINY))
    return root / "run", root / "people", report


def test_no_identity_lies_on_two_sides(run):
    folder, people, report = run
    survey = examine(Source(str(people)), task="embed")
    from foveal.verbs.plan import drawn

    parts = drawn(survey, load(folder).plan)
    found = [
        set(survey.labels[rows].tolist()) for rows in (parts.train, parts.validation, parts.test)
    ]
    assert all(found)
    assert sum(map(len, found)) == len(set.union(*found)) == len(PEOPLE)
    assert "whole identities" in survey.card.why["groups"]
    plan = load(folder).plan
    assert "whole identities" in plan.why["data.test"]
    assert "whole identities" in plan.why["data.validation"]
    assert report.details["identities"] == len(found[2])


def test_classes_that_lie_within_groups_are_drawn_whole():
    labels = np.repeat(np.arange(20), 5).astype(np.int32)
    hashes = np.random.default_rng(0).integers(0, 2**63, 100).astype(np.uint64)
    groups = by_class(labels, None)
    found = split(labels, np.zeros(100, np.int8), hashes, groups=groups, test=0.2, apart=True)
    sides = [set(labels[rows].tolist()) for rows in (found.train, found.validation, found.test)]
    assert [len(side) for side in sides] == [14, 2, 4]
    assert not sides[0] & sides[1] | sides[1] & sides[2] | sides[0] & sides[2]
    alone = split(labels, np.zeros(100, np.int8), hashes, test=0.2, apart=True)
    assert set(labels[alone.test].tolist()) == set(range(20))  # no groups: by sample


def test_groups_and_classes_tie_rows_together():
    labels = np.array([0, 0, 1, 2, 2, -1, -1], np.int32)
    tied = by_class(labels, np.array([5, -1, 5, -1, -1, 7, 7]))
    assert tied[0] == tied[1] == tied[2] != tied[3] == tied[4]
    assert tied[5] == tied[6] not in (tied[0], tied[3])


def test_a_test_part_of_the_same_people_is_judged_against_the_training_part(tmp_path):
    x, who = faces(6, 6)
    first = np.arange(len(who)) % 6 < 4
    folders(tmp_path / "d" / "train", x[first], who[first], PEOPLE)
    folders(tmp_path / "d" / "test", x[~first], who[~first], PEOPLE)
    report = train(tmp_path / "d", task="embed", epochs=1, out=tmp_path / "r", changes=dict(TINY))
    assert report.details["closed"]
    assert report.data["validation"] == 8  # two whole identities, in the gallery all the same
    assert report.test["rank1"].value >= 0.9
    assert "identities that it was trained on" in report.verdict
    assert "training part is the gallery" in load(tmp_path / "r").plan.why["data.test"]


def test_people_of_the_test_part_may_be_strangers_to_training(tmp_path):
    x, who = faces(8, 4)
    for part, mine in (("train", who < 5), ("test", who >= 5)):
        folders(tmp_path / "d" / part, x[mine], who[mine], PEOPLE)
    with pytest.raises(DataError, match=r"classes that the train part lacks(.|\n)*--task embed"):
        train(tmp_path / "d", epochs=1, out=tmp_path / "none")
    report = train(tmp_path / "d", task="embed", epochs=1, out=tmp_path / "r", changes=dict(TINY))
    assert not report.details["closed"]
    assert report.details["identities"] == 3
    assert "it has never seen" in report.verdict


def test_the_report_holds_what_was_promised(run):
    folder, _, report = run
    assert next(iter(report.test)) == report.main == "eer"
    assert {"tar_at_far_1e-2", "tar_at_far_1e-3", "rank1", "auc"} <= set(report.test)
    assert {"cosine", "principal_components", "discriminant"} == set(report.baselines)
    page = (folder / "report.html").read_text()
    for words in ("Same or not", "Nearest neighbours", "biometric data", "<polyline"):
        assert words in page


def test_the_first_weights_tell_people_apart_and_are_judged(run):
    folder, _, _ = run
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    first = next(row for row in rows if row["kind"] == "validation")
    assert first["step"] == 0
    assert first["auc"] > 0.8


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_start_weighs_directions_by_how_little_they_vary_within(rank):
    """A loud channel that says nothing of the identity drowns the others until it is weighed."""
    rng = np.random.default_rng(rank)
    who = np.repeat(np.arange(10), 6)
    wide = (60, 2, *[1] * rank)
    own = rng.normal(size=10)[who].reshape(wide[0], 1, *[1] * rank)
    other = rng.normal(size=10)[who].reshape(wide[0], 1, *[1] * rank)
    loud = 2 * rng.normal(size=(60, 1, *[1] * rank))
    x = np.concatenate([own, other, loud], 1) + 0.05 * rng.normal(size=(60, 3, *(8,) * rank))
    base = toy_plan()
    grid = {"strides": ((2,) * rank,), "kernels": ((3,) * rank,), "stem_kernel": (3,) * rank}
    net = replace(
        base.net, **grid, stem_stride=(1,) * rank, widths=(32,), depths=(1,), vector=8, dropout=0.0
    )
    data = replace(
        base.data, size=(8,) * rank, channels=3, low=(0.0,) * 3, high=(1.0,) * 3, mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )  # fmt: skip
    from foveal.grid import Axis

    axes = tuple(Axis(name) for name in "zyx"[-rank:])
    plan = replace(base, net=net, data=data, axes=axes, classes=PEOPLE[:10])
    plan = replace_part(
        plan, "augment", translate=(0,) * rank, flip=(False,) * rank, alternate=False
    )
    target = torch.from_numpy(who)
    network = build(plan, embed.head(plan, net.features, target))
    raw = torch.from_numpy(x.astype(np.float32))

    def judged():
        network.eval()
        with torch.inference_mode():
            return area(network(raw).numpy(), who)[0]

    before = judged()
    network.train()
    embed.TASK.start(network, raw, target, plan)
    assert network.training
    assert judged() > before + 0.05


def test_directions_are_unit_vectors_that_lie_apart():
    few, many = directions(4, 8), directions(40, 8)
    torch.testing.assert_close(few @ few.T, torch.eye(4))
    torch.testing.assert_close(many.norm(dim=1), torch.ones(40))
    assert torch.equal(many[:4], few)
    assert (many @ many.T - torch.eye(40)).max() < 0.999


def test_the_loss_is_the_margin_softmax_by_hand():
    plan = replace(replace_part(toy_plan(), "net", vector=2), classes=("a", "b"))
    cosine = torch.tensor([[0.5, -0.1], [0.2, 0.9]])
    raw = torch.cat([torch.zeros(2, 2), cosine], 1)
    logits = embed.SCALE * (cosine - embed.MARGIN * torch.eye(2))
    by_hand = (logits.exp().sum(1).log() - logits.diag()).mean()
    torch.testing.assert_close(embed.loss(raw, torch.tensor([0, 1]), None, plan), by_hand)


def test_identities_without_training_samples_take_no_part():
    plan = replace(replace_part(toy_plan(), "net", vector=4), classes=("a", "b", "c"))
    head = embed.head(plan, 16, torch.tensor([0, 2])).train()
    raw = head(torch.randn(3, 16, 2, 2))
    assert raw.shape == (3, 7)
    assert (raw[:, 5] == -torch.inf).all()
    assert embed.loss(raw, torch.tensor([0, 2, 0]), None, plan).isfinite()
    assert head.eval()(torch.randn(3, 16, 2, 2)).norm(dim=1).tolist() == pytest.approx([1] * 3)


def test_labels_are_names_of_the_plan_or_numbers_of_the_data():
    plan = replace(toy_plan(), classes=("ann", "bob"))
    assert embed.encode(["bob", "ann"], plan).tolist() == [1, 0]
    assert embed.encode(np.array([5, 0]), plan).tolist() == [5, 0]  # people of other data
    with pytest.raises(DataError, match=r"'bib' is not one of the 2 identities(.|\n)*'bob'"):
        embed.encode(["bib"], plan)
    with pytest.raises(DataError, match=r"-1 is no identity"):
        embed.encode(np.array([-1]), plan)


def test_one_person_or_one_sample_each_is_nothing_to_learn(run):
    card = load(run[0]).card
    assert isinstance(card, Card)
    for counts in ((9, 0), (1, 1)):
        with pytest.raises(PlanError, match="at least two identities"):
            embed.check(replace(card, counts={"train": counts}))


def test_enrolled_people_are_named_and_strangers_are_not(run, tmp_path):
    folder, _, _ = run
    x, who = faces(20, 6, seed=5)
    known = who < 6
    folders(tmp_path / "known", x[known & (np.arange(len(who)) % 6 < 3)], who[known][::2], PEOPLE)
    gallery = enroll(folder, tmp_path / "known", out=tmp_path / "g")
    assert len(gallery.facts.owner) == 18
    answers = list(identify(folder, [tmp_path / "known"], gallery=tmp_path / "g"))
    for answer in answers:
        assert answer["nearest"][0]["score"] == pytest.approx(answer["score"])
        assert answer["score"] == pytest.approx(1, abs=1e-4)  # itself is in the gallery
        assert answer["name"] == answer["input"].split("/")[-2]
    facts = replace(gallery.facts, threshold=1.5)
    save(replace(gallery, facts=facts), tmp_path / "strict")
    (one,) = identify(
        folder, [next(iter((tmp_path / "known").rglob("*.png")))], gallery=tmp_path / "strict"
    )
    assert one["name"] == "unknown"
    assert not one["known"]


def test_search_is_exact():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    owner = np.sort(rng.integers(0, 6, 50))
    owner[:6] = np.sort(owner[:6])
    owner = np.unique(owner, return_inverse=True)[1]
    names = tuple(f"n{i}" for i in range(owner.max() + 1))
    gallery = Gallery(vectors, Facts(names, tuple(owner.tolist()), ("k",) * 50, "", None))
    asked = rng.normal(size=(4, 8))
    unit = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    slow = [[max(u @ v for v, o in zip(vectors, owner, strict=True) if o == k)
             for k in range(len(names))] for u in unit]  # fmt: skip
    np.testing.assert_allclose(gallery.search(asked), slow, atol=1e-5)


def test_a_gallery_that_does_not_fit_is_refused(run, tmp_path):
    folder, people, _ = run
    model = load(folder)
    with pytest.raises(RunError, match=r"there is no gallery(.|\n)*foveal enroll"):
        open_gallery(tmp_path / "none", model)
    gallery = enroll(folder, people, out=tmp_path / "g")
    other = replace(gallery, facts=replace(gallery.facts, model="0"))
    save(other, tmp_path / "other")
    with pytest.raises(RunError, match="made with other weights"):
        open_gallery(tmp_path / "other", model)
    short = replace(gallery, vectors=gallery.vectors[:-1])
    save(short, tmp_path / "short")
    with pytest.raises(RunError, match="vectors of shape"):
        open_gallery(tmp_path / "short", model)
    wrong = replace(gallery.facts, owner=gallery.facts.owner[::-1])
    save(replace(gallery, facts=wrong), tmp_path / "wrong")
    with pytest.raises(RunError, match="out of order"):
        open_gallery(tmp_path / "wrong", model)
    named = replace(gallery.facts, names=("x", *gallery.facts.names))
    save(replace(gallery, facts=named), tmp_path / "named")
    with pytest.raises(RunError, match="owners are not those of the names"):
        open_gallery(tmp_path / "named", model)
    (tmp_path / "g" / "gallery.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(RunError, match="cannot be read"):
        open_gallery(tmp_path / "g", model)


def test_vectors_in_python_and_on_other_people(run, tmp_path):
    folder, _, _ = run
    model = load(folder)
    x, who = faces(5, 4, seed=9)
    vectors = model.embed(x)
    assert vectors.shape == (20, model.plan.net.vector)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    report = model.evaluate(x, np.array([f"new{i}" for i in who]))
    assert report.details["identities"] == 5
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad\.png"):
        model.embed([tmp_path / "bad.png"])


def test_the_command_line_enrolls_and_identifies(run, tmp_path):
    folder, people, _ = run
    told = strict(command("enroll", folder, people, "--json", cwd=tmp_path, limit=240).stdout)
    assert told["items"] == 72
    assert told["names"] == list(PEOPLE)
    one = sorted(people.rglob("*.png"))[0]
    done = command("identify", folder, one, "--json", cwd=tmp_path, limit=240)
    answer = json.loads(done.stdout)
    assert set(answer) == {"input", "name", "score", "known", "nearest"}
    plain = command("identify", folder, one, cwd=tmp_path, limit=240).stdout
    assert str(one) in plain
    refused = command(
        "identify", folder, one, "--gallery", "nowhere", cwd=tmp_path, code=1, limit=240
    )
    assert "there is no gallery" in refused.stderr


def test_a_run_of_another_task_gives_no_vectors(tmp_path):
    x, who = faces(2, 20)
    folders(tmp_path / "d", x, who, PEOPLE)
    train(tmp_path / "d", epochs=1, out=tmp_path / "r", changes=dict(TINY))
    with pytest.raises(RunError, match="learned to classify and gives no vectors"):
        enroll(tmp_path / "r", tmp_path / "d")
