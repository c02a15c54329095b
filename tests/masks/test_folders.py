"""Files and folders as people have them: which are read, and under which id."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs import folders
from visual_summaries.masks.inputs.folders import class_folders, list_images
from visual_summaries.masks.inputs.ids import MAX_ID_BYTES, is_safe_id, path_on_record, recorded_path, safe_id
from visual_summaries.masks.inputs.reading import read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def fill(folder: Path, *names: str) -> Path:
    """A folder with files of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def names(found: list[Path]) -> list[str]:
    return [path.name for path in found]


@pytest.mark.parametrize("text", ["n03028079_12", "a b", "Früchte", "a..b", "x" * MAX_ID_BYTES, "写真"])
def test_names_of_photographs_are_safe_ids(text: str) -> None:
    assert is_safe_id(text)
    assert safe_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", ".hidden", "../../x", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", "a\x7fb", "a\x85b"),
        *("fr\udcfcchte", "x" * (MAX_ID_BYTES + 1), "写" * (MAX_ID_BYTES // 3 + 1)),
    ],
)
def test_what_leads_elsewhere_is_no_safe_id(text: str) -> None:
    assert not is_safe_id(text)
    assert is_safe_id(safe_id(text))
    assert safe_id(text) != safe_id(text + "y")


def test_listing_is_sorted_with_ids_of_their_own(tmp_path: Path) -> None:
    fill(tmp_path, "b.png", "a.jpg", "a.png", "A.gif", ".hidden.png")
    files = list_images(tmp_path)
    assert [file.path.name for file in files] == ["A.gif", "a.jpg", "a.png", "b.png"]
    assert len({file.id.casefold() for file in files}) == 4
    assert files[-1].id == "b"
    for file in files:
        with pytest.raises(UnusableImageError):
            read_image(file.path)


def test_names_as_file_systems_have_them_get_ids_that_fit(tmp_path: Path) -> None:
    raw = [b"fr\xfcchte.png", b"fr\xfdchte.png", b"a\nb.png", b"a" * 251 + b".png", b"a" * 250 + b"b.png", b"..b.png"]
    raw += ["é.png".encode(), "e\u0301.jpg".encode(), b"c\\d.png"]
    for name in raw:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"x")
    (tmp_path / "annexed.jpg").symlink_to("/nowhere/at/all.jpg")
    files = list_images(tmp_path)
    assert len(files) == len(raw) - 1 + 1  # all but the hidden one, and the broken link
    assert all(is_safe_id(file.id) for file in files)
    assert len({folders._key(file.id) for file in files}) == len(files)
    longest = max(len(f".{file.id}.npz.4194304.tmp".encode()) for file in files)
    assert longest <= 255


def test_recorded_paths_are_text_and_can_be_read_back(tmp_path: Path) -> None:
    for plain in ("a/Früchte %41.png", "file:a"):
        assert recorded_path(Path(plain)) == plain
        assert path_on_record(plain) == Path(plain)
    for name in (b"fr\xfcchte %41.png", b"a\rb.png"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        text = recorded_path(path)
        assert text.isprintable()
        text.encode()
        assert path_on_record(text) == path


def test_no_folder_and_empty_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        list_images(tmp_path / "missing")
    with pytest.raises(UserError, match="is empty"):
        list_images(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        class_folders(tmp_path / "file")


def test_a_folder_without_images_is_a_root(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("b", "a"):
        fill(tmp_path / name, "1.jpg")
    fill(tmp_path, "readme.txt")
    assert names(class_folders(tmp_path)) == ["a", "b"]
    assert caplog.messages == []
    assert class_folders(tmp_path / "a") == []


def test_what_is_no_class_is_passed_over_with_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path / "cat", "1.jpg")
    fill(tmp_path / "dog" / "images", "1.jpg")
    fill(tmp_path / "@eaDir" / "1.jpg", "SYNOPHOTO_THUMB_M.jpg")
    fill(tmp_path / "__MACOSX" / "cat", "._1.jpg", "1.jpg")
    fill(tmp_path / ".git", "logo.png")
    fill(tmp_path / "notes", "a.txt")
    fill(tmp_path / "empty")
    fill(tmp_path / "runs" / "cat", "run.json", "summary-00.png")
    assert names(class_folders(tmp_path)) == ["cat", "dog"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("without pictures of a class: .git, @eaDir, __MACOSX, empty, notes and 1 more")


def test_a_class_folder_that_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "cat", "1.jpg")
    locked = fill(tmp_path / "locked", "1.jpg")
    scan = os.scandir

    def scandir(path: Path) -> object:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert names(class_folders(tmp_path)) == ["cat", "locked"]
    with pytest.raises(UserError, match=r"locked cannot be read \(Permission denied\)"):
        list_images(locked)


def test_pictures_beside_folders_of_pictures_are_asked_about(tmp_path: Path) -> None:
    fill(tmp_path / "few", "preview.png")
    fill(tmp_path / "few" / "cat", "1.jpg", "2.jpg")
    fill(tmp_path / "many", "preview.png", "b.png", "c.png")
    for name in ("cat", "dog"):
        fill(tmp_path / "many" / name, "1.jpg")
    for name in ("few", "many"):
        with pytest.raises(UserError, match=r"holds pictures \(.*preview.png.*\) beside folders of pictures \(cat"):
            class_folders(tmp_path / name)


def test_masks_or_previews_inside_of_a_class_folder_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "cat", "1.jpg", "2.jpg")
    fill(tmp_path / "cat" / "masks", "1.png", "2.png")
    fill(tmp_path / "cat" / "run", "run.json", "a.png", "b.png", "c.png")
    assert class_folders(tmp_path / "cat") == []
    assert [file.path.name for file in list_images(tmp_path / "cat")] == ["1.jpg", "2.jpg"]
    assert [message.endswith("cat: masks") for message in caplog.messages] == [True]


def test_pictures_in_one_folder_of_a_class_folder_are_found(tmp_path: Path) -> None:
    fill(tmp_path / "n01443537", "n01443537_boxes.txt")
    fill(tmp_path / "n01443537" / "images", "a.JPEG", "b.JPEG")
    assert class_folders(tmp_path / "n01443537") == []
    assert names(class_folders(tmp_path)) == ["n01443537"]
    listed = [file.path.name for file in list_images(tmp_path / "n01443537")]
    assert listed == ["n01443537_boxes.txt", "a.JPEG", "b.JPEG"]


def test_class_folders_below_images_are_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        fill(tmp_path / "world" / "images" / name, "1.jpg")
    fill(tmp_path / "world" / "masks", "a.npz")
    with pytest.raises(UserError, match=r"world holds no pictures, .* \(cat, dog\): give .*world/images$"):
        class_folders(tmp_path / "world")
    assert names(class_folders(tmp_path / "world" / "images")) == ["cat", "dog"]


def test_a_folder_of_roots_says_that_classes_lie_deeper(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        fill(tmp_path / "train" / name, "1.jpg")
        fill(tmp_path / "val" / name, "1.jpg")
    assert names(class_folders(tmp_path)) == ["train", "val"]
    with pytest.raises(UserError, match=r"folders in it do \(cat, dog\): give one class of them"):
        list_images(tmp_path / "train")


def test_pictures_are_read_under_any_name(tmp_path: Path) -> None:
    for name in (b"fr\xfcchte.png", b"a" * 251 + b".png"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as stream:
            Image.fromarray(PIXELS).save(stream, format="PNG")
    for file in list_images(tmp_path):
        np.testing.assert_array_equal(np.asarray(read_image(file.path).pixels), PIXELS)
