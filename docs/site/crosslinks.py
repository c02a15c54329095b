"""Names in docstrings become links: an extension of griffe, which reads the docstrings for the site (see mkdocs.yml).

`clustering.matching.proposal_flow`, ``masks/options.py`` and the names of a module's own functions and classes become
links, in single and in double backticks, where the reference shows what they name. A role of reStructuredText before
them, as in :func:`linked`, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import griffe

_NAME = re.compile(
    r"(?::[a-z]+:)?(?<![`\[\\])(?P<ticks>`{1,2})~?(?P<name>[A-Za-z_][\w.]*|[a-z]\w*(?:/\w+)+\.py)(?P=ticks)(?!`)"
)
_QUOTE = re.compile(r"^(\s*)>")  # a line that begins with a sign is no quotation
_TABLE = re.compile(r"=+(?: +=+)+$")
_SECTION = re.compile("(Args|Attributes|Returns|Yields|Raises|Examples):")


class CrossLinks(griffe.Extension):
    """Puts links into the docstrings of a package."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: object) -> None:
        """Runs once all modules of the package are loaded."""
        for item in _shown(pkg):
            if item.docstring is not None:
                item.docstring.value = linked(item.docstring.value, item, pkg)


def linked(text: str, item: griffe.Object, package: griffe.Module) -> str:
    """A docstring with its names as links; examples and indented blocks outside of sections stay as they are."""

    def link(match: re.Match[str]) -> str:
        target, code = _find(match["name"], item, package), f"`{match['name']}`"
        return f"[{code}][{target}]" if target else code

    lines, section, table = [], False, False
    for line in text.splitlines():
        section = section or _SECTION.fullmatch(line) is not None
        table = bool(line) and (table or _TABLE.match(line) is not None)
        if table:  # of reStructuredText, which keeps its columns as a literal block
            line = f"    {line}"
        literal = table or line.lstrip().startswith((">>>", "...")) or (line.startswith("    ") and not section)
        lines.append(line if literal else _QUOTE.sub(r"\1\\>", _NAME.sub(link, line)))
    return "\n".join(lines)


def _find(name: str, item: griffe.Object, package: griffe.Module) -> str | None:
    """The full path of what a name means, in its class, its module or the package; None where it is not shown."""
    name = name.removesuffix(".py").replace("/", ".").removeprefix(f"{package.name}.")
    for scope in (item, item.module, package):
        found: griffe.Object | griffe.Alias | None = scope
        for part in name.split("."):
            # what a module imports is an alias: it is shown where it is defined
            found = found.members.get(part) if isinstance(found, griffe.Object) else None
        # a dataclass's fields without a docstring of their own stand in its docstring and have no place to link to
        if (
            isinstance(found, griffe.Object)
            and found.path != item.path
            and found.has_docstring
            and not _hidden(found.path)
        ):
            return str(found.path)
    return None


def _hidden(path: str) -> bool:
    return any(part.startswith("_") for part in path.split("."))


def _shown(item: griffe.Object) -> Iterator[griffe.Object]:
    yield item
    for member in item.members.values():
        if isinstance(member, griffe.Object) and not _hidden(member.path):
            yield from _shown(member)
