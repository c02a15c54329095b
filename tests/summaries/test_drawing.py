from __future__ import annotations

import numpy as np
import pytest

from visual_summaries.summaries.pages.drawing import (
    CYAN,
    RED,
    SIDE,
    crisp_picture,
    drawing_scale,
    heat_picture,
    member_picture,
    photograph,
)
from visual_summaries.summaries.pages.sheet import sheet

BOX = (20.0, 20.0, 60.0, 60.0)


@pytest.fixture
def frame():
    return np.full((96, 128, 3), (40, 160, 60), np.uint8)


@pytest.fixture
def mask():
    found = np.zeros((96, 128), bool)
    found[10:50, 10:50] = True
    return found


def _near(picture, colour):
    return np.abs(picture.astype(int) - colour).max(axis=2) < 12


def test_surroundings_lose_their_colour_and_regions_keep_it(frame, mask):
    picture = crisp_picture(frame, mask, 2.0)
    assert picture.shape == (192, 256, 3)
    assert picture.dtype == np.uint8
    assert (picture[40, 40] == frame[0, 0]).all()  # inside
    assert np.ptp(picture[150, 200]) == 0  # outside: grey
    assert picture[150, 200].mean() > frame[0, 0].mean()  # and lightened


def test_regions_are_outlined_in_cyan_and_the_part_in_red(frame, mask):
    scale = 2.0
    picture = member_picture(frame, mask, BOX, scale)
    assert _near(picture, CYAN).any(axis=1).sum() > 60
    ys, xs = np.nonzero(_near(picture, RED))  # the hull of box and mask: 20 to 50
    assert abs(xs.min() - 20 * scale) <= 3
    assert abs(xs.max() - 50 * scale) <= 3
    assert abs(ys.min() - 20 * scale) <= 3
    assert abs(ys.max() - 50 * scale) <= 3
    assert picture[70, 70, 0] > frame[0, 0, 0]  # tinted
    assert (picture[30, 30] == frame[0, 0]).all()  # salient, but not of the part


@pytest.mark.parametrize("box", [(60, 60, 90, 90), (-20, -30, 400, 500), (100, 80, 100, 80), (500, 500, 600, 600)])
def test_a_box_off_the_mask_or_off_the_frame_is_drawn_all_the_same(frame, mask, box):
    assert member_picture(frame, mask, box, 2.0).shape == (192, 256, 3)
    empty = member_picture(frame, np.zeros_like(mask), (60, 60, 90, 90), 2.0)
    assert _near(empty, RED).any()
    assert not _near(empty, CYAN).any()


def test_a_region_of_one_pixel_is_drawn(frame):
    one = np.zeros(frame.shape[:2], bool)
    one[40, 60] = True
    assert _near(crisp_picture(frame, one, 3.0), CYAN).any()


def test_heat_is_laid_where_the_mask_is(frame):
    smooth = np.zeros(frame.shape[:2], np.float32)
    smooth[:, 64:] = np.linspace(0, 1, 64)
    picture = heat_picture(frame, smooth, 1.0).astype(int)
    assert (np.ptp(picture[:, :60], axis=2) == 0).all()
    strength = np.ptp(picture[48, 66:], axis=1)
    assert strength[-1] > strength[0] > 0


def test_small_frames_are_enlarged_and_large_ones_stay(frame):
    assert photograph(frame).shape[1] == SIDE
    assert drawing_scale(np.zeros((2 * SIDE, 30, 3), np.uint8)) == 1
    assert photograph(np.zeros((2 * SIDE, 30, 3), np.uint8)).shape == (2 * SIDE, 30, 3)


@pytest.mark.parametrize("count", [1, 3, 5, 6, 10])
def test_sheets_of_every_size(frame, count):
    page = np.asarray(sheet("t" * 300, "s" * 400, [frame] * count, ["c" * 200] * count))
    assert page.dtype == np.uint8
    assert (page[:20] == 255).all()
    assert (page[:, -40:] == 255).all()  # nothing runs off the page


@pytest.mark.parametrize(("pictures", "captions"), [(0, 0), (11, 11), (2, 3)])
def test_a_sheet_refuses_what_does_not_fit(frame, pictures, captions):
    with pytest.raises(ValueError, match="1 to 10 pictures"):
        sheet("", "", [frame] * pictures, [""] * captions)
