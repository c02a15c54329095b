"""Fused networks: the same logits and gradients as the networks they stand for."""

import pytest
import torch
from torch import Tensor, nn

from visual_summaries.masks import world
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.fuse import fused
from visual_summaries.masks.networks.models import load_classifier


class Awkward(nn.Module):
    """A norm behind a convolution, one used twice, one behind a sum, and one whose convolution goes elsewhere too."""

    def __init__(self, twist: bool) -> None:
        super().__init__()
        self.twist = twist
        self.first, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.again, self.shared = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        raw = self.first(images)
        values = self.norm(raw).relu()
        if self.twist:
            values = values + raw
        values = self.shared(self.again(self.shared(values + 1)))
        logits: Tensor = self.head(values.mean((2, 3)))
        return logits


def trained(network: nn.Module) -> nn.Module:
    """The network with norms that do something."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network


def wrapped(network: nn.Module, side: int = 32) -> Classifier:
    frame = Frame((side, side), side, "bilinear")
    return Classifier(network, frame=frame, normalisation=Normalisation((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))


def image(classifier: Classifier) -> Tensor:
    """One image of the frame."""
    size, generator = classifier.frame.size, torch.Generator().manual_seed(1)
    return torch.rand(1, 3, *size, generator=generator, dtype=torch.float64)


def norms(classifier: Classifier) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in classifier.network.modules())


def compare(classifier: Classifier) -> tuple[Classifier, int]:
    """The fused classifier and the norms before, after checking logits, gradients and the original's integrity."""
    side = classifier.frame.size[0]
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    classifier.network.double()  # in float32 rounding switches single units on and off
    with classifier:
        before = {name: value.clone() for name, value in classifier.network.state_dict().items()}
        fast = fused(classifier, image(classifier))
        gradients = []
        for one in (classifier, fast):
            wanted = images.clone().requires_grad_()
            logits = one.logits(wanted)
            gradients.append((logits.detach(), torch.autograd.grad(logits[:, 0].sum(), wanted)[0]))
        after = classifier.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))
    return fast, norms(classifier)


@pytest.mark.parametrize(
    "name", ["demo", "torchvision:resnet18", "torchvision:mobilenet_v2", "timm:tf_efficientnet_lite0"]
)
def test_networks_lose_their_norms_and_keep_their_logits(name: str) -> None:
    torch.manual_seed(0)
    classifier = (
        wrapped(world.untrained("demo", seed=1), 64) if name == "demo" else load_classifier(name, weights="none")
    )
    trained(classifier.network)
    fast, before = compare(classifier)
    assert before > 0
    assert norms(fast) == 0


def test_only_a_norm_that_follows_one_convolution_is_fused() -> None:
    torch.manual_seed(0)
    fast, before = compare(wrapped(trained(Awkward(twist=False))))
    assert (before, norms(fast)) == (2, 1)


def test_a_network_whose_logits_would_change_is_left_alone() -> None:
    torch.manual_seed(0)
    classifier = wrapped(trained(Awkward(twist=True)))
    fast, _ = compare(classifier)
    assert fast is classifier


def test_a_common_offset_hides_no_change() -> None:
    torch.manual_seed(0)
    network = trained(Awkward(twist=True))
    with torch.no_grad():
        network.head.bias.add_(1e6)  # type: ignore[operator, union-attr]
    with wrapped(network.double()) as classifier:
        assert fused(classifier, image(classifier)) is classifier


def test_a_network_without_norms_comes_back() -> None:
    classifier = wrapped(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)))
    with classifier:
        assert fused(classifier, image(classifier)) is classifier


def test_a_network_that_cannot_be_copied_comes_back() -> None:
    network = trained(Awkward(twist=False))
    network.lock = (item for item in ())  # generators cannot be copied
    classifier = wrapped(network)
    with classifier:
        assert fused(classifier, image(classifier)) is classifier
