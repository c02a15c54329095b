"""The whole chain on a small folder: what it leaves, and which images take part."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from visual_summaries import summaries
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.pages.gallery import write_gallery
from visual_summaries.summaries.pipeline import IMAGE_CHAIN, Job, run
from visual_summaries.summaries.pipeline.engine import names
from visual_summaries.summaries.settings import override
from visual_summaries.summaries.similarity_file import read_matched
from visual_summaries.summaries.stages.clusters import run_clusters
from visual_summaries.summaries.store import Run

COLUMNS = {
    "images.csv": "id path sha256 width height status reason predicted p0",
    "masks.csv": (
        "id p0 p_smooth p_crisp p_binary drop_smooth drop_crisp drop_binary "
        "area_smooth area_crisp area_binary iterations seconds"
    ),
    "parts.csv": "part image region x0 y0 x1 y1 cluster exemplar similarity",
}

pytestmark = pytest.mark.usefixtures("small_pictures")


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
    assert list(info["stages"]) == list(names(IMAGE_CHAIN))
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


def test_members_of_a_summary_are_the_parts_of_its_cluster(done, table):
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


def test_boxes_that_complete_summaries_follow_the_parts(done):
    run = Run(done)
    assert run.clustered == run.info["stages"]["matching"]["counts"]["parts"] < len(run.parts)
    assert all(part.cluster >= 0 for part in run.parts[run.clustered :])
    members = [member.part for summary in run.summaries for member in summary.members]
    assert len(members) == len(set(members))


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


def test_a_run_is_loaded_and_read(done, table):
    found = summaries.load(done)
    assert found.ids == [f"p{number}" for number in range(5)]
    assert found.mask("p0").binary.shape == (96, 96)
    assert len(found.parts) == len(table(done / "parts.csv"))
    with pytest.raises(UserError, match="not a run folder"):
        summaries.load(done / "gallery")


def test_python_gives_the_bytes_of_the_command_line(
    done, folder, classifier, promised, tmp_path, quick_settings, capfd
):
    classifier.network.train()
    steps = []
    found = summaries.summarize(
        folder.photographs,
        classifier,
        "textured",
        tmp_path / "run",
        jobs=1,
        settings=quick_settings,
        progress=steps.append,
    )
    assert capfd.readouterr() == ("", "")
    assert {step.task for step in steps} >= {"images", "masks", "proposals", "matching", "gallery"}
    assert all(0 <= step.done <= step.total for step in steps)
    assert [summary.kept for summary in found.summaries] == [summary.kept for summary in Run(done).summaries]
    assert promised(tmp_path / "run") == promised(done)
    assert classifier.network.training  # left as it was
    assert all(parameter.requires_grad for parameter in classifier.network.parameters())


def test_of_large_summaries_those_that_matched_best_are_compared(planted, quick_settings, monkeypatch):
    for module in ("summaries.stages.clusters", "clustering.clusters.find"):
        monkeypatch.setattr(f"visual_summaries.{module}.COMPARED", 3)
    path = planted().run.path
    lenient = {"similarity_quantile": 0.0, "similarity_share": 1.0, "joins_share": 1.0, "member_share": 1.0}
    run_clusters(path, override(quick_settings, {"prune": lenient}), seed=0)
    entries = json.loads((path / "summaries.json").read_text())
    kept = [entry for entry in entries if entry["kept"]]
    assert kept
    for entry in kept:
        parts = [member["part"] for member in entry["members"]]
        assert len(parts) == 8
        to_others = read_matched(path / "work" / "similarity.npz").among(parts).sum(axis=1)
        best = {0, *(1 + np.argsort(-to_others[1:])[:2]).tolist()}  # the exemplar stands first
        assert {k for k, member in enumerate(entry["members"]) if member["ssim"] is not None} == best
    page = write_gallery(Run(path)).read_text()
    assert all((path / f"summary-{entry['summary']:02d}.png").is_file() for entry in kept)
    assert page.count("<span>SSIM –</span>") == sum(len(entry["members"]) - 3 for entry in entries)


# --- which images take part ----------------------------------------------------------------------------------


@pytest.fixture
def images_of(folder, classifier, quick_settings):
    """Takes the images of the folder into a run and gives their rows."""

    def call(out, **options):
        job = Job(folder=folder.photographs, out=out, jobs=1, settings=quick_settings, **options)
        return run(job, classifier, until="images").images

    return call


def test_misclassified_images_are_kept_on_request(images_of, tmp_path):
    rows = {row.id: row for row in images_of(tmp_path, keep_misclassified=True)}
    assert rows["plain"].status == "ok"
    assert rows["plain"].predicted == 1
    assert rows["plain"].p0 < 0.5  # of the class that was asked for
    assert rows["cut"].status == "skipped"


def test_predicted_takes_each_image_as_what_the_network_sees(images_of, tmp_path):
    rows = {row.id: row for row in images_of(tmp_path, target="predicted")}
    assert rows["plain"].status == "ok"
    assert rows["plain"].p0 > 0.5


def test_the_limit_counts_what_is_not_skipped(images_of, tmp_path):
    rows = images_of(tmp_path, limit=2)
    assert [(row.id, row.status) for row in rows] == [
        ("cut", "skipped"),
        ("notes", "skipped"),
        ("p0", "ok"),
        ("p1", "ok"),
    ]
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["p0.png", "p1.png"]


def test_a_smaller_limit_takes_frames_away(images_of, tmp_path):
    images_of(tmp_path, limit=4)
    images_of(tmp_path, limit=1)
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
