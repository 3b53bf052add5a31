from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motionveil.errors import MotionveilError
from motionveil.files import atomic_path, write_text_atomically


def write_half(path: Path, error: type[BaseException]) -> None:
    with atomic_path(path) as part:
        part.write_text("half")
        raise error


def test_writes_and_returns_the_path(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "a.txt"
    assert write_text_atomically(str(file), "motion ≠ person\n") == file
    assert file.read_text(encoding="utf-8") == "motion ≠ person\n"
    assert [path.name for path in file.parent.iterdir()] == ["a.txt"]


def test_the_name_appears_when_the_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    with atomic_path(file) as part:
        part.write_bytes(b"half")
        assert not file.exists()
        assert part.parent == file.parent, "a rename must not cross file systems"
        assert part.suffix == ".mp4", "video libraries choose the container by it"
        assert part.name.startswith(".")
    assert file.read_bytes() == b"half"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "a.txt", error)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    file = write_text_atomically(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError):
        write_half(file, RuntimeError)
    assert file.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_block_that_removes_its_file_fails_cleanly(tmp_path: Path) -> None:
    wrong = pytest.raises(MotionveilError, match=r"a\.txt: cannot write here")
    with wrong, atomic_path(tmp_path / "a.txt") as part:
        part.unlink()
    assert list(tmp_path.iterdir()) == []


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("")
    file = write_text_atomically(tmp_path / "a.txt", "")
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_the_umask_counts(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        file = write_text_atomically(tmp_path / "a.txt", "secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~mask


def test_the_umask_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to all threads: two that set it to read it can leave it at 0 for good."""

    def touch(mask: int) -> int:
        raise AssertionError("the umask was set")

    monkeypatch.setattr(os, "umask", touch)
    write_text_atomically(tmp_path / "a.txt", "x")


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_text_atomically(file, f"{n}" * 5000), range(10)))
    text = file.read_text()
    assert len(text) == 5000
    assert len(set(text)) == 1, "one writer's text, whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


class TestWhereNothingCanBeWritten:
    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for target in (tmp_path / "file" / "a.txt", tmp_path / "file" / "deep" / "a.txt"):
            with pytest.raises(MotionveilError) as caught, atomic_path(target):
                pytest.fail("the block must not run")
            assert str(caught.value).startswith(f"{target}: cannot write here: ")

    def test_over_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").mkdir()
        with pytest.raises(MotionveilError, match=r"a\.txt: cannot write here"):
            write_text_atomically(tmp_path / "a.txt", "x")
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

    def test_a_name_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match="cannot write here"):
            write_text_atomically(tmp_path / ("a" * 300), "x")
        assert list(tmp_path.iterdir()) == []
