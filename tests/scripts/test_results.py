"""What scripts/results.py makes of what the measuring scripts print, and where it puts it."""

import datetime
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results():
    spec = importlib.util.spec_from_file_location("results_script", ROOT / "scripts" / "results.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_table_stands_under_its_commit_and_commands(results):
    table = results.Table(["one", "two"], [("", "a"), ("x", "1")])
    assert results.formatted(table, "abc1234", datetime.date(2026, 1, 2)) == (
        "Measured at commit `abc1234` (2026-01-02):\n\n    one\n    two\n\n|  | a |\n|---|---|\n| x | 1 |"
    )


def test_only_what_is_between_the_marks_changes(results):
    page = "before\n<!-- begin: a -->\n{}\n<!-- end: a -->\nbetween\n<!-- begin: b -->\nb\n<!-- end: b -->\nafter\n"
    old, new = page.format("old\n\nold"), page.format("new")
    assert results.replaced(old, "a", "new") == new
    assert results.replaced(new, "a", "old\n\nold") == old


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<!-- begin: a -->\nold\n",
        "<!-- end: a -->\n<!-- begin: a -->\n\n",
        "<!-- begin: a -->\n\n<!-- end: a -->\n<!-- begin: a -->\n",
    ],
)
def test_a_page_without_the_marks_is_refused(results, page):
    with pytest.raises(ValueError, match="marks of a"):
        results.replaced(page, "a", "new")


def test_the_page_has_the_marks_of_each_table_and_no_others(results):
    page = results.PAGE.read_text(encoding="utf-8")
    for name in results.TABLES:
        assert "NEW" in results.replaced(page, name, "NEW")
    assert page.count("<!-- begin: ") == page.count("<!-- end: ") == len(results.TABLES)


def test_startup(results):
    printed = """\
command                                                                 seconds  x bare    MB
python -c pass                                                             0.05     1.0    10
--help                                                                     0.31     6.2    30
run --help                                                                 0.53    10.6    38
specialize --help                                                          0.40     8.0    37
run --help-all                                                             0.60    12.0    39
run --colour red                                                           0.46     9.2    38
status .../run                                                             0.42     8.4    36
name .../run 0 part TURN                                                   0.77    15.4    60  !
8 of 9 under 0.7 s
"""
    assert results.parse_startup(printed).rows == [
        ("command", "processor time, s", "memory, MB"),
        ("`python -c pass`", "0.05", "10"),
        ("`run --help`", "0.53", "38"),
        ("`specialize --help`", "0.40", "37"),
        ("`run` with an unknown option", "0.46", "38"),
        ("`status RUN`", "0.42", "36"),
        ("`name RUN 0 X`", "0.77", "60"),
    ]


def test_world(results):
    printed = """\
network  parameters    MMAC  seconds  fresh  marked  unmarked
demo        123,456   12.34       60  0.969   0.995     0.757
demo:1        3,456    1.34       20  0.771   0.500     0.400
"""
    assert results.parse_world(printed).rows[1:] == [
        ("`demo`", "0.969", "0.995", "0.757"),
        ("`demo:1`", "0.771", "0.500", "0.400"),
    ]


def test_matching(results):
    printed = """\
one pair, 500 proposals of 512 numbers, milliseconds of one core: best and median of 30
  whole pair, default           21.0    22.0     47.6 pairs/s
no GPU here: matching on one is not measured
all pairs, 2 jobs
  images proposals  pairs  seconds cpu ms/pair  peak MB
      25       250    300      1.7         9.4      870
     100       250   4950     29.1         9.1      880
      25       500    300      4.0        22.4      900
     100       500   4950     62.2        21.3      910
"""
    table = results.parse_matching("the command", printed)
    assert table.commands == ["the command"]
    assert table.rows == [
        ("proposals", "25 images", "100 images", "ms of a core per pair", "peak memory"),
        ("250", "1.7 s", "29.1 s", "9.1", "0.88 GB"),
        ("500 (default)", "4 s", "62.2 s", "21.3", "0.91 GB"),
    ]


def test_summaries(results):
    printed = """\
class          kept  parts  purity  random  found
sailing_boat     10   11.5   0.900   0.310  sail found, hull MISSED
steamer          12   12.0   0.850   0.290  funnel found, mark found
summaries: mean purity 0.873, recall 0.750
random: mean purity 0.300, recall 0.500
"""
    assert results.parse_summaries("the command", printed).rows[1:] == [
        ("summaries", "11.0", "0.873", "0.750 (3 of 4)"),
        ("random clusters of the same sizes", "11.0", "0.300", "0.500"),
    ]


def test_every_measuring_script_is_there(results):
    source = (ROOT / "scripts" / "results.py").read_text(encoding="utf-8")
    named = {word for word in source.replace('"', " ").split() if word.startswith("scripts/") and word.endswith(".py")}
    assert named
    assert all((ROOT / name).is_file() for name in named)
