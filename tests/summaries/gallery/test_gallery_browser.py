"""The pages in a real browser, opened from disk: nothing missing, nothing fetched, operable by keyboard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from visual_summaries.summaries.evaluation.cluster_page import write_page
from visual_summaries.summaries.evaluation.clusters import evaluate
from visual_summaries.summaries.evaluation.ground_truth import read_truth
from visual_summaries.summaries.files import write_json
from visual_summaries.summaries.pages.gallery import write_gallery, write_index
from visual_summaries.summaries.store import Run

playwright = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome on the PATH")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Opens a file and records what must not happen: messages of the console, and requests but for files."""
    contexts, trouble = [], []

    def open_page(path, width=1280):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("requestfailed", lambda request: trouble.append(request.url))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else trouble.append(r.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not trouble


def _scroll_through(page):
    """Opens what is folded, scrolls to every picture, and waits until all are there."""
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for image in page.locator("img").all():
        image.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)", timeout=10_000)


def test_every_picture_loads_and_nothing_else_is_asked_for(make_run, open_page):
    run = make_run()
    page = open_page(write_gallery(run))
    _scroll_through(page)
    assert (
        page.locator("img").count() == 3 * len(run.ids) + 14 + 3 + 1 + 2 + 1 + 7 + 3 + 1
    )  # and the crops of three rows
    assert page.title() == 'church <"building">: visual summaries'


def test_more_members_are_shown_on_request(make_run, open_page):
    page = open_page(write_gallery(make_run()))
    hidden = page.locator("#summary-0 .grid").nth(1).locator("img").last
    assert not hidden.is_visible()
    page.get_by_text("Show all 14").focus()
    page.keyboard.press("Enter")
    hidden.scroll_into_view_if_needed()
    assert hidden.is_visible()


def test_the_large_view_works_by_keyboard(make_run, open_page):
    page = open_page(write_gallery(make_run()))
    plate = page.locator("#summary-1 a.plate").first
    plate.focus()
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    assert viewer.is_visible()
    assert 'the <i>"spire"</i> & co · a "b" <c>&#%é' in viewer.locator("p").inner_text()
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('#viewer img')];"
        " return all.length === 2 && all.every(i => i.naturalWidth > 0); }"
    )
    first = viewer.locator("img").first.get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert "image-03" in viewer.locator("p").inner_text()
    assert viewer.locator("img").first.get_attribute("src") != first
    page.keyboard.press("ArrowLeft")
    assert viewer.locator("img").first.get_attribute("src") == first
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert plate.evaluate("e => e === document.activeElement")


def test_images_can_be_ordered_by_drop(make_run, open_page):
    page = open_page(write_gallery(make_run()))
    drops = [0.1 * (k * 7 % 10) for k in range(14)]
    page.evaluate(
        "drops => document.querySelectorAll('.photo').forEach((card, k) => card.dataset.drop = drops[k])", drops
    )
    page.locator("#order").select_option("falling")
    found = page.evaluate("[...document.querySelectorAll('.photo')].map(card => Number(card.dataset.drop))")
    assert found == sorted(drops, reverse=True)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways(make_run, open_page, tmp_path, width):
    run = make_run(names={0: "w" * 200, 1: "long name " * 40})
    for path in (write_gallery(run), write_index(tmp_path, [run])):
        page = open_page(path, width)
        _scroll_through(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_of_an_evaluation(planted, open_page, width):
    case = planted()
    found = evaluate(case.run, truth=read_truth(case.run, case.truth))
    about = {"truth": "masks of parts", "encoder": {"spec": None, "skipped": "no weights at hand"}}
    page = open_page(write_page(case.run, found, about, lambda done, total: None), width)
    _scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title() == "boat: evaluation of the summaries"
    assert page.locator("img").count() == 4 * 5
    purity = page.locator(".measure").filter(has=page.get_by_role("heading", name="Purity"))
    assert purity.locator("dd.first").last.inner_text() == "1.00"
    rail = purity.locator(".rail").first.bounding_box()["width"]
    drawn = [bar.bounding_box()["width"] / rail for bar in purity.locator(".bar-of").all()]
    assert drawn == pytest.approx([row.metrics.purity for row in found.rows], abs=0.02)
    assert page.get_by_role("heading", name="Cohesion").count() == 0
    assert "no weights at hand" in page.locator(".reading").inner_text()


def test_bars_and_crops_show_what_was_measured(make_run, open_page):
    run = make_run()
    summaries = json.loads((run.path / "summaries.json").read_text())
    for number, importance in ((0, 0.1), (1, 0.4)):
        scores = {"importance": importance, "low": importance - 0.05, "high": importance + 0.1, "control": 0.04}
        summaries[number]["scores"] |= scores
    write_json(run.path / "summaries.json", summaries)
    page = open_page(write_gallery(Run(run.path)))
    _scroll_through(page)
    rows = page.locator("#evidence .evidence")
    assert [row.locator(".name").inner_text() for row in rows.all()] == [
        'the <i>"spire"</i> & co',
        "Summary 0",
        "Summary 2",
    ]
    for row, importance in ((rows.nth(0), 0.4), (rows.nth(1), 0.1)):
        whole = row.locator(".scale").bounding_box()
        bar, tick = row.locator(".fill").bounding_box(), row.locator(".tick").bounding_box()
        assert bar["width"] / whole["width"] == pytest.approx(importance / 0.5, abs=0.01)
        assert (tick["x"] - whole["x"]) / whole["width"] == pytest.approx(0.04 / 0.5, abs=0.01)
    window = rows.nth(0).locator(".crop").first.bounding_box()
    photo = rows.nth(0).locator(".crop img").first.bounding_box()
    side = 1.2 * 34  # of the box (8, 10, 40.5, 44) with a margin, in a frame of 64 pixels
    assert photo["width"] / window["width"] == pytest.approx(64 / side, rel=0.01)
    assert (window["x"] - photo["x"]) / photo["width"] == pytest.approx((24.25 - side / 2) / 64, abs=0.01)
    assert (window["y"] - photo["y"]) / photo["height"] == pytest.approx((27 - side / 2) / 64, abs=0.01)
    rows.nth(0).locator(".crop").first.click()
    assert page.locator("#viewer").is_visible()
