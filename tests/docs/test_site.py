"""The built documentation opens from disk: without requests, with a search that finds. Needs `make docs` before."""

import shutil
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "site"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def page():
    if not (SITE / "index.html").is_file():
        pytest.skip("no site: make docs")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1440, "height": 1000})
        browser.close()


def test_the_site_opens_from_disk_and_searches(page):
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((SITE / "index.html").as_uri())
    page.click(".md-search__input")
    page.keyboard.type("affinity propagation")
    page.wait_for_selector(".md-search-result__item", timeout=30_000)
    assert "clustering.clusters" in page.inner_text(".md-search-result__list")
    assert not errors
    assert [url for url in requests if not url.startswith("file:")] == []


def test_pages_of_the_reference_are_linked(page):
    page.goto((SITE / "reference" / "clustering" / "clusters.html").as_uri())
    assert page.locator("a.autorefs-internal").count() > 10
    assert page.locator("h1").inner_text().strip().startswith("clustering.clusters")
