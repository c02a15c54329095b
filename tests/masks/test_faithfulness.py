"""What a mask does to the class, and what it looks like, against slow definitions and by hand."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.reference import saliency as slowly
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.metrics.faithfulness import (
    INSERTED_ONTO,
    STEPS,
    deletion_auc,
    fractions,
    insertion_auc,
    most_salient,
    probabilities,
    ranks,
    shape,
)
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.perturbation.perturb import parse_perturbation

SIDE = 12


class Corner(nn.Module):
    """Class 1 is likelier the brighter the upper left quarter."""

    def forward(self, images: Tensor) -> Tensor:
        logit = 8 * (images[:, :, : SIDE // 2, : SIDE // 2].mean((1, 2, 3)) - 0.5)
        return torch.stack([torch.zeros_like(logit), logit], 1)


def classifier() -> Classifier:
    return Classifier(
        Corner(),
        frame=Frame((SIDE, SIDE), SIDE, "bilinear"),
        normalisation=Normalisation((0.0,) * 3, (1.0,) * 3),
    )


def pictures(count: int) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def blob(*places: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for place in places:
        mask[place] = True
    return mask


MAPS = {
    "values": np.random.default_rng(1).random((SIDE, SIDE)),
    "binary": blob((slice(1, 6), slice(2, 8)), (slice(8, 11), slice(7, 12))),
    "crisp": np.round(np.random.default_rng(2).random((SIDE, SIDE)), 1),
    "empty": blob(),
    "full": ~blob(),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_order_of_pixels_is_its_slow_definition(name: str) -> None:
    places = ranks(MAPS[name])
    expected = slowly.order(MAPS[name].astype(float))
    found = [tuple(int(i) for i in np.unravel_index(flat, places.shape)) for flat in np.argsort(places.ravel())]
    assert found == expected


def test_a_binary_mask_is_taken_from_its_depth_outwards() -> None:
    places = ranks(blob((slice(2, 9), slice(3, 10))))
    assert places[5, 6] == 0
    assert places[2:9, 3:10].max() == 48
    assert places[SIDE - 1, 0] > places[SIDE - 1, 5]


@pytest.mark.parametrize("name", MAPS)
def test_deletion_and_insertion_are_their_slow_definitions(name: str) -> None:
    images, targets = pictures(2), torch.tensor([1, 0])
    places = torch.from_numpy(np.stack([ranks(MAPS[name]), ranks(MAPS["values"])]))[:, None]
    with classifier() as model:
        deleted = deletion_auc(model, images, targets, places)
        inserted = insertion_auc(model, images, targets, places)
        counts = [round(share * SIDE * SIDE) for share in fractions()]
        assert counts[0] == 0
        assert counts[-1] == SIDE * SIDE
        for i, saliency in enumerate((MAPS[name], MAPS["values"])):

            def probability(image: np.ndarray, target: int = int(targets[i])) -> float:
                return float(model.logits(torch.from_numpy(image)[None]).softmax(1)[0, target])

            order, image = slowly.order(saliency.astype(float)), images[i].numpy()
            expected = slowly.deletion(probability, image, np.full_like(image, 0.5), order, counts)
            assert float(deleted[i]) == pytest.approx(expected, abs=1e-12)
            blurred = INSERTED_ONTO.background(images)[i].numpy()
            expected = slowly.insertion(probability, image, blurred, order, counts)
            assert float(inserted[i]) == pytest.approx(expected, abs=1e-12)


def test_the_pixels_that_matter_first_is_better_than_last() -> None:
    images, targets = pictures(2) + 0.3, torch.ones(2, dtype=torch.int64)
    right = torch.from_numpy(ranks(blob((slice(0, SIDE // 2), slice(0, SIDE // 2)))))[None, None].expand(2, -1, -1, -1)
    wrong = SIDE * SIDE - 1 - right
    with classifier() as model:
        assert (deletion_auc(model, images, targets, right) < deletion_auc(model, images, targets, wrong)).all()


def test_fractions_are_denser_where_curves_bend() -> None:
    found = fractions()
    assert len(found) == STEPS + 1
    assert all(b > a for a, b in itertools.pairwise(found))
    assert found[1] < 0.01


def test_shape_of_a_mask() -> None:
    regions = [(slice(k, k + 1), slice(0, 2 * k + 1)) for k in range(0, 12, 2)]  # of 1, 3, .. 11, then cut to 12
    mask = blob(*((rows, columns) for rows, columns in regions[:6]))
    sizes = sorted((int(mask[rows, columns].sum()) for rows, columns in regions), reverse=True)
    found = shape(mask)
    assert found.regions == 6
    assert found.top5_share == pytest.approx(sum(sizes[:5]) / sum(sizes))
    assert found.area == pytest.approx(mask.mean())
    assert found.collapsed == ""
    diagonal = shape(np.eye(SIDE, dtype=bool))
    assert diagonal.regions == 1


def test_a_float_mask_has_the_area_of_its_mean_and_the_regions_of_its_larger_half() -> None:
    mask = np.full((SIDE, SIDE), 0.4)
    mask[2:4, 2:4] = 0.6
    found = shape(mask)
    assert found.area == pytest.approx(0.4 + 0.2 * 4 / 144)
    assert (found.regions, found.top5_share, found.collapsed) == (1, 1.0, "")


def test_collapsed_masks_are_told() -> None:
    assert shape(MAPS["empty"]).collapsed == "empty"
    assert shape(np.full((4, 4), 0.5)).collapsed == "empty"
    assert shape(MAPS["empty"]).top5_share is None
    assert shape(MAPS["empty"]).regions == 0
    assert shape(MAPS["full"]).collapsed == "full"


@pytest.mark.parametrize("area", [0.0, 0.1, 0.35, 1.0])
def test_the_most_salient_pixels_have_the_area_asked_for(area: float) -> None:
    for saliency in MAPS.values():
        mask = most_salient(saliency, area)
        assert mask.sum() == round(area * SIDE * SIDE)
        values = saliency.astype(float)
        if 0 < mask.sum() < mask.size:
            assert values[mask].min() >= values[~mask].max()


def test_a_mask_of_its_own_area_is_itself() -> None:
    mask = MAPS["binary"]
    assert np.array_equal(most_salient(mask, mask.mean()), mask)


def test_probabilities_under_a_perturbation_that_is_no_blend() -> None:
    images, targets = pictures(2), torch.tensor([1, 0])
    mask = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    pyramid = parse_perturbation("pyramid:3")
    with classifier() as model:
        found = probabilities(model, images, targets, mask, pyramid)
        expected = model.logits(pyramid.prepare(images)(mask)).softmax(1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(found, expected)
