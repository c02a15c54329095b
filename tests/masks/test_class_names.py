"""Names of classes: which class a folder or an option means, and maps from folders to classes."""

import json
import unicodedata
from pathlib import Path

import pytest
from timm.data import ImageNetInfo

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.class_names import (
    ClassLabel,
    find_class,
    mapped_class,
    normalised,
    numbered,
    read_class_map,
)

LABELS = [
    ClassLabel(0, "church, church building", "n03028079"),
    ClassLabel(1, "crane", "n02012849"),
    ClassLabel(2, "crane", "n03126707"),
    ClassLabel(3, "fire truck", ""),
]
INFO = ImageNetInfo()
IMAGENET = [ClassLabel(i, INFO.index_to_description(i), INFO.index_to_label_name(i)) for i in range(1000)]


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("n03028079", 0),
        ("N03028079", 0),
        ("Church", 0),
        ("church building", 0),
        ("3", 3),
        ("003", 3),
        ("fire_truck", 3),
        (" fire  truck\n", 3),
        ("\ufefffire truck", 3),
        ("index:2", 2),
        ("name:fire truck", 3),
        ("predicted", None),
    ],
)
def test_classes_are_found_in_any_spelling(text: str, index: int | None) -> None:
    assert find_class(text, LABELS, 4) == index


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4", "outside"),
        ("index:4", "outside"),
        ("9" * 5000, "no class"),
        ("crane", r"ambiguous.*1 n02012849 \(crane\).*2 n03126707"),
        ("chruch", "did you mean 'church'"),
        ("zzz", "no class"),
        ("", "no class"),
        ("name:", "no class"),
    ],
)
def test_unknown_classes_say_what_would_do(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        find_class(text, LABELS, 4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("Cardigan", 264),  # the dog: the letter decides
        ("cardigan", 474),  # the jacket
        ("maillot", 638),  # whole names come before synonyms
        ("tank suit", 639),
        ("Sus_scrofa", 342),
    ],
)
def test_imagenets_names_that_look_alike(text: str, index: int) -> None:
    if text == "Sus_scrofa":
        with pytest.raises(UserError, match=r"ambiguous.*341 .*342 "):
            find_class(text, IMAGENET, 1000)
    else:
        assert find_class(text, IMAGENET, 1000) == index


def test_every_name_of_imagenet_is_found_as_it_is_written() -> None:
    twice = {"crane"}
    for label in IMAGENET[:700:7]:
        for text in {label.name, label.name.replace(" ", "_"), unicodedata.normalize("NFD", label.name)} - twice:
            assert find_class(text, IMAGENET, 1000) == label.index
        assert find_class(label.wordnet, IMAGENET, 1000) == label.index


def test_both_sides_are_normalised() -> None:
    labels = numbered(["golden_retriever", "Tabby Cat", "Käse", "STRASSE", "\ufeffbread"])
    for text, index in [
        ("golden_retriever", 0),
        ("Golden Retriever", 0),
        ("tabby_cat", 1),
        (unicodedata.normalize("NFD", "Käse"), 2),
        (unicodedata.normalize("NFD", "KÄSE"), 2),
        ("straße", 3),
        ("bread", 4),
    ]:
        assert find_class(text, labels, 5) == index
    assert normalised(unicodedata.normalize("NFD", "KÄSE_brot ")) == "käse brot"


def test_case_and_accents_to_the_letter_come_first() -> None:
    labels = numbered(["Käse", "käse", "polish", "Polish"])
    for index, label in enumerate(labels):
        for form in ("NFC", "NFD"):
            assert find_class(unicodedata.normalize(form, label.name), labels, 4) == index
    with pytest.raises(UserError, match="ambiguous"):
        find_class("POLISH", labels, 4)


