"""Damaged images of every format that is read: each gives a picture or a reason, and nothing else happens.

Run by hand with another seed and more inputs: ``python tests/fuzz/test_fuzz_images.py SEED COUNT``.
"""

from __future__ import annotations

import collections
import io
import json
import random
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

from visual_summaries.masks.errors import UnusableImageError
from visual_summaries.masks.inputs.reading import MIN_SIDE, decode, readable

ROOT = Path(__file__).parents[2]
SEED, COUNT = 0, 2400
SECONDS = 20
"""For one input, on a machine that is busy; ordinary ones take milliseconds."""

MIB = 2500
"""Of memory in all: the reader's own limit is 2 GiB for the pixels of one picture."""

SIZE = (56, 44)
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "pty.spawn")


def seeds() -> dict[str, bytes]:
    """Small files of every format with what photographs carry: EXIF, profiles, palettes, alpha, 16 bits, frames."""
    rng = np.random.default_rng(7)
    colours = rng.integers(0, 256, (11, 14, 3), dtype=np.uint8)
    rgb = Image.fromarray(colours).resize(SIZE, Image.Resampling.BICUBIC)
    rgba = rgb.copy()
    rgba.putalpha(rgb.convert("L"))
    wide = np.asarray(rgb).astype(np.uint16) * 16
    grey = Image.fromarray(wide[..., 0])
    exif = Image.Exif()
    exif[0x010F], exif[274], exif[282], exif[305] = "maker", 6, 72.0, "program"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="8"/>'
    carried = {
        "exif": exif.tobytes(),
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }
    made: dict[str, bytes] = {}

    def save(name: str, image: Image.Image, kind: str, *, frames: bool = False, **options: object) -> None:
        buffer = io.BytesIO()
        if frames:
            options |= {"save_all": True, "append_images": [image.rotate(180), image.rotate(90)]}
        image.copy().save(buffer, format=kind, **options)
        made[name] = buffer.getvalue()

    for mode in ("RGB", "L", "CMYK"):
        save(f"jpeg {mode}", rgb.convert(mode), "JPEG", quality=80)
        save(f"jpeg {mode} progressive", rgb.convert(mode), "JPEG", progressive=True, **carried)
    save("jpeg xmp", rgb, "JPEG", xmp=packet, subsampling=0, restart_marker_blocks=2)
    save("mpo", rgb, "MPO", frames=True)
    for mode in ("1", "L", "LA", "P", "RGB"):
        save(f"png {mode}", rgb.convert(mode), "PNG")
    save("png RGBA", rgba, "PNG", **carried)
    save("png transparent palette", rgb.convert("P"), "PNG", transparency=3)
    save("png I;16", grey, "PNG", exif=carried["exif"])
    save("apng", rgba, "PNG", frames=True)
    for suffix in ("png", "tiff"):
        made[f"{suffix} 16-bit colours"] = cv2.imencode(f".{suffix}", wide)[1].tobytes()
    save("webp", rgb, "WEBP", **carried)
    save("webp lossless", rgba, "WEBP", lossless=True, exif=carried["exif"])
    save("webp animated", rgb, "WEBP", frames=True)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        save(f"tiff {compression}", rgb, "TIFF", compression=compression, tiffinfo={274: 6, 305: "program"})
    save("tiff fax", rgb.convert("1"), "TIFF", compression="group4")
    save("tiff CMYK", rgb.convert("CMYK"), "TIFF", icc_profile=carried["icc_profile"])
    save("tiff I;16", grey, "TIFF", tiffinfo={274: 8})
    save("tiff P", rgb.convert("P"), "TIFF")
    save("tiff float", rgb.convert("F"), "TIFF")
    save("tiff pages", rgba, "TIFF", frames=True)
    for mode in ("1", "L", "P", "RGB"):
        save(f"bmp {mode}", rgb.convert(mode), "BMP")
    save("bmp RGBA", rgba, "BMP")
    save("gif", rgb.convert("P"), "GIF", transparency=2)
    save("gif animated", rgb, "GIF", frames=True)
    for mode in ("1", "L", "RGB"):
        save(f"ppm {mode}", rgb.convert(mode), "PPM")
    made["ppm 16-bit"] = b"P5 %d %d 65535\n" % SIZE + wide[..., 0].astype(">u2").tobytes()
    made["ppm 12-bit"] = b"P6 %d %d 4095\n" % SIZE + wide.astype(">u2").tobytes()
    made["ppm text"] = b"P3 %d %d 255\n" % SIZE + " ".join(map(str, np.asarray(rgb).ravel())).encode()
    for mode in ("L", "LA", "RGB"):
        save(f"jpeg2000 {mode}", rgb.convert(mode), "JPEG2000")
    save("jpeg2000 I;16", grey, "JPEG2000")
    save("jpeg2000 lossy", rgb, "JPEG2000", irreversible=True, tile_size=(32, 32), no_jp2=True)
    if "AVIF" in readable():
        save("avif", rgb, "AVIF", **carried)
        save("avif RGBA", rgba, "AVIF", exif=carried["exif"])
        save("avif animated", rgb, "AVIF", frames=True)
    return made


