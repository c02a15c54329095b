"""The leakage guard: the same file, a copy compressed anew or resized, and different pictures of one kind."""

import io

import numpy as np
import pytest
from PIL import Image

from visual_summaries.masks import world
from visual_summaries.masks.errors import UserError
from visual_summaries.specialize.leakage import NEAR, ImageHashes, check_no_duplicates, duplicates, phash


def picture(seed: int, kind: str = "church") -> Image.Image:
    return Image.fromarray(world.draw(kind, seed).image)


def recoded(image: Image.Image, side: int = 128, quality: int = 60) -> Image.Image:
    buffer = io.BytesIO()
    image.resize((side, side), Image.Resampling.BICUBIC).save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer)


def prints(images: dict[str, Image.Image], sha: str = "") -> ImageHashes:
    return ImageHashes(
        list(images), [f"{sha}{name}" for name in images], np.array([phash(one) for one in images.values()])
    )


def test_copies_are_near_and_other_pictures_are_far():
    pictures = [picture(seed) for seed in range(30)]
    marks = np.array([phash(one) for one in pictures])
    for mark, one in zip(marks, pictures, strict=True):
        for copy in (recoded(one), recoded(one, 90), recoded(one, 300, 85)):
            assert (phash(copy) != mark).sum() <= NEAR
    away = (marks[:, None] != marks[None]).sum(2)
    assert away[~np.eye(30, dtype=bool)].min() > NEAR


def test_different_pictures_in_the_same_light_are_far():
    """A strong gradient, as of one studio's light, orders neighbouring grey values alike whatever stands in it."""
    light = np.add.outer(np.linspace(20, 110, 96), np.linspace(0, 90, 96))

    def in_the_light(seed: int) -> Image.Image:
        blobs = np.random.default_rng(seed).uniform(-9, 9, (8, 8)).astype(np.float32)
        things = np.asarray(Image.fromarray(blobs).resize((96, 96), Image.Resampling.BICUBIC))
        return Image.fromarray(np.clip(light + things, 0, 255).astype(np.uint8)).convert("RGB")

    marks = np.array([phash(in_the_light(seed)) for seed in range(12)])
    away = (marks[:, None] != marks[None]).sum(2)
    assert away[~np.eye(12, dtype=bool)].min() > NEAR
    assert (phash(recoded(in_the_light(0), 90)) != marks[0]).sum() <= NEAR


def test_the_same_file_and_a_copy_are_found():
    ours = {f"t{seed}": picture(seed) for seed in range(5)}
    theirs = {"t3": picture(99), "copy": recoded(ours["t1"], 100), "new": picture(77)}
    assert duplicates(prints(ours), prints(theirs)) == [(3, 0), (1, 1)]
    assert duplicates(prints({}), prints(theirs)) == []


def test_the_error_names_both_files_and_what_to_do():
    ours, theirs = prints({"train/a.jpg": picture(1)}), prints({"val/b.jpg": recoded(picture(1))}, sha="other ")
    with pytest.raises(
        UserError, match=r"^1 image of the evaluation is used in training: val/b.jpg is train/a.jpg: move it$"
    ):
        check_no_duplicates(ours, theirs, "used in training", "move it")
    check_no_duplicates(ours, prints({"val/c.jpg": picture(2)}), "used in training", "move it")


def test_many_pairs_are_counted():
    ours = {f"t{seed}": picture(seed) for seed in range(8)}
    with pytest.raises(UserError, match=r"8 images of the evaluation are used in training.*; and 3 more"):
        check_no_duplicates(prints(ours), prints(ours), "used in training", "move them")
