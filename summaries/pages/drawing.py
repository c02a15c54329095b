"""Drawing of masks and summaries: arrays in, uint8 pictures out.

A member of a summary is drawn as in the paper's figures: the image is grey outside the salient regions, the regions
have a cyan outline, and the convex hull of the part (the salient pixels in its box) has a red outline. Small frames are
enlarged first. Lines and edges are drawn at twice the resolution and averaged (anti-aliasing). Sheets are in
`summaries.pages.sheet`.
"""

from __future__ import annotations

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from visual_summaries.summaries.summary import Box

Picture = npt.NDArray[np.uint8]
Polygon = npt.NDArray[np.int32]

CYAN = (0, 190, 218)
RED = (226, 35, 46)
SIDE = 448
"""Long side to which frames are enlarged, in pixels; larger frames are not changed."""
FINE = 2
"""Supersampling factor, along each side, for lines and edges."""


def drawing_scale(frame: Picture) -> float:
    """The factor that enlarges the long side of a frame (H, W, 3) to :data:`SIDE`; at least 1.

    Examples:
        >>> drawing_scale(np.zeros((112, 224, 3), np.uint8)), drawing_scale(np.zeros((900, 900, 3), np.uint8))
        (2.0, 1.0)
    """
    return max(1.0, SIDE / float(max(frame.shape[:2])))


def photograph(frame: Picture, scale: float | None = None) -> Picture:
    """The frame, enlarged.

    Args:
        frame: uint8 RGB (H, W, 3).
        scale: Factor of enlargement; None enlarges the long side to :data:`SIDE`.

    Returns:
        uint8 RGB (round(scale * H), round(scale * W), 3), like every picture of this module.
    """
    scale = drawing_scale(frame) if scale is None else scale
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    if (height, width) == frame.shape[:2]:
        return frame.copy()
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))


def member_picture(frame: Picture, mask: npt.NDArray[np.bool_], box: Box, scale: float | None = None) -> Picture:
    """A member of a summary: regions outlined in cyan, grey outside, the part's hull in red.

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: bool (H, W), true = salient.
        box: The part, xyxy in pixels of the frame, half open. If it has no salient pixel, the box itself is drawn.
        scale: As in :func:`photograph`.
    """
    large = photograph(frame, scale)
    fine = _fine_mask(mask, large)
    x, y = fine.shape[1] / mask.shape[1], fine.shape[0] / mask.shape[0]
    hull = _hull(fine, np.asarray(box) * (x, y, x, y))
    inside = cv2.fillPoly(np.zeros(fine.shape, np.uint8), [hull], 255)
    picture = _greyed(large, fine)
    picture = _paint(picture, np.where(fine, inside, 0).astype(np.uint8), RED, 0.14)
    picture = _outline(picture, _contours(fine), CYAN, 2.5)
    return _outline(picture, [hull], RED, 3.5)


def crisp_picture(frame: Picture, binary: npt.NDArray[np.bool_], scale: float | None = None) -> Picture:
    """A crisp mask: its regions outlined in cyan, grey outside.

    Args:
        frame: uint8 RGB (H, W, 3).
        binary: bool (H, W), true = salient.
        scale: As in :func:`photograph`.
    """
    large = photograph(frame, scale)
    fine = _fine_mask(binary, large)
    return _outline(_greyed(large, fine), _contours(fine), CYAN, 2.5)


