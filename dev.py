"""Set up and run motionveil from a checkout; needs Python 3.11 or later and nothing else.

    python3 dev.py quickstart [ARGUMENTS]   the main job on the built-in data
    python3 dev.py test [ARGUMENTS]         the quick tests, on all cores; all of them with -m ""
    python3 dev.py check                    formatting, lint and types
    python3 dev.py docs [ARGUMENTS]         the documentation's site, in build/site
    python3 dev.py release                  what is published, in dist/: wheel, sdist, SBOM, terms

The first call makes the virtual environment `.venv` beside this file and installs motionveil into
it; so does the first call after `pyproject.toml`, `constraints.txt`, Python or the folder has
changed. Everything runs in this folder, and further arguments are passed on. With
MOTIONVEIL_NEWEST=1 in the environment it installs the newest versions that `pyproject.toml` allows
and not those of `constraints.txt`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
NEWEST = os.environ.get("MOTIONVEIL_NEWEST", "") not in ("", "0")

COMMANDS = {
    "quickstart": ["motionveil quickstart"],
    "test": ["pytest -n auto --dist loadfile --no-loadscope-reorder"],
    "check": ["ruff format --check", "ruff check", "mypy"],
    "docs": ["mkdocs build --strict"],
}
"""What each command runs, as `python -m` modules of the environment."""


def main() -> int:
    """Run the command line and return its exit status."""
    if sys.argv[1:] == ["release"]:
        refuse_unfit_python()
        release()
        return 0
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(__doc__)
        return 2
    steps, further = COMMANDS[sys.argv[1]], sys.argv[2:]
    if sys.argv[1] == "test":  # several processes share the cores, so each computes on one
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    refuse_unfit_python()
    if not is_installed():
        install()
    for step in steps:
        run("-m", *step.split(), *further)
    return 0


def refuse_unfit_python() -> None:
    """Stop when this Python cannot make the environment."""
    if sys.version_info < (3, 11):  # noqa: UP036, this file meets any Python there is
        sys.exit(f"dev.py: this is Python {sys.version.split()[0]}; it must be 3.11 or later")
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            "dev.py: this Python cannot make virtual environments: its module ensurepip is missing."
            "\nOn Debian and Ubuntu: sudo apt install python3-venv"
        )


def is_installed() -> bool:
    """Return whether the environment stands and is that of this folder and `pyproject.toml`."""
    stamp = stamp_file()
    return (
        python_of(ENVIRONMENT).exists()
        and stamp.exists()
        and stamp.read_text(encoding="utf-8") == wanted()
    )


def install() -> None:
    """Make the environment anew and install motionveil into it, with all that tests need."""
    print(f"dev.py: making {ENVIRONMENT}; this takes some minutes, once", flush=True)
    create(ENVIRONMENT)
    constraint = () if NEWEST else ("--constraint", CONSTRAINTS.name)
    run("-m", "pip", "install", *constraint, "--editable", ".[all,test,docs]")
    stamp_file().write_text(wanted(), encoding="utf-8")  # last: a broken install leaves none


def release() -> None:
    """Build and check what is published, in dist/, by tools in an environment of their own."""
    with tempfile.TemporaryDirectory() as folder:
        tools, installed = Path(folder, "tools"), Path(folder, "installed")
        script, python = "packaging/release.py", str(python_of(installed))
        create(tools)
        run("-m", "pip", "install", "-r", "packaging/release-tools.txt", environment=tools)
        run(script, "build", "dist", environment=tools)
        create(installed, "--without-pip")  # the bill of materials is of what motionveil brings
        wheel = max((ROOT / "dist").glob("*.whl"), key=os.path.getmtime)
        constraint = ("--constraint", CONSTRAINTS.name)
        pip = ("-m", "pip", "--python", python, "install")
        run(*pip, *constraint, f"{wheel}[all]", environment=tools)
        run(script, "licences", "dist", python, environment=tools)
        run(script, "page", "dist", "docs/licences.md", environment=tools)


def create(environment: Path, *options: str) -> None:
    """Make an empty virtual environment."""
    stop_on_failure([sys.executable, "-m", "venv", "--clear", *options, str(environment)])


def python_of(environment: Path) -> Path:
    """Return the Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def stamp_file() -> Path:
    """Return the file that says what the environment was made for."""
    return ENVIRONMENT / "made-for.txt"


def wanted() -> str:
    """Return what the environment should have been made for."""
    files = (ROOT / "pyproject.toml", CONSTRAINTS)
    hashes = "".join(f"{f.name} {hashlib.sha256(f.read_bytes()).hexdigest()}\n" for f in files)
    return f"{ROOT}\nPython {sys.version}\n{hashes}newest {NEWEST}\n"


def run(*arguments: str, environment: Path = ENVIRONMENT) -> None:
    """Run an environment's Python in this folder."""
    stop_on_failure([str(python_of(environment)), *arguments])


def stop_on_failure(command: list[str]) -> None:
    """Run a command, and exit with its status if that is not 0."""
    status = subprocess.call(command, cwd=ROOT)
    if status:
        sys.exit(status)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
