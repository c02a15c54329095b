"""A network comes back as it came: compared with a full copy of its state, over real networks and odd states."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from tests.masks.networks import Tiny, pictures, wrapped
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier


def resnet() -> nn.Module:
    """In training but for a frozen part, as people fine-tune; with gradients, hooks and channels last in one layer."""
    network = torchvision.models.resnet18(num_classes=7).train()
    network.layer1.eval().requires_grad_(False)
    network(torch.rand(2, 3, 64, 64)).sum().backward()
    network.layer2.to(memory_format=torch.channels_last)
    network.fc.register_forward_hook(lambda module, inputs, output: None)
    return network


def mobilenet() -> nn.Module:
    return timm.create_model("mobilenetv3_small_050", num_classes=6).to(memory_format=torch.channels_last).train()


def normalised() -> nn.Module:
    network = Tiny()
    nn.utils.parametrizations.weight_norm(network.body[0])
    nn.utils.parametrizations.spectral_norm(network.head)  # counts in a buffer while it trains
    return network.train()


def tied() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), Tiny())
    network[1].weight = network[0].weight
    return network


class Counting(Tiny):
    """Changes a buffer in place in each pass, also in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return super().forward(images)


NETWORKS: list[Callable[[], nn.Module]] = [resnet, mobilenet, normalised, tied, Counting]


