"""Loading a network leaves the process as it was, and knows the classes and the frame of what it loads."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from timm.data import create_transform, resolve_data_config

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.networks.libraries import _timm_frame
from visual_summaries.masks.networks.models import load_classifier

NET = """
import random
import numpy
from torch import nn
import torch

class Net(nn.Module):
    input_size, mean, std = (32, 48), (0.5,) * 3, (0.25,) * 3
    {classes}
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(3, 3)
        with torch.no_grad():
            self.f.bias.add_(numpy.random.rand() + random.random())
    def forward(self, x):
        return self.f(x.mean((2, 3)))
"""


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def seeded() -> None:
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)


@pytest.mark.parametrize("spec", ["timm:resnet18", "torchvision:resnet18", "demo", "FILE", "timm:nothing", "FAILS"])
def test_loading_draws_no_random_numbers_of_the_callers(tmp_path: Path, spec: str) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes="classes = ['a', 'b', 'c']"))
    (tmp_path / "bad.py").write_text(NET.format(classes="classes = 'abc'"))
    seeded()
    wanted = draws()
    seeded()
    spec = {"FILE": f"{tmp_path}/net.py:Net", "FAILS": f"{tmp_path}/bad.py:Net"}.get(spec, spec)
    try:
        load_classifier(spec, weights="none")
    except UserError:
        assert "nothing" in spec or "bad" in spec
    assert draws() == wanted


def test_random_weights_are_the_same_every_time(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes=""))
    for spec in ("timm:resnet18", f"{tmp_path}/net.py:Net"):
        found = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            found.append(load_classifier(spec, weights="none").network.state_dict())
        assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_network_loaded_without_gradients_has_them(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes=""))
    with torch.inference_mode():
        network = load_classifier(f"{tmp_path}/net.py:Net").network
        assert torch.is_inference_mode_enabled()
    assert not any(parameter.is_inference() for parameter in network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("classes", "text"),
    [("classes = ['a', 'b']", None), ("", "a\nb\n"), ("classes = ['a', 'b', 'c', 'd']", None), ("", "a\n\nc\n")],
)
def test_class_lists_of_another_length_are_refused(tmp_path: Path, classes: str, text: str | None) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes=classes))
    given = InputFormat()
    if text is not None:
        (tmp_path / "classes.txt").write_text(text)
        given = InputFormat(classes=tmp_path / "classes.txt")
    with pytest.raises(UserError, match="names, the network has 3 logits"):
        load_classifier(f"{tmp_path}/net.py:Net", input_format=given)


@pytest.mark.parametrize("classes", ["3", "4", "nn.Linear(1, 3)"])
def test_a_number_or_a_layer_named_classes_is_no_class_list(tmp_path: Path, classes: str) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes=f"classes = {classes}"))
    assert load_classifier(f"{tmp_path}/net.py:Net").labels == []


@pytest.mark.parametrize("name", ["classes", "mean", "std", "input_size", "interpolation"])
def test_a_property_that_fails_is_one_line(tmp_path: Path, name: str) -> None:
    fails = f"{name} = property(lambda self: 1 / 0)"
    (tmp_path / "net.py").write_text(NET.format(classes=fails))
    with pytest.raises(UserError, match=f"{name} of the network of .* fails: ZeroDivisionError") as caught:
        load_classifier(f"{tmp_path}/net.py:Net")
    assert "\n" not in str(caught.value)


def test_a_tag_that_timm_does_not_know_is_one_line() -> None:
    with pytest.raises(UserError, match=r"no weights 'nonexistent' of resnet18"):
        load_classifier("timm:resnet18.nonexistent")


def test_devices_are_named_as_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes=""))
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert load_classifier(f"{tmp_path}/net.py:Net", device="auto").device.type == wanted
    with pytest.raises(UserError, match="unknown device"):
        load_classifier(f"{tmp_path}/net.py:Net", device="abacus")


def test_denormal_numbers_are_rounded_from_loading_on() -> None:
    """Torch's threads keep the mode they begin with: it has to be set before there are any, and to stay."""
    torch.set_flush_denormal(False)
    load_classifier("timm:resnet18", weights="none")
    assert float(torch.tensor(1e-40) * 1) == 0


def test_a_class_list_goes_before_the_attribute(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes="classes = 'abc'"))
    (tmp_path / "classes.csv").write_text("2,fox\n0,cat\n1,dog\n")
    spec = f"{tmp_path}/net.py:Net"
    with pytest.raises(UserError, match="str is no list of class names"):
        load_classifier(spec)
    loaded = load_classifier(spec, input_format=InputFormat(classes=tmp_path / "classes.csv"))
    assert [label.name for label in loaded.labels] == ["cat", "dog", "fox"]


@pytest.mark.parametrize("name", ["tf_efficientnetv2_b3", "vit_medium_patch16_gap_384", "resnet50"])
@pytest.mark.parametrize("square", [True, False])
def test_the_frame_is_that_of_timms_transform(name: str, square: bool) -> None:
    config = resolve_data_config({}, pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict())
    if not square:
        config["input_size"] = (3, 160, 224)
    frame, notes = _timm_frame(config)
    assert notes == []
    transform = create_transform(**config, is_training=False, normalize=False)
    for width, height in [(640, 480), (480, 640), (500, 500)]:
        small = np.random.default_rng(0).integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        ours, theirs = frame.cut(image).astype(int), transform(image).permute(1, 2, 0).numpy().astype(int)
        if not square and name == "resnet50":  # timm rounds the longer side, we cut it: up to half a pixel apart
            assert np.abs(ours - theirs).mean() < 4
        else:
            np.testing.assert_array_equal(ours, theirs)


def test_googlenet_is_normalised_as_it_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    torch.manual_seed(0)
    theirs = torchvision.models.GoogLeNet(transform_input=True, init_weights=False).eval()
    url = torchvision.models.get_model_weights("googlenet").DEFAULT.url  # type: ignore[attr-defined]
    (tmp_path / "checkpoints").mkdir()
    torch.save(theirs.state_dict(), tmp_path / "checkpoints" / url.rsplit("/", 1)[-1])
    ours = load_classifier("torchvision:googlenet")
    assert ours.network.transform_input
    assert not load_classifier("torchvision:googlenet", weights="none").network.transform_input
    image = torch.rand(1, 3, 224, 224)
    mean, std = (torch.tensor(part)[:, None, None] for part in (ours.normalisation.mean, ours.normalisation.std))
    with ours, torch.no_grad():
        torch.testing.assert_close(ours.logits(image), theirs((image - mean) / std), rtol=1e-3, atol=1e-5)


def test_a_frame_that_timm_pads_is_told() -> None:
    config = resolve_data_config({}, pretrained_cfg=timm.models.get_pretrained_cfg("resnet50").to_dict())
    frame, notes = _timm_frame(config | {"crop_mode": "border"})
    assert frame.resize == math.floor(224 / config["crop_pct"])
    assert notes == ["photographs are cut to the frame, where timm pads them"]


def test_a_frame_that_is_not_square_is_filled(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET.format(classes=""))
    white = [Image.new("RGB", size, "white") for size in ((90, 60), (60, 90), (75, 75), (20, 300), (33, 8))]
    for spec in (f"{tmp_path}/net.py:Net", "timm:resnet18", "torchvision:resnet18"):
        for size in (None, (40, 60), (60, 40)):
            frame = load_classifier(spec, weights="none", input_format=InputFormat(input_size=size)).frame
            assert frame.size == (size or ((32, 48) if "net.py" in spec else (224, 224)))
            assert all((frame.cut(photograph) == 255).all() for photograph in white)
