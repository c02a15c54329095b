"""Layers found by what they put out, against timm's own lists of features and against networks made by hand."""

import pytest
import timm
import torch
from torch import Tensor, nn

from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.activations import record
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.layers import Layer, deepest, feature_layers, last_block
from visual_summaries.masks.networks.models import load_classifier


class Odd(nn.Module):
    """Shapes that are easily mistaken for feature maps, and the three layouts of true ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.inplace = nn.ReLU(inplace=True)
        self.last = nn.Linear(8, 8)  # (N, h, w, C)
        self.tokens = nn.Linear(8, 12)  # (N, prefix + h w, C)
        self.attention = nn.Softmax(dim=-1)  # (N, heads, T, T)
        self.vector = nn.Linear(12, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.inplace(self.stem(images))
        tokens = self.last(maps.permute(0, 2, 3, 1)).flatten(1, 2)
        tokens = self.tokens(torch.cat([tokens.new_ones(len(tokens), 2, 8), tokens], dim=1))
        weights = self.attention((tokens @ tokens.transpose(1, 2))[:, None].repeat(1, 3, 1, 1))
        tokens = weights.mean(1) @ tokens
        return self.vector(tokens.mean(1))


def wrapped(network: nn.Module, size: tuple[int, int]) -> Classifier:
    return Classifier(network, frame=Frame(size, None, "bilinear"), normalisation=Normalisation((0.0,) * 3, (1.0,) * 3))


def test_grids_are_told_from_what_only_looks_like_them() -> None:
    torch.manual_seed(0)
    with wrapped(Odd(), (16, 24)) as classifier:
        found = feature_layers(classifier)
    assert found == [
        Layer("stem", 8, (4, 6), (4.0, 4.0)),
        Layer("inplace", 8, (4, 6), (4.0, 4.0)),
        Layer("last", 8, (4, 6), (4.0, 4.0)),
        Layer("tokens", 12, (4, 6), (4.0, 4.0)),
    ]


def test_recorded_maps_are_the_values_at_their_places() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 24)
    network = Odd()
    with wrapped(network, (16, 24)) as classifier:
        with record(classifier, ["stem", "last", "tokens"]) as maps:
            logits = classifier.logits(images)
        assert torch.equal(logits, classifier.logits(images))
        stem = network.stem(images)
        assert torch.equal(maps["stem"], stem)  # as it was before the operation in place
        assert bool((stem < 0).any())
        expected = network.last(stem.relu()[1, :, 2, 5])
        torch.testing.assert_close(maps["last"][1, :, 2, 5], expected)
        torch.testing.assert_close(maps["tokens"][1, :, 2, 5], network.tokens(expected))
        assert maps["tokens"].shape == (2, 12, 4, 6)
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["stem", "inplace", "last", "tokens"])
def test_gradients_with_respect_to_a_map_lead_on_to_the_image(name: str) -> None:
    torch.manual_seed(1)
    network = Odd().double()
    images = torch.rand(1, 3, 16, 24, dtype=torch.float64, requires_grad=True)
    with wrapped(network, (16, 24)) as classifier:
        with record(classifier, [name]) as maps:
            logit = classifier.logits(images)[0, 0]
        (gradient,) = torch.autograd.grad(logit, maps[name])
        assert gradient.shape == maps[name].shape
        (through,) = torch.autograd.grad(classifier.logits(images)[0, 0], images)
        with record(classifier, [name]) as again:
            logit = classifier.logits(images)[0, 0]
        (chained,) = torch.autograd.grad(again[name], images, gradient)
        torch.testing.assert_close(chained, through)  # all that the network sees goes through each of these maps
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "convnext_atto", "mobilenetv3_small_050"])
def test_strides_agree_with_timms_own_list_of_features(name: str) -> None:
    info = timm.create_model(name, features_only=True).feature_info
    with load_classifier(f"timm:{name}", weights="none") as classifier:
        found = {layer.name: layer for layer in feature_layers(classifier)}
        size = classifier.frame.size[0]
    known = [(module.replace("_", "."), module) for module in info.module_name()]
    pairs = [(next((n for n in names if n in found), ""), at) for at, names in enumerate(known)]
    assert sum(name != "" for name, _ in pairs) >= 2
    for layer, at in pairs:
        if layer:
            assert found[layer].channels == info.channels(at)
            assert size / found[layer].size[0] == info.reduction(at)


def test_vision_transformers_and_swins_have_grids_too() -> None:
    with load_classifier("timm:vit_tiny_patch16_224", weights="none") as classifier:
        layers = feature_layers(classifier)
        assert {layer.size for layer in layers} == {(14, 14)}
        assert deepest(layers, 32) == Layer("norm", 192, (14, 14), (16.0, 16.0))
    with load_classifier("timm:swin_tiny_patch4_window7_224", weights="none") as classifier:
        layers = feature_layers(classifier)
        assert deepest(layers, 16) == Layer("layers.2", 384, (14, 14), (16.0, 16.0))
        assert deepest(layers, 32) == Layer("norm", 768, (7, 7), (32.0, 32.0))
        with record(classifier, ["layers.2"]) as maps:
            classifier.logits(torch.zeros(2, 3, 224, 224))
        assert maps["layers.2"].shape == (2, 384, 14, 14)


def test_the_deepest_layer_of_a_stride_is_the_last_one_nearest_to_it() -> None:
    layers = [
        Layer("a", 1, (28, 28), (8.0, 8.0)),
        Layer("b", 1, (28, 28), (8.0, 8.0)),
        Layer("c", 1, (7, 7), (32.0, 32.0)),
        Layer("d", 1, (14, 14), (16.0, 16.0)),
    ]
    assert deepest(layers, 8).name == "b"
    assert deepest(layers, 16).name == "d"
    assert deepest(layers, 100).name == "c"
    assert deepest([layers[0], layers[2]], 16).name == "c"  # as near as the finer one
    with pytest.raises(ValueError, match="no feature map"):
        deepest([], 16)


@pytest.mark.parametrize(
    ("spec", "sixteenth", "thirtysecond"),
    [
        ("timm:tf_efficientnet_lite0", "blocks.4", "blocks"),  # not the expansion in blocks.5, not the head
        ("torchvision:resnet50", "layer3", "layer4"),
        ("timm:convnext_atto", "stages.2", "stages"),
        ("torchvision:vgg11", "features.19", "features"),  # no block at a sixteenth
        ("timm:vit_tiny_patch16_224", "blocks", "blocks"),
    ],
)
def test_the_last_block_is_what_a_stage_hands_on(spec: str, sixteenth: str, thirtysecond: str) -> None:
    with load_classifier(spec, weights="none") as classifier:
        layers = feature_layers(classifier)
        assert last_block(classifier, layers, 16).name == sixteenth
        assert last_block(classifier, layers, 32).name == thirtysecond


def test_images_may_be_larger_than_the_frame() -> None:
    network = load_classifier("timm:resnet18", weights="none")
    with network as classifier, record(classifier, ["layer3", "layer4"]) as maps, torch.inference_mode():
        classifier.logits(torch.rand(1, 3, 480, 352))
    assert maps["layer3"].shape == (1, 256, 30, 22)
    assert maps["layer4"].shape == (1, 512, 15, 11)


def test_names_that_are_none_are_errors() -> None:
    with wrapped(Odd(), (16, 24)) as classifier:
        with pytest.raises(ValueError, match="no module 'head'"), record(classifier, ["head"]):
            pass
        with pytest.raises(ValueError, match="'vector' is no feature map"), record(classifier, ["vector"]):
            classifier.logits(torch.zeros(1, 3, 16, 24))
