"""Networks of clips (N, 3, T, H, W) beside networks of images: torchvision's 3-D ResNet, MViT, Swin; one by hand.

Weights are random: what is compared are shapes, values at places, and the same network called without a classifier.
"""

import copy
import inspect
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.video import r3d_18
from torchvision.models.video.mvit import MSBlockConfig, MViT
from torchvision.models.video.swin_transformer import SwinTransformer3d

from tests.masks.networks import Tiny, pictures, wrapped
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.shape import InputShape
from visual_summaries.masks.networks.activations import record
from visual_summaries.masks.networks.classifier import Classifier, Normalisation, numbered
from visual_summaries.masks.networks.examine import examine
from visual_summaries.masks.networks.fuse import fused
from visual_summaries.masks.networks.layers import Layer, deepest, feature_layers, last_block, linear_layers
from visual_summaries.masks.networks.randomise import randomised

SIZE = (8, 32, 48)
COLOURS = Normalisation((0.43, 0.39, 0.37), (0.22, 0.23, 0.24))


def of_clips(network: nn.Module, size: tuple[int, ...] = SIZE) -> Classifier:
    return Classifier(network, shape=InputShape(size), normalisation=COLOURS)


def clips(count: int, size: tuple[int, ...] = SIZE) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(3))


def as_array(clip: Tensor) -> np.ndarray:
    """A clip (3, T, H, W) in [0, 1] as uint8 (T, H, W, 3)."""
    return np.ascontiguousarray((clip * 255).byte().permute(1, 2, 3, 0).numpy())


