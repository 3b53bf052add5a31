from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motionveil.atomic_write import (
    atomic_path,
    close_to_others,
    make_folder,
    make_private_folder,
    refuse_overwriting,
    write_text_atomically,
)
from motionveil.errors import MotionveilError


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
@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_what_is_private_is_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    file = tmp_path / "a" / "b" / "c.txt"
    before = os.umask(mask & 0o077)  # the folders above are as usual
    try:
        (tmp_path / "a").mkdir()
        os.umask(mask)
        make_private_folder(file.parent)
        with atomic_path(file, private=True) as part:
            assert mode_of(part) == 0o600, "also while it is written"
            part.write_text("secret")
        file.parent.chmod(0o755)
        make_private_folder(file.parent)
    finally:
        os.umask(before)
    assert mode_of(file) == 0o600
    assert mode_of(file.parent) == 0o755, "one that is there stays as it is"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_a_folder_is_closed_with_the_files_in_it(tmp_path: Path) -> None:
    folder, beyond = tmp_path / "cache", tmp_path / "beyond"
    folder.mkdir(0o755)
    beyond.write_text("not in it")
    beyond.chmod(0o644)
    (folder / "link").symlink_to(beyond)
    for name, mode in (("a", 0o644), ("b", 0o400)):
        (folder / name).write_text(name)
        (folder / name).chmod(mode)
    assert close_to_others(folder)
    assert [mode_of(folder / name) for name in (".", "a", "b")] == [0o700, 0o600, 0o400]
    assert mode_of(beyond) == 0o644
    assert not close_to_others(tmp_path / "nonesuch")


def test_a_private_folder_needs_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(MotionveilError, match="cannot make this folder"):
            make_private_folder(folder)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


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


@pytest.mark.parametrize("other", ["in.csv", "link.csv", "hard.csv", "folder/../in.csv"])
def test_a_source_is_not_overwritten_by_whatever_name(tmp_path: Path, other: str) -> None:
    source = write_text_atomically(tmp_path / "in.csv", "precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source)
    with pytest.raises(MotionveilError, match="this is the source itself"):
        refuse_overwriting([tmp_path / "new.csv", tmp_path / other], [tmp_path / "x", source])


def test_two_outputs_have_two_places(tmp_path: Path) -> None:
    refuse_overwriting([tmp_path / "a", "rtsp://h/a", "rtsp://h/b", os.devnull, os.devnull], [])
    with pytest.raises(MotionveilError, match="is given twice"):
        refuse_overwriting([tmp_path / "a", tmp_path / "b" / ".." / "a"], [])


def test_a_dash_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MotionveilError, match="-: give a file"):
        write_text_atomically("-", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_folder_s_place_is_named(tmp_path: Path) -> None:
    file = write_text_atomically(tmp_path / "file", "text")
    for place in (file / "a.txt", file / "b" / "a.txt"):
        with pytest.raises(MotionveilError, match=r"/file is a file, not a folder"):
            write_text_atomically(place, "text")
    with pytest.raises(MotionveilError, match=r"/file is a file, not a folder"):
        make_folder(file)