def flip(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    for _bit in range(rng.choice((1, 1, 2, 4, 16))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    del data[rng.randrange(1, len(data)) :]


def splice(data: bytearray, rng: random.Random, others: list[bytes]) -> None:
    other = rng.choice(others)
    start, length = rng.randrange(len(other)), rng.choice((1, 4, 16, 64, 256))
    place = rng.randrange(len(data))
    data[place : place + rng.choice((0, length))] = other[start : start + length]


def edit_head(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    """Numbers of the header become extreme: sizes, counts and offsets."""
    for _number in range(rng.choice((1, 2))):
        form = rng.choice(("<H", ">H", "<I", ">I"))
        most = 256 ** struct.calcsize(form) - 1
        value = rng.choice((0, 1, 33, 255, 4096, 16384, 65535, 100_000, most // 2, most // 2 + 1, most))
        place = rng.randrange(max(1, min(len(data) - 4, 160)))
        data[place : place + struct.calcsize(form)] = struct.pack(form, min(value, most))


def repeat(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    start, length = rng.randrange(len(data)), rng.choice((8, 64, 512))
    data[start:start] = data[start : start + length] * rng.choice((1, 2, 50))


MUTATIONS: tuple[Callable[[bytearray, random.Random, list[bytes]], None], ...] = (
    *(flip, flip, flip, cut, splice, splice, edit_head, edit_head, repeat),
)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose checksums fit its damaged chunks, so that damage reaches what reads them."""
    found, place = bytearray(data[:8]), 8
    while place + 12 <= len(data):
        length = struct.unpack_from(">I", data, place)[0]
        chunk = data[place + 4 : place + 8 + length]
        found += data[place : place + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        place += 12 + length
    return bytes(found)


def fuzz(seed: int, count: int) -> dict[str, object]:
    """Decodes damaged files and gives what was not as it should be."""
    rng = random.Random(seed)
    files = seeds()
    originals = list(files.values())
    wrong: list[str] = []
    outcomes: collections.Counter[str] = collections.Counter()
    watching = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and (event in STARTS or (event == "open" and str(arguments[1]).strip("rb") not in ("", "None"))):
            wrong.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(watch)
    longest = 0.0
    for number in range(count):
        name, original = rng.choice(list(files.items()))
        data = bytearray(original)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            if len(data) > 1:
                rng.choice(MUTATIONS)(data, rng, originals)
        damaged = with_checksums(data) if name.startswith(("png", "apng")) and rng.random() < 0.7 else bytes(data)
        start = time.monotonic()
        watching = True
        try:
            pixels, size, _note = decode(damaged)
            outcomes["picture"] += 1
            if pixels.mode != "RGB" or min(size) < MIN_SIDE or pixels.tobytes() == b"":
                wrong.append(f"{number} {name}: {pixels.mode} {pixels.size} {size}")
        except UnusableImageError as error:
            outcomes["reason"] += 1
            if not str(error).isprintable() or not str(error):
                wrong.append(f"{number} {name}: reason {str(error)!r}")
        except BaseException as error:
            wrong.append(f"{number} {name}: {type(error).__name__}: {error}"[:300])
        watching = False
        seconds = time.monotonic() - start
        longest = max(longest, seconds)
        if seconds > SECONDS:
            wrong.append(f"{number} {name}: {seconds:.0f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"wrong": wrong, "outcomes": outcomes, "longest": longest, "peak": peak, "seeds": len(files)}


def test_undamaged_files_are_pictures() -> None:
    for name, data in seeds().items():
        if name == "tiff float":
            continue
        pixels, size, _ = decode(data)
        assert sorted(size) == sorted(SIZE), name
        assert np.asarray(pixels).std() > 20, name


def test_damaged_files_give_a_picture_or_a_reason() -> None:
    # in a process of its own: a decoder that crashes fails the test, and its memory is its own
    command = [sys.executable, str(Path(__file__)), str(SEED), str(COUNT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert sum(found["outcomes"].values()) == COUNT
    assert min(found["outcomes"].values()) > COUNT // 10
    assert found["peak"] < MIB


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(json.dumps(fuzz(int(sys.argv[1]), int(sys.argv[2]))))
