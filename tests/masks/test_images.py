"""The frame of a photograph."""

import numpy as np
import pytest
import torchvision
from PIL import Image

from visual_summaries.masks.inputs import images
from visual_summaries.masks.inputs.images import Frame

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (257, 301), (224, 224), (100, 640)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_frame_is_torchvisions(size: tuple[int, int], interpolation: str) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    transforms = torchvision.transforms
    theirs = transforms.Compose(
        [transforms.Resize(128, transforms.InterpolationMode(interpolation)), transforms.CenterCrop(112)]
    )(image)
    ours = Frame((112, 112), 128, interpolation).cut(image)
    np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_boxes_go_back_to_the_photograph() -> None:
    # a photograph with a bright square, found in the frame and sent back
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[200:280, 300:360] = 255
    frame = Frame((112, 112), 128, "bilinear")
    bright = frame.cut(Image.fromarray(pixels))[..., 0] > 127
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    box = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float32)
    back = frame.to_photograph(box, (480, 640))[0]
    np.testing.assert_allclose(back, [300, 200, 360, 280], atol=480 / 128)


ASPECTS = [(64, 64), (64, 96), (96, 64), (32, 200), (200, 32), (33, 47)]


@pytest.mark.parametrize("size", ASPECTS)
def test_frames_of_any_aspect_are_filled_by_photographs_of_any_size(size: tuple[int, int]) -> None:
    height, width = size
    short = min(size)
    for resize in (short, short + 1, int(short / 0.875), 2 * short, (height, width), (height + 9, width + 3), None):
        frame = Frame(size, resize, "bilinear")
        for _ in range(60):
            photograph = Image.new("L", tuple(RNG.integers(1, 300, 2).tolist()), 255)
            np.testing.assert_array_equal(frame.cut(photograph), 255)  # padding would be black


@pytest.mark.parametrize("size", ASPECTS)
def test_boxes_of_any_frame_go_back_to_the_photograph(size: tuple[int, int]) -> None:
    short = min(size)
    for resize in (short, int(short / 0.875), (size[0] + 9, size[1] + 3), None):
        frame = Frame(size, resize, "bilinear")
        for width, height in [(640, 480), (48, 640), (37, 41), (300, 33), (20, 20), tuple(RNG.integers(20, 400, 2))]:
            # two ramps tell where a pixel of the frame comes from: in float, so that nothing is rounded
            down, right = np.mgrid[:height, :width].astype(np.float32) + 0.5
            y, x = (frame.cut(Image.fromarray(ramp)) for ramp in (down, right))
            top, left = size[0] // 3, size[1] // 3
            bottom, end = 2 * size[0] // 3, 2 * size[1] // 3
            back = frame.to_photograph(np.array([[left, top, end, bottom]], np.float32), (height, width))[0]
            middle = np.array([x[top:bottom, left:end].mean(), y[top:bottom, left:end].mean()])
            np.testing.assert_allclose((back[:2] + back[2:]) / 2, middle, atol=0.02 * max(height, width) / short)
            assert (back >= -1e-3).all()
            assert (back <= np.array([width, height, width, height]) + 1e-3).all()


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (100, 30)])
def test_a_frame_that_is_not_square_is_timms(size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("timm.data.transforms")
    keep = transforms.ResizeKeepRatio(size, interpolation="bilinear")
    crop = torchvision.transforms.CenterCrop(size)
    for width, height in [(300, 200), (200, 300), (192, 128), (64, 640)]:
        image = Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))
        frame = Frame(size, min(size), "bilinear")
        theirs = keep(image)
        if theirs.size == frame._resized(width, height):  # timm rounds where torchvision cuts
            np.testing.assert_array_equal(frame.cut(image), np.asarray(crop(theirs)))
        assert np.abs(np.subtract(theirs.size, frame._resized(width, height))).max() <= 1


def test_a_photograph_that_would_not_cover_the_frame_is_refused() -> None:
    for resize in (63, 0, -3, (64, 95)):
        with pytest.raises(ValueError, match="does not cover"):
            Frame((64, 96), resize, "bilinear")


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_the_frame_of_a_photograph_is_the_crop_of_its_resized_copy(interpolation: str) -> None:
    rng = np.random.default_rng(1)
    kind = images.INTERPOLATIONS[interpolation]
    for _ in range(60):
        width, height = (int(side) for side in rng.integers(40, 700, 2))
        if max(width, height) > 8 * min(width, height):
            continue
        photograph = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        shorter = int(rng.integers(96, 130))
        resized = (shorter, int(shorter * height / width))
        if width > height:
            resized = (int(shorter * width / height), shorter)
        expected = np.asarray(photograph.resize(resized, kind))
        top, left = round((resized[1] - 96) / 2), round((resized[0] - 96) / 2)
        found = Frame((96, 96), shorter, interpolation).cut(photograph)
        np.testing.assert_array_equal(found, expected[top : top + 96, left : left + 96])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(40, 2400), (2400, 40), (33, 1200)])
def test_an_elongated_photograph_is_cropped_before_it_is_resized(
    size: tuple[int, int], interpolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = np.random.default_rng(2).integers(0, 256, (max(1, size[1] // 30), max(1, size[0] // 30), 3), dtype=np.uint8)
    photograph = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    frame = Frame((96, 96), 110, interpolation)
    asked = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda self, size, *more, **named: asked.append(size) or resize(self, size, *more, **named),
    )
    found = frame.cut(photograph)
    assert asked == [(96, 96)]
    monkeypatch.setattr(images, "MUCH_LARGER", 1e9)
    in_full = frame.cut(photograph)
    assert np.abs(found.astype(int) - in_full).max() <= 2
    assert np.abs(found.astype(int) - in_full).mean() < 0.1


def test_the_frame_of_a_reduced_photograph_is_that_of_the_full_one() -> None:
    small = np.random.default_rng(3).integers(0, 256, (20, 29, 3), dtype=np.uint8)
    photograph = Image.fromarray(small).resize((800, 532), Image.Resampling.BICUBIC)
    frame = Frame((96, 96), 110, "bilinear")
    reduced = frame.cut(photograph.reduce(2), size=photograph.size)
    assert np.abs(reduced.astype(int) - frame.cut(photograph)).mean() < 1.5
