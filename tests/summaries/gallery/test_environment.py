import logging

import jinja2
import pytest

from visual_summaries.masks.cache_folder import VARIABLE
from visual_summaries.summaries.pages import environment as module
from visual_summaries.summaries.pages.environment import environment


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "templates"


@pytest.fixture
def compiled(monkeypatch):
    """Names of the templates that were compiled."""
    names, compile_one = [], jinja2.Environment.compile

    def counting(self, source, name=None, *args, **options):
        names.append(name)
        return compile_one(self, source, name, *args, **options)

    monkeypatch.setattr(jinja2.Environment, "compile", counting)
    return names


def test_a_template_is_compiled_once(cache, compiled):
    for _ in range(2):
        environment().get_template("base.html")
    assert compiled == ["base.html"]
    assert len(list(cache.iterdir())) == 1


def test_another_version_of_the_environment_compiles_anew(cache, compiled, monkeypatch):
    environment().get_template("base.html")
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    environment().get_template("base.html")
    assert compiled == ["base.html"] * 2


@pytest.mark.parametrize("data", [b"", b"j2", b"\0" * 100])
def test_damaged_code_is_made_anew(cache, compiled, data):
    environment().get_template("base.html")
    (file,) = cache.iterdir()
    good = file.read_bytes()
    file.write_bytes(data)
    environment().get_template("base.html")
    assert compiled == ["base.html"] * 2
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch, compiled, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    with caplog.at_level(logging.INFO):
        environment().get_template("base.html")
    assert compiled == ["base.html"]
    assert "templates are compiled each time" in caplog.text
