"""Configurations that were mutated are settings within all ranges, or an error of one line; nothing else."""

import dataclasses
import json
import math
import random
import typing

import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Filled, Named, Options, Range, hints
from visual_summaries.summaries.settings import Settings, override, plain, read_config

CASES = 240
"""Configurations a seed."""

ODD = (
    *(0, 1, -1, 2, 3, 7, 30, 2**31, -(2**63), 10**30, 0.0, -0.0, 0.3, 0.5, 1.0, 1.5, 1e-320, -1e-9, 1e308),
    *(math.nan, math.inf, -math.inf, True, False, None, "", "0.5", "nan", "all", "knn:3", "knn:0", "knn:-1", "knn:1e3"),
    *("blur:10", "blur:0", "blur:nan", "blur:1e999", "blur:5/4", "blur:5/5", "noise:", "constant:mean", "x" * 5000),
    *("a\nb", "\x00", "é\u2028", [], [1], [1, 2], [2, 1], [0, 0], ["blur:5"], ["blur:5", 3], [[]], {}, {"area": 1}),
)


def random_value(rng):
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(ODD)
    if kind < 0.75:
        return rng.uniform(-2, 2)
    if kind < 0.9:
        return rng.randrange(-3, 40)
    return [random_value(rng) for _ in range(rng.randrange(4))]


def paths(values, where=()):
    for name, value in values.items():
        yield (*where, name)
        if isinstance(value, dict):
            yield from paths(value, (*where, name))


def mutated(rng, values):
    """The same options with some of them changed, left out, misspelt or moved."""
    values = json.loads(json.dumps(values))
    for _ in range(rng.randrange(1, 4)):
        *tables, name = rng.choice(list(paths(values)))
        table = values
        for step in tables:
            table = table[step]
        match rng.randrange(10):
            case 0:
                del table[name]
            case 1:
                table[name + rng.choice(["s", " ", "", ".x", "_"])] = table.pop(name)
            case 2:
                table[rng.choice(["area", "pairs", "masks", "__class__", "check"])] = random_value(rng)
            case _:
                table[name] = random_value(rng)
        if not values:
            break
    return values


def as_toml(values, where=""):
    """Options as TOML; what TOML has no form for is left out."""
    lines = [f"[{where}]"] if where else []
    for name, value in values.items():
        if not isinstance(value, dict) and value is not None:
            lines.append(f"{json.dumps(name)} = {json.dumps(value).replace('NaN', 'nan').replace('Infinity', 'inf')}")
    tables = [(name, value) for name, value in values.items() if isinstance(value, dict)]
    inner = [as_toml(value, f"{where}.{json.dumps(name)}" if where else json.dumps(name)) for name, value in tables]
    return "\n".join([*lines, *inner])


def broken(rng, text):
    """A text with a few of its bytes changed."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                del data[at:]
            case 1:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 2:
                data[at:at] = rng.choice([b"\xef\xbb\xbf", b"[" * 3000, b"=", b'"', b"\r", b"1e999", b"{", b"\x00"])
            case 3:
                data[at : at + rng.randrange(30)] = b""
            case 4:
                data += data[at:]
    return bytes(data)


def check_within(options):
    """Every number, name and list of some options against its annotation, by a way of its own."""
    assert isinstance(options, Options)
    for field in dataclasses.fields(options):
        value, hint = getattr(options, field.name), hints(type(options))[field.name]
        check_value(value, hint)


def check_value(value, hint):
    limits = []
    while typing.get_origin(hint) is typing.Annotated:
        hint, *more = typing.get_args(hint)
        limits += more
    if isinstance(value, Options):
        return check_within(value)
    if typing.get_origin(hint) is tuple:
        assert type(value) is tuple
        kinds = typing.get_args(hint)
        for one, kind in zip(value, kinds[:1] * len(value) if Ellipsis in kinds else kinds, strict=True):
            check_value(one, kind)
        assert value or not any(isinstance(limit, Filled) for limit in limits)
        return None
    if typing.get_origin(hint) is typing.Literal:
        assert value in typing.get_args(hint)
        return None
    assert type(value) is hint
    for limit in limits:
        if isinstance(limit, Range):
            assert math.isfinite(value)
            assert limit.ge is None or value >= limit.ge
            assert limit.gt is None or value > limit.gt
            assert limit.le is None or value <= limit.le
            assert limit.lt is None or value < limit.lt
        if isinstance(limit, Named):
            limit.check(value)
    return None


def read(file):
    """Whether a configuration was accepted."""
    settings, refused = None, ""
    try:
        settings = override(Settings(), read_config(file))
    except UserError as error:
        refused = str(error)
    if settings is None:
        assert len(refused.splitlines()) == 1, refused
        assert len(refused) < 1000
        return False
    check_within(settings)
    assert override(Settings(), plain(settings)) == settings  # as a run records it
    return True


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_mutated_configurations(tmp_path, suffix):
    rng = random.Random(0)
    accepted = 0
    for case in range(CASES):
        file = tmp_path / f"{case}{suffix}"
        values = mutated(rng, plain(Settings()))
        text = as_toml(values) if suffix == ".toml" else json.dumps(values)
        file.write_bytes(broken(rng, text) if case % 3 == 0 else text.encode("utf-8", "surrogatepass"))
        accepted += read(file)
    assert 0 < accepted < CASES


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_configuration_as_it_is_recorded_is_accepted(tmp_path, suffix):
    values = plain(Settings())
    file = tmp_path / f"options{suffix}"
    file.write_text("\ufeff" + (as_toml(values) if suffix == ".toml" else json.dumps(values)), encoding="utf-8")
    assert read(file)
    assert override(Settings(), read_config(file)) == Settings()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000, "nul", "[]", "3", "null", '"x"'])
def test_what_is_no_table_of_options_is_refused(tmp_path, text):
    file = tmp_path / "options.json"
    file.write_text(text)
    assert not read(file)
