"""A network from a user's file: ``FILE.py:FUNCTION``, where the function returns an ``nn.Module``.

The file is run like a script: its folder is the first in the search path of imports, so that files in it are found
before installed packages of the same name. It is registered as a module with a unique name, which dataclasses and
pickling need. State of the process that a script may change (arguments, working folder, whether gradients are recorded,
default type and device) is restored, and after an error the imported modules, too. After success the folder stays at
the end of the search path, for files that are imported during a pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.text_files import why_no_file


def is_user_file(spec: str) -> bool:
    """Whether a model specification names a user's file.

    Examples:
        >>> is_user_file("my_model.py:build"), is_user_file("timm:resnet50")
        (True, False)
    """
    return ".py:" in spec


def absolute_spec(spec: str) -> str:
    """A specification that names the same network from any working folder."""
    if not is_user_file(spec):
        return spec
    file, _, function = spec.rpartition(":")
    return f"{Path(file).absolute()}:{function}"


def load_network(spec: str) -> nn.Module:
    """The network that the function of a user's file returns.

    Args:
        spec: ``FILE.py:FUNCTION``.

    Raises:
        UserError: If there is no such file or function, it fails or ends the program, or returns something else.
    """
    file, _, function = spec.rpartition(":")
    path = Path(file).absolute()
    reason = why_no_file(path)
    if reason:
        raise UserError(f"{path} {reason}: give FILE.py:FUNCTION")
    with _process_kept(path), _beside(path):
        module = _executed(path)
        build = getattr(module, function, None)
        if not callable(build):
            raise UserError(f"{path} has no function {function!r}")
        network = _tried(build, path, f"{function}() of {path}")
        if not isinstance(network, nn.Module):
            raise UserError(f"{spec} returns {type(network).__name__}, not an nn.Module")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    return network


def _executed(path: Path) -> ModuleType:
    # no installed module has such a name
    name = f"_network_of_user_{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # a loader was given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module

    def execute() -> None:
        # not from the bytecode cache, which may be older than a file that was saved twice in a second
        exec(loader.source_to_code(path.read_bytes(), str(path)), module.__dict__)

    _tried(execute, path, str(path))
    return module


def _tried(call: Callable[[], Any], path: Path, what: str) -> Any:
    """Calls a user's code; any error but a KeyboardInterrupt becomes one line with its place in the file."""
    try:
        return call()
    except SystemExit as error:
        raise UserError(
            f"{what} ends the program (SystemExit {error.code}){_line(error, path)}: put what belongs to a script "
            "under `if __name__ == '__main__':`"
        ) from error
    except Exception as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise UserError(f"{what} fails: {type(error).__name__}: {reason[:300]}{_line(error, path)}") from error


def _line(error: BaseException, path: Path) -> str:
    lines = [step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == str(path)]
    return f" (line {lines[-1]})" if lines else ""


@contextlib.contextmanager
def _process_kept(path: Path) -> Iterator[None]:
    """Restores the state of the process that a script may change; the file gets no arguments."""
    arguments, folder = sys.argv, _working_folder()
    gradients, dtype, device = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()
    sys.argv = [str(path)]
    try:
        yield
    finally:
        sys.argv = arguments
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if folder is not None and _working_folder() != folder:
            os.chdir(folder)


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Lets files in the folder of a file be imported, before other modules of the same names."""
    folder, known, places = path.parent, set(sys.modules), list(sys.path)
    hidden = _modules_of(_names_beside(folder))
    others = {name: module for name, module in hidden.items() if not _lies_in(module, folder)}
    for name in others:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        yield
    except BaseException:
        sys.path[:] = places
        for name, module in list(sys.modules.items()):
            if name not in known and _lies_in(module, folder):
                del sys.modules[name]
        raise
    else:
        with contextlib.suppress(ValueError):  # the file may have removed it
            sys.path.remove(str(folder))
    finally:
        if others:
            for name in _modules_of({name.partition(".")[0] for name in others}):
                del sys.modules[name]
            sys.modules.update(others)


def _names_beside(folder: Path) -> set[str]:
    """The names of the modules and packages in a folder, without those of the standard library."""
    try:
        children = list(folder.iterdir())
    except OSError:  # a folder that may be entered, but not listed
        return set()
    names = {child.stem for child in children if child.suffix == ".py"}
    names |= {child.name for child in children if (child / "__init__.py").is_file()}
    return names - sys.stdlib_module_names - {"__main__", "__init__"}


def _modules_of(names: Set[str]) -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and folder in Path(file).absolute().parents
