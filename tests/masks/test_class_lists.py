"""Class lists as people have them."""

import json
from pathlib import Path

import numpy as np
import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.class_lists import check_count, labels_of, read_classes
from visual_summaries.masks.networks.class_names import ClassLabel

NAMES = ["cat", "dog", "fox"]


@pytest.mark.parametrize(
    "classes",
    [
        NAMES,
        tuple(NAMES),
        np.array(NAMES),
        {0: "cat", 1: "dog", 2: "fox"},
        {2: "fox", 0: "cat", 1: "dog"},
        {"2": "fox", "0": "cat", "1": "dog"},
        {np.int64(2): "fox", np.int64(0): "cat", np.int64(1): "dog"},
        {"fox": 2, "cat": 0, "dog": 1},
        {"fox": "2", "cat": "0", "dog": "1"},
        {"classes": NAMES},
        {"classes": {"fox": 2, "cat": 0, "dog": 1}, "version": 3},
        {"id2label": {"0": "cat", "2": "fox", "1": "dog"}, "label2id": {"x": 1}, "hidden_size": 3},
        ["\ufeffcat", " dog ", "fox\n"],
    ],
)
def test_lists_and_dictionaries_are_read_by_their_indices(classes: object) -> None:
    assert [(label.index, label.name) for label in labels_of(classes, "classes")] == [
        (0, "cat"),
        (1, "dog"),
        (2, "fox"),
    ]


def test_names_that_are_numbers() -> None:
    def read(classes: object) -> list[str]:
        return [label.name for label in labels_of(classes, "classes")]

    assert read([2, 0, 1]) == read({"2": 0, "0": 1, "1": 2}) == read({0: 2, 1: 0, 2: 1}) == ["2", "0", "1"]
    assert read({"0": "2", "1": "0", "2": "1"}) == ["2", "0", "1"]
    assert read(range(3)) == ["0", "1", "2"]


def test_wordnet_ids_stand_beside_names() -> None:
    pairs = {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}
    wanted = [ClassLabel(0, "tench", "n01440764"), ClassLabel(1, "goldfish", "n01443537")]
    assert labels_of(pairs, "classes") == wanted
    assert labels_of(["n01440764"], "classes") == [ClassLabel(0, "n01440764", "n01440764")]
    assert labels_of(None, "classes") == labels_of([], "classes") == []


