"""Runs whose masks are the relevance of another attribution, cut at an area."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from visual_summaries.masks.attribution.cut import cut, normalised
from visual_summaries.masks.attribution.options import AttributionOptions, RiseOptions
from visual_summaries.masks.attribution.registry import ATTRIBUTIONS
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.perturbation.binarize import binarize
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.evaluation.mask_batches import check_alike, optimised_against
from visual_summaries.summaries.pipeline import IMAGE_CHAIN, Job, recorded_settings, run
from visual_summaries.summaries.pipeline.engine import names
from visual_summaries.summaries.settings import Settings, override
from visual_summaries.summaries.stages.find_masks import find_masks
from visual_summaries.summaries.store import Run

pytestmark = pytest.mark.usefixtures("small_pictures")

STAGES = names(IMAGE_CHAIN)

FEW = AttributionOptions(method="rise", rise=RiseOptions(masks=40, area=0.2))
QUICK = [
    *("--set.attribution.rise.masks", "40", "--set.attribution.rise.area", "0.2"),
    *("--set.proposals.count", "60", "--set.proposals.max-kept", "12"),
    *("--set.affinity.preference", "0", "--set.prune.cluster-share", "0", "--set.prune.min-members", "3"),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A class of the embedded world."""
    out = tmp_path_factory.mktemp("world")
    assert main(["world", str(out), "--images", "3"]) == 0
    return out / "images" / "steamer"


@pytest.fixture(scope="module")
def arguments(images):
    """The command line of a run of RISE on it."""

    def make(out, *more):
        given = ["run", str(images), "--out", str(out), "--model", "demo", "--device", "cpu", "--jobs", "1"]
        return [*given, "--attribution", "rise", *QUICK, *more]

    return make


@pytest.fixture(scope="module")
def explained(arguments, tmp_path_factory):
    """A whole run of RISE."""
    out = tmp_path_factory.mktemp("runs") / "rise"
    assert main(arguments(out)) == 0
    return out


def check_masks(path, options):
    """The masks of a run are those of the function: relevance in [0, 1], cut at the area, cleaned."""
    found = Run(path)
    with load_classifier("demo") as classifier:
        images = classifier.to_tensor([found.frame(image) for image in found.ids])
        targets = torch.full((len(images),), found.info["target"]["index"])
        relevance = ATTRIBUTIONS[options.method](classifier, images, targets, options.chosen, seed=0)[:, 0].numpy()
    for image, one in zip(found.ids, relevance, strict=True):
        masks, row = found.mask(image), found.masks[image]
        expected = cut(one, options.chosen.area)
        assert expected.sum() == round(options.chosen.area * one.size)
        assert np.array_equal(masks.binary, binarize(expected.astype(np.float32)))
        assert np.array_equal(masks.smooth, normalised(one).astype(np.float16).astype(np.float32))
        assert np.array_equal(masks.crisp, masks.smooth)
        assert row.iterations == 0
        assert row.drop_smooth == row.drop_crisp
        assert row.area_binary == pytest.approx(masks.binary.mean())


def test_masks_are_the_relevance_cut_at_an_area_and_the_chain_follows(explained):
    check_masks(explained, FEW)
    found = Run(explained)
    assert found.attribution == "rise"
    assert found.info["config"]["settings"]["attribution"]["rise"]["masks"] == 40
    assert [stage["status"] for stage in found.info["stages"].values()] == ["done"] * len(STAGES)
    assert found.parts
    for part in found.parts[: found.clustered]:
        x0, y0, x1, y1 = map(int, part.box)
        assert found.mask(part.image).binary[y0:y1, x0:x1].any()


def test_pages_say_which_attribution_it_was_and_claim_no_optimised_mask(explained, done):
    page, default = ((path / "gallery" / "index.html").read_text() for path in (explained, done))
    claims = ("A mask marks the", "smooth mask", "crisp mask", "thresholded at 0.5")
    for claim in claims:
        assert claim in default
        assert claim not in page
    assert page.count("RISE") == 2
    assert "RISE" not in default


