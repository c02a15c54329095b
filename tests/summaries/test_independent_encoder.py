"""The independent encoder: which network it is, and its vectors of what lies in the boxes of parts."""

import importlib.util

import numpy as np
import pytest
import torch

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.summaries.evaluation.independent_encoder import BATCH, crop, crop_vectors, independent_encoder


def test_vectors_are_what_enters_the_last_linear_layer(planted, encoder):
    run = planted(images=BATCH // 4 + 2).run
    told = []
    with load_classifier(encoder) as classifier:
        found = crop_vectors(run, classifier, lambda done, total: told.append((done, total)))
        network = classifier.network
        for place in (0, BATCH - 1, BATCH, len(run.parts) - 1):
            part = run.parts[place]
            x0, y0, x1, y1 = map(int, part.box)
            inside = torch.from_numpy(run.frame(part.image)[y0:y1, x0:x1].copy()).permute(2, 0, 1)[None].float() / 255
            large = torch.nn.functional.interpolate(inside, (32, 32), mode="bicubic", align_corners=False).clip(0, 1)
            with torch.inference_mode():
                expected = network[:-1]((large - 0.5) / 0.25)[0].numpy()
            assert np.dot(found[place], expected) > 0.999 * np.linalg.norm(found[place]) * np.linalg.norm(expected)
        assert not network[-1]._forward_pre_hooks
    assert found.shape == (len(run.parts), 20)
    assert told == [(BATCH, len(run.parts)), (len(run.parts), len(run.parts))]


def test_a_crop_is_what_lies_in_the_box():
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(crop(frame, (10.0, 5.0, 42.0, 37.0), (32, 32)), frame[5:37, 10:42])
    assert crop(frame, (0.0, 0.0, 60.0, 40.0), (16, 8)).shape == (16, 8, 3)


def test_the_encoder_is_none_that_took_part(planted, encoder, monkeypatch):
    run = planted().run
    asked = []
    monkeypatch.setattr(
        "visual_summaries.summaries.evaluation.independent_encoder.load_classifier",
        lambda name, device: asked.append(name) or Stub("1"),
    )
    independent_encoder(run, None, torch.device("cpu"))
    run.info["model"]["spec"] = "lite0"
    independent_encoder(run, None, torch.device("cpu"))
    independent_encoder(run, "timm:resnet18", torch.device("cpu"))
    assert asked == ["lite0", "lite1", "timm:resnet18"]
    run.info["model"]["fingerprint"] = "1"
    with pytest.raises(UserError, match="is the network of"):
        independent_encoder(run, "lite0", torch.device("cpu"))


class Stub:
    def __init__(self, mark):
        self.mark = mark

    def fingerprint(self):
        return self.mark


def test_no_package_with_weights_is_a_reason_and_a_named_encoder_an_error(planted, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name.startswith("efficientnet_") else find(name, *rest)
    )
    run = planted().run
    encoder = independent_encoder(run, None, torch.device("cpu"))
    assert encoder.classifier is None
    assert "visual-summaries[lite]" in encoder.reason
    with pytest.raises(UserError, match="lite1"):
        independent_encoder(run, "lite1", torch.device("cpu"))


def test_a_network_without_linear_layers_is_refused(planted, encoder):
    with (
        load_classifier(encoder.replace(":build", ":without_linear")) as classifier,
        pytest.raises(UserError, match="no linear layer"),
    ):
        crop_vectors(planted().run, classifier, lambda done, total: None)
