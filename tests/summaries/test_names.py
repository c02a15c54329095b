"""Names stay with what they name, whatever is killed and whatever a spreadsheet makes of the table."""

import shutil

import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries import names as module
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.files import write_json
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.names import carry_names, exemplar_of, read_names, read_rows, write_names
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.summary import Member, Summary

pytestmark = pytest.mark.usefixtures("small_pictures")


def summaries_of(*images):
    """Summaries 0, 1, ...; the first letter is the image of the exemplar, the others those of further members."""
    found, part = [], 0
    for number, letters in enumerate(images):
        members = tuple(Member(part + k, one, (1.0, 2.0, 33.5, 44.0), 1.0, None) for k, one in enumerate(letters))
        found.append(Summary(number, "", part, members, None, True, ""))
        part += len(letters)
    return found


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run"
    with claimed(path, "run"):
        write_json(path / "run.json", {"format": 1, "stages": {}})
        yield path


def test_names_go_with_the_exemplar_not_with_the_number(run):
    write_names(run, {0: "spire", 1: "gable"}, summaries_of("a", "b"))
    assert read_names(run, summaries_of("a", "b")) == {0: "spire", 1: "gable"}
    assert read_names(run, summaries_of("b", "c", "a")) == {0: "gable", 2: "spire"}
    assert (run / "names.csv").read_text() == "summary,name\n0,spire\n1,gable\n"


def test_a_name_comes_back_with_its_exemplar(run):
    write_names(run, {0: "spire", 1: "gable"}, summaries_of("a", "b"))
    write_names(run, {0: "gable"}, summaries_of("b"))
    assert (run / "names.csv").read_text() == "summary,name\n0,gable\n"
    assert read_names(run, summaries_of("a", "b")) == {0: "spire", 1: "gable"}


def test_a_name_that_is_taken_away_stays_away(run):
    write_names(run, {0: "spire", 1: "gable"}, summaries_of("a", "b"))
    write_names(run, {1: "gable"}, summaries_of("a", "b"))
    assert read_names(run, summaries_of("a", "b")) == {1: "gable"}


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("after", range(5))
def test_a_kill_between_any_two_files_gives_no_name_to_another_summary(run, monkeypatch, after, edited):
    """The second summary is the first now, with another exemplar; all that the stage does, up to a kill."""
    before, now = summaries_of("ax", "byz"), summaries_of("ybz", "ax")
    write_names(run, {0: "spire", 1: "gable"}, before)
    if edited:
        (run / "names.csv").write_text("summary;name\n0;spire\n1;gable\n")
    carried = {0: "gable", 1: "spire"}
    done = 0

    def counted(write):
        def call(*arguments):
            nonlocal done
            if done == after:
                raise Killed
            done += 1
            write(*arguments)

        return call

    monkeypatch.setattr(module, "write_json", counted(module.write_json))
    monkeypatch.setattr(module, "write_bytes", counted(module.write_bytes))
    there = before
    try:
        assert carry_names(run, before, now) == carried
        there = now  # summaries.json is written here
        write_names(run, carried, now)
    except Killed:
        pass
    expected = {0: "spire", 1: "gable"} if there is before else carried
    assert read_names(run, there) == expected


