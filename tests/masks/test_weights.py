"""State dicts as training tools save them, against networks of which everything fits or nothing is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.networks.state_dicts import read_state_dicts
from visual_summaries.masks.networks.weights import load_weights

State = dict[str, Tensor]


class Net(nn.Module):
    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.fc = nn.Linear(4, classes)
        self.num_classes = classes

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.body(self.bn(self.conv(x)).mean((2, 3))))
        return logits


def state(classes: int = 5, seed: int = 1) -> State:
    torch.manual_seed(seed)
    return {name: value.clone() + seed for name, value in Net(classes).state_dict().items()}


def prefixed(prefix: str, values: State) -> State:
    return {prefix + name: value for name, value in values.items()}


def equals(network: nn.Module, wanted: State) -> bool:
    found = network.state_dict()
    return all(torch.equal(found[name], value) for name, value in wanted.items() if "num_batches" not in name)


def without_counters(values: State) -> State:
    return {name: value for name, value in values.items() if "num_batches" not in name}


PLAIN = state()
SAVED: dict[str, Callable[[], Any]] = {
    "plain": lambda: PLAIN,
    "module.": lambda: prefixed("module.", PLAIN),
    "_orig_mod.": lambda: prefixed("_orig_mod.", PLAIN),
    "module._orig_mod.": lambda: prefixed("module._orig_mod.", PLAIN),
    "a name of the user's": lambda: prefixed("my.own.wrapper.", PLAIN),
    "Lightning": lambda: {"state_dict": prefixed("model.", PLAIN), "epoch": 3, "optimizer_states": [{"state": {}}]},
    "Lightning with a loss": lambda: {
        "state_dict": prefixed("model.net.", PLAIN) | {"loss.weight": torch.ones(7), "metric.total": torch.tensor(1)}
    },
    "SWA": lambda: prefixed("module.", PLAIN) | {"n_averaged": torch.tensor(3)},
    "profiled": lambda: PLAIN | {"total_ops": torch.zeros(1), "conv.total_params": torch.zeros(1)},
    "without counters": lambda: without_counters(PLAIN),
    "net": lambda: {"net": PLAIN, "epoch": 3, "acc": 91.0},
    "state_dict_ema": lambda: {"state_dict_ema": PLAIN},
    "two levels": lambda: {"checkpoint": {"weights": PLAIN, "step": 1}},
    "another network first": lambda: {"discriminator": {"w": torch.ones(3)}, "generator": PLAIN},
    "a number beside": lambda: PLAIN | {"epoch": 3, "arch": "net"},
    "settings beside": lambda: {"model": PLAIN | {"epoch": 3}, "settings": {"rate": 0.1}, "step": torch.tensor(3)},
    "half": lambda: {name: value.half() if value.is_floating_point() else value for name, value in PLAIN.items()},
}


@pytest.mark.parametrize("kind", ["zip", "legacy"])
@pytest.mark.parametrize("name", SAVED)
def test_usual_ways_to_save_are_found(tmp_path: Path, name: str, kind: str) -> None:
    torch.save(SAVED[name](), tmp_path / "w.pt", _use_new_zipfile_serialization=kind == "zip")
    network = Net()
    notes = load_weights(network, tmp_path / "w.pt", "net")
    wanted = PLAIN if name != "half" else {k: v.half().float() for k, v in PLAIN.items()}
    assert equals(network, wanted)
    assert bool(notes) == (name not in ("plain", "profiled", "without counters", "half"))


def test_state_that_is_no_tensor_is_passed_on_or_noted(tmp_path: Path) -> None:
    class Extra(Net):
        seen: Any = None

        def get_extra_state(self) -> Any:
            return self.seen

        def set_extra_state(self, state: Any) -> None:
            self.seen = state

    for prefix in ("", "module."):
        trained = Extra()
        trained.seen = {"classes": ["a", "b"], "means": torch.ones(3)}
        torch.save(prefixed(prefix, trained.state_dict()) | {"epoch": 3}, tmp_path / "w.pt")
        network = Extra()
        notes = load_weights(network, tmp_path / "w.pt", "net")
        assert equals(network, dict(trained.named_parameters()))
        assert network.seen["classes"] == ["a", "b"]
        assert notes[-1] == "weights: what is no tensor is left out: epoch"
        plain = Net()
        assert "_extra_state" in load_weights(plain, tmp_path / "w.pt", "net")[-1]
        assert equals(plain, dict(trained.named_parameters()))


def test_safetensors_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.pth"):
        save_file(prefixed("module.", PLAIN), tmp_path / name)
        network = Net()
        load_weights(network, tmp_path / name, "net")
        assert equals(network, PLAIN)


def test_a_wrapped_network_takes_plain_weights(tmp_path: Path) -> None:
    torch.save(PLAIN, tmp_path / "w.pt")
    network = nn.Sequential()
    network.add_module("inner", Net())
    load_weights(network, tmp_path / "w.pt", "net")
    assert equals(network.inner, PLAIN)  # type: ignore[arg-type]


def test_names_that_fit_as_they_are_keep_their_prefix(tmp_path: Path) -> None:
    network = nn.Sequential()
    network.add_module("model", Net())
    torch.save(prefixed("model.", PLAIN), tmp_path / "w.pt")
    assert load_weights(network, tmp_path / "w.pt", "net") == []
    assert equals(network, prefixed("model.", PLAIN))


def test_weights_of_training_go_before_averaged_ones(tmp_path: Path) -> None:
    torch.save({"model_ema": state(seed=2), "model": PLAIN}, tmp_path / "w.pt")
    network = Net()
    assert load_weights(network, tmp_path / "w.pt", "net") == ["weights: those under 'model' are taken, not model_ema"]
    assert equals(network, PLAIN)


@pytest.mark.parametrize(
    "wrong",
    [
        state() | {"more.weight": torch.ones(3)},
        {name: value for name, value in PLAIN.items() if name != "body.0.bias"},
        PLAIN | {"conv.weight": torch.ones(4, 3, 5, 5)},
        PLAIN | {"body.0.weight": torch.ones(4, 4, dtype=torch.int8)},
        prefixed("a.", PLAIN) | {"b.weight": torch.ones(1)},
        {"weight": torch.ones(2)},
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path: Path, wrong: State) -> None:
    torch.save(wrong, tmp_path / "w.pt")
    network = Net()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UserError, match="another network") as caught:
        load_weights(network, tmp_path / "w.pt", "net", names=5)
    assert "\n" not in str(caught.value)
    assert equals(network, before)


def test_two_networks_in_one_file_are_refused(tmp_path: Path) -> None:
    torch.save(prefixed("model.", PLAIN) | prefixed("net.", state(seed=2)), tmp_path / "w.pt")
    with pytest.raises(UserError, match="more than one network"):
        load_weights(Net(), tmp_path / "w.pt", "net")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    broken = PLAIN["fc.bias"].double()
    broken[1] = value
    torch.save(PLAIN | {"fc.bias": broken}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"not finite.*fc\.bias"):
        load_weights(Net(), tmp_path / "w.pt", "net")


def test_constants_of_a_network_may_be_infinite(tmp_path: Path) -> None:
    network = Net()
    network.register_buffer("mask", torch.tensor([0.0, -float("inf")]))
    torch.save(PLAIN | {"mask": torch.tensor([0.0, -float("inf")])}, tmp_path / "w.pt")
    load_weights(network, tmp_path / "w.pt", "net")
    torch.save(PLAIN | {"mask": torch.tensor([-float("inf"), 0.0])}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="not finite"):
        load_weights(network, tmp_path / "w.pt", "net")


def test_a_head_of_another_size_is_replaced_for_that_many_names(tmp_path: Path) -> None:
    torch.save(prefixed("module.", state(classes=2)), tmp_path / "w.pt")
    network = Net()
    with pytest.raises(UserError, match=r"for 2 classes, the network of net has 5: give 2 class names as `classes`"):
        load_weights(network, tmp_path / "w.pt", "net")
    with pytest.raises(UserError, match="has 5, the class list 3: give"):
        load_weights(network, tmp_path / "w.pt", "net", names=3)
    assert network.fc.out_features == network.num_classes == 5
    notes = load_weights(network, tmp_path / "w.pt", "net", names=2)
    assert notes[-1] == "weights: fc is replaced, for 2 classes in place of 5"
    assert equals(network, state(classes=2))
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    assert network.num_classes == 2


def test_another_layer_of_another_size_is_no_head(tmp_path: Path) -> None:
    wrong = state() | {"body.0.weight": torch.ones(7, 4), "body.0.bias": torch.ones(7)}
    torch.save(wrong, tmp_path / "w.pt")
    (tmp_path / "names.txt").write_text("\n".join("abcdefg"))
    (tmp_path / "net.py").write_text(NET)
    with pytest.raises(UserError):  # the layer would be replaced, but the network would not work
        load_classifier(
            f"{tmp_path}/net.py:Net",
            weights=str(tmp_path / "w.pt"),
            input_format=InputFormat(classes=tmp_path / "names.txt"),
        )


NET = """
from torch import nn
class Net(nn.Module):
    input_size, mean, std = 32, (0.5,) * 3, (0.25,) * 3
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    def forward(self, x): return self.fc(self.body(self.bn(self.conv(x)).mean((2, 3))))
"""


@pytest.mark.parametrize(
    "spec", ["timm:resnet18", "torchvision:resnet18", "torchvision:squeezenet1_1", "timm:vit_tiny_patch16_224"]
)
def test_heads_of_known_networks_are_replaced(tmp_path: Path, spec: str) -> None:
    name = spec.partition(":")[2]
    if spec.startswith("timm"):
        trained = timm.create_model(name, num_classes=2)
    else:
        torchvision = pytest.importorskip("torchvision")
        trained = torchvision.models.get_model(name, weights=None, num_classes=2)
    torch.save({"model": trained.state_dict(), "args": None}, tmp_path / "w.pt")
    (tmp_path / "names.json").write_text('{"ant": 0, "bee": 1}')
    wanted = InputFormat(classes=tmp_path / "names.json")
    classifier = load_classifier(spec, weights=str(tmp_path / "w.pt"), input_format=wanted)
    picture = torch.rand(1, 3, *classifier.frame.size)
    with classifier, torch.no_grad():
        assert classifier.count_classes() == 2
        torch.testing.assert_close(classifier.network(picture), trained.eval()(picture), atol=1e-4, rtol=1e-4)
    assert [label.name for label in classifier.labels] == ["ant", "bee"]
    assert any("replaced, for 2 classes" in note for note in classifier.notes)
    with pytest.raises(UserError, match=r"for 2 classes, the network of .* has 1000"):
        load_classifier(spec, weights=str(tmp_path / "w.pt"))


def test_files_that_are_no_weights_are_one_line(tmp_path: Path) -> None:
    torch.save(PLAIN, tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    save_file(PLAIN, tmp_path / "whole.safetensors")
    safe = (tmp_path / "whole.safetensors").read_bytes()
    torch.save(Net(), tmp_path / "network.pt")
    torch.jit.script(Net()).save(tmp_path / "script.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"a": 1}, tmp_path / "numbers.pt")
    torch.save({}, tmp_path / "nothing.pt")
    for name, data in {
        "empty.pt": b"",
        "empty.safetensors": b"",
        "cut.pt": whole[: len(whole) // 2],
        "cut.safetensors": safe[: len(safe) // 2],
        "header.safetensors": safe[:8] + b"x" + safe[9:],
        "text.pt": b"hello\nworld\n",
        "zeros.pt": bytes(1000),
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.pt").mkdir()
    for path in [
        *sorted(tmp_path.iterdir()),
        tmp_path / "missing.pt",
        tmp_path / ("long" * 100),
        tmp_path / "nul\0.pt",
    ]:
        if path.stem != "whole":
            with pytest.raises(UserError, match="`weights` ") as caught:
                read_state_dicts(path)
            assert "\n" not in str(caught.value)
            assert path.name in str(caught.value)


def test_a_dictionary_that_holds_itself_ends(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless |= {f"key{number}": endless for number in range(1000)}
    torch.save(endless, tmp_path / "w.pt")
    with pytest.raises(UserError, match="no state dict"):
        read_state_dicts(tmp_path / "w.pt")
