"""Pages of the Python reference, one a package and one a room, made from the folders when the site is built.

A hook of mkdocs (see mkdocs.yml): what is added to a package appears in the reference without being listed anywhere.
"""

from __future__ import annotations

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PACKAGES = ("masks", "clustering", "summaries", "specialize")


def rooms(package: Path) -> list[str]:
    """Names of the packages inside a package."""
    return sorted(folder.name for folder in package.iterdir() if (folder / "__init__.py").is_file())


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the reference to the navigation."""
    root = Path(config.config_file_path).parent
    pages: list[str | dict[str, object]] = ["reference/index.md"]
    for package in PACKAGES:
        inside = [{f"{package}.{room}": f"reference/{package}/{room}.md"} for room in rooms(root / package)]
        pages.append({package: [f"reference/{package}/index.md", *inside]})
    assert config.nav is not None
    config.nav.append({"Reference": pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Makes the pages."""
    root = Path(config.config_file_path).parent
    overview = [_entry("visual_summaries", "Reference", level=1, members="false")]
    for package in PACKAGES:
        inside = rooms(root / package)
        # the modules of the package itself; those of its rooms are on the rooms' pages
        modules = sorted(file.stem for file in (root / package).glob("[!_]*.py"))
        parts = [_entry(f"visual_summaries.{package}", package, level=1), _public_names(root / package)]
        parts.append("\n".join(f"- [{package}.{room}]({room}.md)" for room in inside))
        parts += [_entry(f"visual_summaries.{package}.{name}", f"{package}.{name}", level=2) for name in modules]
        files.append(File.generated(config, f"reference/{package}/index.md", content="\n\n".join(parts)))
        overview.append(f"- [{package}]({package}/index.md)")
        for room in inside:
            overview.append(f"    - [{package}.{room}]({package}/{room}.md)")
            page = _entry(f"visual_summaries.{package}.{room}", f"{package}.{room}", level=1, show_submodules="true")
            files.append(File.generated(config, f"reference/{package}/{room}.md", content=page))
    files.append(File.generated(config, "reference/index.md", content="\n".join(overview)))
    return files


def _public_names(package: Path) -> str:
    """The names that a package exports (lines ``from MODULE import NAME as NAME`` in its __init__), as links."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {name.name: node.module for node in imports for name in node.names if name.asname == name.name}
    links = [f"[`{name}`][{module}.{name}]" for name, module in sorted(names.items())]
    return f"Public names: {', '.join(links)}." if links else ""


def _entry(name: str, heading: str, *, level: int, **options: str) -> str:
    """The lines of a page that show a module, under a heading."""
    options = {"heading": heading, "toc_label": heading, "heading_level": str(level), **options}
    title = ["---", f"title: {heading}", "---"] if level == 1 else []
    return "\n".join(
        [*title, f"::: {name}", "    options:", *(f"        {key}: {value}" for key, value in options.items()), ""]
    )
