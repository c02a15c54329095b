"""Any file becomes a photograph, or a reason."""

import io
import os
import struct
import subprocess
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFile, ImageOps

from visual_summaries.masks.errors import UnusableImageError
from visual_summaries.masks.inputs import reading, rgb
from visual_summaries.masks.inputs.reading import Photograph, file_sha256, is_image_name, read_bytes, read_image

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


class OddError(Exception):
    """Of a decoder's own."""


@pytest.mark.parametrize(
    "error",
    [
        zlib.error,
        struct.error,
        IndexError,
        KeyError,
        OverflowError,
        MemoryError,
        RuntimeError,
        RecursionError,
        OddError,
    ],
)
@pytest.mark.parametrize("where", ["open", "load"])
def test_whatever_a_decoder_raises_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], where: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("odd\nand\x1b[1m long")

    path = save(tmp_path / "a.png", Image.fromarray(PIXELS))
    monkeypatch.setattr(*((Image, "open", fail) if where == "open" else (ImageFile.ImageFile, "load", fail)))
    with pytest.raises(UnusableImageError, match="unreadable") as caught:
        read_image(path)
    assert str(caught.value).isprintable()


def test_a_file_that_cannot_be_opened_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "annexed")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in (("broken", "broken link"), ("loop", "broken link"), ("folder", "no plain file")):
        for read in (read_image, read_bytes, file_sha256):
            with pytest.raises(UnusableImageError, match=reason):
                read(tmp_path / f"{name}.jpg")
    path = save(tmp_path / "a.png", Image.fromarray(PIXELS))
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    with pytest.raises(UnusableImageError, match="too large a file"):
        read_image(path)
    monkeypatch.setattr(Path, "stat", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(UnusableImageError, match="unreadable: Permission denied"):
        read_image(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(UnusableImageError, match="no plain file"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.eps", "a.png"])
def test_postscript_under_any_name_reaches_no_other_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    started = []
    for function in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, function, lambda *_, **__: started.append(_))
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs")
    save(tmp_path / "made.eps", Image.fromarray(PIXELS)).rename(tmp_path / name)
    with pytest.raises(UnusableImageError, match=r"not an image"):
        read_image(tmp_path / name)
    assert started == []


def test_the_names_of_images_follow_the_formats_that_are_read() -> None:
    assert all(
        is_image_name(Path(f"a.{suffix}")) for suffix in ("jpg", "JPEG", "png", "webp", "tif", "bmp", "gif", "jp2")
    )
    assert not any(
        is_image_name(Path(f"a.{suffix}")) for suffix in ("eps", "ps", "pdf", "wmf", "icns", "h5", "txt", "fits")
    )


FORMATS = {
    "jpg": {"quality": 95},
    "png": {},
    "webp": {"lossless": True},
    "tif": {},
    "tiff": {"compression": "tiff_lzw"},
    "bmp": {},
    "ppm": {},
    "jp2": {},
    "gif": {},
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read_as_pillow_reads_it(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(PIXELS), **FORMATS[suffix])
    expected = np.asarray(Image.open(path).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(read_image(path).pixels), expected)


SENSELESS = {
    "a number where text is written": (305, 11, 1, 0),
    "text where a ratio is written": (282, 2, 1, 0x64),
    "a value far outside of the file": (0x010F, 2, 3_000_000_000, 4_000_000_000),
    "a type that there is not": (0x0110, 99, 1, 1),
    "a directory far outside of the file": (0x8769, 4, 1, 0xFFFFFFF0),
}
"""Entries of EXIF as found in photographs, each of which some reader stumbles over: tag, type, count, value."""


def damaged_exif(orientation: int, order: str, entry: tuple[int, int, int, int]) -> bytes:
    """EXIF whose directory holds an orientation beside a senseless entry."""
    entries = sorted(
        [
            (274, struct.pack(f"{order}HHIHH", 274, 3, 1, orientation, 0)),
            (entry[0], struct.pack(f"{order}HHII", *entry)),
        ]
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return b"Exif\0\0" + head + b"".join(data for _, data in entries) + b"\xff" * 9


@pytest.mark.parametrize("entry", SENSELESS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [1, 2, 5, 6, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_orientation_beside_damaged_exif(tmp_path: Path, suffix: str, orientation: int, order: str, entry: str) -> None:
    options = {"exif": damaged_exif(orientation, order, SENSELESS[entry])} | (
        {"lossless": True} if suffix == "webp" else {}
    )
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(PIXELS), **options)
    exif = Image.Exif()
    exif[274] = orientation
    whole = save(tmp_path / f"b.{suffix}", Image.fromarray(PIXELS), **options | {"exif": exif.tobytes()})
    expected = np.asarray(ImageOps.exif_transpose(Image.open(whole)))
    read = read_image(path)
    np.testing.assert_array_equal(np.asarray(read.pixels), expected)
    assert read.size == read.pixels.size == expected.shape[1::-1]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_tiff_beside_damaged_tags(tmp_path: Path, orientation: int, compression: str) -> None:
    path = save(
        tmp_path / "a.tif", Image.fromarray(PIXELS), compression=compression, tiffinfo={274: orientation, 0x8769: 8}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(Image.open(path))  # Pillow turns a TIFF itself
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<HHI", 0x8769, 4, 1))  # where its EXIF is; now before the file
    data[place : place + 12] = struct.pack("<HHIi", 0x8769, 9, 1, -5)
    path.write_bytes(data)
    read = read_image(path)
    np.testing.assert_array_equal(np.asarray(read.pixels), expected)
    assert read.size == expected.shape[1::-1]


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x01"]
)
def test_exif_without_a_readable_orientation_turns_nothing(tmp_path: Path, exif: bytes) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(PIXELS), exif=exif)
    np.testing.assert_array_equal(np.asarray(read_image(path).pixels), PIXELS)


def png(width: int, height: int, rows: bytes = b"", depth: int = 1, colour: int = 0) -> bytes:
    """A PNG with a header of that size, and whatever pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    written = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        written += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return written


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (32, 500_000, "too elongated: 32x500000, at most 100 to 1"),
        (16_385, 16_384, "too large: at most"),
        (300_000, 300_000, "too large: at most"),
        (31, 4000, "too small: 31x4000"),
    ],
)
def test_sizes_are_checked_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int, reason: str
) -> None:
    (tmp_path / "a.png").write_bytes(png(width, height))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnusableImageError, match=reason):
        read_image(tmp_path / "a.png")


def test_a_progressive_file_of_endless_scans_is_not_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(PIXELS), progressive=True)
    data = path.read_bytes()
    assert read_image(path).size == (64, 48)
    last = data.rindex(b"\xff\xda")
    path.write_bytes(data[:last] + data[last:-2] * (reading.MAX_SCANS + 1) + data[-2:])
    with pytest.raises(UnusableImageError, match="more than 1000 scans"):
        read_image(path)


@pytest.mark.parametrize("order", ["I;16", "I;16B", "I"])
def test_either_order_of_bytes_is_read(tmp_path: Path, order: str) -> None:
    values = RNG.integers(0, 4096, (40, 50), dtype=np.uint16)
    values[0, 0] = 4095
    dtype = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[order]
    image = Image.frombytes(order, (50, 40), values.astype(dtype).tobytes())
    read = read_image(save(tmp_path / "a.tif", image))
    np.testing.assert_array_equal(np.asarray(read.pixels)[..., 0], values >> 4)


def test_panoramas_and_photographs_of_200_megapixels_are_within_the_limits() -> None:
    for size in ((16_320, 12_240), (30_000, 1_500), (1_000, 20_000), (11_648, 8_736)):
        for name in ("JPEG", "PNG", "TIFF"):
            reading.check_size(size, name)
    for name in reading.HEAVY:
        reading.check_size((11_648, 8_736), name)


def test_pillows_own_limit_decides_nothing_and_stays_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(PIXELS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(path).size == (64, 48)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_very_large_photographs_are_reduced_and_keep_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    smooth = Image.fromarray(PIXELS[:8, :8]).resize((400, 300), Image.Resampling.BICUBIC)
    path = save(tmp_path / f"a.{suffix}", smooth, exif=exif)
    whole = read_image(path)
    monkeypatch.setattr(reading, "LARGE", 400 * 300 // 10)
    monkeypatch.setattr(rgb, "STRIP", 5000)
    read = read_image(path)
    assert read.size == whole.size == ((300, 400) if orientation == 6 else (400, 300))
    width, height = read.size
    assert read.pixels.size == (width // 4, height // 4)
    expected = np.asarray(whole.pixels.reduce(4)).astype(int)
    assert np.abs(np.asarray(read.pixels).astype(int) - expected).mean() < (2 if suffix in ("jpg", "webp") else 0.01)
    assert read_image(path, reduce=False).pixels == whole.pixels


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    image = Image.fromarray(np.tile(PIXELS, (5, 3, 1)))
    image = (
        Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    )
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.tile(PIXELS[..., 1], (5, 3))))
    whole = [rgb.to_rgb(image, factor=factor) for factor in (1, 2, 4)]
    monkeypatch.setattr(rgb, "STRIP", 1000)
    assert [rgb.to_rgb(image, factor=factor) for factor in (1, 2, 4)] == whole


def wide_png(path: Path, values: npt.NDArray[np.uint16]) -> Path:
    """A PNG with 16 bits a channel, written by another library."""
    assert cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)
    return path


@pytest.mark.parametrize("bits", range(6, 17))
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_values_of_fewer_bits_in_a_16_bit_file_are_scaled_by_their_range(
    tmp_path: Path, suffix: str, bits: int, channels: int
) -> None:
    shape = (40, 50, 3) if channels == 3 else (40, 50)
    values = RNG.integers(0, 2**bits, shape, dtype=np.uint16)
    values[3, 4] = 2**bits - 1
    read = read_image(wide_png(tmp_path / f"a.{suffix}", values))
    expected = values // 2 ** (max(bits, 8) - 8)
    expected = expected if channels == 3 else np.repeat(expected[..., None], 3, 2)
    np.testing.assert_array_equal(np.asarray(read.pixels), expected)
    assert read.note == ("" if bits == 16 else f"values of {max(bits, 8)} bits in a file of 16, scaled by their range")


def test_transparency_of_dark_16_bit_colours_is_kept(tmp_path: Path) -> None:
    values = np.full((40, 50, 4), 4095, np.uint16)
    values[..., 3] = 65535
    values[:20, :, 3] = 0
    values[30:, :, :3] = 1600
    assert cv2.imwrite(str(tmp_path / "a.png"), values)
    read = np.asarray(read_image(tmp_path / "a.png").pixels)
    assert (read[:30] == 255).all()
    assert (read[30:] == 100).all()


def test_copies_are_told_by_their_pixels(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS)
    one = read_image(save(tmp_path / "a.png", image))
    other = read_image(save(tmp_path / "b.bmp", image))
    assert one.sha256 != other.sha256
    assert one.hash_pixels() == other.hash_pixels()
    changed = image.copy()
    changed.putpixel((63, 47), (1, 2, 3))
    assert read_image(save(tmp_path / "c.png", changed)).hash_pixels() != one.hash_pixels()
    turned = Photograph(Image.frombytes("RGB", (48, 64), image.tobytes()), "", (48, 64))
    assert turned.hash_pixels() != one.hash_pixels()
