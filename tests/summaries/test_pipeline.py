"""The whole chain on a small folder: what it leaves, what it does again, and what it leaves alone."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import summaries
from clustering.proposals import ProposalOptions
from masks.errors import UserError
from masks.models import load_classifier
from summaries.cli import main
from summaries.pipeline import STAGES, Job, run
from summaries.settings import Settings, override
from summaries.store import Run

COLUMNS = {
    "images.csv": "id path sha256 width height status reason predicted p0",
    "masks.csv": (
        "id p0 p_smooth p_crisp p_binary drop_smooth drop_crisp drop_binary "
        "area_smooth area_crisp area_binary iterations seconds"
    ),
    "parts.csv": "part image region x0 y0 x1 y1 cluster exemplar similarity",
}
QUICK_SETTINGS = override(
    Settings(),
    {
        "masks": {"smooth": {"iterations": 4}, "crisp": {"iterations": 4}, "batch": 2},
        "proposals": {"count": 60, "max_kept": 12},
        "affinity": {"preference": 0.0},
        "prune": {"cluster_share": 0.0, "min_members": 3},
    },
)


@pytest.fixture(scope="module", autouse=True)
def small_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("summaries.drawing.SIDE", 48)  # the gallery's pictures are not the subject here
        yield


@pytest.fixture(scope="module")
def folder(make_folder):
    """Five photographs, one of them of another size, and four files that cannot be used."""
    made = make_folder()
    made.add("p3.png", shift=1, size=(192, 144))
    (made.photographs / "notes.txt").write_text("no photograph")
    made.add("cut.jpg")
    (made.photographs / "cut.jpg").write_bytes((made.photographs / "cut.jpg").read_bytes()[:-900])
    made.add("tiny.png", size=(20, 40))
    made.add_plain("plain.png")
    return made


@pytest.fixture(scope="module")
def done(folder):
    assert main(folder.arguments()) == 0
    return folder.out


@pytest.fixture
def copy(done, tmp_path):
    """A finished run that a test may change."""
    shutil.copytree(done, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def classifier(folder):
    return load_classifier(folder.model)


@pytest.fixture
def stages_done(capfd):
    """Calls the program and gives the stages it did, and its messages."""

    def call(arguments, status=0):
        capfd.readouterr()
        assert main([str(argument) for argument in arguments]) == status
        messages = capfd.readouterr().err
        kept = {line.split(":")[0] for line in messages.splitlines() if line.endswith("unchanged, kept")}
        did = {line.split(":")[0] for line in messages.splitlines() if ": done in" in line}
        assert not kept & did
        return did, messages

    return call


def files(path):
    """Bytes and time of every file of a run but its lock."""
    found = (file for file in path.rglob("*") if file.is_file() and file.name != ".lock")
    return {str(file.relative_to(path)): (file.read_bytes(), file.stat().st_mtime_ns) for file in found}


def table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


# --- what a run leaves ---------------------------------------------------------------------------------------


def test_the_tables_have_the_columns_of_the_contract(done):
    for name, columns in COLUMNS.items():
        assert (done / name).read_text().splitlines()[0] == ",".join(columns.split())
    assert (done / "gallery" / "index.html").is_file()
    kept = [summary.summary for summary in Run(done).summaries if summary.kept]
    assert kept  # or the rest of this file would say little
    assert sorted(path.name for path in done.glob("summary-*.png")) == [f"summary-{number:02d}.png" for number in kept]


def test_the_record_of_the_run(done, folder):
    info = json.loads((done / "run.json").read_text())
    assert {"config", "versions", "seed", "device", "model", "stages", "format", "frame", "target"} <= set(info)
    assert info["target"] == {"index": 0, "name": "textured", "wordnet": ""}
    assert info["model"]["spec"] == folder.model
    assert info["model"]["fingerprint"]
    assert list(info["stages"]) == list(STAGES)
    for stage in info["stages"].values():
        assert stage["status"] == "done"
        assert stage["seconds"] >= 0
        assert stage["counts"]


def test_summaries_have_the_fields_of_the_contract(done):
    entries = json.loads((done / "summaries.json").read_text())
    assert [entry["summary"] for entry in entries] == list(range(len(entries)))
    for entry in entries:
        assert {"summary", "name", "exemplar", "members", "median_ssim", "kept", "reason", "scores"} <= set(entry)
        for member in entry["members"]:
            assert set(member) == {"part", "image", "box", "similarity", "ssim"}
        assert bool(entry["reason"]) != entry["kept"]


def test_members_of_a_summary_are_the_parts_of_its_cluster(done):
    parts = table(done / "parts.csv")
    assert [int(part["part"]) for part in parts] == list(range(len(parts)))
    found = Run(done).summaries
    for summary in found:
        members = {member.part: member for member in summary.members}
        assert set(members) == {int(part["part"]) for part in parts if int(part["cluster"]) == summary.summary}
        for number, member in members.items():
            row = parts[number]
            assert row["image"] == member.image
            assert [float(row[side]) for side in ("x0", "y0", "x1", "y1")] == list(member.box)
            assert float(row["similarity"]) == member.similarity
            assert row["exemplar"] == str(int(number == summary.exemplar))
        assert len({member.image for member in summary.members}) == len(members)  # one an image
        similar = [member.similarity for member in summary.members]
        assert similar == sorted(similar, reverse=True)
    assert {int(part["cluster"]) for part in parts} <= {-1, *(summary.summary for summary in found)}


def test_frames_are_the_photographs_resized_and_cut(done, folder):
    found = Run(done)
    for image in ("p0", "p3"):
        photograph = Image.open(folder.photographs / f"{image}.png")
        if image == "p3":  # 192 x 144: the shorter side becomes 96, then the middle
            photograph = photograph.resize((128, 96), Image.Resampling.BILINEAR).crop((16, 0, 112, 96))
        assert np.array_equal(found.frame(image), np.asarray(photograph))
    rows = {row.id: row for row in found.images}
    assert (rows["p3"].width, rows["p3"].height) == (192, 144)


def test_masks_are_the_arrays_and_pictures_of_the_contract(done):
    found = Run(done)
    assert sorted(path.name for path in (done / "masks").iterdir()) == sorted(
        f"{image}{suffix}" for image in found.ids for suffix in (".npz", ".png")
    )
    for image in found.ids:
        with np.load(done / "masks" / f"{image}.npz", allow_pickle=False) as arrays:
            for name in ("smooth", "crisp"):
                assert arrays[name].dtype == np.float16
                assert arrays[name].shape == (96, 96)
                assert 0 <= arrays[name].min() <= arrays[name].max() <= 1
            assert len(arrays["history"]) == found.masks[image].iterations == 8
        picture = Image.open(done / "masks" / f"{image}.png")
        assert picture.mode == "L"
        assert set(np.unique(picture).tolist()) <= {0, 255}
        row = found.masks[image]
        assert row.area_binary == pytest.approx((np.asarray(picture) == 255).mean())
        assert row.drop_binary == pytest.approx((row.p0 - row.p_binary) / row.p0)


def test_skipped_files_are_recorded_with_their_reasons(done):
    rows = {row.id: row for row in Run(done).images}
    assert [row.id for row in rows.values() if row.status == "ok"] == [f"p{number}" for number in range(5)]
    reasons = {name: row.reason for name, row in rows.items() if row.status == "skipped"}
    assert set(reasons) == {"cut", "notes", "plain", "tiny"}
    assert reasons["cut"].startswith("truncated")
    assert reasons["notes"].startswith("not an image file")
    assert reasons["tiny"].startswith("too small: 20x40")
    assert reasons["plain"] == "predicted as plain (1), not textured (0)"
    assert rows["plain"].predicted == 1


def test_a_run_is_loaded_and_read(done):
    found = summaries.load(done)
    assert found.ids == [f"p{number}" for number in range(5)]
    assert found.mask("p0").binary.shape == (96, 96)
    assert len(found.parts) == len(table(done / "parts.csv"))
    with pytest.raises(UserError, match="not a run folder"):
        summaries.load(done / "gallery")


def test_python_gives_the_bytes_of_the_command_line(done, folder, classifier, promised, tmp_path):
    classifier.network.train()
    found = summaries.summarize(
        folder.photographs, classifier, "textured", tmp_path / "run", jobs=1, settings=QUICK_SETTINGS
    )
    assert [summary.kept for summary in found.summaries] == [summary.kept for summary in Run(done).summaries]
    assert promised(tmp_path / "run") == promised(done)
    assert classifier.network.training  # left as it was
    assert all(parameter.requires_grad for parameter in classifier.network.parameters())


# --- which images take part ----------------------------------------------------------------------------------


def images_of(folder, classifier, out, **options):
    job = Job(folder=folder.photographs, out=out, jobs=1, settings=QUICK_SETTINGS, **options)
    return run(job, classifier, until="images").images


def test_misclassified_images_are_kept_on_request(folder, classifier, tmp_path):
    rows = {row.id: row for row in images_of(folder, classifier, tmp_path, keep_misclassified=True)}
    assert rows["plain"].status == "ok"
    assert rows["plain"].predicted == 1
    assert rows["plain"].p0 < 0.5  # of the class that was asked for
    assert rows["cut"].status == "skipped"


def test_predicted_takes_each_image_as_what_the_network_sees(folder, classifier, tmp_path):
    rows = {row.id: row for row in images_of(folder, classifier, tmp_path, target="predicted")}
    assert rows["plain"].status == "ok"
    assert rows["plain"].p0 > 0.5


def test_the_limit_counts_what_is_not_skipped(folder, classifier, tmp_path):
    rows = images_of(folder, classifier, tmp_path, limit=2)
    assert [(row.id, row.status) for row in rows] == [
        ("cut", "skipped"),
        ("notes", "skipped"),
        ("p0", "ok"),
        ("p1", "ok"),
    ]
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["p0.png", "p1.png"]


def test_a_smaller_limit_takes_frames_away(folder, classifier, tmp_path):
    images_of(folder, classifier, tmp_path, limit=4)
    images_of(folder, classifier, tmp_path, limit=1)
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["p0.png"]


def test_a_root_of_class_folders_gives_a_run_each(make_folder, stages_done, tmp_path):
    folder = make_folder(2)
    for name in ("a.png", "b.png"):
        folder.add_plain(name, folder="root/plain")
    shutil.copytree(folder.photographs, folder.home / "root" / "textured")
    arguments = folder.arguments(images=folder.home / "root", out=tmp_path)
    _, messages = stages_done(arguments)
    assert "== plain" in messages
    assert (tmp_path / "index.html").is_file()
    assert Run(tmp_path / "textured").info["target"]["name"] == "textured"
    plain = Run(tmp_path / "plain")
    assert plain.info["target"]["name"] == "plain"
    assert plain.ids == ["a", "b"]

    folder.add_plain("c.png", folder="root/zebra")  # a class that the network does not know
    did, messages = stages_done(arguments, status=2)
    assert did == set()
    assert "zebra: the network knows no class 'zebra'" in messages
    assert messages.splitlines()[-1].startswith("visual-summaries: 1 of 3 class folders failed: zebra")


# --- masks made elsewhere ------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(folder, tmp_path):
    """Masks of the first four images: as npz and png, of the size of the frame and of the photograph."""
    made = tmp_path / "elsewhere"
    made.mkdir()
    frame, photograph = np.zeros((96, 96), np.float32), np.zeros((144, 192), np.float32)
    frame[20:60, 30:70] = 1
    photograph[30:90, 24 + 45 : 24 + 105] = 1  # the same place: the frame is its middle, scaled by 2 / 3
    np.savez(made / "p0.npz", crisp=frame)
    Image.fromarray((frame * 255).astype(np.uint8)).save(made / "p1.png")
    np.savez(made / "p2.npz", frame[None])
    Image.fromarray((photograph * 255).astype(np.uint8)).save(made / "p3.png")
    return made


def test_masks_made_elsewhere_take_the_place_of_the_stage(folder, classifier, elsewhere, tmp_path):
    out = tmp_path / "run"
    job = Job(folder.photographs, out, limit=4, masks=elsewhere, settings=QUICK_SETTINGS)
    found = run(job, classifier, until="masks")
    expected = np.zeros((96, 96), bool)
    expected[20:60, 30:70] = True
    for image in ("p0", "p1", "p2", "p3"):
        mask = found.mask(image)
        assert np.array_equal(mask.binary, expected)
        assert np.array_equal(mask.crisp > 0.5, expected)
        assert found.masks[image].iterations == 0
    np.savez(elsewhere / "p0.npz", crisp=1 - expected.astype(np.float32))
    again = run(job, classifier, until="masks")
    assert np.array_equal(again.mask("p0").binary, ~expected)  # a changed mask is seen


def test_the_whole_chain_on_masks_made_elsewhere(folder, elsewhere, stages_done, tmp_path):
    did, _ = stages_done(folder.arguments("--masks", str(elsewhere), "--limit", "3", out=tmp_path / "run"))
    assert did == set(STAGES)
    boxes = np.array([part.box for part in Run(tmp_path / "run").parts])
    assert len(boxes)
    margin = ProposalOptions().margin * 96 / 224
    low, high = (30 - margin, 20 - margin), (70 + margin, 60 + margin)
    inside = np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low)
    share = inside.clip(0).prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)
    assert share.min() >= 0.74  # a part lies on the mask or near it; whole pixels


def test_what_is_wrong_with_masks_made_elsewhere_is_said(folder, classifier, elsewhere, stages_done, tmp_path):
    out = tmp_path / "run"
    _, messages = stages_done(folder.arguments("--masks", str(elsewhere), out=out), status=2)
    assert messages.splitlines()[-1].endswith("has neither p4.npz nor p4.png")
    _, messages = stages_done(folder.arguments("--masks", str(elsewhere / "no"), out=out), status=2)
    assert "is not a folder" in messages
    for mask, message in (
        (np.zeros((50, 60)), "is 50x60, the frame is 96x96 and the photograph 96x96"),
        (np.full((96, 96), 2.0), "no .H, W. array in .0, 1."),
        (np.full((96, 96), np.nan), "no .H, W. array in .0, 1."),
    ):
        np.savez(elsewhere / "p4.npz", mask)
        job = Job(folder.photographs, out, masks=elsewhere, settings=QUICK_SETTINGS)
        with pytest.raises(UserError, match=message):
            run(job, classifier, until="masks")


# --- what is done again, and what is not ---------------------------------------------------------------------


def test_the_same_command_changes_nothing(folder, copy, stages_done):
    before = files(copy)
    did, messages = stages_done(folder.arguments(out=copy))
    assert did == set()
    assert messages.splitlines() == [f"{stage}: unchanged, kept" for stage in STAGES]
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
    assert "clusters" in did <= {"clusters", "gallery"}
    assert f"clusters: again, changed: {said}" in messages
    same = [name for name in before if name.startswith(("frames/", "masks", "images.csv", "work/"))]
    after = files(copy)
    assert [name for name in same if after[name] != before[name]] == []


def test_a_changed_summary_draws_the_gallery_again(folder, copy, stages_done):
    did, messages = stages_done(folder.arguments("--set.affinity.preference", "0.99", out=copy))
    assert did == {"clusters", "gallery"}
    assert "gallery: again, changed:" in messages


def test_a_changed_photograph_does_its_stages_again(make_folder, classifier, tmp_path):
    folder = make_folder(3)
    job = Job(folder.photographs, tmp_path, settings=QUICK_SETTINGS)
    run(job, classifier, until="masks")
    before = files(tmp_path)
    folder.add("p2.png", shift=7)
    found = run(job, classifier, until="masks")
    after = files(tmp_path)
    assert found.info["stages"]["masks"]["counts"]["batches kept"] == 1
    assert after["masks/p0.npz"] == before["masks/p0.npz"]
    assert after["masks/p2.npz"][0] != before["masks/p2.npz"][0]


def test_a_growing_limit_keeps_the_batches_that_are_there(folder, classifier, done, tmp_path):
    for limit, batches, kept in ((2, 1, 0), (4, 2, 1), (3, 2, 1), (5, 3, 1)):
        job = Job(folder.photographs, tmp_path, limit=limit, settings=QUICK_SETTINGS)
        counts = run(job, classifier, until="masks").info["stages"]["masks"]["counts"]
        assert counts == {"images": limit, "batches": batches, "batches kept": kept, "collapsed": 0}
    for path in (done / "masks").iterdir():
        assert (tmp_path / "masks" / path.name).read_bytes() == path.read_bytes()


def test_going_back_to_other_options_gives_their_masks(make_folder, classifier, tmp_path):
    folder = make_folder(3)
    one = QUICK_SETTINGS
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


def test_cluster_does_matching_and_clusters_again(copy, promised, stages_done):
    before = promised(copy)
    did, _ = stages_done(["cluster", copy, "--jobs", "1"])
    assert did == {"matching", "clusters"}
    assert promised(copy) == before
    did, _ = stages_done(["cluster", copy, "--jobs", "1", "--set.affinity.preference", "0.99"])
    assert did == {"matching", "clusters"}
    assert Run(copy).info["config"]["settings"]["affinity"]["preference"] == 0.99
    assert Run(copy).info["config"]["settings"]["proposals"]["count"] == 60  # what was not given stays
    assert len(Run(copy).summaries) > len(json.loads(before["summaries.json"]))


def test_options_may_stand_before_the_run(copy, stages_done):
    did, _ = stages_done(["cluster", "--jobs", "1", copy])
    assert did == {"matching", "clusters"}
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
    did, messages = stages_done(["masks", copy])
    assert did == {"masks"}
    assert "batches 3, batches kept 0" in messages
    assert promised(copy) == before
    stages_done(["masks", copy, "--set.masks.crisp.iterations", "5"])
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
    assert [line.split()[:2] for line in lines[1:7]] == [
        *([stage, "done"] for stage in STAGES[:4]),
        ["clusters", "started:"],
        ["gallery", "left"],
    ]
    assert any(line.startswith("  skipped 1: predicted as plain") for line in lines)
    assert sum(line.startswith("  skipped") for line in lines) == 4


def test_a_summary_is_named_and_unnamed(copy, stages_done):
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
    assert main(["cluster", str(copy)]) == 0
    assert main(["cluster", str(copy), "--set.affinity.preference", "0.6"]) == 0
    named = {one.name: {(m.image, m.box) for m in one.members} for one in Run(copy).summaries if one.name}
    old = {(m.image, m.box) for m in before[-1].members}
    for name, members in named.items():
        assert name == "the mark"
        assert 2 * len(members & old) > len(members | old)
