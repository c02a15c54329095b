"""Every option of every step says its range, in its annotation and in words, and keeps it."""

import dataclasses
import importlib
import math
import pkgutil
import re
import types
import typing
from pathlib import Path

import pytest

from visual_summaries.masks.options import Filled, Named, OptionError, Options, Range, hints
from visual_summaries.masks.perturbation.schedule import PRESETS

PACKAGES = tuple(f"visual_summaries.{name}" for name in ("masks", "clustering", "summaries", "specialize"))


def all_modules():
    for package in PACKAGES:
        root = importlib.import_module(package)
        yield root
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def all_options():
    for module in all_modules():
        for name, kind in vars(module).items():
            if isinstance(kind, type) and kind.__module__ == module.__name__ and dataclasses.is_dataclass(kind):
                if issubclass(kind, Options) and kind is not Options:
                    yield kind
                assert issubclass(kind, Options) or not re.search("Options$|SpecializeOptions$", name), kind


def limits_of(hint):
    """The types in an annotation, each with what limits it."""
    if typing.get_origin(hint) is typing.Annotated:
        kind, *limits = typing.get_args(hint)
        found = list(limits_of(kind))
        if len(found) == 1:
            yield found[0][0], [*found[0][1], *limits]
        else:
            yield kind, limits
            yield from found
    elif typing.get_origin(hint) in (types.UnionType, typing.Union, tuple):
        for kind in typing.get_args(hint):
            if kind not in (Ellipsis, type(None)):
                yield from limits_of(kind)
    else:
        yield hint, []


KINDS = sorted(all_options(), key=lambda kind: (kind.__module__, kind.__name__))
FIELDS = [(kind, field.name) for kind in KINDS for field in dataclasses.fields(kind)]
NUMBERS = [
    (kind, name, number, limit)
    for kind, name in FIELDS
    for number, limits in limits_of(hints(kind)[name])
    if number in (int, float)
    for limit in limits
    if isinstance(limit, Range)
]

TINY = 1e-300
"""Next to zero; smaller numbers are zero where denormals are flushed."""

REQUIRED = {"Job": {"folder": Path("photos"), "out": Path("run")}}
BESIDE = {
    ("ProposalOptions", "min_side"): {"border": 0.0},
    ("ProposalOptions", "border"): {"min_side": 0.0},
    ("SplitOptions", "tuning"): {"evaluation": TINY},
    ("SplitOptions", "evaluation"): {"tuning": TINY},
}
"""Other fields, for what holds between them."""


def made(kind, name, value):
    """Options with a value in a field, in the place of each of its values where it has several."""
    given = REQUIRED.get(kind.__name__, {}) | BESIDE.get((kind.__name__, name), {})
    hint = hints(kind)[name]
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        value = (value,) * (1 if Ellipsis in kinds else len(kinds))
    return kind(**given, **{name: value})


def one_name(case):
    kind, name, *_ = case
    return f"{kind.__module__}.{kind.__name__}.{name}"


def next_whole(value, way):
    return int(value) + way


def next_real(value, way):
    return math.nextafter(value, way * math.inf) if value else way * TINY


def beside(limit, number):
    """Values on the edges of a range, and just outside of it."""
    inside, outside = [], []
    for value, belongs, away in ((limit.ge, 1, -1), (limit.gt, 0, -1), (limit.le, 1, 1), (limit.lt, 0, 1)):
        if value is None:
            continue
        step = next_whole if number is int else next_real
        inside.append(number(value) if belongs else step(number(value), -away))
        outside.append(step(number(value), away) if belongs else number(value))
    return inside, outside


def test_there_are_options_to_look_at():
    assert len(KINDS) > 20
    assert len(NUMBERS) > 70


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_the_defaults_are_within_their_ranges(kind):
    made_of = kind(**REQUIRED.get(kind.__name__, {}))
    assert dataclasses.replace(made_of) == made_of


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_are_within_their_ranges(name):
    for stage in (PRESETS[name].smooth, PRESETS[name].crisp):
        assert dataclasses.replace(stage) == stage


@pytest.mark.parametrize("case", FIELDS, ids=one_name)
def test_a_number_has_a_range_and_a_list_says_whether_it_may_be_empty(case):
    kind, name = case
    hint = hints(kind)[name]
    for number, limits in limits_of(hint):
        if number in (int, float):
            assert any(isinstance(limit, Range) for limit in limits), f"{one_name(case)} has no range"
        if typing.get_origin(number) is tuple and Ellipsis in typing.get_args(number):
            assert any(isinstance(limit, Filled) for limit in limits), f"{one_name(case)} may be empty"


@pytest.mark.parametrize("case", NUMBERS, ids=one_name)
def test_the_edges_are_accepted_and_what_lies_outside_is_refused_by_name(case):
    kind, name, number, limit = case
    inside, outside = beside(limit, number)
    assert inside
    for value in inside:
        found = getattr(made(kind, name, value), name)
        assert value in (found if isinstance(found, tuple) else (found,))
    for wrong in [*outside, math.nan, math.inf, -math.inf, "1", True, inside]:
        with pytest.raises(OptionError) as error:
            made(kind, name, wrong)
        assert str(error.value).startswith(f"{kind.__name__}.{name} is ")
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("case", NUMBERS, ids=one_name)
def test_the_words_say_the_range(case):
    kind, name, _, limit = case
    found = re.search(rf"^\s+{name}: (.*?)(?=^\s+\w+: |\Z)", kind.__doc__, re.M | re.S)
    assert found, f"{one_name(case)} is not described"
    said = " ".join(found[1].split())
    signs = {"at least": ">=", "above": ">", "at most": "<=", "under": "<"}
    wanted = str(limit)
    for words, sign in signs.items():
        wanted = wanted.replace(words, sign)
    assert wanted in said, f"{one_name(case)} is {wanted}, described as {said!r}"


@pytest.mark.parametrize("case", FIELDS, ids=one_name)
def test_names_and_choices_are_checked(case):
    kind, name = case
    for chosen, limits in limits_of(hints(kind)[name]):
        if typing.get_origin(chosen) is typing.Literal or any(isinstance(limit, Named) for limit in limits):
            with pytest.raises(OptionError, match=f"^{kind.__name__}.{name} is "):
                made(kind, name, "nothing of the kind")
