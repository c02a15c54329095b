"""Files and folders as people have them: which are read, and under which id."""

import pytest

from masks.folders import MAX_ID_BYTES, is_safe_id


@pytest.mark.parametrize("text", ["n03028079_12", "a b", "Früchte", "a..b", "x" * MAX_ID_BYTES, "写真"])
def test_names_of_photographs_are_safe_ids(text: str) -> None:
    assert is_safe_id(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", ".hidden", "../../x", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", "a\x7fb", "a\x85b"),
        *("fr\udcfcchte", "x" * (MAX_ID_BYTES + 1), "写" * (MAX_ID_BYTES // 3 + 1)),
    ],
)
def test_what_leads_elsewhere_is_no_safe_id(text: str) -> None:
    assert not is_safe_id(text)
