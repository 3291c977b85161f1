"""The page: well formed, self-contained, safe with any name, legible with many classes."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from foveal import evaluation
from foveal.card import Skipped
from foveal.drawing.charts import COLOURS, bar, lines, scatter, ticks, waffle
from foveal.drawing.markup import esc, name
from foveal.drawing.pictures import picture
from foveal.evaluation.page import page, write_page
from foveal.report import Report
from foveal.tasks.classify import TASK
from report_samples import HISTORY, answers_of, card_of, plan_of, report_of

PETS = ("cat", "dog", "newt")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "a\nb\x00\u202egnp.exe",
    "</style><svg onload=alert(1)>",
    "{{7*7}} &amp; %s javascript:alert(1)",
    "x" * 300,
    "naïve 猫 🐈",
)
VOID = {"meta", "br", "img", "circle", "line", "polyline", "rect", "link", "input", "hr"}
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "p", "div", "h1", "h2", "h3",
    "b", "ul", "ol", "li", "nav", "main", "section", "figure", "figcaption", "svg", "circle",
    "line", "rect", "polyline", "polygon", "text",
    "dl", "dt", "dd", "span", "br", "table", "caption", "thead",
    "tbody", "tr", "th", "td", "bdi", "code", "details", "summary", "img", "i", "footer",
}  # fmt: skip


class Reader(HTMLParser):
    """Every element and attribute; complains of tags that do not nest."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), f"{tag} has an attribute twice"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def noise(seed=0, shape=(3, 32, 32)):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def made(classes=PETS, **more):
    card, plan = more.pop("card", card_of(classes)), more.pop("plan", plan_of(classes))
    report = report_of(classes, card=card, plan=plan, picture=lambda i: picture(noise(i)), **more)
    return page(report, card, plan, TASK)


@pytest.fixture(scope="module")
def usual():
    return made()


def test_is_well_formed_and_uses_known_elements_only(usual):
    reader = read(usual)
    assert {tag for tag, _ in reader.elements} <= KNOWN
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_asks_nothing_of_the_network_and_runs_nothing(usual):
    for tag, attrs in read(usual).elements:
        assert tag not in {"script", "iframe", "link", "object", "embed", "base", "form"}
        for key, value in attrs.items():
            assert not key.startswith("on")
            if key == "href":
                assert value.startswith("#")
            if key == "src":
                assert value.startswith("data:image/png;base64,")
    assert "url(" not in usual
    assert "@import" not in usual
    assert "http" not in usual.replace("http-equiv", "")


def test_forbids_itself_to_load_anything(usual):
    policy = [a["content"] for t, a in read(usual).elements if a.get("http-equiv")]
    assert policy == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'"
    ]


def test_links_lead_to_sections_that_are_there(usual):
    elements = read(usual).elements
    ids = {a["id"] for _, a in elements if "id" in a}
    links = {a["href"][1:] for t, a in elements if t == "a"}
    assert links <= ids
    assert {"scores", "worth", "data", "confusions", "classes", "mistakes", "plan"} <= links


def test_can_be_read_without_eyes(usual):
    elements = read(usual).elements
    tags = [tag for tag, _ in elements]
    assert [tags.count(t) for t in ("h1", "main", "header", "nav", "footer")] == [1] * 5
    for tag, attrs in elements:
        if tag == "img":
            assert "truly" in attrs["alt"]
        if tag == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden") == "true"
        if tag == "th":
            assert attrs["scope"] in {"row", "col"}
        if tag == "section":
            assert attrs["aria-labelledby"] in usual
    assert tags.count("table") == tags.count("caption")
    assert dict(elements[0][1])["lang"] == "en"


def test_says_the_score_and_its_interval_in_words(usual):
    report = report_of(PETS)
    text = " ".join("".join(read(usual).text).split())
    score = report.test["accuracy"]
    assert f"About {round(100 * score.value)} of 100 new pictures are named rightly" in text
    assert f"lies between {100 * score.low:.1f} and {100 * score.high:.1f}" in text
    for words in ("It adds", "cut short", "2 pictures are copies of others", "1 min 2 s", "2,048"):
        assert words in text


def test_every_number_of_the_plan_is_there_with_its_reason():
    plan = plan_of(PETS)
    text = "".join(read(made(plan=plan)).text)
    for part in ("data", "augment", "net", "fit", "judge"):
        for field in getattr(plan, part).__dataclass_fields__:
            assert field in text
    assert "wide enough" in text
    assert 'class="mine">set by you to 512' in made(plan=plan)


def test_hostile_names_stay_text_everywhere():
    card = card_of(
        HOSTILE,
        name=HOSTILE[0],
        layout=HOSTILE[1],
        doubts=HOSTILE,
        skipped=tuple(Skipped(n, n) for n in HOSTILE),
    )
    plan = plan_of(HOSTILE, **{"net.norm": HOSTILE[1], "fit.lr": HOSTILE[2]})
    keys = [HOSTILE[i % 8] + str(i) for i in range(320)]
    answers = answers_of(HOSTILE, strength=1.0, keys=keys)
    cost = {"device": HOSTILE[0], "precision": HOSTILE[1], HOSTILE[2]: 1.0}
    text = made(HOSTILE, card=card, plan=plan, answers=answers, cost=cost, doubts=HOSTILE)
    reader = read(text)
    assert {tag for tag, _ in reader.elements} <= KNOWN
    assert not [a for _, a in reader.elements if any(k.startswith("on") for k in a)]
    assert all(a["src"].startswith("data:image/png") for t, a in reader.elements if t == "img")
    shown = "".join(reader.text)
    assert "<script>alert(1)</script>" in shown
    assert "a\\x0ab\\x00\\u202egnp.exe" in shown
    assert "猫 🐈" in shown
    assert "\u202e" not in text
    assert "\x00" not in text


