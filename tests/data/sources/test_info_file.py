from __future__ import annotations

from pathlib import Path

import pytest

from assay.data.sources import info_file
from assay.errors import DatasetError
from tests.messages import assert_says


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of three tensors of 4×2 pixels, in the folder in which the test runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prep").mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 96)
    for name in ("a", "b c", "图"):
        (tmp_path / "prep" / f"{name}.bin").write_bytes(b"\0" * 96)
    path = tmp_path / "x.info"
    path.write_text("0 ./prep/a.bin 4 2\n1 ./prep/b c.bin 4 2\n2 ./prep/图.bin 4 2\n", encoding="utf-8")
    return path


def test_a_list_is_read_with_its_sides_and_spaces_in_paths(listed: Path) -> None:
    found = info_file.read(listed)
    assert found.names == ("a", "b c", "图")
    assert found.paths == ("./prep/a.bin", "./prep/b c.bin", "./prep/图.bin")
    assert (found.width, found.height) == (4, 2)


def test_the_index_tells_nothing(listed: Path) -> None:
    listed.write_text(listed.read_text().replace("1 ./", "0 ./").rstrip("\n"))
    assert len(info_file.read(listed).paths) == 3


def test_a_file_of_the_root_is_not_taken_for_one_of_the_same_name_here(listed: Path) -> None:
    listed.write_text("0 /secret.bin 4 2\n")
    with pytest.raises(DatasetError) as caught:
        info_file.read(listed)
    assert_says(caught, "x.info lists files in /, which is neither in the list's folder")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 ./prep/gone.bin 4 2", "line 2: ./prep/gone.bin is missing"),
        ("1 ./prep/b c.bin 4 3", "./prep/b c.bin is 4×3, and the other lines are 4×2"),
        ("1 ./prep/../secret.bin 4 2", "./prep/../secret.bin is outside ./prep"),
        ("1 secret.bin 4 2", "secret.bin is outside ./prep"),
        ("1 /etc/passwd 4 2", "/etc/passwd is outside ./prep"),
        ("1 ./prep/a.bin 4 2", "./prep/a.bin repeats line 1"),
        ("1 ./prep/a.bin 4", "is not `index path width height`"),
        ("x ./prep/a.bin 4 2", "is not `index path width height`"),
        ("", "is not `index path width height`"),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected(line: str, said: str, listed: Path) -> None:
    lines = listed.read_text(encoding="utf-8").splitlines()
    lines[1] = line
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        info_file.read(listed)
    assert_says(
        caught,
        str(listed),
        "1 of 3 lines cannot be used; write it again with gen_dataset_info.py bin",
        "line 2: ",
        said,
    )


@pytest.mark.parametrize("line", ["0 ./prep/a.bin 9 9", "0 other/a.bin 4 2", "0 ./prep/../x.bin 4 2"])
def test_a_wrong_first_line_does_not_speak_for_the_others(line: str, listed: Path) -> None:
    lines = listed.read_text(encoding="utf-8").splitlines()
    listed.write_text("\n".join([line, *lines[1:]]), encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        info_file.read(listed)
    assert_says(caught, "1 of 3 lines cannot be used", "line 1: ")


def test_a_file_of_the_wrong_size_is_named_with_the_size_expected(listed: Path) -> None:
    Path("prep/b c.bin").write_bytes(b"\0" * 95)
    with pytest.raises(DatasetError) as caught:
        info_file.read(listed)
    assert_says(caught, "line 2: ./prep/b c.bin has 95 bytes, and 3×2×4 float32 are 96")


@pytest.mark.parametrize("line", ["0 ../prep/a.bin 4 2\n", "0 prep/../prep/a.bin 4 2\n", "0 prep/.. 4 2\n"])
def test_no_path_leads_through_the_folder_above(line: str, listed: Path) -> None:
    listed.write_text(line)
    with pytest.raises(DatasetError) as caught:
        info_file.read(listed)
    assert_says(caught, "line 1: ")


@pytest.mark.parametrize("sides", ["0 2", "4 x", "-4 2", "4 1000000", "4 ²"])
def test_sides_that_are_no_pixels_are_said(sides: str, listed: Path) -> None:
    listed.write_text(f"0 ./prep/a.bin {sides}\n")
    with pytest.raises(DatasetError) as caught:
        info_file.read(listed)
    assert_says(caught, "width and height are", "not pixels")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", None])
def test_a_file_that_is_no_list_is_said(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x.info"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        info_file.read(path)
    assert_says(caught, str(path), "gen_dataset_info.py")
    # The path is said once, and no number of an error.
    assert "Errno" not in str(caught.value)