TABLES = {
    "byte-order mark": b"\xef\xbb\xbfsummary,name\r\n1,T\xc3\xbcr\r\n",
    "semicolons": "summary;name\r\n1;Tür\r\n".encode(),
    "semicolons, Windows": "summary;name\r\n1;Tür\r\n".encode("cp1252"),
    "tabs, UTF-16": "summary\tname\r\n1\tTür\r\n".encode("utf-16"),
    "old Mac": "summary,name\r1,Tür\r".encode(),
    "columns turned": "name,summary\nTür,1\n".encode(),
    "more columns, empty lines": "summary,name,note\n\n1,Tür,mine\n,,\n".encode(),
    "no header": "1,Tür\n".encode(),
    "quoted": 'summary,name\n1,"Tür"\n'.encode(),
    "spaces": "summary, name\n1, Tür \n".encode(),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_read_however_a_person_saved_it(run, table):
    write_names(run, {0: "spire"}, summaries_of("a", "b"))
    (run / "names.csv").write_bytes(table)
    assert read_names(run, summaries_of("a", "b")) == {1: "Tür"}


def test_a_table_that_cannot_be_read_is_told_and_stays(run):
    (run / "names.csv").write_text("summary,name\nthe first,spire\n")
    with pytest.raises(UserError, match="'the first' is no number of a summary: correct that row") as error:
        read_rows(run / "names.csv")
    assert "delete" not in str(error.value)


def test_names_of_a_person_survive_another_name_and_other_clusters(copy):
    numbers = [one.summary for one in Run(copy).summaries]
    (copy / "names.csv").write_bytes("summary;name\r\n0;Tür\r\n".encode("cp1252"))
    assert main(["name", str(copy), str(numbers[-1]), "roof"]) == 0
    assert Run(copy).names == {0: "Tür", numbers[-1]: "roof"}
    named = {exemplar_of(one): one.name for one in Run(copy).summaries if one.name}
    assert main(["cluster", str(copy), "--jobs", "1", "--trust", "--set.affinity.preference", "0.99"]) == 0
    assert main(["cluster", str(copy), "--jobs", "1", "--trust", "--set.affinity.preference", "0"]) == 0
    assert {exemplar_of(one): one.name for one in Run(copy).summaries if one.name} == named


def test_a_table_without_a_record_counts_by_number(copy):
    shutil.rmtree(copy / "names.json", ignore_errors=True)
    (copy / "names.csv").write_text("summary,name\n0,spire\n99,nothing\n")
    assert Run(copy).names == {0: "spire"}


def test_an_edited_table_is_kept_as_it_was(run):
    write_names(run, {0: "spire"}, summaries_of("a", "b", "c"))
    text = "summary;name;remark\n1;Roof;ask Anna\n99;typed by mistake\n"
    (run / "names.csv").write_text(text)
    found = read_names(run, summaries_of("a", "b", "c"))
    write_names(run, found | {2: "hull"}, summaries_of("a", "b", "c"))
    assert (run / "names.csv").read_text() == "summary,name\n1,Roof\n2,hull\n"
    assert (run / "names.csv.before").read_text() == text


def test_a_table_that_was_restored_counts(run):
    write_names(run, {0: "funnel"}, summaries_of("a"))
    table = (run / "names.csv").read_bytes()
    write_names(run, {0: "wrong"}, summaries_of("a"))
    (run / "names.csv").write_bytes(table)
    assert read_names(run, summaries_of("a")) == {0: "funnel"}


def test_names_without_their_table_are_carried(run):
    write_names(run, {0: "funnel"}, summaries_of("axy"))
    (run / "names.csv").unlink()
    assert carry_names(run, summaries_of("axy"), summaries_of("xay")) == {0: "funnel"}
    assert read_names(run, summaries_of("xay")) == {0: "funnel"}


def test_a_name_that_waited_is_carried_when_its_exemplar_is_back(run):
    write_names(run, {0: "funnel"}, summaries_of("a"))
    assert carry_names(run, summaries_of("a"), summaries_of("b")) == {}
    write_names(run, {}, summaries_of("b"))
    assert carry_names(run, summaries_of("b"), summaries_of("c", "a")) == {1: "funnel"}


@pytest.mark.parametrize("name", ["caf\udce9", "two\nlines", "\x1b[31m"])
def test_a_name_that_cannot_be_shown_is_refused(copy, name, capfd):
    assert main(["name", str(copy), "0", name]) == 2
    assert "cannot be shown" in capfd.readouterr().err
    assert Run(copy).names == {}


def test_a_name_is_not_given_where_an_earlier_stage_was_interrupted(copy):
    info = Run(copy).info
    info["stages"]["masks"]["status"] = "started"
    write_json(copy / "run.json", info)
    assert main(["name", str(copy), "0", "roof"]) == 2
    assert not (copy / "names.csv").exists()
