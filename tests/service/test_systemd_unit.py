"""The systemd unit's command, as far as that goes without systemd: its user, limits and filter."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from motionveil.streaming import prepare
from programs import PATIENCE, play, until
from service.manager import manager
from unprivileged import NOBODY, nobody

UNIT = (Path(__file__).parents[2] / "packaging/systemd/motionveil.service").read_text()
TOKEN = "a token of 24 characters"
CAMERAS = """\
listen: 127.0.0.1:0
token_file: ${CREDENTIALS_DIRECTORY}/token
defaults:
  codec: h264
  destinations: ["STATE/{camera}-%Y%m%d-%H%M%S.mkv"]
cameras:
  hall: {source: "test:64x48@10"}
"""


def said(key: str) -> list[str]:
    """Return what the unit says of a key, a line each."""
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def calls(name: str) -> set[str]:
    """Return the system calls of a group, as systemd itself knows them."""
    command = ["systemd-analyze", "syscall-filter", name]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = {line.strip() for line in listed.splitlines()[1:]} - {""}
    groups = {word for word in words if word.startswith("@")}
    return {w for w in words if w[0].isalpha()}.union(*map(calls, groups))


def confined() -> list[str]:
    """Return a command that takes away what the unit does; the program's words follow."""
    for program in ("systemd-analyze", "strace", "setpriv"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program}")
    allowed, denied = (line.split() for line in said("SystemCallFilter"))
    names = set().union(*map(calls, allowed))
    names -= set().union(*(calls(group.removeprefix("~")) for group in denied))
    assert {"openat", "socket", "execve"} <= names
    assert not {"mount", "setuid", "sched_setaffinity"} & names
    (error,) = said("SystemCallErrorNumber")
    refused = f"inject=!{','.join(f'?{name}' for name in sorted(names))}:error={error}"
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", refused]
    if subprocess.run([*strace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs permission to trace a process")
    assert said("CapabilityBoundingSet") == said("AmbientCapabilities") == [""]
    assert said("NoNewPrivileges") == ["yes"]
    user = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return ["setpriv", *user, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", *strace]


@pytest.mark.slow
def test_runs_reloads_and_stops_within_what_the_unit_allows() -> None:
    before = confined()
    prepare()  # compiled for this user, and so for the other
    with nobody() as user, manager(user.folder / "notify") as told:
        os.chmod(user.folder / "notify", 0o666)
        state, cache, credentials = (user.folder / name for name in ("state", "cache", "secrets"))
        for folder in (state, cache, credentials):
            folder.mkdir()
            os.chown(folder, NOBODY, NOBODY)
        user.keep_compiled(cache)
        (credentials / "token").write_text(TOKEN)
        (user.folder / "cameras.yaml").write_text(CAMERAS.replace("STATE", str(state)))
        os.chmod(credentials / "token", 0o400)
        os.chown(credentials / "token", NOBODY, NOBODY)
        (_, *words) = said("ExecStart")[0].split()
        assert said("Environment") == ["NUMBA_CACHE_DIR=%C/motionveil"]
        log = user.folder / "log"
        with log.open("wb") as errors:
            program = subprocess.Popen(
                [*before, *user.command(*(w.replace("/etc/motionveil", "..") for w in words))],
                cwd=user.place,
                env=user.environment
                | {"NUMBA_CACHE_DIR": str(cache), "CREDENTIALS_DIRECTORY": str(credentials)}
                | {"NOTIFY_SOCKET": str(user.folder / "notify")},
                umask=int(said("UMask")[0], 8),
                preexec_fn=_no_core,
                stderr=errors,
            )
        try:
            until(lambda: "READY=1" in told)
            url = re.search(r"page at (http://\S+/)", log.read_text())
            assert url is not None
            until(lambda: _frames(url[1]) > 0)
            service = _child(program.pid)
            os.kill(service, signal.SIGHUP)
            until(lambda: told.count("READY=1") == 2)
            os.kill(service, signal.SIGTERM)
            assert program.wait(PATIENCE) == 0, log.read_text()
        finally:
            program.kill()
        (recording,) = state.iterdir()
        assert len(play(recording)[0]) > 0
        assert stat.S_IMODE(recording.stat().st_mode) == 0o600
        assert list(user.place.iterdir()) == []


def _no_core() -> None:
    assert said("LimitCORE") == ["0"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _frames(url: str) -> int:
    request: Any = urllib.request.Request(f"{url}metrics")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    found = re.search(r'frames_total\{camera="hall",what="out"\} (\d+)', text)
    return int(found[1]) if found else 0


def _child(pid: int) -> int:
    """Return the process that a tracer has started."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
