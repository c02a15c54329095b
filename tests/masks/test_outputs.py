"""Networks as they come: what is converted gives the logits of the plain network, what is not is one line."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.masks.networks import SIDE, Tiny, pictures, wrapped
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.outputs import GREY


class Tupled(Tiny):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(images), images


class Named(Tiny):
    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"aux": images, "logits": super().forward(images)}


class Output:
    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


class Object(Tiny):
    def forward(self, images: Tensor) -> Output:  # type: ignore[override]
        return Output(super().forward(images))


class Map(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[:, :, None, None]


class Squeezed(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).squeeze()


class One(Tiny):
    """Exported for a batch of one."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.reshape(1, 3, SIDE, SIDE))


class Viewing(Tiny):
    """Flattens by a view, which channels last does not allow."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.body(images)
        logits: Tensor = self.head(maps.view(len(images), -1).reshape(len(images), 8, -1).mean(2))
        return 3 * logits


class Volumes(Tiny):
    """Has weights of five dimensions, which have no layout channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(1, 1, 1)
        with torch.no_grad():
            self.first.weight.fill_(1)
            self.first.bias.fill_(0)  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.first(images[:, None])[:, 0])


class Soft(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).softmax(1)


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        (Tiny, ""),
        (Tupled, "tuple: its first tensor"),
        (Named, "dict: its logits"),
        (Object, "Output: its logits"),
        (Map, "dimensions of length 1"),
        (Squeezed, ""),
        (One, "one input at a time"),
        (Viewing, "channels last"),
        (Volumes, ""),
        (Soft, "their logarithm is taken"),
    ],
)
def test_logits_are_those_of_the_plain_network(kind: type[Tiny], note: str) -> None:
    with wrapped(kind()) as classifier, wrapped(Tiny()) as plain, torch.no_grad():
        for count in (1, 3, 5):
            expected = plain.logits(pictures(count))
            found = classifier.logits(pictures(count))
            assert found.shape == expected.shape
            torch.testing.assert_close(found.log_softmax(1), expected.log_softmax(1), rtol=1e-4, atol=1e-5)
        assert classifier.count_classes() == 5
        assert len(classifier.notes) == (note != "")
        assert note in "".join(classifier.notes)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.half, 0.02), (torch.bfloat16, 0.1), (torch.double, 1e-5)])
def test_images_are_cast_to_the_networks_type(dtype: torch.dtype, tolerance: float) -> None:
    with wrapped(Tiny().to(dtype)) as classifier, wrapped(Tiny()) as plain:
        images = pictures(3).requires_grad_()
        found = classifier.logits(images)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, plain.logits(images), rtol=tolerance, atol=tolerance)
        assert bool((torch.autograd.grad(found.sum(), images)[0] != 0).any())
        assert str(dtype).removeprefix("torch.") in classifier.notes[0]


def test_probabilities_that_round_to_nothing_have_finite_logarithms() -> None:
    class Sure(Soft):
        def forward(self, images: Tensor) -> Tensor:
            return (super().forward(images).log() * 1000).softmax(1)

    with wrapped(Sure()) as classifier:
        assert bool(torch.isfinite(classifier.logits(pictures(3))).all())


def test_a_network_of_one_channel_sees_grey() -> None:
    network = Tiny(channels=1)
    images = pictures(2)
    with wrapped(network) as classifier:
        found = classifier.logits(images)
        grey = sum(weight * images[:, i : i + 1] for i, weight in enumerate(GREY))
        torch.testing.assert_close(found, network((grey - 0.5) / 0.25))
        assert "grey inputs" in classifier.notes[0]
    with pytest.raises(UserError, match=r"takes 1 channels.*one mean"), wrapped(Tiny(channels=1), mean=0.4):
        pass


class Dropped(Tiny):
    """Functional dropout that nobody switches off."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(F.dropout(self.body(images).mean((2, 3)), 0.5))
        return logits


class Shared(Tiny):
    """One random number for all images of a batch: rows of one batch agree, passes do not."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (1 + torch.rand(1))


class Mixing(Tiny):
    """Batch norm by the statistics of the batch, in evaluation too."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(F.batch_norm(images, None, None, training=True))


class Monte(Tiny):
    """A train() that keeps dropout on."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True) -> "Monte":
        super().train(mode)
        self.drop.training = True
        return self

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.drop(images))