def test_a_changed_attribution_does_again_what_depends_on_it(arguments, explained, stages_done, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(explained, out)
    did, _ = stages_done(arguments(out))
    assert did == set()
    # options of a method that is not used change no mask; the record says so
    did, _ = stages_done(arguments(out, "--set.attribution.extremal.iterations", "7", "--set.masks.crisp.rate", "1"))
    assert did == set()
    given = ["masks", str(out), "--device", "cpu", "--attribution"]
    did, messages = stages_done([*given, "grad_cam"])
    assert did == set(STAGES) - {"images", "proposals"}
    assert "masks: again, changed: attribution.method rise -> grad_cam" in messages
    check_masks(out, AttributionOptions(method="grad_cam"))
    assert "Grad-CAM" in (out / "gallery" / "index.html").read_text()
    before = Run(out).masks
    stages_done([*given, "rise"])
    check_masks(out, FEW)
    assert Run(out).masks != before


def test_the_seed_decides_all_bytes_of_the_masks(images, tmp_path):
    def masks(name, seed):
        out = tmp_path / name
        job = Job(images, out, seed=seed, settings=Settings(attribution=FEW))
        with load_classifier("demo") as classifier:
            run(job, classifier, until="masks")
        return {path.name: path.read_bytes() for path in (out / "masks").iterdir()}

    first = masks("first", 1)
    assert first == masks("same", 1)
    assert first != masks("other", 2)


def test_the_key_of_the_default_holds_nothing_of_attributions(done):
    inputs = json.loads((done / "run.json").read_text())["stages"]["masks"]["inputs"]
    assert "masks.crisp.area" in inputs
    assert not [name for name in inputs if "attribution" in name]
    assert Run(done).attribution == "mask"


def test_a_network_without_a_feature_map_is_one_line_before_anything_is_written(folder, copy, fails, tmp_path):
    message = "--attribution grad_cam does not work on this network: the network has no feature map; give another one"
    assert message in fails(folder.arguments("--attribution", "grad_cam", out=tmp_path / "new"))
    assert not (tmp_path / "new" / "run.json").exists()
    before = (copy / "run.json").read_bytes()
    assert message in fails(["masks", copy, "--trust", "--device", "cpu", "--attribution", "grad_cam"])
    assert (copy / "run.json").read_bytes() == before


def test_rise_needs_no_gradients_and_the_mask_says_that_it_does(make_folder, fails, tmp_path, monkeypatch):
    folder = make_folder(2)
    network = folder.home / "network.py"
    network.write_text(network.read_text().replace("    def forward", "    @torch.no_grad()\n    def forward"))
    assert "no gradient of the network's logits" in fails(folder.arguments(out=tmp_path / "new"))
    # on a GPU, the memory of a pass backward is measured to find the size of a batch
    patched = "visual_summaries.summaries.stages.masks.batch_size"
    monkeypatch.setattr(patched, lambda *_: pytest.fail("a pass backward was made"))
    rise = Settings(attribution=FEW)
    run(Job(folder.photographs, tmp_path / "rise", settings=rise), load_classifier(folder.model), until="masks")
    assert len(Run(tmp_path / "rise").masks) == 2


def test_wrong_use_is_told(folder, copy, fails, tmp_path):
    out = tmp_path / "new"
    told = fails(folder.arguments("--attribution", "gradcam", out=out))
    assert told.endswith("--attribution is 'gradcam': give one of mask, grad_cam, rise, extremal")
    told = fails(folder.arguments("--set.attribution.rise.area", "1", out=out))
    assert told.endswith("--set.attribution.rise.area is 1.0: give a value in (0, 1)")
    (tmp_path / "made").mkdir()
    told = fails(folder.arguments("--attribution", "rise", "--masks", str(tmp_path / "made"), out=out))
    assert "(--masks), and --attribution is rise: give only one of them" in told
    assert not out.exists()
    info = json.loads((copy / "run.json").read_text())
    info["config"]["settings"]["attribution"]["method"] = "no such"
    (copy / "run.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="names the attribution 'no such'"):
        Run(copy).attribution  # noqa: B018


def test_an_image_without_any_relevance_has_an_empty_mask():
    """No place is made up: the feature map of a black image is zero, and so is its relevance everywhere."""
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, 3, 2, bias=False)
    network = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    images = torch.rand(2, 3, 32, 32)
    images[0] = 0
    format_ = {"frame": Frame((32, 32), 32, "bilinear"), "normalisation": Normalisation((0.0,) * 3, (1.0,) * 3)}
    settings = Settings(attribution=AttributionOptions(method="grad_cam"))
    with Classifier(network, **format_) as classifier:
        found = find_masks(classifier, images, torch.tensor([1, 1]), settings, seed=0)
    assert not found.binary[0].any()
    assert not found.smooth[0].any()
    assert 0.2 < found.binary[1].mean() < 0.4


def test_evaluation_keeps_attributions_apart(explained, done, tmp_path, capfd):
    attributed, optimised = Run(explained), Run(done)
    assert optimised_against(attributed) == []
    assert "blur:10" in optimised_against(optimised)
    attributed.info["model"]["fingerprint"] = optimised.info["model"]["fingerprint"]
    with pytest.raises(UserError, match="differ in their options of masks"):
        check_alike([attributed, optimised])
    out = tmp_path / "evaluated"
    given = ["--out", str(out), "--device", "cpu", "--no-baselines", "--no-sanity"]
    assert main(["evaluate", "masks", str(explained), *given]) == 0
    table = (out / "table.md").read_text()
    assert "The masks of these runs are not optimised: smooth and crisp are the relevance according to RISE" in table
    assert "0.99738" not in table  # the paper's figures are of optimised masks
    assert json.loads((out / "masks.json").read_text())["attribution"] == "rise"


def test_runs_of_earlier_versions_are_read(copy):
    """Their records have no attribution, and the area jitter was called wobble."""
    info = json.loads((copy / "run.json").read_text())
    del info["config"]["settings"]["attribution"]
    for stage in ("smooth", "crisp"):
        options = info["config"]["settings"]["masks"][stage]
        options["wobble"] = options.pop("area_jitter") + 0.125
    (copy / "run.json").write_text(json.dumps(info))
    assert Run(copy).attribution == "mask"
    settings = recorded_settings(copy)
    assert settings.attribution == AttributionOptions()
    assert (settings.masks.smooth.area_jitter, settings.masks.crisp.area_jitter) == (0.125, 0.275)


def test_the_configuration_file_names_the_attribution(quick_settings):
    found = override(quick_settings, {"attribution": {"method": "extremal", "extremal": {"area": 0.1}}})
    assert found.attribution.chosen.area == 0.1
