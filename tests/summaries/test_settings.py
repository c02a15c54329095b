"""Options: preset, then configuration file, then command line."""

import json

import pytest

from visual_summaries.summaries.cli import main
from visual_summaries.summaries.cli import run as run_command
from visual_summaries.summaries.settings import Settings


@pytest.fixture
def settings_of(monkeypatch):
    """The settings that a command line comes to, without running it."""
    seen = []
    monkeypatch.setattr(run_command, "run_folders", lambda options: seen.append(options) or [])

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
        ("prune = 4", "prune is 4: give a table of options"),
        ('[prune]\nmin_members = "four"', "prune.min_members is 'four': give a whole number at least 2"),
        ("[prune]\nmin_members = true", "prune.min_members is True: give a whole number at least 2"),
        ('[similarity]\nsymmetry = "most"', "similarity.symmetry is 'most': give one of geometric, mirror"),
        ("[masks.crisp]\narea = 30", "masks.crisp.area is 30: give a value in [0, 1]"),
        ("[masks.crisp]\narea = nan", "masks.crisp.area is nan: give a number in [0, 1]"),
        ("[masks.smooth]\nsharpness = [3, 2]", "masks.smooth.sharpness is (3.0, 2.0): give a first value"),
        ("[similarity.matching]\npower = 0", "similarity.matching.power is 0: give a value in [1, 10]"),
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


@pytest.fixture
def refused(capsys, tmp_path):
    """The line with which a command refuses, before it made anything."""

    def command(*given):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        assert main(list(given)) == 2
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        return lines[0].removeprefix("visual-summaries: ")

    return command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set.masks.crisp.area", "30"], "--set.masks.crisp.area is 30.0: give a value in [0, 1]"),
        (["--set.masks.crisp.area", "-1"], "--set.masks.crisp.area is -1.0: give a value in [0, 1]"),
        (["--set.masks.crisp.area", "nan"], "--set.masks.crisp.area is nan: give a number in [0, 1]"),
        (["--set.masks.batch", "-1"], "--set.masks.batch is -1: give at least 0"),
        (["--set.masks.smooth.perturbations", "blr:1"], "--set.masks.smooth.perturbations is ('blr:1',): give a list"),
        (["--set.masks.smooth.sharpness", "3", "2"], "--set.masks.smooth.sharpness is (3.0, 2.0): give a first value"),
        (["--set.binary.min-area", "2"], "--set.binary.min-area is 2.0: give a value in [0, 1]"),
        (["--set.proposals.max-kept", "0"], "--set.proposals.max-kept is 0: give at least 1"),
        (["--set.similarity.pairs", "knn"], "--set.similarity.pairs is 'knn': give all, or knn:20"),
        (["--pairs", "knn"], "--pairs is 'knn': give all, or knn:20"),
        (["--set.similarity.matching.power", "0"], "--set.similarity.matching.power is 0: give a value in [1, 10]"),
        (["--set.prune.min-members", "1"], "--set.prune.min-members is 1: give at least 2"),
        (["--jobs", "0"], "--jobs is 0: give at least 1"),
        (["--limit", "0"], "--limit is 0: give at least 1"),
        (["--seed", "-1"], "--seed is -1: give at least 0"),
    ],
)
def test_a_value_out_of_its_range_names_its_option_before_anything_is_made(refused, tmp_path, options, message):
    (tmp_path / "photos").mkdir()
    given = ["run", str(tmp_path / "photos"), "--out", str(tmp_path / "run"), "--model", "demo", *options]
    assert message in refused(*given)


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("masks", ["--set.masks.batch", "-1"], "--set.masks.batch is -1: give at least 0"),
        ("masks", ["--set.masks.crisp.area", "30"], "--set.masks.crisp.area is 30.0: give a value in [0, 1]"),
        ("masks", ["--set.binary.min-area", "nan"], "--set.binary.min-area is nan: give a number in [0, 1]"),
        ("cluster", ["--set.affinity.damping", "1"], "--set.affinity.damping is 1.0: give a value in [0.5, 1)"),
        ("cluster", ["--set.similarity.pairs", "knn:0"], "--set.similarity.pairs is 'knn:0': give all, or knn:20"),
        (
            "cluster",
            ["--set.proposals.min-side", "0.99"],
            "--set.proposals.min-side is 0.99: give at most 1",
        ),
        ("cluster", ["--jobs", "-3"], "--jobs is -3: give at least 1"),
    ],
)
def test_a_run_stays_as_it_is_when_an_option_is_refused(refused, copy, command, options, message):
    assert message in refused(command, str(copy), *options)


def test_a_recorded_value_out_of_its_range_names_the_record(refused, copy):
    record = json.loads((copy / "run.json").read_text())
    record["config"]["settings"]["masks"]["crisp"]["area"] = 30
    (copy / "run.json").write_text(json.dumps(record))
    assert refused("cluster", str(copy)) == f"{copy / 'run.json'}: masks.crisp.area is 30: give a value in [0, 1]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set.tuning.costs", "1", "0"], "--set.tuning.costs is (1.0, 0.0): give a list of values, each"),
        (
            ["--set.features.windows.sizes", "1.5"],
            "--set.features.windows.sizes is (1.5,): give a list",
        ),
        (["--set.svm.no-others", "--set.svm.no-siblings"], "--set.svm.others is False: keep siblings or others"),
        (["--set.split.tuning", "0.6"], "--set.split.evaluation is 0.45: give at most 1 - tuning"),
        (["--seed", "-1"], "--seed is -1: give at least 0"),
    ],
)
def test_specialize_refuses_likewise(refused, copy, tmp_path, options, message):
    given = ["specialize", str(copy), "--train", str(tmp_path), "--out", str(tmp_path / "model"), *options]
    assert message in refused(*given)
