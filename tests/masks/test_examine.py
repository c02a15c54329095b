"""What is found out on two real frames, before any work."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.masks.networks import SIDE, Tiny, pictures, wrapped
from tests.masks.test_optimize import short
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.examine import examine
from visual_summaries.masks.networks.layers import feature_layers, linear_layers
from visual_summaries.masks.perturbation.optimize import optimize
from visual_summaries.masks.perturbation.schedule import PRESETS, Schedule


def frames(count: int = 2) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8))


class Script(nn.Module):
    """A part of it is TorchScript."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.jit.script(nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images)
        return logits


def scripted() -> nn.Module:
    network: nn.Module = torch.jit.script(nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    return network


def weight_normed() -> nn.Module:
    network = Tiny()
    torch.nn.utils.weight_norm(network.body[0])  # the old one: a weight that is no leaf, and cannot be copied
    network(pictures(1))
    return network


def parametrized() -> nn.Module:
    network = Tiny()
    nn.utils.parametrizations.spectral_norm(network.body[0])
    nn.utils.parametrizations.weight_norm(network.head)
    return network


def pruned() -> nn.Module:
    from torch.nn.utils import prune

    network = Tiny()
    prune.l1_unstructured(network.body[0], "weight", 0.3)
    network(pictures(1))
    return network


def tiny_schedule() -> Schedule:
    return short(PRESETS["compact"], 2)


@pytest.mark.parametrize("make", [Tiny, Script, scripted, weight_normed, parametrized, pruned, lambda: Tiny().half()])
def test_networks_that_work_in_their_users_loops_pass_and_get_masks(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = make()
    images = torch.from_numpy(np.stack(frames())).permute(0, 3, 1, 2) / 255
    with wrapped(network) as classifier:
        examine(classifier, frames())
        mark = classifier.fingerprint()
        found = optimize(classifier, images, torch.tensor([0, 1]), tiny_schedule())
        assert classifier.fingerprint() == mark
        assert len(feature_layers(classifier)) == 0 or not isinstance(network, (Script, torch.jit.ScriptModule))
        linear_layers(classifier)
    assert bool(torch.isfinite(found.crisp).all())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_masks_are_the_same_whatever_the_callers_mode(mode: Callable[[], torch.no_grad]) -> None:
    def found() -> Tensor:
        with wrapped(Tiny()) as classifier:
            assert examine(classifier, frames()) == []
            images = classifier.to_tensor(frames())
            return optimize(classifier, images, torch.tensor([0, 1]), tiny_schedule()).crisp

    expected = found()
    with mode():
        again = found()
    assert torch.equal(again, expected)


class Blind(Tiny):
    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)


class Rounding(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.round())


def quantised() -> nn.Module:
    network: nn.Module = torch.ao.quantization.quantize_dynamic(Tiny().eval(), {nn.Linear})
    return network


class DroppedOnPhotographs(Tiny):
    """Draws random numbers on pictures that are bright on the left, as noise is not."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images[..., : SIDE // 2].mean((1, 2, 3)) > 1
        return super().forward(torch.where(bright[:, None, None, None], F.dropout(images, 0.5), images))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "message"), [(Blind, "no gradient"), (quantised, "no gradient"), (Rounding, "zero everywhere")]
)
def test_without_a_gradient_there_are_no_masks(make: Callable[[], nn.Module], message: str) -> None:
    with wrapped(make()) as classifier:
        with pytest.raises(UserError, match=message) as caught:
            examine(classifier, frames())
        assert "\n" not in str(caught.value)
        assert examine(classifier, frames(), gradients=False) == []
        if message == "no gradient":
            with pytest.raises(UserError, match=message):
                optimize(classifier, classifier.to_tensor(frames()), torch.tensor([0, 1]), tiny_schedule())


def test_real_frames_show_what_noise_does_not() -> None:
    bright = [np.full((SIDE, SIDE, 3), 250, np.uint8), *frames(1)]
    with wrapped(DroppedOnPhotographs()) as classifier:
        with pytest.raises(UserError, match="random numbers"):
            examine(classifier, bright)
        assert examine(classifier, frames()) == []


def test_a_weight_that_is_not_finite_is_named_even_where_no_logit_shows_it() -> None:
    network = Tiny()
    network.unused = nn.Linear(3, 3)
    with torch.no_grad():
        network.unused.bias[1] = float("inf")
    with wrapped(network) as classifier, pytest.raises(UserError, match=r"unused\.bias"):
        examine(classifier, frames())


def test_infinite_buffers_are_no_fault() -> None:
    network = Tiny()
    network.register_buffer("attention", torch.full((3, 3), -torch.inf))
    with wrapped(network) as classifier:
        assert examine(classifier, frames()) == []


def test_as_many_names_as_logits() -> None:
    with wrapped(Tiny(), names=("a", "b")) as classifier, pytest.raises(UserError, match="5 logits, but 2 class names"):
        examine(classifier, frames())
    with wrapped(Tiny(), names=tuple("abcde")) as classifier:
        assert examine(classifier, frames()) == []


def test_one_frame_is_enough() -> None:
    with wrapped(Tiny()) as classifier:
        assert examine(classifier, frames(1)) == []


class Uncopied(Tiny):
    def __deepcopy__(self, memo: dict[int, object]) -> "Uncopied":
        raise KeyError("no copies")


def test_what_cannot_be_fused_is_told() -> None:
    with wrapped(Uncopied()) as classifier:
        (note,) = examine(classifier, frames())
        assert "cannot be fused (KeyError" in note
        optimize(classifier, classifier.to_tensor(frames()), torch.tensor([0, 1]), tiny_schedule())


@pytest.mark.filterwarnings("ignore")
def test_fingerprints_of_odd_states() -> None:
    class Extra(Tiny):
        epoch: object = 3

        def get_extra_state(self) -> object:
            return {"epoch": self.epoch, "object": object()}

        def set_extra_state(self, state: object) -> None: ...

    def sparse(value: float) -> nn.Module:
        network = Tiny()
        network.register_buffer("graph", torch.sparse_coo_tensor([[0, 1], [1, 0]], [value, 2.0], (2, 2)))
        network.register_buffer("rows", torch.eye(2).to_sparse_csr())
        return network

    one, other = Extra(), Extra()
    other.epoch = 4
    assert wrapped(one).fingerprint() == wrapped(copy.deepcopy(one)).fingerprint() != wrapped(other).fingerprint()
    assert wrapped(sparse(1)).fingerprint() == wrapped(sparse(1)).fingerprint() != wrapped(sparse(3)).fingerprint()
    changed = quantised()
    assert wrapped(quantised()).fingerprint() == wrapped(changed).fingerprint() != wrapped(Tiny()).fingerprint()
    assert wrapped(scripted()).fingerprint() != wrapped(Tiny()).fingerprint()
    assert wrapped(Tiny().to("meta")).fingerprint() == wrapped(Tiny().to("meta")).fingerprint()
