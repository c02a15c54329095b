"""What the packages export: every name is there, documented, typed, and costs nothing until it is used."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = (
    "visual_summaries",
    *(f"visual_summaries.{one}" for one in ("masks", "clustering", "summaries", "specialize")),
)
NAMES = [(package, name) for package in PACKAGES for name in importlib.import_module(package).__all__]


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_an_exported_name_is_there_and_documented(package, name):
    found = getattr(importlib.import_module(package), name)
    assert found.__name__ == name
    assert found.__module__.startswith("visual_summaries.")
    assert found.__doc__
    assert name in dir(importlib.import_module(package))


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_an_exported_function_shows_how_it_is_called(package, name):
    found = getattr(importlib.import_module(package), name)
    if inspect.isfunction(found):
        assert "Examples:\n" in found.__doc__
        assert "Args:\n" in found.__doc__ or not inspect.signature(found).parameters
        assert not any(one.kind is one.VAR_KEYWORD for one in inspect.signature(found).parameters.values())


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_type_checker_sees_is_what_is_exported(package):
    """The names stand twice in the file: where a type checker reads them, and where they are loaded."""
    tree = ast.parse(Path(importlib.import_module(package).__file__).read_text(encoding="utf-8"))
    typed = {
        (alias.asname, node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert sorted({name for name, _ in typed} | defined) == sorted(importlib.import_module(package).__all__)
    for name, module in typed:
        assert getattr(importlib.import_module(module), name) is getattr(importlib.import_module(package), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_exported_is_an_error(package):
    with pytest.raises(AttributeError):
        importlib.import_module(package).no_such_name  # noqa: B018


def test_importing_the_packages_loads_no_large_library():
    code = (
        f"import sys, {', '.join(PACKAGES)}; print(sorted({{'torch', 'numpy', 'msgspec', 'tyro'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
