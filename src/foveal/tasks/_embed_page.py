"""The page's part on vectors: the ROC, galleries and strangers, nearest neighbours, a notice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..drawing.charts import lines
from ..drawing.markup import esc, image, name, section, table
from ..drawing.words import count, percent
from ..report import Report

SHOWN = 0.2  # of different pairs accepted: the part of the curve that is of use
TERMS = (
    ("Pair", "Two samples, of the same identity or of two. Their score is a cosine, -1 to 1."),
    (
        "Equal error",
        "Where the threshold lies so that as many same pairs are refused as different ones are "
        "accepted: that share. 0 is best, 50 is guessing.",
    ),
    (
        "ROC",
        "As the threshold falls, more same pairs are accepted, and more different ones with them. "
        "The curve shows one against the other.",
    ),
    ("Gallery", "Samples with known names. A new one gets the name of the nearest."),
    (
        "Stranger",
        "Somebody who is not in the gallery. The threshold decides when a name is said at all.",
    ),
)
NOTICE = (
    "If these are faces, voices, gaits or other features of people, vectors of them are biometric "
    "data: in many countries they may only be made with the consent of each person, for a stated "
    "purpose. Error rates differ between groups of people; these figures hold for people such as "
    "those in the test part. Do not let a score alone decide about anybody."
)


def headline(report: Report) -> str:
    """ "Errs on 4.1 of 100 pairs" as text: the interval that stands under it is the error's."""
    return f"Errs on {percent(report.test['eer'].value)} of 100 pairs"


def sections(report: Report) -> list[str]:
    """Verification, identification, neighbours, the notice."""
    parts = (_verification(report), _naming(report), _neighbours(report), _notice())
    return [part for part in parts if part]


def _verification(report: Report) -> str:
    curves = report.details.get("roc", {})
    if not curves:
        return ""
    drawn = {
        word: [(100 * a, b) for a, b in points if a <= SHOWN] for word, points in curves.items()
    }
    chart = lines(
        "ROC: same pairs accepted against different pairs accepted, in per cent",
        drawn,
        "different pairs accepted, %",
        share=True,
    )
    same, different = report.details["pairs"]
    rows = [
        (f"{share} of different pairs", _figure(report, key))
        for share, key in (("1 in 100", "tar_at_far_1e-2"), ("1 in 1,000", "tar_at_far_1e-3"))
    ]
    found = table("Same pairs accepted where", ("Accepted", "Same pairs, %"), rows, numeric=(1,))
    text = (
        f"<p>{count(same)} same pairs and {count(different)} different ones, of "
        f"{count(report.details['identities'])} identities. The equal error is "
        f"<b>{_figure(report, 'eer')}</b> of 100.</p>{found}"
    )
    body = f'<div class="two"><figure>{chart}</figure><div>{text}</div></div>'
    lead = "Is it the same one? Every pair of test samples was asked."
    return section("verification", "Verification", "Same or not", body, lead)


def _naming(report: Report) -> str:
    if "rank1" not in report.test:
        return ""
    gallery = "the training samples" if report.details.get("closed") else "half of the samples"
    rows = [("Nearest of the gallery is right", _figure(report, "rank1"))]
    if "strangers_named" in report.test:
        rows += [
            ("Known ones named rightly, above the threshold", _figure(report, "known_named")),
            ("Strangers named, above the threshold", _figure(report, "strangers_named")),
        ]
    at = report.calibration.get("threshold")
    told = "" if at is None else f"<p>The threshold is a cosine of {at:.3f}.</p>"
    body = table("Of 100 probes", ("What", "Of 100"), rows, numeric=(1,)) + told
    lead = (
        f"The gallery holds {gallery} of each identity. A stranger is every probe against a "
        "gallery without his own identity; the threshold comes from the validation part."
    )
    return section("naming", "Naming", "Who is it, and is it anybody known?", body, lead)


def _neighbours(report: Report) -> str:
    sheets = report.details.get("sheets", [])
    if not sheets:
        return ""
    body = "".join(f'<ul class="gallery">{_sheet(each)}</ul>' for each in sheets)
    lead = "Each row begins with a test sample; behind it the nearest others, the wrong ones first."
    return section("neighbours", "Neighbours", "Nearest neighbours", body, lead)


def _sheet(each: Mapping[str, Any]) -> str:
    first = f"<li>{image(str(each['picture']), esc(each['key']))}{_file(each)}</li>"
    return first + "".join(
        f"<li>{image(str(near['picture']), esc(near['key']))}"
        f'<p><b class="{"right" if near["same"] else "wrong"}">'
        f"{'same' if near['same'] else 'somebody else'}</b>, {near['score']:.2f}</p>"
        f"{_file(near)}</li>"
        for near in each["near"]
    )


def _file(each: Mapping[str, Any]) -> str:
    return f'<p class="file">{name(each["key"], 60)}</p>'


def _notice() -> str:
    return section("people", "People", "Where these are people", f"<p>{esc(NOTICE)}</p>")


def _figure(report: Report, key: str) -> str:
    score = report.test[key]
    return f"{percent(score.value)} ({percent(score.low)} to {percent(score.high)})"
