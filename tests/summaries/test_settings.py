"""Options: preset, then configuration file, then command line."""

import pytest

from summaries.cli import main
from summaries.cli import run as run_command
from summaries.settings import Settings


@pytest.fixture
def settings_of(monkeypatch):
    """The settings that a command line comes to, without running it."""
    seen = []
    monkeypatch.setattr(run_command, "run_folders", seen.append)

    def read(*more):
        assert main(["run", "photos", "--out", "run", "--model", "demo", *more]) == 0
        return seen.pop().settings

    return read


def test_the_command_line_is_over_the_file_and_the_file_over_the_preset(settings_of, tmp_path):
    config = tmp_path / "options.toml"
    config.write_text("[masks.smooth]\niterations = 7\nl1 = 0.25\n[masks.crisp]\nrate = 1\n[prune]\nmin_members = 4\n")
    found = settings_of("--preset", "paper", "--config", str(config), "--set.masks.smooth.iterations", "9")
    assert found.masks.smooth.iterations == 9  # command line
    assert found.masks.smooth.l1 == 0.25  # file
    assert found.masks.crisp.rate == 1.0
    assert found.masks.crisp.tv == 1.0  # preset
    assert found.prune.min_members == 4
    assert settings_of("--preset=reference").masks.smooth.resolution == 8
    assert settings_of() == Settings()


def test_json_says_the_same(settings_of, tmp_path):
    (tmp_path / "options.json").write_text('{"masks": {"crisp": {"perturbations": ["blur:5"]}}}')
    assert settings_of("--config", str(tmp_path / "options.json")).masks.crisp.perturbations == ("blur:5",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[prune]\nmin_member = 4", "unknown option 'prune.min_member' in the configuration: known are min_members"),
        ("[prun]\nmin_members = 4", "unknown option 'prun'"),
        ("prune = 4", "'prune' in the configuration is a table"),
        ('[prune]\nmin_members = "four"', "'prune.min_members' in the configuration is int, not 'four'"),
        ("[prune]\nmin_members = true", "'prune.min_members' in the configuration is int, not True"),
        ('[similarity]\nsymmetry = "most"', "'similarity.symmetry' in the configuration is one of"),
    ],
)
def test_a_wrong_configuration_is_an_error_that_names_the_option(capsys, tmp_path, text, message):
    (tmp_path / "options.toml").write_text(text)
    config = ["--config", str(tmp_path / "options.toml")]
    assert main(["run", "photos", "--out", str(tmp_path / "run"), "--model", "demo", *config]) == 2
    messages = capsys.readouterr().err
    assert messages.startswith("visual-summaries: ")
    assert message in messages
    assert not (tmp_path / "run").exists()