class Sigmoid(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).sigmoid()


class Clamped(Sigmoid):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).clamp(1e-6, 1 - 1e-6)


class Scaled(Sigmoid):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 1.0 / 1.0 + 0.0


class Alternating(Tiny):
    """Turns its logits around in every second pass, below a large offset that is common to them."""

    def forward(self, images: Tensor) -> Tensor:
        self.odd = not getattr(self, "odd", False)
        return 1000 + 0.1 * super().forward(images) * (1 if self.odd else -1)


class First(Tiny):
    """Gives all images of a batch the logits of the first."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[:1].expand(len(images), -1)


class Features(Tiny):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return self.body(images).mean((2, 3)), super().forward(images)


class Nan(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) / 0 * 0


class Classes(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).argmax(1)


class Segments(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.body(images)
        return maps


class Listed(Tiny):
    def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"out": super().forward(images)}


def poisoned() -> nn.Module:
    network = Tiny()
    with torch.no_grad():
        network.head.weight[2, 1] = float("nan")
    return network


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Dropped(), "draws random numbers.*dropout"),
        (Shared(), "draws random numbers"),
        (Monte(), "draws random numbers"),
        (Mixing(), "depends on the other inputs"),
        (Alternating(), "draws random numbers"),
        (First(), "depends on the other inputs"),
        (Sigmoid(), "sigmoid off"),
        (Clamped(), "sigmoid off"),
        (Scaled(), "sigmoid off"),
        (Features(), r"\[1, 8\] and \[1, 5\].*return the logits alone"),
        (Tiny(classes=1), r"one logit.*torch\.stack"),
        (Nan(), "not finite"),
        (poisoned(), r"weight head\.weight is not finite"),
        (Classes(), "int64.*not classes"),
        (Segments(), r"\[1, 8, 16, 16\] for 1 inputs"),
        (Listed(), "a dict with out"),
        (Tiny(channels=4), "takes 4 channels, inputs have 3"),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 3)), r"fails on an input of shape \[1, 3, 32, 32\]"),
    ],
)
def test_what_cannot_be_read_is_one_line(network: nn.Module, message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(UserError, match=message) as caught, wrapped(network):
        pass
    assert "\n" not in str(caught.value)


def test_two_sigmoids_that_sum_to_one_are_probabilities() -> None:
    class Pair(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            p = super().forward(images)[:, 0].sigmoid()
            return torch.stack([1 - p, p], 1)

    with wrapped(Pair()) as classifier, wrapped(Tiny()) as plain:
        odds = classifier.logits(pictures(3)).diff(dim=1)[:, 0]
        torch.testing.assert_close(odds, plain.logits(pictures(3))[:, 0], rtol=1e-4, atol=1e-4)


class Gated(Tiny):
    """Ends in a product of two results, one of them a sigmoid."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits.sigmoid() * (0.1 * logits.abs()).clamp(0, 1)


class Bounded(Tiny):
    def forward(self, images: Tensor) -> Tensor:
        return 10 * super().forward(images).sigmoid()


@pytest.mark.parametrize("network", [Gated(), Bounded()])
def test_a_sigmoid_inside_of_what_gives_the_logits_is_none_at_the_end(network: nn.Module) -> None:
    with wrapped(network) as classifier:
        assert classifier.notes == []


def test_a_common_offset_is_no_difference_and_hides_none() -> None:
    class Offset(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + 1000

    with wrapped(Offset()) as classifier, wrapped(Tiny()) as plain:
        torch.testing.assert_close(
            classifier.logits(pictures(3)).log_softmax(1), plain.logits(pictures(3)).log_softmax(1), rtol=0, atol=1e-3
        )
        assert classifier.notes == []


def test_later_logits_that_are_not_finite_are_an_error() -> None:
    class Fragile(Tiny):
        """Not finite on dark images."""

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) / (images.mean((1, 2, 3)) > -1).float()[:, None]

    with wrapped(Fragile()) as classifier:
        with pytest.raises(UserError, match="not finite"):
            classifier.log_probabilities(torch.zeros(1, 3, SIDE, SIDE), torch.tensor([0]))
        with pytest.raises(UserError, match="not finite"):
            classifier.finite_logits(torch.zeros(1, 3, SIDE, SIDE))
