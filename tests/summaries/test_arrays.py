"""Arrays are checked before and after they are read."""

import io
import zipfile

import numpy as np
import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.arrays import Array, read_arrays

SCHEMA = {"boxes": Array("f", ("n", 4), 0, 100), "image": Array("iu", ("n",), 0, "images")}


def write(path, **arrays):
    good = {"boxes": np.ones((3, 4), np.float32), "image": np.zeros(3, np.int64)}
    np.savez_compressed(path, **{name: value for name, value in (good | arrays).items() if value is not None})
    return path


def test_what_fits_is_read(tmp_path):
    found = read_arrays(write(tmp_path / "a.npz", more=np.zeros(2)), SCHEMA, images=1)
    assert sorted(found) == ["boxes", "image"]
    assert found["boxes"].shape == (3, 4)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"boxes": None}, "has no array 'boxes'"),
        ({"boxes": np.ones((3, 5))}, r"has shape \(3, 5\), wanted is \(3, 4\)"),
        ({"boxes": np.ones(3)}, r"has shape \(3,\)"),
        ({"boxes": np.ones((3, 4), np.int64)}, "holds int64"),
        ({"boxes": np.full((3, 4), np.nan)}, "not finite"),
        ({"boxes": np.full((3, 4), np.inf)}, "not finite"),
        ({"boxes": np.full((3, 4), -1.0)}, "outside 0 to 100"),
        ({"image": np.zeros(2, np.int64)}, r"has shape \(2,\)"),
        ({"image": np.array([0, 0, 7])}, "outside 0 to 6"),
        ({"image": np.array([0, 0, -1])}, "outside 0 to 6"),
        ({"image": np.array([0, None, 1], dtype=object)}, "holds object"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changed, reason):
    with pytest.raises(UserError, match=reason):
        read_arrays(write(tmp_path / "a.npz", **changed), SCHEMA, images=7)


def test_a_declared_size_is_checked_before_memory_is_taken(tmp_path):
    """A header of a few bytes that promises 400 GB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (25 * 10**9, 4)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("boxes.npy", header.getvalue() + b"\0" * 64)
        archive.writestr("image.npy", header.getvalue())
    with pytest.raises(UserError, match="declares 400000000000 bytes"):
        read_arrays(tmp_path / "a.npz", SCHEMA)


def test_an_array_of_zeros_that_is_compressed_a_thousand_times_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", boxes=np.zeros((1 << 25, 4), np.float32), image=np.zeros(1))
    with pytest.raises(UserError, match="declares 536870912 bytes"):
        read_arrays(tmp_path / "a.npz", SCHEMA)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all", None])
def test_what_is_no_archive_is_refused(tmp_path, content):
    if content is None:
        (tmp_path / "a.npz").mkdir()
    else:
        (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npz is"):
        read_arrays(tmp_path / "a.npz", SCHEMA)
    with pytest.raises(UserError, match="is not there"):
        read_arrays(tmp_path / "b.npz", SCHEMA)


def test_one_schema_may_stand_for_all_other_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", sail=np.ones((2, 2), bool), hull=np.zeros((2, 2), bool))
    found = read_arrays(tmp_path / "a.npz", {"*": Array("b", ("h", "w"))})
    assert sorted(found) == ["hull", "sail"]
    np.savez(tmp_path / "a.npz", sail=np.ones((2, 2), bool), hull=np.zeros((2, 3), bool))
    with pytest.raises(UserError, match="has shape"):
        read_arrays(tmp_path / "a.npz", {"*": Array("b", ("h", "w"))})