def values(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().numpy().tobytes()


def state(network: nn.Module) -> dict[str, Any]:
    """All that a user can see of a network, with identities and strides."""
    seen: dict[str, Any] = {}
    for name, module in network.named_modules():
        seen[f"{name} mode"] = module.training
        seen[f"{name} hooks"] = (len(module._forward_hooks), len(module._forward_pre_hooks))
    for name, p in network.named_parameters(remove_duplicate=False):
        gradient = None if p.grad is None else (id(p.grad), values(p.grad))
        seen[name] = (id(p), p.data_ptr(), p.stride(), p.device, p.dtype, p.requires_grad, gradient, values(p))
    for name, b in network.named_buffers():
        seen[name] = (id(b), b.data_ptr(), b.stride(), b.device, values(b))
    return seen


def generators() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("fails", [False, True])
def test_a_network_comes_back_as_it_came(make: Callable[[], nn.Module], fails: bool) -> None:
    torch.manual_seed(0)
    network = make()
    classifier = wrapped(network, 64)
    before, drawn = state(network), generators()
    try:
        with classifier, classifier:
            with classifier:
                inside = classifier.logits(pictures(2, 64))
            assert not any(module.training for module in network.modules())
            assert not any(p.requires_grad for p in network.parameters())
            torch.testing.assert_close(classifier.logits(pictures(2, 64)), inside)
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert state(network) == before
    assert generators() == drawn


@pytest.mark.parametrize("make", NETWORKS[:4], ids=lambda make: make.__name__)
def test_outside_its_context_a_classifier_gives_the_same(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = make()
    classifier, images = wrapped(network, 64), pictures(3, 64)
    before, mark = state(network), classifier.fingerprint()
    outside = classifier.logits(images)
    assert state(network) == before
    assert classifier.fingerprint() == mark
    assert classifier.count_classes() == outside.shape[1]
    with classifier:
        assert torch.equal(classifier.logits(images), outside)
        assert classifier.fingerprint() == mark
    plain = make().eval()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(outside, plain((images - 0.5) / 0.25), rtol=1e-4, atol=1e-5)


def test_a_network_that_is_refused_comes_back_too() -> None:
    network = Tiny(classes=1).train()
    before = state(network)
    with pytest.raises(UserError, match="one logit"), wrapped(network):
        pass
    assert state(network) == before


def test_two_classifiers_of_one_network_do_not_disturb_each_other() -> None:
    network = Tiny().train()
    before = state(network)
    with wrapped(network) as one:
        logits = one.logits(pictures(2))
        with wrapped(network) as other:
            assert torch.equal(other.logits(pictures(2)), logits)
        assert not network.training
        assert torch.equal(one.logits(pictures(2)), logits)
    assert state(network) == before


@pytest.mark.parametrize("first", [0, 1])
def test_classifiers_of_one_network_leave_in_any_order(first: int) -> None:
    network = Tiny().train()
    before = state(network)
    pair = [wrapped(network), wrapped(network)]
    for one in pair:
        one.__enter__()
    logits = pair[0].logits(pictures(2))
    pair[first].__exit__(None, None, None)
    assert not network.training
    assert torch.equal(pair[1 - first].logits(pictures(2)), logits)
    pair[1 - first].__exit__(None, None, None)
    assert state(network) == before
    with pair[first]:
        assert not network.training
    assert state(network) == before


@pytest.mark.parametrize("inference", [False, True])
def test_weights_that_are_loaded_within_stay(inference: bool) -> None:
    with torch.inference_mode(inference):
        network = Tiny().train()
    other = Tiny()
    with torch.no_grad():
        for value in other.state_dict().values():
            value.add_(1)
    places = [(id(p), p.data_ptr(), p.stride()) for p in network.parameters()]
    with wrapped(network) as classifier:
        classifier.logits(pictures(2))
        network.load_state_dict(other.state_dict())
        logits = classifier.logits(pictures(2))
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in other.state_dict().items())
    assert [(id(p), p.data_ptr(), p.stride()) for p in network.parameters()] == places
    assert network.training
    with wrapped(network) as classifier:
        torch.testing.assert_close(classifier.logits(pictures(2)), logits)


def test_a_frozen_script_is_asked_as_it_is() -> None:
    network = torch.jit.freeze(torch.jit.script(Tiny().eval()))
    with wrapped(network) as classifier, wrapped(Tiny()) as plain:
        torch.testing.assert_close(classifier.logits(pictures(2)), plain.logits(pictures(2)), rtol=1e-4, atol=1e-4)


def test_denormal_numbers_are_rounded_within_only() -> None:
    torch.set_flush_denormal(False)
    with wrapped(Tiny()):
        assert float(torch.tensor(1e-40) * 1) == 0
    assert float(torch.tensor(1e-40) * 1) > 0


class Returning(Tiny):
    """Whose train() returns nothing, so that eval() gives None."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


def test_a_train_that_returns_nothing_is_no_obstacle() -> None:
    with wrapped(Returning()) as classifier:
        assert not classifier.network.training


def test_an_eval_that_fails_is_one_line() -> None:
    class Failing(Tiny):
        def train(self, mode: bool = True) -> "Failing":
            raise KeyError("mode\nof mine")

    network = Failing()
    before = state(network)
    with pytest.raises(UserError, match=r"eval\(\) fails: KeyError") as caught, wrapped(network):
        pass
    assert "\n" not in str(caught.value)
    assert state(network) == before


def test_a_network_made_under_inference_mode_has_gradients_all_the_same() -> None:
    with torch.inference_mode():
        network = Tiny()
        before = [id(p) for p in network.parameters()]
        with wrapped(network) as classifier, torch.inference_mode(False), torch.enable_grad():
            images = pictures(1).requires_grad_()
            (gradient,) = torch.autograd.grad(classifier.logits(images)[0, 0], images)
    assert bool((gradient != 0).any())
    assert [id(p) for p in network.parameters()] == before
    assert all(p.is_inference() for p in network.parameters())


def test_weights_without_values_are_one_line() -> None:
    for network in (nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), Tiny().to("meta")):
        with pytest.raises(UserError, match="no values yet"), wrapped(network):
            pass


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_network_comes_back_from_a_gpu() -> None:
    torch.manual_seed(0)
    network = resnet()
    before = state(network)
    classifier = wrapped(network, 64)
    gpu = Classifier(network, frame=classifier.frame, normalisation=classifier.normalisation, device="cuda")
    with gpu:
        gpu.logits(pictures(2, 64).cuda())
    assert state(network) == before
