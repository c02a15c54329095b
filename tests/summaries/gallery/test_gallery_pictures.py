"""Pictures that show the same are kept, and what is there is what a gallery drawn from nothing would be."""

import shutil

import pytest

from visual_summaries.summaries.files import read_json, write_csv, write_json, write_png
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.names import write_names
from visual_summaries.summaries.pages import drawing
from visual_summaries.summaries.pages.gallery import write_gallery
from visual_summaries.summaries.store import Run

DRAWING = ("photograph", "heat_picture", "crisp_picture", "member_picture")


def files(run):
    """All that a gallery is, by path."""
    paths = [*(run.path / "gallery").rglob("*.*"), *run.path.glob("summary-*.png")]
    return {str(path.relative_to(run.path)): path.read_bytes() for path in paths}


@pytest.fixture
def drawn(monkeypatch):
    """Names of the functions that drew pictures; those that call each other count once."""
    calls, inside = [], []

    def counting(name, draw):
        def counted(*args):
            if not inside:
                calls.append(name)
            inside.append(name)
            try:
                return draw(*args)
            finally:
                inside.pop()

        return counted

    for name in DRAWING:
        monkeypatch.setattr(drawing, name, counting(name, getattr(drawing, name)))
    return calls


@pytest.fixture
def check(drawn):
    """Makes the gallery again, and gives what was drawn, after a look that all files are as drawn from nothing."""

    def again(path):
        drawn.clear()
        with claimed(path, "run"):
            write_gallery(Run(path))
        did, found = list(drawn), files(Run(path))
        with claimed(path, "run"):
            write_gallery(Run(path), fresh=True)
        assert found == files(Run(path))
        return did

    return again


@pytest.fixture
def run(make_run):
    """A run whose gallery is there."""
    made = make_run()
    with claimed(made.path, "run"):
        write_gallery(made)
    return Run(made.path)


def test_nothing_is_drawn_twice(run, check):
    assert check(run.path) == []


@pytest.mark.parametrize(
    ("number", "name"), [(0, "spire"), (0, "ÅÉĝjpq|"), (2, "a name so long that it is cut " * 9), (1, "")]
)
def test_a_name_is_written_and_nothing_drawn(run, check, number, name):
    before, names = files(run), {one: text for one, text in {**run.names, number: name}.items() if text}
    assert names != run.names
    with claimed(run.path, "run"):
        write_names(run.path, names, run.summaries)
    assert check(run.path) == []
    changed = {path for path, data in files(run).items() if data != before[path]}
    assert changed == {"gallery/index.html", f"summary-0{number}.png"}


def test_what_shows_something_else_is_drawn(run, check):
    frame = run.frame("image-03")
    write_png(run.path / "frames" / "image-03.png", frame[::-1].copy())
    did = check(run.path)
    assert did.count("photograph") == did.count("heat_picture") == did.count("crisp_picture") == 1
    shown = [member.image for one in run.summaries for member in one.members].count("image-03")
    sheets = [[member.image for member in one.members[:10]] for one in run.summaries if one.kept]
    assert did.count("member_picture") == shown + sum(len(images) for images in sheets if "image-03" in images)


def test_a_moved_box_is_drawn_alone(run, check):
    data = read_json(run.path / "summaries.json", list)
    data[3]["members"][1]["box"][0] += 5  # of a cluster that was pruned, and has no sheet
    write_json(run.path / "summaries.json", data)
    assert check(run.path) == ["member_picture"]


def test_pictures_that_are_gone_or_damaged_are_drawn(run, check):
    gone = sorted((run.path / "gallery" / "pictures").glob("image-04-*-smooth.jpg"))
    assert len(gone) == 1
    gone[0].unlink()
    assert check(run.path) == ["heat_picture"]
    (run.path / "summary-01.png").write_bytes(b"no picture")
    with claimed(run.path, "run"):
        write_names(run.path, {1: "door"}, run.summaries)
    assert check(run.path) == ["member_picture"] * 3


@pytest.mark.parametrize("text", ["", '{"keys": 3}', '{"keys": {"gallery/index.html": "0"}, "titles": {}}'])
def test_a_record_that_is_gone_or_damaged_only_costs_time(run, check, text):
    (run.path / "work" / "gallery.json").write_text(text)
    assert check(run.path).count("photograph") == len(run.ids)
    shutil.rmtree(run.path / "work")
    assert check(run.path).count("photograph") == len(run.ids)
    assert check(run.path) == []


@pytest.mark.parametrize("place", [0, 5, 45])
def test_after_a_kill_none_is_kept_that_shows_something_else(run, check, monkeypatch, place):
    """A killed gallery has drawn some new pictures; then the old options come back."""
    before = {image: run.frame(image) for image in run.ids}
    for image in run.ids:
        write_png(run.path / "frames" / f"{image}.png", before[image][:, ::-1].copy())
    with claimed(run.path, "run"):
        write_names(run.path, {0: "another"}, run.summaries)
    written = []

    def killed(path, data):
        written.append(path)
        if len(written) > place:
            raise KeyboardInterrupt
        path.write_bytes(data)

    with monkeypatch.context() as patch:
        patch.setattr("visual_summaries.summaries.pages.gallery_pictures.write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            write_gallery(Run(run.path))
    for image in run.ids:
        write_png(run.path / "frames" / f"{image}.png", before[image])
    with claimed(run.path, "run"):
        write_names(run.path, run.names, run.summaries)
    check(run.path)


def test_an_image_that_lost_its_masks(run, check):
    rows = [run.masks[image] for image in run.ids if image != "image-02"]
    write_csv(run.path / "masks.csv", type(rows[0]), rows)
    check(run.path)
    assert not list((run.path / "gallery" / "pictures").glob("image-02-*"))


def test_no_summary_any_more(run, check):
    write_json(run.path / "summaries.json", [])
    assert check(run.path) == []
    assert not list(run.path.glob("summary-*.png"))
