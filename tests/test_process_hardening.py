"""What holds raw frames leaves no core dump, not even where a program takes the dumps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from motionveil.cli import COMMANDS, main
from motionveil.process_hardening import forbid_core_dumps
from unprivileged import nobody
from videos import moving_square, write_video

resource: Any = pytest.importorskip("resource", reason="Windows has no core dumps")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc of Linux")

# Linux does not heed the limit where a program takes the dumps: here it is lifted, and stays so.
LIFT = (
    "import resource; _, most = resource.getrlimit(resource.RLIMIT_CORE);"
    " resource.setrlimit(resource.RLIMIT_CORE, (most, most));"
    " resource.setrlimit = lambda *arguments: None; "
)
SLEEP = "print('ready', flush=True); import time; time.sleep(60)"
OURS = "from motionveil.process_hardening import forbid_core_dumps; forbid_core_dumps(); "
PROGRAM = "import sys; from motionveil.cli import main; sys.exit(main(sys.argv[1:]))"


def crashes_with_a_dump(
    code: str, *words: str, folder: Path, ready: str = "ready", number: int = signal.SIGSEGV
) -> bool:
    """Crash a program once it has said a line, and return whether the system dumped its memory."""
    command = [sys.executable, "-c", LIFT + code, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout is not None
    try:
        assert any(line.startswith(ready) for line in iter(process.stdout.readline, ""))
        process.send_signal(number)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = -number
        assert os.WTERMSIG(status) == number
        return os.WCOREDUMP(status)
    finally:
        process.stdout.close()
        if process.returncode is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_leaves_no_dump_even_without_the_limit(tmp_path: Path, number: int) -> None:
    if not crashes_with_a_dump(SLEEP, folder=tmp_path, number=number):
        pytest.skip("this system dumps nobody's memory")
    for core in tmp_path.iterdir():
        core.unlink()
    assert not crashes_with_a_dump(OURS + SLEEP, folder=tmp_path, number=number)
    assert list(tmp_path.iterdir()) == []


def test_sets_the_limit_and_the_mark() -> None:
    code = OURS + "import ctypes, resource; print(ctypes.CDLL(None).prctl(3))"
    code += "; print(resource.getrlimit(resource.RLIMIT_CORE))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n(0, 0)\n"


def test_says_when_the_system_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ctypes

    monkeypatch.setattr(resource, "setrlimit", lambda what, limits: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)  # has no prctl
    forbid_core_dumps()
    assert "refuses to mark this process" in capsys.readouterr().err


def test_encode_leaves_none(tmp_path: Path) -> None:
    words = ["encode", "test:64x48@30", "--preview", "127.0.0.1:0"]
    assert not crashes_with_a_dump(PROGRAM, *words, folder=tmp_path, ready="preview at")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_forbids_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forbidden: list[bool] = []
    monkeypatch.setattr("motionveil.cli.forbid_core_dumps", lambda: forbidden.append(True))
    module = import_module(f"motionveil.cli.{name}")
    monkeypatch.setattr(module, "run", lambda arguments: 0 if forbidden else 1)
    monkeypatch.setattr(module, "add_arguments", lambda parser: None)
    assert main([name]) == 0


@pytest.mark.slow
def test_the_processes_of_a_folder_are_marked_too() -> None:
    with nobody() as user:
        videos = user.place / "videos"
        videos.mkdir()
        for name in ("a", "b", "c", "d"):
            write_video(videos / f"{name}.mkv", moving_square(20, 480, 640).repeat(15, axis=0))
        command = user.command("encode", videos, "--out", user.place / "out", "--jobs", 2)
        options = user.options(NUMBA_CACHE_DIR=str(user.place / "cache"))
        with subprocess.Popen(command, **options, stdout=subprocess.DEVNULL) as process:
            unmarked: dict[int, list[int]] = {}
            while process.poll() is None:
                for child in _workers(process.pid):
                    unmarked.setdefault(child, []).append(_owner(child))
                time.sleep(0.05)
        assert process.returncode == 0
        assert len(unmarked) == 2
        for owners in unmarked.values():
            # What is in /proc of a process that may not be dumped belongs to root.
            assert owners[-1] == 0, owners


def _workers(parent: int) -> list[int]:
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [
            int(child)
            for child in children
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _owner(process: int) -> int:
    try:
        return os.stat(f"/proc/{process}/environ").st_uid
    except FileNotFoundError:
        return 0
