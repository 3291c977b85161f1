"""Simple models on the words of texts: TF-IDF with logistic regression, and naive-Bayes SVM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.tokens import Unit, tokens
from ..metrics.intervals import wilson
from . import Baseline
from .models import quietly

MOST_TEXTS = 50_000  # learned from; more would take minutes
LEAST_TEXTS = 200
# Seconds for a letter and a class, both models together: 1.6 on TREC (6 classes), 0.85 on MR (2),
# in millionths, one core of a Xeon of 2023.
PACE = 1e-6
SPAN = {"words": (1, 2), "characters": (1, 3), "bytes": (1, 5)}
Labels = NDArray[np.int64]


def of_texts(
    known: Sequence[str],
    labels: Labels,
    asked: Sequence[str],
    truth: Labels,
    *,
    unit: Unit = "words",
    seconds: float = 20.0,
    seed: int = 0,
) -> tuple[Baseline, ...]:
    """What the commonest class, TF-IDF and NB-SVM say of the texts ``asked``.

    Args:
        known, labels: training texts and their classes (N,). asked, truth: those of the test.
        unit: what a token is. seconds: about the most that one slow core may take, told from sizes
            alone, so that the same texts give the same answers. seed: picks the texts where there
            are over 50,000, or more than these seconds allow.
    """
    if not len(labels) or not len(truth):
        return ()
    common = np.full(len(truth), int(np.bincount(labels).argmax()))
    found = [
        _baseline(
            "majority",
            "Commonest class",
            "always answering the commonest class",
            "always says the class that is commonest in training",
            common,
            truth,
        )
    ]
    if len(np.unique(labels)) < 2:
        return tuple(found)
    texts, own = _learned(known, labels, seconds, seed)
    if len(np.unique(own)) < 2:
        return tuple(found)
    less = "" if len(texts) == len(known) else f", from {len(texts):,} training texts"
    said = tfidf(texts, own, asked, unit=unit)
    found.append(
        _baseline(
            "tfidf_logistic_regression",
            "TF-IDF and logistic regression",
            "logistic regression on weighted counts of words and pairs of words",
            f"one weighted sum of TF-IDF counts for each class{less}",
            said,
            truth,
        )
    )
    said = nb_svm(texts, own, asked, unit=unit)
    found.append(
        _baseline(
            "nb_svm",
            "Naive-Bayes SVM",
            "a support vector machine on naive-Bayes features of words and pairs of words",
            f"a linear classifier on log-count ratios{less}",
            said,
            truth,
        )
    )
    return tuple(found)


def _learned(
    known: Sequence[str], labels: Labels, seconds: float, seed: int
) -> tuple[list[str], Labels]:
    """As many of the texts as both models can learn from in that time, and their classes."""
    letters = sum(map(len, known)) / max(len(known), 1)
    most = seconds / (PACE * len(np.unique(labels)) * max(letters, 1.0))
    most = int(np.clip(most, LEAST_TEXTS, MOST_TEXTS))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(known))[:most])
    return [known[int(i)] for i in chosen], labels[chosen]


def tfidf(
    known: Sequence[str], labels: Labels, asked: Sequence[str], *, unit: Unit = "words"
) -> Labels:
    """Classes (M,) by logistic regression on TF-IDF of single tokens and pairs.

    C is 10: of 1 and 10 the better one on MR, Subj and TREC.
    """
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    there, here = _counts(known, asked, unit, binary=False)
    weigh = TfidfTransformer(sublinear_tf=True)
    there = weigh.fit_transform(there)
    with quietly():
        model: Any = LogisticRegression(C=10.0, max_iter=200).fit(there, labels)
        return np.asarray(model.predict(weigh.transform(here)), np.int64)


def nb_svm(
    known: Sequence[str], labels: Labels, asked: Sequence[str], *, unit: Unit = "words"
) -> Labels:
    """Classes (M,) by NB-SVM, one class against the others.

    Whether a text holds a token or pair counts, scaled by its log-count ratio; the weights of a
    linear SVM are mixed with their mean size (beta 0.25).
    Source: Wang and Manning, "Baselines and Bigrams", ACL 2012. C is 0.1: of 0.1 and 1 the better
        one on MR and Subj.
    """
    from scipy.sparse import diags
    from sklearn.svm import LinearSVC

    there, here = _counts(known, asked, unit, binary=True)
    classes = np.unique(labels)
    scores = []
    for one in classes[1:] if len(classes) == 2 else classes:
        inside = 1.0 + np.asarray(there[labels == one].sum(0)).ravel()
        outside = 1.0 + np.asarray(there[labels != one].sum(0)).ravel()
        ratio = np.log((inside / inside.sum()) / (outside / outside.sum()))
        scale = diags(ratio)
        with quietly():
            model: Any = LinearSVC(C=0.1, max_iter=3000).fit(there @ scale, labels == one)
        weights = model.coef_[0]
        weights = 0.75 * np.abs(weights).mean() + 0.25 * weights
        scores.append((here @ scale) @ weights + model.intercept_[0])
    if len(classes) == 2:
        return np.asarray(classes[(scores[0] > 0).astype(int)], np.int64)
    return np.asarray(classes[np.argmax(scores, 0)], np.int64)


def _counts(known: Sequence[str], asked: Sequence[str], unit: Unit, *, binary: bool) -> Any:
    from sklearn.feature_extraction.text import CountVectorizer

    count = CountVectorizer(
        tokenizer=lambda text: tokens(text, unit, unit == "words"),
        token_pattern=None,
        lowercase=False,
        ngram_range=SPAN[unit],
        binary=binary,
        dtype=np.float64,
    )
    return count.fit_transform(known), count.transform(asked)


def _baseline(
    name: str, title: str, called: str, words: str, said: Labels, truth: Labels
) -> Baseline:
    score = wilson(int((said == truth).sum()), len(truth))
    return Baseline(name, title, called, words, score, said)
