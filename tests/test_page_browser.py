"""The page in a real browser: nothing fetched, nothing run, nothing cut off, day and night."""

import shutil

import pytest

from foveal.drawing.charts import heat
from foveal.evaluation.page import STYLE
from report_samples import answers_of
from test_page import HOSTILE, PETS, made

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    # The browser's driver leaves its own sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

MANY = tuple(f"species number {i}" for i in range(40))
CONTRAST = """() => {  // texts whose contrast to what lies behind them is under 4.5 (WCAG AA)
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
  const over = (top, below) => [0, 1, 2].map(i => top[3] * top[i] + (1 - top[3]) * below[i]);
  const ground = e => {
    if (!e) return [255, 255, 255];
    const c = parse(getComputedStyle(e).backgroundColor);
    return (c[3] ?? 1) === 1 ? c : over(c, ground(e.parentElement));
  };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const hidden = e.closest('svg') || e.matches('.skip, .nil') || !e.getClientRects().length;
    if (!own || hidden) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push([e.tagName, e.textContent.slice(0, 30), ratio.toFixed(2)].join(' '));
  }
  return poor;
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pages = {
        "usual": made(PETS, answers=answers_of(PETS, each=300)),
        "hostile": made(HOSTILE, answers=answers_of(HOSTILE, strength=1.0), doubts=HOSTILE),
        "many": made(MANY, answers=answers_of(MANY, each=30)),
    }
    for kind, text in pages.items():
        (folder / f"{kind}.html").write_text(text, encoding="utf-8")
    return folder


def visit(browser, path, width, scheme="light"):
    """(page, addresses asked for, complaints of the console)."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.goto(path.as_uri())
    return page, asked, said


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("kind", ["usual", "hostile", "many"])
def test_nothing_is_cut_off_fetched_or_run(browser, files, kind, width):
    page, asked, said = visit(browser, files / f"{kind}.html", width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [a for a in asked if not a.startswith(("file:", "data:"))] == []
    assert said == []
    assert page.locator("script").count() == 0
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["usual", "many"])
def test_every_text_can_be_read(browser, files, kind, scheme):
    page, _, _ = visit(browser, files / f"{kind}.html", 1280, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(CONTRAST) == []
    page.close()


def test_every_picture_is_drawn(browser, files):
    page, _, _ = visit(browser, files / "usual.html", 1280)
    sizes = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.clientWidth])")
    assert len(sizes) >= 10
    assert all(real == 32 and seen > 60 for real, seen in sizes)
    page.close()


def test_the_keyboard_reaches_content_and_tables(browser, files):
    page, _, _ = visit(browser, files / "usual.html", 1280)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.close()


def test_prints_with_every_table_open(browser, files):
    page, _, _ = visit(browser, files / "usual.html", 1280)
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert len(page.pdf()) > 20_000
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_of_places_is_seen(browser, tmp_path, scheme):
    """A rule for tables once made its fields 0 wide: "width: auto" is none for what SVG draws."""
    shares = [((down, across), 0.5 + down / 20) for down in (-7, 0, 7) for across in (-7, 0, 7)]
    style = STYLE.read_text(encoding="utf-8")
    (tmp_path / "map.html").write_text(f"<style>{style}</style>{heat('places', shares)}")
    page, _, _ = visit(browser, tmp_path / "map.html", 800, scheme)
    fields = page.locator("rect.place")
    assert fields.count() == 9
    boxes = [fields.nth(i).bounding_box() for i in range(9)]
    assert all(box["width"] > 60 and box["height"] > 30 for box in boxes)
    color = page.evaluate("getComputedStyle(document.body).color")
    assert page.evaluate("getComputedStyle(document.querySelector('rect+text')).fill") == color
    page.close()
