"""What is known of the parts of an object: masks, the embedded world, and keypoints moved into the frame."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from visual_summaries.clustering.metrics.stability import StabilityOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.summaries.evaluation.clusters import evaluate
from visual_summaries.summaries.evaluation.ground_truth import find_truth, read_keypoints, read_truth
from visual_summaries.summaries.files import write_json, write_npz
from visual_summaries.summaries.store import Run


def test_a_watermark_is_a_landmark_but_none_of_the_object(planted, tmp_path):
    case = planted()
    world = tmp_path / "world"
    (world / "truth").mkdir(parents=True)
    shutil.copytree(case.truth, world / "truth" / "boat")
    kind = {"name": "boat", "telling": ["flag"], "marked": True}
    write_json(world / "world.json", {"classes": [kind], "mark": {"part": "hull"}})
    truth = read_truth(case.run, world)
    assert truth.wanted == ["flag", "hull"]
    assert find_truth(case.run, world) == (world / "truth" / "boat", ["flag", "hull"])
    differ = 0
    for image, known in truth.landmarks.items():
        assert known.points.keys() == {"bow", "funnel", "flag", "hull"}
        with np.load(case.truth / f"{image}.npz") as pixels:
            rows, columns = np.nonzero(pixels["bow"] | pixels["funnel"] | pixels["flag"])
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert known.extent.tolist() == expected
        differ += read_truth(case.run, case.truth).landmarks[image].extent.tolist() != expected
    assert differ > 0
    found = evaluate(case.run, truth=truth, options=StabilityOptions(seeds=1, samples=4))
    assert found.rows[0].metrics.recall == 1


def test_truth_that_is_not_there(planted, tmp_path):
    case = planted()
    with pytest.raises(UserError, match="not a folder"):
        read_truth(case.run, tmp_path / "nowhere")
    (case.truth / "i3.npz").unlink()
    with pytest.raises(UserError, match=r"i3\.npz is missing"):
        read_truth(case.run, case.truth)


def test_truth_of_another_size_or_kind_is_refused(planted, tmp_path):
    case = planted()
    read_truth(case.run, case.truth)
    for odd in (np.zeros((96, 95), np.bool_), np.zeros((96, 96), np.float32), np.zeros(96, np.bool_)):
        shutil.copytree(case.truth, tmp_path / "odd", dirs_exist_ok=True)
        write_npz(tmp_path / "odd" / "i3.npz", bow=odd, hull=np.zeros((96, 96), np.bool_))
        with pytest.raises(UserError, match=r"i3\.npz is damaged: array"):
            read_truth(case.run, tmp_path / "odd")
    world = {"classes": [{"name": "boat", "telling": "ladder", "marked": True}], "mark": {"part": "x"}}
    write_json(case.truth / "world.json", world)
    with pytest.raises(UserError, match=r"world\.json is damaged"):
        find_truth(case.run, case.truth)


@pytest.mark.parametrize("resize", [40, None])
@pytest.mark.parametrize("size", [(90, 60), (60, 90)])
def test_keypoints_are_moved_into_the_frame(planted, tmp_path, resize, size):
    run = planted().run
    keypoints = np.array([[26.5, 30.5], [44.5, 24.5], [1.5, 1.5]])
    pixels = np.zeros((size[0], size[1], 3), np.uint8)
    for k, (x, y) in enumerate(keypoints):
        pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2, k] = 255
    folder = tmp_path / "pf" / "boat"
    folder.mkdir(parents=True)
    for image in run.ids:
        Image.fromarray(pixels).save(folder / f"{image}.png")
        savemat(folder / f"{image}.mat", {"pts_coord": keypoints.T})
    info = run.info | {"frame": {"size": [32, 32], "resize": resize, "interpolation": "bilinear"}}
    write_json(run.path / "run.json", info)
    height, width = size
    table_of = (run.path / "images.csv").read_text().replace(",96,96,", f",{width},{height},")
    (run.path / "images.csv").write_text(table_of)
    frame = Frame((32, 32), resize, "bilinear").cut(Image.fromarray(pixels))
    for given in (tmp_path / "pf", folder):
        truth = read_keypoints(Run(run.path), given)
        assert truth.wanted == ["keypoint 1", "keypoint 2", "keypoint 3"]
        points = truth.landmarks["i0"].points
        for k in range(3):
            weight = frame[..., k].astype(float)
            if resize is not None and k == 2:
                assert "keypoint 3" not in points  # cut off
                continue
            y, x = np.mgrid[:32, :32] + 0.5
            centre = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
            assert points[f"keypoint {k + 1}"] == pytest.approx(centre, abs=0.35)
        assert ((truth.landmarks["i0"].extent >= 0) & (truth.landmarks["i0"].extent <= 32)).all()
    Image.fromarray(pixels[:-1]).save(folder / "i2.png")
    with pytest.raises(UserError, match="does not contain i2"):
        read_keypoints(Run(run.path), folder)
    with pytest.raises(UserError, match="give the folder of PF-WILLOW"):
        read_keypoints(Run(run.path), tmp_path / "nowhere")
    Image.fromarray(pixels).save(folder / "i2.png")
    folder.rename(folder.with_name("ship"))
    with pytest.raises(UserError, match="has no class 'boat'"):
        read_keypoints(Run(run.path), tmp_path / "pf")
