from __future__ import annotations

import hashlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from visual_summaries.summaries.files import write_csv
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.pages.gallery import write_gallery, write_index
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.summary import Summary


class _Page(HTMLParser):
    """Links, sources, anchors, tags and the visible text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.tags: list[str] = []
        self.text = ""
        self.path = path
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "data-photo"):
                self.links.append(value or "")
            if name == "id":
                assert value not in self.anchors
                self.anchors.add(value or "")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] not in ("style", "script"):
            self.text += data

    def check_links(self) -> None:
        """Every link is relative and leads to a file, or to an anchor of this page."""
        for link in self.links:
            if link == "data:,":
                continue
            if link.startswith("#"):
                assert link[1:] in self.anchors
            else:
                assert ":" not in link
                assert not link.startswith("/")
                assert (self.path.parent / unquote(link)).is_file(), link


def _digests(root: Path) -> dict[str, str]:
    files = [p for p in root.rglob("*") if p.is_file()]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_run_gives_the_same_bytes(make_run):
    first, second = make_run("one"), make_run("two")
    write_gallery(first)
    write_gallery(second)
    assert _digests(first.path) == _digests(second.path)
    assert len(_digests(first.path / "gallery")) == 1 + 3 * len(first.ids) + 14 + 3 + 1 + 2 + 1


def test_all_links_lead_to_files_beside_the_page(make_run):
    run = make_run()
    page = _Page(write_gallery(run))
    page.check_links()
    assert "http:" not in page.html
    assert "https:" not in page.html
    assert str(run.path.parent) not in page.html
    used = {Path(unquote(link)).name for link in page.links}
    assert {p.name for p in (run.path / "gallery" / "pictures").iterdir()} <= used
    assert {"../summary-00.png", "../summary-01.png", "../summary-02.png"} <= set(page.links)


def test_names_and_ids_are_text_not_markup(make_run):
    page = _Page(write_gallery(make_run()))
    for text in ('church <"building">', 'the <i>"spire"</i> & co', 'a "b" <c>&#%é', "<script>alert(1)<script>"):
        assert text in page.text
    assert "is no <image>" in page.text
    assert "<b>loose</b> cluster 3" in page.text
    assert page.tags.count("script") == 1
    assert "i" not in page.tags
    assert "c" not in page.tags


def test_the_page_shows_every_member_and_hides_those_past_ten(make_run):
    page = _Page(write_gallery(make_run()))
    assert "Show all 14" in page.text
    assert "Show all 3" not in page.text
    assert page.tags.count("details") == 3  # more members, a part that left, pruned clusters
    assert "−2.0%" in page.text  # a negative drop, with a true minus
    assert page.text.count("SSIM –") == 4  # the two clusters of one image and their members
    assert page.text.count("Exemplar") == 5


def test_stale_pictures_and_sheets_are_removed_and_nothing_else(make_run):
    run = make_run()
    with claimed(run.path, "run"):
        write_gallery(run)
    mine = [run.path / "summary-of-mine.png", run.path / "gallery" / "pictures" / "mine.jpg"]
    for path in mine:
        path.write_text("stays")
    run = make_run(clusters=((["image-00", "image-01"], True),), ids=["image-00", "image-01"], names={})
    with claimed(run.path, "run"):
        page = _Page(write_gallery(run))
    page.check_links()
    assert sorted(p.name for p in run.path.glob("summary-*")) == ["summary-00.png", "summary-of-mine.png"]
    assert len(list((run.path / "gallery" / "pictures").iterdir())) == 2 * 3 + 2 + 1


@pytest.mark.parametrize(
    ("clusters", "text"),
    [
        ((), "No cluster was found"),
        (((["image-01", "image-02"], False),), "<b>loose</b> cluster 0"),
    ],
)
def test_without_a_kept_summary_the_page_says_why(make_run, clusters, text):
    run = make_run(clusters=clusters, names={})
    page = _Page(write_gallery(run))
    page.check_links()
    assert "No summary was kept." in page.text
    assert text in page.text
    assert not list(run.path.glob("summary-*.png"))


def test_a_run_without_images_and_an_image_without_masks_still_make_a_page(make_run):
    empty = make_run("empty", clusters=(), ids=[], names={})
    page = _Page(write_gallery(empty))
    assert "No image has a mask" in page.text
    run = make_run("half", clusters=(), names={})
    write_csv(run.path / "masks.csv", type(run.masks["image-00"]), [run.masks["image-00"]])
    page = _Page(write_gallery(Run(run.path)))
    page.check_links()
    assert page.text.count("no masks yet") == len(run.ids) - 1


def test_a_kept_summary_without_members_is_shown_without_a_sheet(make_run):
    run = make_run(clusters=(), names={})
    run.__dict__["summaries"] = [Summary(7, "", 0, (), None, True, "")]
    page = _Page(write_gallery(run))
    page.check_links()
    assert "It has no members" in page.text


def test_progress_counts_images_and_sheets(make_run):
    told = []
    run = make_run()
    write_gallery(run, progress=lambda done, total: told.append((done, total)))
    total = len(run.ids) + 3
    assert told == [(k, total) for k in range(1, total + 1)]


def test_the_overview_links_to_every_gallery(make_run, tmp_path):
    runs = [make_run("class #1 & %"), make_run("none ünd ?", clusters=(), names={})]
    for run in runs:
        write_gallery(run)
    page = _Page(write_index(tmp_path, runs))
    page.check_links()
    assert "class%20%231%20%26%20%25/gallery/index.html" in page.links
    assert "No summary was kept." in page.text
    assert page.text.count('church <"building">') == 2
    before = _digests(tmp_path)
    write_index(tmp_path, runs)
    assert _digests(tmp_path) == before


def test_a_sheet_is_wide_enough_for_its_title_and_shows_ten_members(make_run):
    run = make_run()
    write_gallery(run)
    many, three, one = (Image.open(run.path / f"summary-{k:02d}.png").size for k in range(3))
    assert many[0] > three[0] == one[0] > 1000
    assert many[1] > three[1] == one[1]
