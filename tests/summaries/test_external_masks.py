"""Masks made elsewhere in the place of those of the stage."""

import numpy as np
import pytest
from PIL import Image

from visual_summaries.clustering.options import ProposalOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.pipeline import IMAGE_CHAIN, Job, run
from visual_summaries.summaries.pipeline.engine import names
from visual_summaries.summaries.store import Run

pytestmark = pytest.mark.usefixtures("small_pictures")


@pytest.fixture
def elsewhere(folder, tmp_path):
    """Masks of the first four images: as npz and png, of the size of the frame and of the photograph."""
    made = tmp_path / "elsewhere"
    made.mkdir()
    frame, photograph = np.zeros((96, 96), np.float32), np.zeros((144, 192), np.float32)
    frame[20:60, 30:70] = 1
    photograph[30:90, 24 + 45 : 24 + 105] = 1  # the same place: the frame is its middle, scaled by 2 / 3
    np.savez(made / "p0.npz", crisp=frame)
    Image.fromarray((frame * 255).astype(np.uint8)).save(made / "p1.png")
    np.savez(made / "p2.npz", frame[None])
    Image.fromarray((photograph * 255).astype(np.uint8)).save(made / "p3.png")
    return made


def test_masks_made_elsewhere_take_the_place_of_the_stage(folder, classifier, elsewhere, tmp_path, quick_settings):
    out = tmp_path / "run"
    job = Job(folder.photographs, out, limit=4, masks=elsewhere, settings=quick_settings)
    found = run(job, classifier, until="masks")
    expected = np.zeros((96, 96), bool)
    expected[20:60, 30:70] = True
    for image in ("p0", "p1", "p2", "p3"):
        mask = found.mask(image)
        assert np.array_equal(mask.binary, expected)
        assert np.array_equal(mask.crisp > 0.5, expected)
        assert found.masks[image].iterations == 0
    np.savez(elsewhere / "p0.npz", crisp=1 - expected.astype(np.float32))
    again = run(job, classifier, until="masks")
    assert np.array_equal(again.mask("p0").binary, ~expected)  # a changed mask is seen


def test_the_whole_chain_on_masks_made_elsewhere(folder, elsewhere, stages_done, tmp_path):
    did, _ = stages_done(folder.arguments("--masks", str(elsewhere), "--limit", "3", out=tmp_path / "run"))
    assert did == set(names(IMAGE_CHAIN))
    boxes = np.array([part.box for part in Run(tmp_path / "run").parts])
    assert len(boxes)
    margin = ProposalOptions().margin * 96 / 224
    low, high = (30 - margin, 20 - margin), (70 + margin, 60 + margin)
    inside = np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low)
    share = inside.clip(0).prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)
    assert share.min() >= 0.74  # a part lies on the mask or near it; whole pixels


def test_what_is_wrong_with_masks_made_elsewhere_is_said(
    folder, classifier, elsewhere, stages_done, tmp_path, quick_settings
):
    out = tmp_path / "run"
    _, messages = stages_done(folder.arguments("--masks", str(elsewhere), out=out), status=2)
    assert messages.splitlines()[-1].endswith("has neither p4.npz nor p4.png")
    _, messages = stages_done(folder.arguments("--masks", str(elsewhere / "no"), out=out), status=2)
    assert "is not a folder" in messages
    for mask, message in (
        (np.zeros((50, 60)), "is 50x60, the frame is 96x96 and the photograph 96x96"),
        (np.full((96, 96), 2.0), "no .H, W. array in .0, 1."),
        (np.full((96, 96), np.nan), "values that are not finite"),
    ):
        np.savez(elsewhere / "p4.npz", mask)
        job = Job(folder.photographs, out, masks=elsewhere, settings=quick_settings)
        with pytest.raises(UserError, match=message):
            run(job, classifier, until="masks")


def test_a_mask_of_sixteen_bits_keeps_its_values(folder, classifier, tmp_path, quick_settings):
    """Half of white is half, not all of it; what is no picture is told, and never said to be deleted."""
    values = np.zeros((96, 96), np.uint16)
    values[:, :48], values[:, 48:] = 65535, 20000
    for number in range(2):
        Image.fromarray(values).save(tmp_path / f"p{number}.png")
    job = Job(folder.photographs, tmp_path / "run", limit=2, masks=tmp_path, settings=quick_settings)
    mask = run(job, classifier, until="masks").mask("p0")
    assert mask.binary[:, :48].all()
    assert not mask.binary[:, 48:].any()
    assert mask.crisp[0, 95] == pytest.approx(20000 / 65535, abs=0.005)
    (tmp_path / "p1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"p1\.png cannot be used") as error:
        run(job, classifier, until="masks")
    assert "delete" not in str(error.value)
