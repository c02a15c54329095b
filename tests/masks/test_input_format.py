"""What a network says of its input, and what a user says in its place."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Normalisation
from visual_summaries.masks.networks.input_format import normalisation, overridden, own_format, size_of
from visual_summaries.masks.networks.input_options import InputFormat

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def network(**attributes: Any) -> nn.Module:
    made = nn.Linear(1, 1)
    for name, value in ({"input_size": 64, "mean": MEAN, "std": STD} | attributes).items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (64, (64, 64)),
        (np.int64(64), (64, 64)),
        (64.0, (64, 64)),
        ((64,), (64, 64)),
        ((64, 96), (64, 96)),
        ([3, 64, 96], (64, 96)),
        ((64, 96, 3), (64, 96)),
        (torch.tensor([64, 96]), (64, 96)),
        (torch.Size([3, 64, 96]), (64, 96)),
    ],
)
def test_sizes_are_read_in_any_form(value: object, size: tuple[int, int]) -> None:
    assert size_of(value, "input_size") == size


@pytest.mark.parametrize(
    "value", [0, -1, 64.5, (), (1, 2, 3, 4, 5), (7, 64, 96), "64", None, True, float("nan"), 10**9, [[64], [1, 2]], len]
)
def test_what_is_no_size_is_one_line(value: object) -> None:
    with pytest.raises(UserError, match="is no size") as caught:
        size_of(value, "input_size")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "form",
    [
        tuple,
        list,
        np.array,
        torch.tensor,
        lambda values: torch.tensor(values, requires_grad=True),
        lambda values: np.array(values).reshape(1, 3, 1, 1),
        lambda values: torch.tensor(values).view(3, 1, 1),
    ],
)
def test_colours_are_read_in_any_form(form: Any) -> None:
    found = normalisation(form(MEAN), form(STD), "net")
    assert found.mean == pytest.approx(MEAN, abs=1e-7)
    assert found.std == pytest.approx(STD, abs=1e-7)
    assert normalisation(0.5, np.array([0.25]), "net") == Normalisation((0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "0 to 255"),
        (MEAN, (58.4, 57.1, 57.4), "0 to 255"),
        ((0.5, 0.5, 1.5), STD, "0 to 255"),
        (MEAN, (0.2, 0.0, 0.2), "not above 0"),
        (MEAN, (0.2, -0.1, 0.2), "not above 0"),
        ((0.5, 0.5), STD, "not three numbers"),
        (MEAN, (0.2,) * 4, "not three numbers"),
        ((0.5, float("nan"), 0.5), STD, "not three numbers"),
        (MEAN, (0.2, float("inf"), 0.2), "not three numbers"),
        ("0.5", STD, "not three numbers"),
        (len, STD, "not three numbers"),
        (nn.Linear(1, 1), STD, "not three numbers"),
    ],
)
def test_what_is_no_colour_is_one_line(mean: object, std: object, message: str) -> None:
    for call in (
        lambda: normalisation(mean, std, "net"),
        lambda: own_format(network(mean=mean, std=std), "net", InputFormat()),
        lambda: overridden(
            Frame((8, 8), 8, "bilinear"),
            Normalisation(MEAN, STD),
            InputFormat(mean=mean, std=std),  # type: ignore[arg-type]
        ),
    ):
        with pytest.raises(UserError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_buffers_are_no_statement_on_the_input() -> None:
    class Inside(nn.Module):
        input_size = 64

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
            self.std = nn.Parameter(torch.tensor(STD).view(1, 3, 1, 1))

    with pytest.raises(UserError, match=r"mean and std in buffers.*`mean` 0 0 0 and `std` 1 1 1"):
        own_format(Inside(), "net", InputFormat())
    with pytest.raises(UserError, match="keeps std in"):
        own_format(Inside(), "net", InputFormat(mean=(0.0, 0.0, 0.0)))
    plain = InputFormat(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert own_format(Inside(), "net", plain)[1] == Normalisation((0.0,) * 3, (1.0,) * 3)


def test_what_is_said_goes_before_attributes() -> None:
    wanted = InputFormat(input_size=(64, 96), mean=np.zeros(3), std=[1, 1, 1])  # type: ignore[arg-type]
    frame, colours = own_format(network(interpolation="bicubic"), "net", wanted)
    assert frame == Frame((64, 96), 64, "bicubic")
    assert colours == Normalisation((0.0,) * 3, (1.0,) * 3)
    with pytest.raises(UserError, match=r"lacks input_size, std: .*`input_size`, `std`"):
        own_format(network(input_size=None, std=None), "net", InputFormat())
    with pytest.raises(UserError, match="interpolation 'box' is none of"):
        own_format(network(interpolation="box"), "net", InputFormat())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Frame((224, 224), 256, "bilinear"), Frame((112, 168), 128, "bilinear")),
        (Frame((224, 224), None, "bilinear"), Frame((112, 168), None, "bilinear")),
        (Frame((224, 224), (249, 249), "bilinear"), Frame((112, 168), (124, 186), "bilinear")),
        (Frame((224, 112), 112, "bilinear"), Frame((112, 168), 112, "bilinear")),
    ],
)
def test_another_size_shows_as_much_of_a_photograph(before: Frame, after: Frame) -> None:
    assert overridden(before, Normalisation(MEAN, STD), InputFormat(input_size=(112, 168)))[0] == after
