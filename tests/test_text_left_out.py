"""left_out: against fits without the row, blind to copies, whole on odd texts."""

import numpy as np
import pytest

from foveal.baselines import text_left_out
from foveal.baselines.text_left_out import left_out

WORDS = [
    "who",
    "where",
    "when",
    "how",
    "many",
    "what",
    "is",
    "the",
    "a",
    "of",
    "river",
    "king",
    "year",
    "city",
    "old",
    "made",
    "by",
]


def made(count=120, seed=0):
    """Texts whose class is told by one of three words, among others."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 3, count)
    texts = [" ".join(chance.permutation([WORDS[k], *chance.choice(WORDS[4:], 5)])) for k in labels]
    return texts, labels, np.arange(count, dtype=np.uint64)


def slowly(texts, labels, names, classes=3):
    """Ridge regression anew for every text, on the others."""
    kernel = text_left_out._kernel(texts, "words").astype(float)
    wanted = np.eye(classes)[labels] - np.eye(classes)[labels].mean(0)
    found = np.zeros_like(wanted)
    for i, name in enumerate(names):
        others = np.flatnonzero(names != name)
        square = kernel[np.ix_(others, others)] + text_left_out.STRENGTH * np.eye(len(others))
        found[i] = kernel[i, others] @ np.linalg.solve(square, wanted[others])
    return found


def test_it_is_a_fit_to_all_other_texts():
    texts, labels, names = made()
    found = left_out(texts, labels, names, 3)
    np.testing.assert_allclose(found, slowly(texts, labels, names), atol=1e-4)
    assert (found.argmax(1) == labels).mean() > 0.9


def test_copies_are_left_out_together():
    texts, labels, names = made()
    texts[7] = texts[3] = texts[90]
    names[[7, 3]] = names[90]
    labels[[7, 3, 90]] = 0
    found = left_out(texts, labels, names, 3)
    np.testing.assert_allclose(found, slowly(texts, labels, names), atol=1e-4)
    labels[[7, 3, 90]] = 1
    moved = left_out(texts, labels, names, 3)
    assert moved[3].argmax() == found[3].argmax()  # they cannot vouch for each other


def test_a_wrong_label_has_no_say_in_its_own_answer():
    texts, labels, names = made()
    found = left_out(texts, labels, names, 3)
    labels[5] = (labels[5] + 1) % 3
    assert left_out(texts, labels, names, 3)[5].argmax() == found[5].argmax()


def test_many_texts_are_learned_in_shares(monkeypatch):
    texts, labels, names = made(240)
    names[:6] = names[0]
    monkeypatch.setattr(text_left_out, "AT_ONCE", 100)
    shares = text_left_out._shares(names, 0)
    assert len(shares) == 3
    assert sorted(np.concatenate(shares)) == list(range(240))
    assert sum(0 in share for share in shares) == 1
    assert all(
        set(range(6)) <= set(share.tolist()) or not set(range(6)) & set(share) for share in shares
    )
    assert (left_out(texts, labels, names, 3).argmax(1) == labels).mean() > 0.85


@pytest.mark.parametrize("unit", ["words", "characters", "bytes"])
def test_other_units_and_texts_without_a_token(unit):
    texts, labels, names = made(60)
    texts[4], texts[5] = "", " \t"
    found = left_out(texts, labels, names, 3, unit=unit)
    assert found.shape == (60, 3)
    assert np.isfinite(found).all()
    blank = left_out(["", " ", ""], np.array([0, 1, 1]), names[:3], 2, unit=unit)
    assert np.isfinite(blank).all()
