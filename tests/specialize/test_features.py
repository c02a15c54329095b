"""Features by hooks: convolutional networks, transformers, networks with fully connected layers, named modules."""

import numpy as np
import pytest
import torch
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.specialize.blend import plain_blend
from visual_summaries.specialize.features import Tap, extract, find_pooling, find_tap, tapped
from visual_summaries.specialize.model import specialized
from visual_summaries.specialize.options import FeatureOptions, WindowOptions
from visual_summaries.specialize.svm import Svms
from visual_summaries.specialize.tuning import Method


def wrapped(network: nn.Module, side: int = 32) -> Classifier:
    plain = Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    return Classifier(network, frame=Frame((side, side), side, "bilinear"), normalisation=plain, spec="net")


def old_style() -> nn.Sequential:
    """Fully connected layers behind the convolutions, as AlexNet has them, with operations in place."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        nn.Linear(54, 20), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(20, 12), nn.ReLU(inplace=True),
        nn.Linear(12, 5),
    )  # fmt: skip


def frames(side: int = 32, count: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def unit(values: torch.Tensor) -> np.ndarray:
    return nn.functional.normalize(values).numpy()


def test_the_first_fully_connected_layer_is_taken_before_its_activation():
    network = old_style()
    with wrapped(network) as classifier:
        tap = find_tap(classifier, FeatureOptions(layer="first"))
        seen = extract(classifier, tap, frames())
        with torch.inference_mode():
            images = (classifier.to_tensor(frames()) - 0.5) / 0.2
            expected = network[:5](images)
            assert (expected < 0).any()
            np.testing.assert_allclose(seen.vectors, unit(expected), atol=1e-5)
            np.testing.assert_allclose(seen.logits, network(images).numpy(), atol=1e-5)


def test_what_enters_the_last_linear_layer_is_the_default():
    network = old_style()
    with wrapped(network) as classifier:
        seen = extract(classifier, find_tap(classifier), frames())
        with torch.inference_mode():
            np.testing.assert_allclose(
                seen.vectors, unit(network[:9]((classifier.to_tensor(frames()) - 0.5) / 0.2)), atol=1e-5
            )


@pytest.mark.parametrize(
    ("spec", "side", "width"),
    [("timm:vit_tiny_patch16_224", 224, 192), ("torchvision:squeezenet1_1", 0, 0), ("timm:resnet10t", 176, 512)],
)
def test_networks_of_other_makes(spec, side, width):
    with load_classifier(spec, weights="none") as classifier:
        if not width:
            with pytest.raises(UserError, match="no linear layer at its end: name a module"):
                find_tap(classifier)
            return
        size = classifier.frame.size[0]
        seen = extract(classifier, find_tap(classifier), frames(size, 2))
        assert seen.vectors.shape == (2, width)
        np.testing.assert_allclose(np.linalg.norm(seen.vectors, axis=1), 1, atol=1e-5)
        with pytest.raises(UserError, match="no fully connected layer before its last one"):
            find_tap(classifier, FeatureOptions(layer="first"))


def test_a_named_module_is_averaged_over_its_positions():
    with load_classifier("demo", weights="none") as classifier:
        tap = find_tap(classifier, FeatureOptions(layer="features.5"))
        assert tap.side == "map"
        seen = extract(classifier, tap, frames(128))
        with torch.inference_mode():
            images = (classifier.to_tensor(frames(128)) - 0.45) / 0.25
            expected = classifier.network.features[:6](images).mean((2, 3))
        np.testing.assert_allclose(seen.vectors, unit(expected), atol=1e-5)
        with pytest.raises(UserError, match="no module 'layer9'"):
            find_tap(classifier, FeatureOptions(layer="layer9"))


def test_feature_maps_follow_the_vector_and_describe_windows():
    options = FeatureOptions(level="window", windows=WindowOptions(strides=(8, 16), sizes=(0.5,), step=0.25))
    with load_classifier("demo", weights="none") as classifier:
        tap = find_tap(classifier, options)
        pooling = find_pooling(classifier, tap, options)
        assert pooling is not None
        assert [shape[1:] for shape in pooling.shapes] == [(16, 16), (8, 8)]
        seen = extract(classifier, tap, frames(128))
        assert seen.vectors.shape[1] == pooling.start + sum(int(np.prod(shape)) for shape in pooling.shapes)
        described = pooling.pool_windows(torch.from_numpy(seen.vectors))
        assert described.shape[:2] == (3, 9)
        box = torch.tensor(pooling.windows[4]).repeat(3, 1)
        torch.testing.assert_close(pooling.pool_boxes(torch.from_numpy(seen.vectors), box), described[:, 4])
        torch.testing.assert_close(described.norm(dim=2), torch.ones(3, 9))


def test_vectors_have_gradients():
    with load_classifier("demo", weights="none") as classifier:
        images = classifier.to_tensor(frames(128)).requires_grad_()
        with tapped(classifier.network, find_tap(classifier)) as vectors:
            classifier.logits(images)
            vectors()[:, 0].sum().backward()
        assert images.grad is not None
        assert images.grad.abs().sum() > 0


class OneByOne(nn.Sequential):
    """Exported for a batch of one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images.reshape(1, 3, 32, 32))


def test_a_network_that_takes_one_image_at_a_time_gives_the_features_of_all():
    plain, alone = old_style(), OneByOne(*old_style())
    with wrapped(plain) as expected, wrapped(alone) as classifier:
        wanted = extract(expected, find_tap(expected, FeatureOptions(layer="first")), frames())
        seen = extract(classifier, find_tap(classifier, FeatureOptions(layer="first")), frames())
    np.testing.assert_allclose(seen.vectors, wanted.vectors, atol=1e-5)
    np.testing.assert_allclose(seen.logits, wanted.logits, atol=1e-5)


class Soft(nn.Sequential):
    """Ends in softmax."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).softmax(1)


def test_a_specialised_network_blends_the_logarithms_of_probabilities():
    svms = Svms(np.zeros(1, np.int64), np.ones((1, 12), np.float32), np.zeros(1, np.float32))
    method = Method("summaries", svms, plain_blend(np.array([1]), svms.owner, "platt").at(0.5), 1.0)
    found = []
    for network in (old_style(), Soft(*old_style())):
        classifier = wrapped(network)
        with specialized(classifier, Tap("9", "input"), method) as model, torch.no_grad():
            found.append(model(model.to_tensor(frames())).softmax(1))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