def heat_picture(frame: Picture, smooth: npt.NDArray[np.floating], scale: float | None = None) -> Picture:
    """A smooth mask over the grey frame, in a perceptually uniform colour map; transparent where it is 0.

    Args:
        frame: uint8 RGB (H, W, 3).
        smooth: float (H, W) in [0, 1], 1 = salient.
        scale: As in :func:`photograph`.
    """
    large = photograph(frame, scale)
    size = (large.shape[1], large.shape[0])
    value = cv2.resize(np.nan_to_num(smooth).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    value = np.clip(value, 0, 1)[..., None]  # (H, W, 1)
    colour = matplotlib.colormaps["plasma"](1 - 0.9 * value[..., 0])[..., :3] * 255
    alpha = 0.72 * np.sqrt(value)
    return _rounded(_grey(large) * (1 - alpha) + colour * alpha)


def _rounded(values: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _grey(picture: Picture) -> npt.NDArray[np.float32]:
    """Desaturated and lightened, float32 (H, W, 3)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.repeat((150 + 0.4 * grey)[..., None], 3, axis=2)


def _fine_mask(mask: npt.NDArray[np.bool_], picture: Picture) -> npt.NDArray[np.bool_]:
    """The mask at the resolution of the fine canvas, with smoothed edges; bool (FINE * H, FINE * W)."""
    height, width = (FINE * side for side in picture.shape[:2])
    fine = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(fine, (0, 0), 0.8 * width / mask.shape[1])  # 0.8 pixels of the frame
    return np.asarray((blurred > 0.5) | (fine > 0.95))  # the second keeps regions one pixel wide


def _contours(fine: npt.NDArray[np.bool_]) -> list[Polygon]:
    found, _ = cv2.findContours(fine.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(cv2.approxPolyDP(contour, 0.8, True), np.int32) for contour in found]


def _hull(fine: npt.NDArray[np.bool_], box: npt.NDArray[np.floating]) -> Polygon:
    """Convex hull (K, 1, 2) of the salient pixels in a box, on the fine canvas; without any, the box's corners."""
    height, width = fine.shape
    x0, x1 = (int(x) for x in np.clip(np.rint(box[[0, 2]]), 0, width))
    y0, y1 = (int(y) for y in np.clip(np.rint(box[[1, 3]]), 0, height))
    points = cv2.findNonZero(fine[y0:y1, x0:x1].astype(np.uint8)) if x1 > x0 and y1 > y0 else None
    if points is None:
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        return np.asarray(corners, np.int32)[:, None]
    return np.asarray(cv2.convexHull(points + np.array((x0, y0), np.int32)), np.int32)


def _greyed(picture: Picture, fine: npt.NDArray[np.bool_]) -> Picture:
    """The picture, grey outside the mask."""
    inside = _averaged(fine.astype(np.uint8) * 255, picture)
    return _rounded(picture * inside + _grey(picture) * (1 - inside))


def _averaged(fine: npt.NDArray[np.uint8], picture: Picture) -> npt.NDArray[np.float32]:
    """A layer of the fine canvas averaged to the picture's pixels, float32 (H, W, 1) in [0, 1]."""
    size = (picture.shape[1], picture.shape[0])
    small = cv2.resize(fine, size, interpolation=cv2.INTER_AREA)[..., None]
    return np.asarray(small / np.float32(255), np.float32)


def _paint(picture: Picture, fine: npt.NDArray[np.uint8], colour: tuple[int, int, int], opacity: float) -> Picture:
    """Blends a colour over the picture; a layer of the fine canvas, 0 to 255, is the opacity."""
    alpha = opacity * _averaged(fine, picture)[..., 0]
    covered = alpha > 0  # only these pixels change
    alpha = alpha[covered][:, None]
    painted = picture.copy()
    painted[covered] = _rounded(picture[covered] * (1 - alpha) + np.array(colour, np.float32) * alpha)
    return painted


def _outline(picture: Picture, polygons: list[Polygon], colour: tuple[int, int, int], thickness: float) -> Picture:
    """Closed lines with a light rim, for contrast with dark photographs; thickness in pixels of the picture."""
    for line, opacity, extra in (((255, 255, 255), 0.55, 2.0), (colour, 1.0, 0.0)):
        canvas = np.zeros((FINE * picture.shape[0], FINE * picture.shape[1]), np.uint8)
        cv2.polylines(canvas, polygons, True, 255, round(FINE * (thickness + extra)), cv2.LINE_AA)
        picture = _paint(picture, canvas, line, opacity)
    return picture
