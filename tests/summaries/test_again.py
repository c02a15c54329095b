"""A run that is there already: what is done again, and what is left alone."""

import json
import shutil
from dataclasses import fields

import pytest

from visual_summaries import summaries
from visual_summaries.summaries.cli import cluster as cluster_command
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.cli import masks as masks_command
from visual_summaries.summaries.names import exemplar_of
from visual_summaries.summaries.pipeline import IMAGE_CHAIN, Job, run
from visual_summaries.summaries.pipeline.engine import names, option_tables
from visual_summaries.summaries.settings import Settings, override
from visual_summaries.summaries.store import Run

pytestmark = pytest.mark.usefixtures("small_pictures")


def files(path):
    """Bytes and time of every file of a run but its lock."""
    found = (file for file in path.rglob("*") if file.is_file() and file.name != ".lock")
    return {str(file.relative_to(path)): (file.read_bytes(), file.stat().st_mtime_ns) for file in found}


def test_the_same_command_changes_nothing(folder, copy, stages_done):
    before = files(copy)
    did, messages = stages_done(folder.arguments(out=copy))
    assert did == set()
    assert messages.splitlines() == [f"{stage}: unchanged, kept" for stage in names(IMAGE_CHAIN)]
    assert files(copy) == before


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--set.affinity.preference", "-1.5", "affinity.preference 0.0 -> -1.5"),
        ("--set.prune.min-members", "2", "prune.min_members 3 -> 2"),
    ],
)
def test_a_changed_option_does_again_what_depends_on_it(folder, copy, stages_done, option, value, said):
    before = files(copy)
    did, messages = stages_done(folder.arguments(option, value, out=copy))
    assert "clusters" in did <= {"clusters", "importance", "gallery"}
    assert f"clusters: again, changed: {said}" in messages
    same = [name for name in before if name.startswith(("frames/", "masks", "images.csv", "work/"))]
    after = files(copy)
    assert [name for name in same if after[name] != before[name]] == []


def test_a_changed_summary_draws_the_gallery_again(folder, copy, stages_done):
    did, messages = stages_done(folder.arguments("--set.affinity.preference", "0.99", out=copy))
    assert did == {"clusters", "importance", "gallery"}
    assert "gallery: again, changed:" in messages


def test_a_changed_photograph_does_its_stages_again(make_folder, classifier, tmp_path, quick_settings):
    folder = make_folder(3)
    job = Job(folder.photographs, tmp_path, settings=quick_settings)
    run(job, classifier, until="masks")
    before = files(tmp_path)
    folder.add("p2.png", shift=7)
    found = run(job, classifier, until="masks")
    after = files(tmp_path)
    assert found.info["stages"]["masks"]["counts"]["batches kept"] == 1
    assert after["masks/p0.npz"] == before["masks/p0.npz"]
    assert after["masks/p2.npz"][0] != before["masks/p2.npz"][0]


def test_a_growing_limit_keeps_the_batches_that_are_there(folder, classifier, done, tmp_path, quick_settings):
    for limit, batches, kept in ((2, 1, 0), (4, 2, 1), (3, 2, 1), (5, 3, 1)):
        job = Job(folder.photographs, tmp_path, limit=limit, settings=quick_settings)
        counts = run(job, classifier, until="masks").info["stages"]["masks"]["counts"]
        counted = {"images": limit, "batches": batches, "batches kept": kept, "collapsed": 0}
        assert {name: counts[name] for name in counted} == counted
    for path in (done / "masks").iterdir():
        assert (tmp_path / "masks" / path.name).read_bytes() == path.read_bytes()


def test_going_back_to_other_options_gives_their_masks(make_folder, classifier, tmp_path, quick_settings):
    folder = make_folder(3)
    one = quick_settings
    other = override(one, {"masks": {"crisp": {"iterations": 2}, "smooth": {"iterations": 9}}})
    found = []
    for settings in (one, other, one):
        job = Job(folder.photographs, tmp_path, settings=settings)
        result = run(job, classifier, until="masks")
        found.append({image: (tmp_path / "masks" / f"{image}.npz").read_bytes() for image in result.ids})
    assert found[0] != found[1]
    assert found[0] == found[2]


def test_a_deleted_mask_comes_back_with_the_same_bytes(folder, copy, promised, stages_done):
    before = promised(copy)
    (copy / "masks" / "p2.npz").unlink()
    did, messages = stages_done(folder.arguments(out=copy))
    assert "masks" in did <= {"masks", "gallery"}
    assert "masks: again, its files are not all there" in messages
    assert "batches kept 2" in messages
    assert promised(copy) == before


def test_deleted_work_is_done_again_with_the_same_bytes(folder, copy, promised, stages_done):
    before = promised(copy)
    shutil.rmtree(copy / "work")
    did, _ = stages_done(folder.arguments(out=copy))
    assert did == {"proposals", "matching"}
    assert promised(copy) == before


# --- one stage again -----------------------------------------------------------------------------------------


def test_cluster_does_clusters_again_and_ends_with_the_page(copy, promised, stages_done):
    before = promised(copy)
    did, _ = stages_done(["cluster", copy, "--jobs", "1", "--trust"])
    assert did == {"clusters", "importance"}
    assert promised(copy) == before
    did, _ = stages_done(["cluster", copy, "--jobs", "1", "--trust", "--set.affinity.preference", "0.99"])
    assert did == {"clusters", "importance", "gallery"}
    assert Run(copy).info["config"]["settings"]["affinity"]["preference"] == 0.99
    assert Run(copy).info["config"]["settings"]["proposals"]["count"] == 60  # what was not given stays
    assert len(Run(copy).summaries) > len(json.loads(before["summaries.json"]))