def test_a_number_that_is_a_name_is_not_taken_for_another_index() -> None:
    shuffled = numbered(["3", "0", "2", "1", "04"])
    for text, name, index in [("3", 0, 3), ("0", 1, 0), ("1", 3, 1)]:
        with pytest.raises(UserError, match=f"name:{text} or index:{text}"):
            find_class(text, shuffled, 5)
        assert find_class(f"name:{text}", shuffled, 5) == name
        assert find_class(f"index:{text}", shuffled, 5) == index
    assert find_class("2", shuffled, 5) == 2  # both readings are one
    assert find_class("4", shuffled, 5) == 4
    with pytest.raises(UserError, match="name:4 or index:4"):
        find_class("4", numbered(["04", "a", "b", "c", "d"]), 5)
    in_order = numbered([str(i) for i in range(10)])
    assert [find_class(str(i), in_order, 10) for i in range(10)] == list(range(10))
    assert find_class("1984", numbered(["1984", "other"]), 2) == 0  # no index of that number
    assert find_class("1", [], 2) == 1


@pytest.mark.parametrize(
    ("text", "names", "hint"),
    [
        ("ants", ["ant", "bee"], "'ant'"),
        ("bees", ["beer bottle", "beet", "bee", "bean"], "'bee'"),
        ("churches", ["church, church building", "churn"], "'church'"),
        ("Butterflies", ["butterfly", "buttery"], "'butterfly'"),
        ("wolves", ["wolf", "wolverine"], "'wolf'"),
        ("mice", ["dice", "mouse"], "'mouse'"),
        ("pismires", ["ant, emmet, pismire"], "'pismire'"),
        ("ant", ["ants", "bees"], "'ants'"),
    ],
)
def test_plurals_suggest_the_singular(text: str, names: list[str], hint: str) -> None:
    with pytest.raises(UserError, match=rf"did you mean {hint}\?"):
        find_class(text, numbered(names), len(names))


@pytest.mark.parametrize(
    "text",
    [
        "ants,ant\nbees,bee\n",
        "\ufefffolder;class\r\nants;ant\r\n\r\nbees;bee\r\n",
        "ants\tant\nbees\tbee",
        '"ants", "ant"\nbees,bee',
        json.dumps({"ants": "ant", "bees": "bee"}),
    ],
)
def test_a_class_map_is_read_as_people_write_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "map.txt").write_text(text, encoding="utf-8")
    assert read_class_map(tmp_path / "map.txt") == {"ants": "ant", "bees": "bee"}
    (tmp_path / "map.txt").write_text(text.removeprefix("\ufeff"), encoding="utf-16")
    assert read_class_map(tmp_path / "map.txt") == {"ants": "ant", "bees": "bee"}


def test_a_class_may_hold_commas_or_be_an_index(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text('a,church, church building\nb,"fire truck"\nc,n02012849\n')
    assert read_class_map(tmp_path / "map.csv") == {"a": "church, church building", "b": "fire truck", "c": "n02012849"}
    (tmp_path / "map.json").write_text('{"a": 3}')
    assert read_class_map(tmp_path / "map.json") == {"a": "3"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "ants\n",
        "ants,\n",
        ",ant\n",
        "[1, 2]",
        '{"a": [1]}',
        '{"a": true}',
        '{"a": ""}',
        "{",
        "\0",
        "a,b\na,c",
        '{"a": "b", "a": "c"}',
        pytest.param("[" * 100_000, id="deep"),
        '"a,b\n' * 3,
    ],
)
def test_what_is_no_class_map_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(UserError, match="class map") as caught:
        read_class_map(tmp_path / "map.csv")
    assert "\n" not in str(caught.value)


def test_a_class_map_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"k\xe4se,cheese")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "latin", tmp_path / ("long" * 100), tmp_path / "nul\0"):
        with pytest.raises(UserError, match="class map"):
            read_class_map(path)


def test_folders_find_their_class_in_a_map() -> None:
    classes = {"Käse": "cheese", "old_ships": "ship", "A": "one", "a": "two"}
    assert mapped_class(unicodedata.normalize("NFD", "Käse"), classes) == "cheese"
    assert mapped_class("Old Ships", classes) == "ship"
    assert mapped_class("A", classes) == "one"
    assert mapped_class("other", classes) == "other"
    with pytest.raises(UserError, match="two classes"):
        mapped_class("A_", {"a_": "one", "A ": "two", "x": "y"} | {"a": "two"})
