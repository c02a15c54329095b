"""Options that check themselves: the type and the range of each field stand in its annotation.

    @dataclass(frozen=True)
    class Stage(Options):
        area: Annotated[float, Range(ge=0, le=1)] = 0.3
        perturbations: Annotated[tuple[Annotated[str, Named(check, "blur:SIGMA, ...")], ...], Filled()] = ("blur:10",)

Options that are made from Python, a configuration file or the command line are within their ranges, or an
:class:`OptionError` names the field. A number is converted to the type of its field: 1 becomes 1.0 for a float, so that
equal options are recorded equally. A list becomes a tuple. Numbers that are not finite are refused. Conditions on
several fields are checked by :meth:`Options.check`.

Libraries that check annotations were tried. msgspec checks decoded data only, not objects made in Python, and ignores
unknown names of a dataclass. pydantic takes 0.1 s of processor time to import, and an answer of the command line may
take 0.7 s. Their messages name one limit of a range, where these name the value, the range and the forms of a text.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import reprlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from visual_summaries.masks.errors import UserError

LARGEST = 2**31
"""Whole numbers are smaller: larger ones do not pass through the arrays of all libraries."""


def shown(value: object) -> str:
    """A value as errors show it: on one line, shortened.

    Examples:
        >>> shown([1, "two"])
        "[1, 'two']"
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return short.repr(value)


class OptionError(UserError):
    """A value that an option cannot have.

    Attributes:
        name: The option, for instance ``Stage.area``; :meth:`called` replaces the name.
        value: The value that was given.
        wanted: What to do instead: "give a value in [0, 1]".
    """

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(f"{name} is {shown(value)}: {wanted}")
        self.name, self.value, self.wanted = name, value, wanted

    @property
    def field(self) -> str:
        """The name without its class."""
        return self.name.rpartition(".")[2]

    def called(self, name: str) -> OptionError:
        """The same with another name of the option."""
        return OptionError(name, self.value, self.wanted)


@dataclass(frozen=True)
class Range:
    """The range of a number, with the names of ``annotated_types.Interval``: ge and le belong to it, gt and lt do not.

    Raises:
        ValueError: If a limit is given twice.

    Examples:
        >>> 1 in Range(ge=0, lt=1), str(Range(ge=0, lt=1)), str(Range(gt=0))
        (False, 'in [0, 1)', 'above 0')
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __post_init__(self) -> None:
        if (self.ge is not None and self.gt is not None) or (self.le is not None and self.lt is not None):
            raise ValueError(f"a limit is given twice: {self!r}")

    def __contains__(self, value: float) -> bool:
        return not (
            (self.ge is not None and value < self.ge)
            or (self.gt is not None and value <= self.gt)
            or (self.le is not None and value > self.le)
            or (self.lt is not None and value >= self.lt)
        )

    def __str__(self) -> str:
        low = self.gt if self.ge is None else self.ge
        high = self.lt if self.le is None else self.le
        if high is None:
            return f"above {low:g}" if self.ge is None else f"at least {low:g}"
        if low is None:
            return f"under {high:g}" if self.le is None else f"at most {high:g}"
        return f"in {'(' if self.ge is None else '['}{low:g}, {high:g}{')' if self.le is None else ']'}"


@dataclass(frozen=True)
class Named:
    """A text of one of several forms.

    Attributes:
        check: Raises ValueError if the text has none of them.
        forms: The forms, for messages.
    """

    check: Callable[[str], object]
    forms: str


@dataclass(frozen=True)
class Filled:
    """A tuple of at least one value."""


Seed = Annotated[int, Range(ge=0)]
"""Of random choices."""


@dataclass(frozen=True)
class Options:
    """The base of a dataclass of options; its fields are checked when it is made.

    Raises:
        OptionError: A value has the wrong type or is out of its range.
    """

    def __post_init__(self) -> None:
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in checked(own, hints(type(self)), type(self).__name__).items():
            if value is not own[name]:
                object.__setattr__(self, name, value)
        self.check()

    def check(self) -> None:
        """Checks conditions on several fields, after each is within its range; none by default."""

    def refuse(self, name: str, wanted: str) -> OptionError:
        """The error of a field, for :meth:`check`."""
        return OptionError(f"{type(self).__name__}.{name}", getattr(self, name), wanted)


def hints(kind: Callable[..., object]) -> Mapping[str, Any]:
    """The annotations of a class's fields, or of a function's arguments, with what they say of ranges."""
    return types.MappingProxyType(typing.get_type_hints(kind, include_extras=True))


def checked(values: Mapping[str, Any], annotations: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Values in the types of their annotations and within their ranges.

    Args:
        values: By name.
        annotations: By name; a value without one is left as it is.
        owner: Stands before the name in an error, with a dot; none where it is empty.

    Raises:
        OptionError: A value has the wrong type or is out of its range.

    Examples:
        >>> checked({"rate": 1}, {"rate": Annotated[float, Range(gt=0)]}, "Stage")
        {'rate': 1.0}
        >>> checked({"rate": -1}, {"rate": Annotated[float, Range(gt=0)]}, "Stage")
        Traceback (most recent call last):
        ...
        visual_summaries.masks.options.OptionError: Stage.rate is -1: give above 0
    """
    found = {}
    for name, value in values.items():
        try:
            found[name] = _fitted(value, annotations[name]) if name in annotations else value
        except _MisfitError as misfit:
            raise OptionError(f"{owner}.{name}" if owner else name, value, f"give {misfit}") from None
    return found


