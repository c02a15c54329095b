import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from visual_summaries.summaries.pages.notebook import CROPS, SIDE, crop
from visual_summaries.summaries.store import Run

FRAME = np.arange(40 * 60 * 3, dtype=np.uint32).reshape(40, 60, 3).astype(np.uint8)


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


def test_a_notebook_shows_the_kept_summaries_and_nothing_from_elsewhere(make_run):
    run = make_run()
    page = Page(run._repr_html_())
    kept = [summary for summary in run.summaries if summary.kept]
    assert sum(tag == "tr" for tag, _ in page.elements) == len(kept) + 1
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert [one["alt"] for one in pictures] == [m.image for one in kept for m in one.members[:CROPS]]
    for one in pictures:
        data = base64.b64decode(one["src"].removeprefix("data:image/jpeg;base64,"))
        assert max(Image.open(io.BytesIO(data)).size) == SIDE
    assert not re.search(r"https?:|(src|href)=\"(?!data:)", run._repr_html_())


def test_what_comes_from_a_run_is_escaped(make_run):
    page = Page(make_run()._repr_html_())
    assert {tag for tag, _ in page.elements} <= {
        "div", "p", "code", "br", "table", "thead", "tbody", "tr", "th", "td", "img",
    }  # fmt: skip
    assert 'the <i>"spire"</i> & co' in "".join(page.words)


def test_a_run_without_clusters_says_so(make_run):
    run = make_run()
    (run.path / "summaries.json").unlink()
    page = Page(Run(run.path)._repr_html_())
    assert "summaries.json is not there" in "".join(page.words)
    assert "table" not in {tag for tag, _ in page.elements}


def test_a_run_prints_as_what_it_is(make_run):
    run = make_run()
    assert repr(run) == str(run) == f'<Run {run.path}: church <"building">, no images yet, no summaries kept yet>'
    run.info["stages"] = {
        "images": {"status": "done", "counts": {"ok": 14}},
        "clusters": {"status": "done", "counts": {"kept": 3}},
    }
    assert repr(run) == f'<Run {run.path}: church <"building">, 14 images, 3 summaries kept>'


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((0, 0, 60, 40), (48, 72)),
        ((10, 10, 30, 30), (72, 72)),
        ((-5, -5, 400, 400), (48, 72)),
        ((59.5, 39.5, 59.6, 39.6), (72, 72)),
        ((100, 100, 120, 120), (72, 72)),
        ((0, 0, 60, 0.1), (1, 72)),
    ],
)
def test_a_crop_has_its_long_side(box, shape):
    assert crop(FRAME, box).shape == (*shape, 3)


def test_a_crop_shows_its_box():
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[20:56, 30:66] = (255, 0, 0)
    assert (crop(frame, (30, 20, 66, 56)) == (255, 0, 0)).all()