def test_cluster_takes_the_options_of_every_stage_that_it_does(copy, stages_done):
    did, messages = stages_done(["cluster", copy, "--jobs", "1", "--trust", "--set.appearance.numbers", "33"])
    assert "matching" in did <= {"matching", "clusters", "importance", "gallery"}
    assert "matching: again, changed: appearance.numbers 512 -> 33" in messages
    assert Run(copy).info["config"]["settings"]["appearance"]["numbers"] == 33


def test_settings_are_the_options_of_the_stages():
    assert set(option_tables(IMAGE_CHAIN)) == {one.name for one in fields(Settings)}
    masks = {one.name for one in fields(masks_command.Arguments)}
    assert masks > {name for name in IMAGE_CHAIN[1].options if name != "attribution"} | {"attributions"}
    assert {one.name for one in fields(cluster_command.Arguments)} > set(option_tables(IMAGE_CHAIN[2:]))


def test_options_may_stand_before_the_run(copy, stages_done):
    did, _ = stages_done(["cluster", "--jobs", "1", "--trust", copy])
    assert did == {"clusters", "importance"}
    assert Run(copy).info["config"]["settings"]["proposals"]["count"] == 60


def test_gallery_is_drawn_again(copy, capsys):
    shutil.rmtree(copy / "gallery")
    assert main(["gallery", str(copy)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == str(copy / "gallery" / "index.html")
    assert (copy / "gallery" / "index.html").is_file()
    assert "gallery: again, as asked" in captured.err


def test_masks_are_made_again(copy, promised, stages_done):
    before = promised(copy)
    did, messages = stages_done(["masks", copy, "--trust"])
    assert did == {"masks"}
    assert "batches 3, batches kept 0" in messages
    assert promised(copy) == before
    did, _ = stages_done(["masks", copy, "--trust", "--set.masks.crisp.iterations", "5"])
    assert "masks" in did <= {"masks", "matching", "clusters", "importance", "gallery"}
    assert promised(copy)["p0.npz"] != before["p0.npz"]
    settings = Run(copy).info["config"]["settings"]["masks"]
    assert (settings["crisp"]["iterations"], settings["smooth"]["iterations"]) == (5, 4)


def test_status_tells_what_is_done_left_and_skipped(copy, capsys):
    info = json.loads((copy / "run.json").read_text())
    del info["stages"]["gallery"]
    info["stages"]["clusters"]["status"] = "started"
    (copy / "run.json").write_text(json.dumps(info))
    assert main(["status", str(copy)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{copy}: textured")
    assert [line.split()[:2] for line in lines[1:8]] == [
        *([stage, "done"] for stage in names(IMAGE_CHAIN)[:4]),
        ["clusters", "started:"],
        ["importance", "done"],
        ["gallery", "left"],
    ]
    assert any(line.startswith("  skipped 1: predicted as plain") for line in lines)
    assert sum(line.startswith("  skipped") for line in lines) == 4


def test_a_summary_is_named_and_unnamed(copy, stages_done, table):
    did, _ = stages_done(["name", copy, "0", "round window"])
    assert did == {"gallery"}
    assert table(copy / "names.csv") == [{"summary": "0", "name": "round window"}]
    assert summaries.load(copy).summaries[0].name == "round window"
    stages_done(["name", copy, "0", ""])
    assert summaries.load(copy).summaries[0].name == ""
    _, messages = stages_done(["name", copy, "99", "nothing"], status=2)
    assert "has no summary 99" in messages


def test_a_name_stays_with_its_parts_when_clusters_are_made_again(copy):
    before = Run(copy).summaries
    assert main(["name", str(copy), str(before[-1].summary), "the mark"]) == 0
    assert main(["cluster", str(copy), "--trust"]) == 0
    assert main(["cluster", str(copy), "--trust", "--set.affinity.preference", "0.6"]) == 0
    named = [one for one in Run(copy).summaries if one.name]
    old = {(m.image, m.box) for m in before[-1].members}
    for one in named:
        members = {(m.image, m.box) for m in one.members}
        assert one.name == "the mark"
        assert exemplar_of(one) == exemplar_of(before[-1]) or 2 * len(members & old) > len(members | old)


def test_the_level_of_intervals_is_changed_without_measuring_again(folder, copy, stages_done):
    records = {name: when for name, (_, when) in files(copy).items() if name.startswith("work/importance/")}
    did, _ = stages_done(["importance", copy, "--trust", "--set.importance.level", "0.9"])
    assert did == {"importance", "gallery"}
    assert Run(copy).level == 0.9
    after = files(copy)
    assert records
    assert {name: after[name][1] for name in records} == records


def test_where_no_cluster_has_enough_members_the_command_says_so(copy, capfd):
    arguments = ["importance", str(copy), "--trust", "--set.importance.min-members"]
    assert main([*arguments, "99"]) == 0
    assert capfd.readouterr().out == "no cluster has 99 members, which it needs to be measured\n"
    assert main([*arguments, "3"]) == 0
    head, *rows = capfd.readouterr().out.splitlines()
    assert head.startswith("summary  importance")
    assert len(rows) == sum(len(one.members) >= 3 for one in Run(copy).summaries)


@pytest.mark.parametrize("command", [["gallery"], ["name"]])
def test_a_run_that_was_made_before_importance_names_what_continues_it(copy, command, fails):
    info = json.loads((copy / "run.json").read_text())
    del info["stages"]["importance"]
    (copy / "run.json").write_text(json.dumps(info))
    more = ["0", "shapes"] if command == ["name"] else []
    assert "the stage importance is not done" in fails([*command, copy, *more])
    assert main(["status", str(copy)]) == 0
    assert main(["importance", str(copy), "--trust"]) == 0
    assert main([*command, str(copy), *more]) == 0