class _MisfitError(ValueError):
    """The message says what would do."""


def _fitted(value: Any, hint: Any) -> Any:
    """A value in the type of its annotation.

    Raises:
        _MisfitError: It cannot be, or lies outside the range.
    """
    if typing.get_origin(hint) is Annotated:
        kind, *limits = typing.get_args(hint)
        return _limited(value, kind, limits)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        kinds = typing.get_args(hint)
        if value is None and type(None) in kinds:
            return None
        return _fitted(value, next(kind for kind in kinds if kind is not type(None)))
    if typing.get_origin(hint) is tuple:
        return _tuple(value, typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        if isinstance(value, str) and value in typing.get_args(hint):
            return value
        raise _MisfitError(f"one of {', '.join(typing.get_args(hint))}")
    if hint in (int, float):
        return _number(value, hint)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise _MisfitError(_KINDS.get(hint, f"options of {hint.__name__}"))
    return value


_KINDS: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}


def _limited(value: Any, kind: Any, limits: Sequence[object]) -> Any:
    ranges = [limit for limit in limits if isinstance(limit, Range)]
    try:
        value = _fitted(value, kind)
    except _MisfitError as misfit:
        raise _MisfitError(" ".join([str(misfit), *map(str, ranges)])) from None
    for limit in limits:
        if isinstance(limit, Range) and value is not None and value not in limit:
            raise _MisfitError(f"{'a value ' if str(limit).startswith('in') else ''}{limit}")
        if isinstance(limit, Filled) and not value:
            raise _MisfitError("one value at least")
        if isinstance(limit, Named):
            try:
                limit.check(value)
            except ValueError:
                raise _MisfitError(limit.forms) from None
    return value


def _tuple(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _MisfitError("a list of values")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise _MisfitError(f"a list of {len(kinds)} values")
    try:
        return tuple(_fitted(one, kind) for one, kind in zip(value, kinds, strict=True))
    except _MisfitError as misfit:
        raise _MisfitError(f"a list of values, each {str(misfit).removeprefix('a value ')}") from None


def _number(value: Any, kind: type[int] | type[float]) -> int | float:
    if isinstance(value, numbers.Integral if kind is int else numbers.Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError, ValueError):  # of infinities, NaN, and whole numbers beyond floats
            found: int | float = kind(typing.cast(Any, value))
            if math.isfinite(found) and (kind is float or abs(found) < LARGEST):
                return found
    raise _MisfitError(_KINDS[kind])
