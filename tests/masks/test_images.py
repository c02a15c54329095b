"""Reading of any image, and the frame."""

import io
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from masks.errors import UserError
from masks.images import Frame, UnusableImageError, class_folders, list_images, read_all, read_image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_sixteen_bit_grey_keeps_its_upper_bits(tmp_path: Path) -> None:
    values = RNG.integers(0, 65536, (40, 50), dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        read = np.asarray(read_image(save(tmp_path / name, Image.fromarray(values))).pixels)
        np.testing.assert_array_equal(read, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, 2))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "CMYK", "YCbCr"])
def test_any_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(PIXELS)
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    path = save(tmp_path / f"a.{suffix}", image.convert(mode))
    assert read_image(path).pixels.mode == "RGB"
    assert read_image(path).pixels.size == (64, 48)


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[:20, :, 3] = 255
    read = np.asarray(read_image(save(tmp_path / "a.png", Image.fromarray(rgba))).pixels)
    assert (read[:20] == 0).all()
    assert (read[20:] == 255).all()


def test_transparent_palette_is_put_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    path = save(tmp_path / "a.png", image, transparency=0)
    assert (np.asarray(read_image(path).pixels) == 255).all()


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    path = save(tmp_path / "a.png", Image.fromarray(PIXELS), exif=exif)
    np.testing.assert_array_equal(np.asarray(read_image(path).pixels), np.rot90(PIXELS, -1))


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.jpg", b"", "empty file"),
        ("a.jpg", b"not an image at all", "unreadable"),
        ("a.jpg", jpeg()[: len(jpeg()) // 2], "truncated"),
        ("a.txt", b"words", "not an image file"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "unreadable"),
    ],
)
def test_unusable_files_tell_why(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnusableImageError, match=reason):
        read_image(tmp_path / name)


def test_tiny_and_floating_point_images_tell_why(tmp_path: Path) -> None:
    save(tmp_path / "a.png", Image.fromarray(PIXELS[:20]))
    with pytest.raises(UnusableImageError, match="too small: 64x20"):
        read_image(tmp_path / "a.png")
    save(tmp_path / "a.tif", Image.fromarray(np.ones((40, 40), np.float32)))
    with pytest.raises(UnusableImageError, match="floating-point"):
        read_image(tmp_path / "a.tif")


def test_listing_is_sorted_with_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "a.png", "A.gif", ".hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    files = list_images(tmp_path)
    assert [file.path.name for file in files] == ["A.gif", "a.jpg", "a.png", "b.png"]
    assert len({file.id.casefold() for file in files}) == 4
    assert files[-1].id == "b"
    assert all(isinstance(result, UnusableImageError) for _, result in read_all(files))


def test_no_folder_and_empty_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        list_images(tmp_path / "missing")
    with pytest.raises(UserError, match="is empty"):
        list_images(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        class_folders(tmp_path / "file")


def test_a_folder_without_images_is_a_root(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "readme.txt").write_text("x")
    assert [folder.name for folder in class_folders(tmp_path)] == ["a", "b"]
    (tmp_path / "c.jpg").write_bytes(b"x")
    assert class_folders(tmp_path) == []


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
