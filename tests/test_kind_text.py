"""Rules for text: units, vocabulary, lengths; what a plan for text looks like."""

import numpy as np
import pytest
import torch

from foveal.baselines.text import nb_svm, of_texts, tfidf
from foveal.networks.build import build
from foveal.networks.cost import cost
from foveal.networks.graph import fields_of
from foveal.plan import Plan
from foveal.planner.kinds.text import Found, length_of, text_part, unit_of
from foveal.planner.network import macs
from foveal.verbs.plan import plan
from template_texts import lines, made


@pytest.mark.parametrize(
    ("texts", "unit", "why"),
    [
        (["a few short words here"], "words", "blanks part the text into words of"),
        (["我们今天去看电影" * 3] * 3, "characters", "of the letters belong to scripts"),
        (["acgtacgtacgtacgtacgtacgt"] * 3, "characters", "too many for words"),
        (
            ["".join(map(chr, range(0x4E00 + i, 0x4E40 + i))) for i in (0, 99, 199)],
            "bytes",
            "so bytes",
        ),
        ([], "words", "blanks part"),
    ],
)
def test_the_unit_follows_from_the_script(texts, unit, why):
    found, told = unit_of(texts)
    assert found == unit
    assert why in told


def test_lengths_hold_nearly_all_texts_whole():
    assert length_of(tuple(range(1, 101)))[0] == 99
    assert length_of((9000,) * 10) == (
        2000,
        "the first 2,000 tokens of a text tell what it is about",
    )
    assert length_of((1, 2))[0] == 4


def test_vocabulary_and_pieces_have_reasons():
    from collections import Counter

    part, why = text_part(Found("words", "for a reason", Counter(b=2, a=2, c=1), (3, 2)))
    assert part.words == ("a", "b", "c")
    assert part.rows == 9
    assert "for a reason; 3 of them are known (100.0% of all in training)" in why
    assert text_part(Found("characters", "", Counter(a=1), (1,)))[0].rows == 3


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    return plan(lines(folder / "set.txt"), epochs=2)


def test_a_plan_for_text_is_whole_and_survives_its_file(planned):
    assert planned.net.stem == "embed"
    assert planned.net.block == "parallel"
    assert planned.data.fit == "ragged"
    assert planned.data.channels == planned.data.text.rows == 9
    assert "splendid" in planned.data.text.words
    assert Plan.from_dict(planned.to_dict()) == planned
    for part in ("data", "net", "fit", "augment"):
        for name in getattr(planned, part).__slots__:
            assert f"{part}.{name}" in planned.why or name in {"weights"}, f"{part}.{name}"


def test_network_cost_fields_and_padding(planned):
    network = build(planned).eval()
    data, size = planned.data, planned.data.size
    assert cost(network, data.channels, size).macs == macs(
        planned.net, size, data.channels, planned.outputs
    )
    widest = max(kernel[0] for kernel in planned.net.kernels)
    assert max(f.size[0] for f in fields_of(network).values()) == widest
    torch.manual_seed(0)
    x = torch.randint(1, 12, (3, data.channels, size[0]), dtype=torch.int32)
    x[..., size[0] // 2 :] = 0
    more = torch.cat([x, torch.zeros(3, data.channels, 5, dtype=torch.int32)], 2)
    torch.testing.assert_close(network(x), network(more))
    torch.testing.assert_close(network(x), network(x[..., : size[0] // 2]))


def test_gradients_are_finite_and_sparse_where_rows_are_looked_up(planned):
    network = build(planned).train()
    x = torch.randint(1, 12, (8, planned.data.channels, planned.data.size[0]), dtype=torch.int32)
    torch.manual_seed(0)
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.is_sparse == ("table" in name), name
        values = parameter.grad.coalesce().values() if "table" in name else parameter.grad
        assert values.isfinite().all()


def test_baselines_tell_template_texts_apart():
    texts = made(200)
    known, asked = [t for _, t in texts[:150]], [t for _, t in texts[150:]]
    label = np.array([n == "good" for n, _ in texts], np.int64)
    for model in (tfidf, nb_svm):
        assert (model(known, label[:150], asked) == label[150:]).mean() > 0.9
    found = of_texts(known, label[:150], asked, label[150:])
    assert [b.name for b in found] == ["majority", "tfidf_logistic_regression", "nb_svm"]
    assert all(b.said.shape == (50,) for b in found)
    assert of_texts([], label[:0], [], label[:0]) == ()
    many = [t for _, t in made(1000)]
    short = of_texts(many, np.arange(1000) % 2, asked, label[150:], seconds=0.001)
    assert "from 200 training texts" in short[1].words
    three = np.arange(150) % 3
    assert set(nb_svm(known, three, asked)) <= {0, 1, 2}
