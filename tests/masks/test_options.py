"""Options check themselves: types, ranges, names, and what holds between fields."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Filled, Named, OptionError, Options, Range, checked, hints
from visual_summaries.masks.perturbation.names import parse_name
from visual_summaries.masks.perturbation.perturb import parse_perturbation
from visual_summaries.masks.perturbation.schedule import PRESETS, Stage


@dataclass(frozen=True)
class Inner(Options):
    share: Annotated[float, Range(gt=0, le=1)] = 0.5
    count: Annotated[int | None, Range(ge=1)] = None
    ends: tuple[Annotated[float, Range(ge=0)], Annotated[float, Range(ge=0)]] = (1.0, 2.0)
    names: Annotated[tuple[Annotated[str, Named(parse_name, "a perturbation")], ...], Filled()] = ("blur:10",)
    kind: Literal["a", "b"] = "a"
    on: bool = True
    path: Path | None = None

    def check(self) -> None:
        if self.ends[0] > self.ends[1]:
            raise self.refuse("ends", "give a rising pair")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 30}, "Inner.share is 30: give a value in (0, 1]"),
        ({"share": 0.0}, "Inner.share is 0.0: give a value in (0, 1]"),
        ({"share": float("nan")}, "Inner.share is nan: give a number in (0, 1]"),
        ({"share": float("inf")}, "Inner.share is inf: give a number in (0, 1]"),
        ({"share": 10**400}, "give a number in (0, 1]"),
        ({"share": "0.5"}, "Inner.share is '0.5': give a number in (0, 1]"),
        ({"share": True}, "Inner.share is True: give a number in (0, 1]"),
        ({"share": None}, "Inner.share is None: give a number in (0, 1]"),
        ({"count": 0}, "Inner.count is 0: give at least 1"),
        ({"count": 2.0}, "Inner.count is 2.0: give a whole number at least 1"),
        ({"count": 2**31}, "Inner.count is 2147483648: give a whole number at least 1"),
        ({"ends": (1.0,)}, "Inner.ends is (1.0,): give a list of 2 values"),
        ({"ends": (-1, 2)}, "Inner.ends is (-1, 2): give a list of values, each at least 0"),
        ({"ends": (3, 2)}, "Inner.ends is (3.0, 2.0): give a rising pair"),
        ({"ends": 3}, "Inner.ends is 3: give a list of values"),
        ({"names": ()}, "Inner.names is (): give one value at least"),
        (
            {"names": ("blur:10", "blr")},
            "Inner.names is ('blur:10', 'blr'): give a list of values, each a perturbation",
        ),
        ({"names": (3,)}, "Inner.names is (3,): give a list of values, each text"),
        ({"names": "blur:10"}, "Inner.names is 'blur:10': give a list of values"),
        ({"kind": "c"}, "Inner.kind is 'c': give one of a, b"),
        ({"kind": ["a"]}, "Inner.kind is ['a']: give one of a, b"),
        ({"on": 1}, "Inner.on is 1: give true or false"),
        ({"path": "here"}, "Inner.path is 'here': give a path"),
    ],
)
def test_what_is_refused_names_field_value_and_range(values, message):
    with pytest.raises(OptionError) as error:
        Inner(**values)
    assert message in str(error.value)
    assert isinstance(error.value, UserError)
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(OptionError):
        replace(Inner(), **values)


def test_long_values_are_shortened_and_stay_on_one_line():
    with pytest.raises(OptionError) as error:
        Inner(kind="c\n" * 10_000)
    assert len(str(error.value)) < 200
    assert len(str(error.value).splitlines()) == 1


def test_numbers_are_kept_in_the_type_of_their_field():
    found = Inner(share=1, count=np.int64(3), ends=[0, np.float32(0.5)])
    assert [type(value) for value in (found.share, found.count, *found.ends)] == [float, int, float, float]
    assert found == Inner(share=1.0, count=3, ends=(0.0, 0.5))
    assert hash(found) == hash(Inner(share=1.0, count=3, ends=(0.0, 0.5)))
    assert Inner(count=None).count is None


@pytest.mark.parametrize(
    ("limits", "text", "inside", "outside"),
    [
        ({"ge": 0}, "at least 0", (0, 9e9), (-1e-9,)),
        ({"gt": 0}, "above 0", (1e-9,), (0,)),
        ({"le": 1}, "at most 1", (1, -9e9), (1.1,)),
        ({"lt": 1}, "under 1", (0.9,), (1,)),
        ({"ge": 0, "le": 1}, "in [0, 1]", (0, 1), (-0.1, 1.1)),
        ({"gt": 0, "lt": 0.5}, "in (0, 0.5)", (0.1,), (0, 0.5)),
    ],
)
def test_a_range_says_and_holds_what_it_is(limits, text, inside, outside):
    assert str(Range(**limits)) == text
    assert all(value in Range(**limits) for value in inside)
    assert not any(value in Range(**limits) for value in outside)


def test_a_limit_given_twice_is_a_fault_of_the_program():
    with pytest.raises(ValueError, match="twice"):
        Range(ge=0, gt=0)


def test_an_error_takes_the_name_that_its_reader_knows():
    with pytest.raises(OptionError) as error:
        Stage(area=30)
    assert str(error.value) == "Stage.area is 30: give a value in [0, 1]"
    assert str(error.value.called("--set.masks.crisp.area")) == "--set.masks.crisp.area is 30: give a value in [0, 1]"


def test_arguments_of_functions_are_checked_likewise():
    def function(count: Annotated[int, Range(ge=1)], name: str = "") -> None: ...

    assert checked({"count": 1, "name": "x"}, hints(function), "") == {"count": 1, "name": "x"}
    with pytest.raises(OptionError, match=r"^count is 0: give at least 1$"):
        checked({"count": 0}, hints(function), "")


@pytest.mark.parametrize("name", sorted({name for one in PRESETS.values() for name in one.crisp.perturbations}))
def test_names_of_presets_are_names(name):
    assert parse_name(name)[0] == type(parse_perturbation(name)).__name__.lower()


@pytest.mark.parametrize(
    "values",
    [{"beta": 1e-6}, {"beta": 100}, {"l1": 1e300}, {"tv": 1e30}, {"sparsity": 1e7}, {"sharpness": (1e-300, 1e300)}],
)
def test_numbers_with_which_losses_overflow_are_refused(values):
    with pytest.raises(OptionError, match=r"in \["):
        Stage(**values)


@pytest.mark.parametrize("sharpness", [(12.0, 11.9), (0.0, 1.0)])
def test_a_cut_gets_sharper(sharpness):
    with pytest.raises(OptionError, match=r"Stage\.sharpness"):
        Stage(sharpness=sharpness)