@pytest.mark.parametrize(
    "classes",
    [
        "cat",
        b"cat",
        3,
        {"cat", "dog"},
        iter(NAMES),
        ["cat", "", "fox"],
        ["cat", None, "fox"],
        ["cat", 1.5],
        ["a\nb", "c"],
        {0: "cat", 2: "fox"},
        {1: "cat", 2: "fox"},
        {"cat": 0, "dog": 0},
        {"cat": 0, "dog": "x"},
        {"cat": "dog", "fox": "owl"},
        {0: "a", "0": "b"},
        {True: "a", False: "b"},
        {0: ["a", "b"], 1: ["c", "d"]},
    ],
)
def test_what_is_no_list_of_names_is_one_line(classes: object) -> None:
    with pytest.raises(UserError, match=r"^the network's classes") as caught:
        labels_of(classes, "the network's classes")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "cat\ndog\nfox\n"),
        ("a.txt", "\ufeffcat\r\n\r\ndog\r\nfox\r\n\r\n"),
        ("a.json", json.dumps(NAMES)),
        ("a.txt", '{"0": "cat", "2": "fox", "1": "dog"}\n'),
        ("a.txt", json.dumps({"fox": 2, "cat": 0, "dog": 1}, indent=1)),
        ("config.json", json.dumps({"architectures": ["X"], "id2label": {"0": "cat", "1": "dog", "2": "fox"}})),
        ("a.txt", "{0: 'cat',\n 1: 'dog',\n 2: 'fox'}"),
        ("a.csv", "cat\ndog\nfox\n"),
        ("a.csv", "0,cat\n2,fox\n1,dog\n"),
        ("a.csv", "name\ncat\ndog\nfox\n"),
        ("a.csv", "Class\ncat\ndog\nfox\n"),
        ("a.csv", "label\ncat\ndog\nfox\n"),
        ("a.json", json.dumps({"classes": NAMES})),
        ("a.csv", "cat,0\nfox,2\ndog,1\n"),
        ("a.csv", "index;name\n0;cat\n2;fox\n1;dog\n"),
        ("a.tsv", "name\tindex\ncat\t0\nfox\t2\ndog\t1\n"),
        ("a.txt", "0 cat\n2 fox\n1 dog\n"),
        ("a.txt", "0: cat\n2: fox\n1: dog\n"),
        ("a.txt", "2,fox\n0,cat\n1,dog\n"),
        ("a.txt", "fox,2\ncat,0\ndog,1\n"),
        ("a.txt", "fox 2\ncat 0\ndog 1\n"),
    ],
)
def test_files_are_read_as_people_write_them(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert [label.name for label in read_classes(tmp_path / name)] == NAMES
    assert [label.index for label in read_classes(tmp_path / name)] == [0, 1, 2]


@pytest.mark.parametrize(
    "lines",
    [
        ["# cat", "#dog", "// fox"],  # nothing is a comment
        ["7 series", "3 series", "5 series"],
        ["0 cat", "dog", "2 fox"],  # not every line has an index
        ["0 cat", "0 dog"],
        ["class 0", "class 1", "class 2"],
        ["0 day old", "1 day old"],
        ["1 day old", "2 day old"],
        ["church, church building", "crane", "fire truck"],
        ["2", "0", "1"],
        ['"cat"', "it's"],
    ],
)
def test_lines_without_indices_are_names_as_they_stand(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "a.txt").write_text("\n".join(lines))
    assert [label.name for label in read_classes(tmp_path / "a.txt")] == lines


def test_names_in_tables_may_hold_commas_and_stand_beside_wordnet_ids(tmp_path: Path) -> None:
    wanted = [ClassLabel(0, "tench, Tinca tinca", "n01440764"), ClassLabel(1, "goldfish", "n01443537")]
    for name, text in [
        ("a.csv", '1,n01443537,goldfish\n0,n01440764,"tench, Tinca tinca"\n'),
        ("a.csv", "index,id,name\n0,n01440764,tench, Tinca tinca\n1,n01443537,goldfish\n"),
        ("a.csv", "n01440764,tench,Tinca tinca,0\nn01443537,goldfish,1\n"),
        ("a.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n"),
        ("a.json", json.dumps({"0": ["n01440764", "tench, Tinca tinca"], "1": ["n01443537", "goldfish"]})),
    ]:
        (tmp_path / name).write_text(text)
        assert read_classes(tmp_path / name) == wanted, text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "is empty"),
        ("a.txt", "\n \n", "is empty"),
        ("a.json", "{}", "no names"),
        ("a.json", "[]", "no names"),
        ("a.json", '{"0": "cat", "0": "dog"}', "stands twice|indices"),
        ("a.json", '["cat", "dog"', "is none"),
        ("a.json", "[" * 100_000, "is none"),
        ("a.txt", "1 cat\n2 dog\n3 fox\n", "counts from 1"),
        ("a.csv", "0,cat\n2,fox\n", "indices"),
        ("a.csv", "0,cat\n0,fox\n", "indices"),
        ("a.csv", "cat,dog\nfox,owl\n", "an index and a name"),
        ("a.csv", "1,0\n0,2\n2,1\n", "either may be the index"),
        ("a.txt", "1 0\n0 2\n2 1\n", "either may be the index"),
        ("a.txt", "a" + " " * 100_000 + "b", "characters"),
        ("a.txt", "a\0b", "zero bytes"),
    ],
)
def test_files_that_are_no_class_list_are_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_classes(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_the_number_of_names_is_that_of_the_logits() -> None:
    check_count(labels_of(NAMES, "classes"), 3, "classes")
    check_count([], 3, "classes")
    with pytest.raises(UserError, match="3 names, the network has 4 logits"):
        check_count(labels_of(NAMES, "classes"), 4, "classes")
