"""Grad-CAM: against its formula, and on networks that it does not work on."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.masks.planted import ONES, SIDE, classifier, pictures
from visual_summaries.masks import world
from visual_summaries.masks.attribution.grad_cam import grad_cam
from visual_summaries.masks.attribution.unsuitable import UnsuitableNetworkError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.inputs.shape import InputShape
from visual_summaries.masks.networks.activations import record
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.layers import feature_layers
from visual_summaries.masks.networks.models import load_classifier


def test_grad_cam_is_its_formula() -> None:
    network = world.untrained("demo", seed=3)
    side = network.input_size[0]
    model = Classifier(
        network,
        frame=Frame((side, side), side, "bilinear"),
        normalisation=Normalisation(network.mean, network.std),
    )
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([3, 5])
    with model:
        found = grad_cam(model, images, targets)
        last = feature_layers(model)[-1].name
        with record(model, [last]) as maps:
            logits = model.logits(images.clone().requires_grad_())
        (gradient,) = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), maps[last])
        cam = (gradient.mean((2, 3), keepdim=True) * maps[last]).sum(1, keepdim=True)
    expected = F.interpolate(cam, size=(side, side), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_relevance_of_a_clip_is_a_volume_by_the_same_formula() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv3d(3, 6, 3, (1, 2, 2), 1), nn.ReLU(), nn.Conv3d(6, 5, 3, (2, 2, 2), 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool3d((1, 2, 2)), nn.Flatten(), nn.Linear(20, 3)),
    )
    normalisation = Normalisation((0.0,) * 3, (1.0,) * 3)
    clips, targets = torch.rand(2, 3, 8, 16, 24), torch.tensor([0, 2])
    with Classifier(network, shape=InputShape((8, 16, 24)), normalisation=normalisation) as model:
        found = grad_cam(model, clips, targets)
    maps = network[:4](clips).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network[4:](maps).gather(1, targets[:, None]).sum(), maps)
    cam = (gradient.double().mean((2, 3, 4), keepdim=True) * maps).sum(1, keepdim=True)
    expected = F.interpolate(cam, size=(8, 16, 24), mode="trilinear", align_corners=False)
    torch.testing.assert_close(found.double(), expected.detach(), rtol=1e-4, atol=1e-6)


def test_grad_cam_says_why_it_does_not_work_on_a_transformer_or_without_feature_maps() -> None:
    with load_classifier("timm:vit_tiny_patch16_224", weights="none") as model:
        with pytest.raises(UnsuitableNetworkError, match="not laid out as"):
            grad_cam(model, torch.rand(1, 3, 224, 224), torch.tensor([3]))
        assert not any(module._forward_hooks for module in model.network.modules())
    blind = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
    with classifier(blind) as model, pytest.raises(UnsuitableNetworkError, match="no feature map"):
        grad_cam(model, pictures(1), ONES[:1])
