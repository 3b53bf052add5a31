"""The program runs where nothing can be kept: as a service's own user, from a read-only package."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from motionveil import numba_cache
from unprivileged import nobody

WORDS = ("encode", "test:64x48@30", "a.mkv", "--codec", "h264", "--frames", "3")


@pytest.mark.slow
def test_a_user_without_a_home_compiles_into_a_folder_that_goes_away() -> None:
    with nobody() as user:
        done = subprocess.run(
            user.command(*WORDS), **user.options(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "3 frames in: " in done.stdout
        assert "compiled code cannot be kept" in done.stderr
        assert "NUMBA_CACHE_DIR" in done.stderr
        assert [file.name for file in user.place.iterdir()] == ["a.mkv"]


@pytest.mark.slow
def test_a_folder_that_can_be_written_is_used() -> None:
    with nobody() as user:
        done = subprocess.run(
            user.command(*WORDS),
            **user.options(NUMBA_CACHE_DIR=str(user.place / "cache")),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert list((user.place / "cache").rglob("*.nbi"))


PROBE = """
import os, pathlib, tempfile
real = tempfile.TemporaryFile
def refuse(*arguments, dir=None, **options):
    raise PermissionError(13, "Permission denied")
tempfile.TemporaryFile = refuse
{before}
import motionveil.numba_cache
tempfile.TemporaryFile = real
folder = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
print(folder, oct(folder.stat().st_mode))
{after}
"""
COMPILE = """
import numba
f = numba.njit(cache=True)(lambda x: x + 1)
f(1)
assert list(folder.rglob("*.nbi"))
"""


@pytest.mark.parametrize("before", ["", "import numba"], ids=["first", "after-numba"])
def test_the_folder_is_private_and_used_and_removed(before: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"  # numba caches functions of files only
    script.write_text(PROBE.format(before=before, after=COMPILE))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder, mode = done.stdout.split()
    assert mode == "0o40700"
    assert not Path(folder).exists()
    assert done.stderr.count("\n") == 1


def test_no_place_at_all_is_an_error() -> None:
    nowhere = "tempfile._candidate_tempdir_list = lambda: ['/nonexistent']"
    code = PROBE.format(before=nowhere, after="")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MotionveilError: no folder for compiled code" in done.stderr


def test_says_nothing_where_all_is_well() -> None:
    code = "import motionveil.streaming, os; print(os.environ.get('NUMBA_CACHE_DIR'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize("which", ["the folder", "its parent"])
def test_a_folder_that_others_can_write_is_passed_over(which: str, tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "cache"
    folder.mkdir(parents=True)
    {"the folder": folder, "its parent": folder.parent}[which].chmod(0o777)
    code = "import motionveil.numba_cache, os; print(os.environ['NUMBA_CACHE_DIR'])"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert f"{folder}: not used for compiled code" in done.stderr
    used = Path(done.stdout.strip())
    assert used != folder
    assert not used.stat().st_mode & stat.S_IWOTH


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nor_is_the_package_where_a_folder_in_it_is_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner = tmp_path / "streaming" / "__pycache__"
    inner.mkdir(parents=True)
    (tmp_path / "__pycache__").mkdir()
    monkeypatch.setattr(numba_cache, "PACKAGE", tmp_path)
    assert numba_cache._is_private(tmp_path / "__pycache__")
    inner.chmod(0o777)
    assert not numba_cache._is_private(tmp_path / "__pycache__")
