import csv
import sys

import numpy as np
import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.tables import NAMES

pandas = pytest.importorskip("pandas", reason="pandas is not installed")


@pytest.mark.parametrize("name", ["images", "masks", "parts"])
def test_a_table_holds_its_file(done, name):
    with (done / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    found = Run(done).table(name)
    assert list(found.columns) == header
    assert len(found) == len(rows) > 0
    for place, column in enumerate(header):
        for value, text in zip(found[column], (row[place] for row in rows), strict=True):
            assert (text == "") if pandas.isna(value) else type(value)(text) == value


def test_columns_keep_their_kind(done):
    images, parts = Run(done).table("images"), Run(done).table("parts")
    assert str(images["width"].dtype) == "Int64"
    assert images["p0"].dtype == np.float64
    assert parts["part"].dtype == np.int64
    assert parts["similarity"].dtype == np.float64


def test_the_table_of_summaries(done):
    run = Run(done)
    found = run.table("summaries")
    assert found["summary"].tolist() == list(range(len(run.summaries)))
    assert found["members"].tolist() == [len(one.members) for one in run.summaries]
    assert found["kept"].tolist() == [one.kept for one in run.summaries]
    for score in {score for one in run.summaries for score in one.scores}:
        wanted = [one.scores.get(score, np.nan) for one in run.summaries]
        np.testing.assert_array_equal(found[score].to_numpy(np.float64), wanted)


def test_an_unknown_table_names_the_known_ones(done):
    with pytest.raises(UserError, match=f"no table 'clusters': use {', '.join(NAMES)}"):
        Run(done).table("clusters")


def test_without_pandas_one_line_says_what_to_install(done, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        Run(done).table("parts")
