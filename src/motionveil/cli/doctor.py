"""`motionveil doctor`: what is installed and missing, what the machine has, what would be slow."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from motionveil._version import __version__
from motionveil.errors import one_line
from motionveil.processes import usable_cores

_TORCH = """
import torch
cuda = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
print("; ".join(cuda) or ("mps" if torch.backends.mps.is_available() else "none"))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = (
        "Include the output in bug reports. Nothing is sent. The home folder is shown as ~; cameras"
        "\nare shown under the names that the system gives them.\n\nexample:\n"
        "  motionveil doctor\n  motionveil doctor --json > doctor.json"
    )


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what was found."""
    found = look()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, text in value.items():
                print(f"  {key}: {_shown(text)}")
        elif name == "slow":
            print("would be slow:" if value else "would be slow: nothing that was looked at")
            print("".join(f"  - {line}\n" for line in value), end="")
        else:
            print(f"{name}: {_shown(value)}")
    return 0


def look() -> dict[str, Any]:
    """Return what is found, as JSON holds it."""
    machine, compiled, gpu = _probed(_machine), _probed(_compiled), _probed(_gpu)
    return {
        "motionveil": __version__,
        "installed in": _short(Path(__file__).parents[1]),
        "python": f"{platform.python_version()} ({_short(Path(sys.executable))})",
        "machine": machine,
        "extras": _probed(_extras),
        "packages": _probed(_versions),
        "codecs": _probed(_codecs),
        "cameras": _probed(_cameras),
        "gpu for training": gpu,
        "compiled code": compiled,
        "slow": _slow(machine, compiled, gpu),
    }


def _probed(probe: Callable[[], Any]) -> Any:
    """Return what a probe finds, or that it fails: this runs where something is broken."""
    try:
        return probe()
    except Exception as error:  # whatever a broken package raises
        return f"fails: {one_line(f'{type(error).__name__}: {error}')}"


def _machine() -> dict[str, Any]:
    """Return the system, its processor, and how many threads a command gets."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable cores": usable_cores(),
        "load": None if load is None else round(load[0], 1),
        "AVX-512 VBMI": _probed(_has_vbmi),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }


def _has_vbmi() -> bool:
    from motionveil.streaming.avx512 import is_supported

    return is_supported()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return model[1] if model else platform.processor() or platform.machine()


def _requirements() -> list[tuple[str, str | None]]:
    """Return each package that the metadata name, and the extra that asks for it."""
    found = []
    for text in requires("motionveil") or []:
        name = re.match(r"[A-Za-z0-9._-]+", text)
        extra = re.search(r"""extra == ['"]([^'"]+)""", text)
        if name is not None and name[0] != "motionveil":
            found.append((name[0], extra[1] if extra else None))
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _extras() -> dict[str, str]:
    """Return of each extra whether all is installed, and what is not."""
    wanted: dict[str, list[str]] = {}
    for package, extra in _requirements():
        if extra is not None:
            wanted.setdefault(extra, []).append(package)
    lacks = {name: [p for p in all_ if not _version(p)] for name, all_ in wanted.items()}
    return {name: f"lacks {', '.join(ps)}" if ps else "complete" for name, ps in lacks.items()}


def _versions() -> dict[str, str]:
    """Return the versions of what is installed of all that may be wanted."""
    found = {package: _version(package) for package, _ in _requirements()}
    return {name: text for name, text in sorted(found.items()) if text is not None}


def _codecs() -> dict[str, Any]:
    """Return which encoders and decoders this FFmpeg has, by PyAV."""
    import av
    from av.codec.hwaccel import hwdevices_available

    there = av.codecs_available
    return {
        "FFmpeg's libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
        "writes": [name for name in ("libx264", "ffv1", "libvpx-vp9", "mjpeg") if name in there],
        "reads": [name for name in ("h264", "hevc", "vp9", "av1", "mjpeg") if name in there],
        "hardware known": sorted(hwdevices_available()),
    }


def _cameras() -> list[str] | str:
    from motionveil.video.source import cameras

    found = cameras()
    if found is None:
        return "not listed on this system; `motionveil encode camera` opens the first"
    closed = " (this user may not open it)"
    return [
        f"{device}: {one_line(name)}{'' if _opens(device) else closed}" for device, name in found
    ]


def _opens(device: str) -> bool:
    return sys.platform == "win32" or os.access(device, os.R_OK | os.W_OK)


def _gpu() -> str:
    """Ask torch in a process of its own: this one stays quick to end, whatever torch does."""
    if not find_spec("torch"):
        return "torch is not installed"
    command = [sys.executable, "-P", "-c", _TORCH]  # -P: nothing that lies in the current folder
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "torch did not answer in 120 seconds"
    return done.stdout.strip() or f"torch fails: {one_line(done.stderr.strip()[-200:])}"


def _compiled() -> dict[str, Any]:
    """Return where compiled code is kept, and how much there is."""
    from motionveil.numba_cache import KEPT

    if KEPT is None:
        return {"folder": None, "files": 0, "bytes": 0}
    # Beside each folder of sources; or, of all packages that use numba, in one folder.
    root = Path(__file__).parents[1] if KEPT.name == "__pycache__" else KEPT
    files = list(root.rglob("*.nb[ci]"))
    size = sum(file.stat().st_size for file in files)
    return {"folder": _short(root), "files": len(files), "bytes": size}


def _slow(machine: Any, compiled: Any, gpu: str) -> list[str]:
    """Return what would be slow here, and why; nothing of what a failed probe does not tell."""
    if isinstance(machine, str) or isinstance(compiled, str):
        return []
    cores, load = machine["usable cores"] or 1, machine["load"] or 0
    threads = machine["OMP_NUM_THREADS"]
    told = {
        "every start: compiled code cannot be kept, and compiling takes up to a minute; set"
        " NUMBA_CACHE_DIR to a folder of your own": compiled["folder"] is None,
        "the first frame: nothing is compiled yet, which takes up to a minute, once": (
            compiled["folder"] is not None and compiled["files"] == 0
        ),
        "everything: this process may use one core only": cores == 1,
        f"everything: {load:g} processes want {cores} cores": load > cores + 1,
        "every start: PYTHONDONTWRITEBYTECODE keeps Python from storing what it compiles": bool(
            sys.dont_write_bytecode
        ),
        "training: torch finds no GPU; small recipes (actors) are made for that, others are not": (
            gpu == "none"
        ),
        f"training: OMP_NUM_THREADS={threads} of {cores} cores": (
            threads is not None and threads.isdigit() and int(threads) < cores
        ),
        "BDQ: this processor has no AVX-512 VBMI, which looks up 64 values at once": (
            machine["AVX-512 VBMI"] is False
        ),
    }
    return [line for line, holds in told.items() if holds]


def _short(path: Path) -> str:
    """Return a path with the home folder as ~."""
    text, home = str(path), os.path.expanduser("~")
    return f"~{text[len(home) :]}" if text.startswith(home + os.sep) else text


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):  # 1 core equals True, but is no "yes"
        return "yes" if value else "no"
    return "none" if value is None else str(value)
