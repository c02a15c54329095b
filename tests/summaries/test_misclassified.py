"""A folder whose images the network gives to other classes: told early, told at the end, and not the end of it."""

import logging

import pytest
from PIL import Image

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.cli import in_options
from visual_summaries.summaries.cli.terminal import told
from visual_summaries.summaries.stages.images import EARLY, PREDICT_BATCH, Selection, run_images


@pytest.fixture
def plain(tmp_path):
    """Makes a folder of plain images, which are all different; the network gives them to the class 1, `plain`."""

    def make(count):
        (tmp_path / "images").mkdir()
        for number in range(count):
            Image.new("RGB", (96, 96), (number, 120, 150)).save(tmp_path / "images" / f"a{number:03d}.png")
        return tmp_path / "images"

    return make


def run(path, images, classifier, ticks=None, **more):
    selection = Selection(**{"target": 0, "limit": None, "keep_misclassified": False} | more)
    with classifier:
        return run_images(path, images, classifier, selection, lambda done, total: ticks and ticks.append(done))


def test_it_is_told_after_the_first_fifty_and_at_the_end(plain, tmp_path, classifier, caplog):
    done = []

    class Note(logging.Handler):
        def emit(self, record):
            done.append(len(ticks))

    ticks, note = [0], Note()
    logging.getLogger("visual_summaries.summaries.stages.images").addHandler(note)
    try:
        with pytest.raises(UserError) as error:
            run(tmp_path / "run", plain(150), classifier, ticks)
    finally:
        logging.getLogger("visual_summaries.summaries.stages.images").removeHandler(note)
    (record,) = caplog.records
    for message in (record.getMessage(), str(error.value)):
        for word in ("plain (1)", "`target`", "predicted", "`keep_misclassified`"):
            assert word in message
    assert "\n" not in record.getMessage()
    assert EARLY <= done[0] <= EARLY + PREDICT_BATCH
    assert "of 150 images the network sees plain (1) 150 times" in str(error.value)


def test_images_that_come_later_are_used(plain, folder, tmp_path, classifier, caplog):
    images = plain(80)
    (images / "z.png").write_bytes((folder.photographs / "p0.png").read_bytes())
    assert run(tmp_path / "run", images, classifier) == {"ok": 1, "skipped": 80}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("more", [{"keep_misclassified": True}, {"target": None}, {"target": 1}])
def test_nothing_is_told_where_images_are_used(plain, tmp_path, classifier, caplog, more):
    assert run(tmp_path / "run", plain(60), classifier, **more)["ok"] == 60
    assert caplog.records == []


def test_nothing_is_told_of_few(plain, tmp_path, classifier, caplog):
    with pytest.raises(UserError, match="plain \\(1\\) 20 times"):
        run(tmp_path / "run", plain(20), classifier)
    assert caplog.records == []


def test_the_command_line_names_the_option(capsys):
    with told(in_options):
        logging.getLogger("visual_summaries.a").warning("keep them with `%s`", "keep_misclassified")
    assert capsys.readouterr().err == "keep them with --keep-misclassified\n"
