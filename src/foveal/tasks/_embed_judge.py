"""How vectors are judged: all pairs, a gallery, strangers; simple vectors beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..baselines import Baseline, Features, Question
from ..drawing.words import Figure, count, of_hundred, percent
from ..metrics import verification as pairs
from ..metrics.intervals import percentile
from ..plan import Plan
from ..report import Score
from . import Answers, Calibration, Judged
from ._worth import best_of, gained, worth
from ._worth import listed as baselines_listed

FEW = 20  # identities under which figures say little
POINTS = 200  # of a curve that is drawn
SHEETS = 8
NEAR = 4
COMPONENTS = 64
LEARNED = 1000  # training samples that simple vectors are worked out from
FIGURES = {
    "eer": Figure(
        "Equal error", "wrong on same and on different pairs alike; lower is better", True, True
    ),
    "auc": Figure("Area under the ROC", "a same pair scores above a different one; 50 is chance"),
    "tar_at_far_1e-2": Figure("Same pairs found", "where 1 of 100 different ones is let in"),
    "tar_at_far_1e-3": Figure("Same pairs found", "where 1 of 1,000 different ones is let in"),
    "rank1": Figure("Named rightly", "the nearest of a gallery is of the same identity"),
    "known_named": Figure("Known ones named", "rightly, and above the threshold"),
    "strangers_named": Figure(
        "Strangers named", "wrongly taken for somebody; lower is better", True, True
    ),
}


def quick(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, float]:
    """AUC and equal error over all pairs."""
    auc, eer = pairs.area(raw[:, : plan.net.vector], target, plan.seed)
    return {"auc": auc, "eer": eer}


def calibrate(raw: NDArray[np.float32], target: NDArray[Any], plan: Plan) -> dict[str, Any]:
    """Best scores of known ones and of strangers among the validation samples, and how many
    identities they were found among. The threshold for a gallery follows (`floor`)."""
    own, other = pairs.best_scores(raw[:, : plan.net.vector], target)
    return {
        "known": _quantiles(own),
        "strangers": _quantiles(other),
        "identities": len(np.unique(target)),
    }


def floor(calibration: Calibration, identities: int) -> float | None:
    """The cosine from which on a name is said, in a gallery of so many identities."""
    own, other = (np.array(calibration.get(n) or [], float) for n in ("known", "strangers"))
    among = max(int(calibration.get("identities", 0)) - 1, 1)
    return pairs.threshold(own, other, max(identities / among, 1.0))


def known_again(learned: NDArray[Any], asked: NDArray[Any]) -> bool:
    """Whether the test part asks for identities that the training part knows, all of them."""
    return bool(len(asked)) and bool(np.isin(asked, learned).all())


def judge(
    test: Answers, plan: Plan, calibration: Calibration, baselines: Sequence[Baseline]
) -> Judged:
    """Pairs, gallery and strangers of the test part, with intervals over identities."""
    vectors, labels = pairs.unit(test.raw[:, : plan.net.vector]), np.asarray(test.target)
    draws = {"replicates": min(plan.judge.bootstrap, 400), "seed": plan.seed}
    found = pairs.verify(vectors, labels, **draws) if len(labels) else None
    details: dict[str, Any] = {"baselines": baselines_listed(baselines), "gain": {}, "roc": {}}
    known = dict(calibration)
    if found is None:
        said = f"No two test {test.noun} of one identity and of two, so nothing can be said."
        return Judged({}, known, details, [said])
    at = floor(calibration, len(np.unique(labels)))
    known["threshold"] = at
    scores = {**found.scores, **_named(vectors, labels, test, at, draws)}
    details["roc"] = {"The network": _drawn(found.curve)}
    details["gain"] = _gain(found, labels, baselines, details["roc"], draws)
    details["pairs"] = list(found.pairs)
    details["identities"] = len(np.unique(labels))
    details["closed"] = test.known is not None
    details["sheets"] = _sheets(vectors, labels, test)
    ordered = {name: scores[name] for name in FIGURES if name in scores}
    verdict = _verdict(ordered, details, test.noun)
    return Judged(ordered, known, details, verdict, _doubts(details, at))


def _named(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    test: Answers,
    at: float | None,
    draws: Mapping[str, int],
) -> dict[str, Score]:
    """Rank 1 against a gallery; and, at the threshold, known ones and strangers.

    The gallery is the training part where that knows the identities, else half of the samples of
    each. A stranger is every probe against a gallery without his own identity.
    """
    if test.known is not None:
        gallery, names = pairs.unit(test.known[0][:, : vectors.shape[1]]), test.known[1]
        probes, truth = vectors, labels
    else:
        kept = pairs.enrolled(labels, draws["seed"])
        gallery, names, probes, truth = vectors[kept], labels[kept], vectors[~kept], labels[~kept]
    if not len(probes):
        return {}
    said, score = pairs.named(gallery, names, probes)
    out = {"rank1": pairs.by_identity(said == truth, truth, **draws)}
    if at is not None:
        right = (said == truth) & (score >= at)
        out["known_named"] = pairs.by_identity(right, truth, **draws)
        taken = pairs.as_stranger(gallery, names, probes, truth) >= at
        out["strangers_named"] = pairs.by_identity(taken, truth, **draws)
    return out


def _gain(
    found: pairs.Verified,
    labels: NDArray[np.int64],
    baselines: Sequence[Baseline],
    roc: dict[str, Any],
    draws: Mapping[str, int],
) -> dict[str, Any]:
    """How much less the network errs than the best simple vectors, on the same resamples."""
    if not baselines:
        return {}
    best = best_of(baselines, FIGURES["eer"])
    beside = pairs.verify(best.said, labels, **draws)
    assert beside is not None, "the same labels were compared a moment ago"
    roc[best.title] = _drawn(beside.curve)
    less = best.score.value - found.scores["eer"].value
    return gained(best, percentile(less, beside.resampled - found.resampled))


def _drawn(curve: pairs.Curve) -> list[list[float]]:
    """A curve as at most a few hundred points."""
    at = np.unique(np.linspace(0, len(curve.far) - 1, POINTS).astype(int))
    # The steep beginning, where few different pairs are accepted, is what matters.
    early = np.searchsorted(curve.far, np.logspace(-4, 0, POINTS)).clip(0, len(curve.far) - 1)
    at = np.unique(np.concatenate([at, early]))
    return [[float(a), float(b)] for a, b in zip(curve.far[at], curve.tar[at], strict=True)]


def _sheets(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], test: Answers
) -> list[dict[str, Any]]:
    """A few samples with their nearest ones: first where the nearest is somebody else."""
    rows = np.arange(len(vectors))[: pairs.MOST_ROWS]
    cosine = vectors[rows] @ vectors[rows].T
    np.fill_diagonal(cosine, -2.0)
    near = np.argsort(-cosine, axis=1, kind="stable")[:, :NEAR]
    wrong = labels[near[:, 0]] != labels[rows]
    top = cosine[rows, near[:, 0]]
    order = np.lexsort((-top, ~wrong))[: SHEETS // 2]
    right = np.flatnonzero(~wrong)
    spread = right[np.linspace(0, max(len(right) - 1, 0), SHEETS - len(order)).astype(int)]
    chosen = list(dict.fromkeys([*order.tolist(), *(spread.tolist() if len(right) else [])]))

    def seen(row: int) -> dict[str, Any]:
        drawn = test.picture(row) if test.picture is not None else ""
        return {"key": test.keys[row], "picture": drawn}

    return [
        {
            **seen(row),
            "near": [
                {**seen(i), "same": bool(labels[i] == labels[row]), "score": float(cosine[row, i])}
                for i in near[row].tolist()
                if i != row
            ],
        }
        for row in chosen
    ]


def _verdict(scores: Mapping[str, Score], details: Mapping[str, Any], noun: str) -> list[str]:
    eer = scores["eer"]
    low, high = percent(eer.low), percent(eer.high)
    who = "identities that it was trained on" if details["closed"] else "ones it has never seen"
    sentences = [
        f"Of pairs of test {noun}, of {details['identities']} {who}, {percent(eer.value)} of 100 "
        f"are told wrongly (same or not; 95 % interval {low} to {high}).",
        worth(details["gain"], FIGURES["eer"], "errs on"),
    ]
    if "rank1" in scores:
        sentences.append(
            f"The nearest in a gallery is the right one for {of_hundred(scores['rank1'])}."
        )
    if "strangers_named" in scores:
        sentences.append(
            f"At the threshold, {percent(scores['strangers_named'].value)} of 100 strangers get "
            f"a name, and {percent(scores['known_named'].value)} of 100 known ones get theirs."
        )
    return sentences


def _doubts(details: Mapping[str, Any], at: float | None) -> list[str]:
    found = []
    if details["identities"] < FEW:
        found.append(
            f"only {details['identities']} test identities: figures over identities say little"
        )
    if details["pairs"][1] < 10_000:
        told = count(details["pairs"][1])
        found.append(f"{told} different pairs: a rate of 1 in 1,000 rests on a handful of them")
    if at is None:
        found.append("no validation identities to fit a threshold on: nobody is called unknown")
    return found


def baselines(question: Question, plan: Plan) -> tuple[Baseline, ...]:
    """Cosines of plain cells, of their principal components, and of a discriminant."""
    labels, truth = question.learned, question.truth
    if len(labels) < 2 or len(truth) < 2:
        return ()
    rows = np.random.default_rng(question.seed).permutation(len(labels))[:LEARNED]
    known, asked, labels = question.known(np.sort(rows)), question.asked(), labels[np.sort(rows)]
    words = question.words
    ways: tuple[tuple[str, str, str, str, Callable[..., Features]], ...] = (
        ("cosine", f"Cosine of {words}", f"the cosine of {words}", "compares values", _plain),
        (
            "principal_components",
            "Principal components",
            f"the cosine of principal components of {words}",
            "compares the directions in which samples vary most",
            _principal,
        ),
        (
            "discriminant",
            "Linear discriminant",
            f"a linear discriminant of {words}",
            "weighs directions by how little they vary within an identity",
            _discriminant,
        ),
    )
    found = []
    for name, title, called, told, way in ways:
        said = way(known, labels, asked)
        judged = pairs.verify(said, truth, seed=plan.seed)
        if judged is not None:
            found.append(Baseline(name, title, called, told, judged.scores["eer"], said))
    return tuple(found)


def _plain(known: Features, labels: NDArray[np.int64], asked: Features) -> Features:
    return np.asarray(asked - known.mean(0), np.float32)


def _principal(known: Features, labels: NDArray[np.int64], asked: Features) -> Features:
    middle = known.mean(0)
    axes = np.linalg.svd(known - middle, full_matrices=False)[2][:COMPONENTS]
    return np.asarray((asked - middle) @ axes.T, np.float32)


def _discriminant(known: Features, labels: NDArray[np.int64], asked: Features) -> Features:
    """Within-class covariance normalisation, see tasks/_embed_start.py."""
    middle = known.mean(0)
    names, member = np.unique(labels, return_inverse=True)
    centre = np.zeros((len(names), known.shape[1]))
    np.add.at(centre, member, known)
    centre /= np.bincount(member)[:, None]
    axes = np.linalg.svd(known - middle, full_matrices=False)[2]
    inside = (known - centre[member]) @ axes.T
    spread = inside.T @ inside / len(inside)
    size, turn = np.linalg.eigh(spread)
    size = np.maximum(size, 0)
    whiten = turn / np.sqrt(size + 0.3 * size.mean() + 1e-12)
    return np.asarray((asked - middle) @ axes.T @ whiten, np.float32)


def _quantiles(scores: NDArray[np.float64], most: int = 200) -> list[float]:
    """Finite scores, or so many quantiles of them, ascending."""
    scores = np.sort(scores[np.isfinite(scores)])
    if len(scores) > most:
        scores = np.quantile(scores, np.linspace(0, 1, most))
    return [round(float(s), 6) for s in scores]