def test_names_that_are_no_unicode_can_be_written(tmp_path):
    odd = ("caf\udce9", "b")
    card, plan = card_of(odd), plan_of(odd)
    write_page(report_of(odd, card=card, plan=plan), card, plan, TASK, tmp_path / "report.html")
    assert "caf\\udce9" in (tmp_path / "report.html").read_text("utf-8")


def test_a_picture_that_is_none_is_left_out():
    card, plan = card_of(PETS), plan_of(PETS)
    for bad in (
        "javascript:alert(1)",
        'data:image/png;base64,AA" onerror="x',
        "",
        "data:image/png;base64,AAAA",
    ):
        report = report_of(PETS, card=card, plan=plan, picture=lambda i, bad=bad: bad)
        elements = read(page(report, card, plan, TASK)).elements
        assert "img" not in {tag for tag, _ in elements}


def test_a_thousand_classes_stay_legible_and_small():
    classes = [f"class {i:04}" for i in range(1000)]
    answers = answers_of(classes, each=3, strength=3.0)
    text = made(classes, answers=answers)
    assert len(text) < 3_000_000
    reader = read(text)
    heat = text[text.index('<table class="heat">') :].split("</table>")[0]
    assert heat.count("<tr>") == 21
    assert "the 20 most confused of 1000 classes" in heat
    assert "".join(reader.text).count("class 0999") >= 1


def test_the_largest_pictures_keep_the_page_under_ten_megabytes(tmp_path):
    card, plan = card_of(PETS), plan_of(PETS)
    answers = answers_of(PETS, each=80, strength=0.5)
    report = report_of(
        PETS, card=card, plan=plan, answers=answers,
        picture=lambda i: picture(noise(i, (3, 600, 500))),
    )  # fmt: skip
    write_page(report, card, plan, TASK, tmp_path / "report.html")
    assert 1_000_000 < (tmp_path / "report.html").stat().st_size < 10_000_000


@pytest.mark.parametrize("more", [
    {"history": []},
    {"history": HISTORY[:1]},
    {"baselines": []},
    {"cost": {}},
    {"answers": answers_of(PETS, strength=30.0)},
    {"answers": answers_of(PETS, each=1)},
])  # fmt: skip
def test_thin_reports_still_make_a_page(more):
    read(made(**more))


def test_a_report_without_details_or_test_makes_a_page():
    card, plan = card_of((), skipped=()), plan_of(())
    bare = Report("classify", "accuracy", {}, {}, {}, "nothing", {}, {})
    text = "".join(read(page(bare, card, plan, TASK)).text)
    assert "No samples to judge by" in text
    assert "nothing" in text


def test_the_page_is_made_from_report_json_alone():
    import json

    card, plan = card_of(PETS), plan_of(PETS)
    report = report_of(PETS, card=card, plan=plan)
    again = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert page(again, card, plan, TASK) == page(report, card, plan, TASK)


def test_escaping():
    assert esc('<a href="x">&\'') == "&lt;a href=&quot;x&quot;&gt;&amp;&#x27;"
    assert esc("tab\there") == "tab\\x09here"
    assert name("y" * 300).count("y") < 400
    assert 'title="' in name("y" * 300)


def test_ticks_are_round_and_inside():
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(0.83, 0.91) == pytest.approx([0.84, 0.86, 0.88, 0.9])
    assert ticks(3, 3) == [3]
    generator = np.random.default_rng(0)
    for low, span in generator.random((50, 2)) * [1000, 500]:
        found = ticks(low, low + span)
        assert 2 <= len(found) <= 7
        assert low - 1e-6 <= found[0] <= found[-1] <= low + span + 1e-6


def test_charts_draw_what_they_are_given():
    chart = lines("t", {"a": [(0, 1.0), (1, 0.5)], "b": [(0, 2.0), (1, 0.1)]}, "x", share=False)
    assert chart.count("<polyline") == 2
    assert re.findall(r'points="([\d., ]+)"', chart)[0].count(",") == 2
    flat = lines("t", {"a": [(0, 0.5), (1, 0.5)]}, "x", share=True)
    assert "nan" not in flat
    below = lines("t", {"a": [(0, -0.5), (1, 0.5)]}, "x", share=True)
    heights = [float(p.split(",")[1]) for p in re.findall(r'points="([^"]+)"', below)[0].split()]
    assert max(heights) <= 240  # the frame ends there
    dots = scatter("t", [(0, 0.1), (1, 0.8)], "true", "said", 0.2)
    assert dots.count('class="speck"') == 2
    assert 'class="band"' in dots
    assert 'class="band"' not in scatter("t", [(2.0, 2.0)], "true", "said")
    long = lines("t", {"a": [(i, i) for i in range(10_000)]}, "x", share=False)
    assert long.count(",") < 1000
    assert 'width="50.00"' in bar(0.5, 0.4, 0.6)
    dots = waffle(0.62, 0.55, 0.70, "t")
    assert dots.count('class="sure"') == 55
    assert dots.count('class="sure likely"') == 7
    assert dots.count('class="maybe"') == 8
    assert dots.count('class="no"') == 30


def test_every_curve_has_a_colour_of_the_page():
    style = (Path(evaluation.__file__).parent / "page.css").read_text("utf-8")
    assert all(f".c{i} {{ --own: " in style for i in range(COLOURS))
    many = {f"class {i}": [(0, 0.0), (1, i / 20)] for i in range(COLOURS + 1)}
    chart = lines("t", many, "x", share=True)
    assert chart.count('class="curve c0"') == 2  # colours begin anew
    assert f"c{COLOURS}" not in chart