class OddClips(nn.Module):
    """The three layouts of feature maps over a clip, and shapes that are easily mistaken for one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 16, (2, 4, 4), stride=(2, 4, 4), bias=False)
        self.norm = nn.BatchNorm3d(16)
        self.last = nn.Linear(16, 16)  # (N, t, h, w, C)
        self.tokens = nn.Linear(16, 20)  # (N, prefix + t h w, C)
        self.attention = nn.Softmax(dim=-1)  # (N, heads, T, T)
        self.vector = nn.Linear(20, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.norm(self.stem(inputs))
        tokens = self.last(maps.permute(0, 2, 3, 4, 1)).flatten(1, 3)
        tokens = self.tokens(torch.cat([tokens.new_ones(len(tokens), 2, 16), tokens], dim=1))
        weights = self.attention((tokens @ tokens.transpose(1, 2))[:, None].repeat(1, 3, 1, 1))
        logits: Tensor = self.vector((weights.mean(1) @ tokens).mean(1))
        return logits


def odd() -> OddClips:
    torch.manual_seed(0)
    network = OddClips()
    assert network.norm.running_mean is not None
    assert network.norm.running_var is not None
    network.norm.running_mean.normal_(0, 0.3)
    network.norm.running_var.uniform_(0.5, 2)
    return network


def mvit() -> nn.Module:
    blocks = [
        MSBlockConfig(1, 16, 32, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 2, 2]),
        MSBlockConfig(2, 32, 32, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 1, 1]),
    ]
    how = {"residual_pool": True, "residual_with_cls_embed": False, "rel_pos_embed": True, "proj_after_attn": True}
    return MViT((32, 48), 8, blocks, num_classes=7, **how)


def swin() -> nn.Module:
    return SwinTransformer3d([2, 4, 4], 12, [2, 2], [2, 2], [4, 4, 4], num_classes=7)


@pytest.fixture(scope="module")
def resnet() -> Iterator[Classifier]:
    torch.manual_seed(0)
    with of_clips(r3d_18(weights=None, num_classes=7)) as classifier:
        yield classifier


@pytest.mark.parametrize("build", [odd, mvit, swin])
def test_logits_are_those_of_the_network_itself(build) -> None:
    network, inputs = build().double().eval(), clips(2).double()
    colours = torch.tensor([COLOURS.mean, COLOURS.std], dtype=torch.float64)
    expected = network((inputs - colours[0].view(3, 1, 1, 1)) / colours[1].view(3, 1, 1, 1)).detach()
    with of_clips(network) as classifier:
        torch.testing.assert_close(classifier.logits(inputs), expected, rtol=1e-9, atol=1e-12)
        assert classifier.count_classes() == expected.shape[1]


def test_convolutions_over_clips_are_laid_out_channels_last(resnet: Classifier) -> None:
    weights = [p for p in resnet.network.parameters() if p.ndim == 5]
    assert len(weights) == 20
    assert all(p.is_contiguous(memory_format=torch.channels_last_3d) for p in weights)
    seen: list[Tensor] = []
    hook = resnet.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    resnet.logits(clips(2))
    hook.remove()
    assert seen[0].is_contiguous(memory_format=torch.channels_last_3d)


def test_a_network_of_one_channel_gets_grey_clips() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 5))
    even, inputs = Normalisation((0.5,) * 3, (0.25,) * 3), clips(2)
    red, green, blue = inputs.unbind(1)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
    with Classifier(network, shape=InputShape(SIZE), normalisation=even) as classifier, torch.no_grad():
        torch.testing.assert_close(classifier.logits(inputs), network((grey - 0.5) / 0.25))
        assert classifier.notes == ["the network takes one channel: it gets grey inputs"]


def test_an_image_network_refuses_clips_and_a_clip_network_images() -> None:
    image = Classifier(odd(), frame=wrapped(Tiny()).frame, normalisation=COLOURS)
    clip = of_clips(Tiny())
    for classifier, shape in ((image, r"\[1, 3, 32, 32\]"), (clip, r"\[1, 3, 8, 32, 48\]")):
        with pytest.raises(UserError, match=f"fails on an input of shape {shape}"), classifier:
            pass


def test_arrays_become_inputs_of_either_rank() -> None:
    clip, image = np.zeros((*SIZE, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)
    clip[5, 7, 11, 1], image[7, 11, 2] = 255, 51
    found = of_clips(odd()).to_tensor([clip, clip])
    assert found.shape == (2, 3, *SIZE)
    assert found.nonzero().tolist() == [[0, 1, 5, 7, 11], [1, 1, 5, 7, 11]]
    found = wrapped(Tiny()).to_tensor([image])
    assert found.nonzero().tolist() == [[0, 2, 7, 11]]
    assert float(found.max()) == pytest.approx(0.2)


def test_the_shape_decides_the_fingerprint_as_a_frame_does() -> None:
    network = odd()
    one, same, other = of_clips(network), of_clips(copy.deepcopy(network)), of_clips(network, (8, 48, 32))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    with torch.no_grad():
        network.vector.bias.add_(1e-3)
    assert one.fingerprint() != same.fingerprint()


def test_layers_of_a_3d_resnet_have_a_stride_for_each_axis(resnet: Classifier) -> None:
    layers = feature_layers(resnet)
    found = {layer.name: layer for layer in layers}
    assert found["stem"] == Layer("stem", 64, (8, 16, 24), (1.0, 2.0, 2.0))
    for stage in (1, 2, 3, 4):  # each but the first halves time and space
        step = 2 ** (stage - 1)
        size = (8 // step, 16 // step, 24 // step)
        assert found[f"layer{stage}"] == Layer(f"layer{stage}", 32 * 2**stage, size, (step, 2 * step, 2 * step))
        assert last_block(resnet, layers, 2 * step).name == f"layer{stage}"
    assert linear_layers(resnet) == ["fc"]
    assert "avgpool" not in found
    with record(resnet, list(found)) as maps:
        resnet.logits(clips(2))
    assert {name: (2, layer.channels, *layer.size) for name, layer in found.items()} == {
        name: tuple(one.shape) for name, one in maps.items()
    }


def test_layers_of_transformers_of_clips_are_tokens_in_time_and_space() -> None:
    with of_clips(mvit()) as classifier:
        found = {layer.name: layer for layer in feature_layers(classifier)}
        assert found["blocks.0.mlp"] == Layer("blocks.0.mlp", 32, (4, 8, 12), (2.0, 4.0, 4.0))
        assert found["norm"] == Layer("norm", 32, (4, 4, 6), (2.0, 8.0, 8.0))  # behind the pooling of the tokens
    with of_clips(swin()) as classifier:
        layers = feature_layers(classifier)
        assert deepest(layers, 4).name == "features.0"
        assert last_block(classifier, layers, 8) == Layer("features", 24, (4, 4, 6), (2.0, 8.0, 8.0))


def test_maps_over_clips_are_the_values_at_their_places() -> None:
    network, inputs = odd(), clips(2)
    with of_clips(network) as classifier:
        names = [layer.name for layer in feature_layers(classifier)]
        assert names == ["stem", "norm", "last", "tokens"]
        with record(classifier, names) as maps:
            logits = classifier.logits(inputs)
        assert torch.equal(logits, classifier.logits(inputs))
        assert {tuple(one.shape) for one in maps.values()} == {(2, 16, 4, 8, 12), (2, 20, 4, 8, 12)}
        expected = network.last(maps["norm"][1, :, 3, 2, 7])
        torch.testing.assert_close(maps["last"][1, :, 3, 2, 7], expected)
        torch.testing.assert_close(maps["tokens"][1, :, 3, 2, 7], network.tokens(expected))
        with record(classifier, ["tokens"]) as alone:  # its layout is that of maps that nobody asked for
            classifier.logits(inputs)
        assert torch.equal(alone["tokens"], maps["tokens"])


def test_gradients_with_respect_to_a_map_lead_on_to_the_clip() -> None:
    network = odd().double()
    inputs = clips(1).double().requires_grad_()
    with of_clips(network) as classifier:
        (through,) = torch.autograd.grad(classifier.logits(inputs)[0, 0], inputs)
        for name in ("stem", "last", "tokens"):
            with record(classifier, [name]) as maps:
                logit = classifier.logits(inputs)[0, 0]
            (gradient,) = torch.autograd.grad(logit, maps[name])
            with record(classifier, [name]) as again:
                classifier.logits(inputs)
            (chained,) = torch.autograd.grad(again[name], inputs, gradient)
            torch.testing.assert_close(chained, through)
    assert float(through.abs().sum()) > 0


@pytest.mark.parametrize("build", [odd, lambda: r3d_18(weights=None, num_classes=7)], ids=["odd", "r3d_18"])
def test_fused_3d_networks_have_the_same_logits_and_gradients(build) -> None:
    torch.manual_seed(0)
    network = build().double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2)
    size = (4, 16, 16)
    wanted = clips(1, size).double().requires_grad_()
    with of_clips(network, size) as classifier:
        fast = fused(classifier, wanted.detach())
        assert not any(isinstance(module, nn.BatchNorm3d) for module in fast.network.modules())
        assert any(isinstance(module, nn.BatchNorm3d) for module in network.modules())
        one, other = (one.logits(wanted) for one in (classifier, fast))
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)
        one, other = (torch.autograd.grad(each[0, 0], wanted)[0] for each in (one, other))
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-9 * float(one.abs().max()))


def test_examine_passes_a_network_of_clips_and_refuses_a_random_one(resnet: Classifier) -> None:
    assert examine(resnet, [as_array(clip) for clip in clips(2)]) == []
    network = odd()
    network.vector.register_forward_hook(lambda module, _, output: nn.functional.dropout(output))
    with pytest.raises(UserError, match="draws random numbers"), of_clips(network):
        pass


def test_examine_mirrors_a_single_clip_in_space_and_not_in_time() -> None:
    with of_clips(odd()) as classifier:
        seen: list[Tensor] = []
        hook = classifier.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        examine(classifier, [as_array(clips(1)[0])], gradients=False)
        hook.remove()
    assert torch.equal(seen[0][1], seen[0][0].flip(-1))


def test_randomised_3d_networks_keep_a_signal() -> None:
    network = odd()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with of_clips(network) as classifier:
        one, same, other = (randomised(classifier, clips(2), seed) for seed in (1, 1, 2))
        a, b, c, d = (each.logits(clips(2)) for each in (one, same, other, classifier))
    assert torch.equal(a, b)
    assert not torch.allclose(a, c)
    assert not torch.allclose(a, d)
    assert float((a[0] - a[1]).abs().max()) > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("classifier", [wrapped(Tiny(), names=tuple("abcde")), of_clips(odd())], ids=["image", "clip"])
def test_another_network_takes_over_all_else(classifier: Classifier) -> None:
    classifier = copy.deepcopy(classifier)
    classifier.labels, classifier.spec = numbered(list("vwxyz")), "a name"
    network = copy.deepcopy(classifier.network)
    other = classifier.with_network(network)
    assert other.network is network
    for name in set(inspect.signature(Classifier).parameters) - {"network", "frame"}:
        assert getattr(other, name) == getattr(classifier, name)
    assert other.fingerprint() == classifier.fingerprint()
    assert classifier.with_network(network, spec="another").spec == "another"
    with classifier:
        assert classifier.with_network(network, reading=classifier.reading).reading is classifier.reading


def test_an_image_is_no_clip_and_a_clip_no_image(resnet: Classifier) -> None:
    with pytest.raises(UserError, match=r"takes clips \[8, 32, 48\]"):
        _ = resnet.frame
    image = wrapped(Tiny())
    assert (image.shape.is_clip, resnet.shape.is_clip) == (False, True)
    assert image.empty(2).shape == pictures(2).shape
    with pytest.raises(ValueError, match="a frame for a network of images, or a shape"):
        Classifier(Tiny(), normalisation=COLOURS)
    with pytest.raises(ValueError, match="a frame for a network of images, or a shape"):
        Classifier(Tiny(), frame=image.frame, shape=image.shape, normalisation=COLOURS)


@pytest.mark.parametrize("size", [(), (8,), (0, 8), (1, 2, 3, 4)])
def test_sizes_of_another_rank_are_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"neither \(H, W\) nor \(T, H, W\)"):
        InputShape(size)
