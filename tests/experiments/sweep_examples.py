"""Runs for tests of sweeps: a program that takes no time and counts what it does."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

from motionveil.experiments.sweep.grid import Grid

COUNTING = """
    import os, sys, time
    from pathlib import Path

    words = sys.argv[1:]
    out = Path(words[words.index("--out") + 1])
    ledger = Path(__file__).parent / "ledger.txt"

    def note(event):
        # One write with O_APPEND: lines of several processes never mix.
        file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{event} {out.name} {os.getpid()}\\n".encode())
        os.close(file)

    def has(name):
        return (ledger.parent / name).exists()

    note("begin")
    print("working in", out.name, "with", os.environ["OMP_NUM_THREADS"], "threads")
    progress = out / "progress.txt"
    for step in range(len(progress.read_text()) if progress.exists() else 0, 5):
        with progress.open("a") as file:
            file.write("x")
        note(f"step{step}")
        while has("hold-" + out.name) and step == 2:
            time.sleep(0.02)
    if has("fail-" + out.name):
        print("the data are missing")
        sys.exit(3)
    (out / "result.txt").write_text(" ".join(words[: words.index("--out")]))
    note("end")
"""
"""Makes five steps, notes each in `ledger.txt` beside itself, and resumes.

Files beside it tell it what to do: `hold-RUN` keeps it in its third step, `fail-RUN` makes it
fail.
"""


class Bench:
    """A folder with the counting program, its ledger, and a grid of `seeds` runs.

    Attributes:
        program: What `run_sweep` takes as `program`.
        out: Folder of the runs.
        runs: The runs, `seed=0` and so on.
    """

    def __init__(self, folder: Path, seeds: int = 2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "counting.py"
        script.write_text(textwrap.dedent(COUNTING))
        self.folder = folder
        self.program = (sys.executable, str(script))
        self.out = folder / "out"
        self.runs = grid_of(axes={"--seed": list(range(seeds))}).runs(self.out)

    def tell(self, *names: str) -> None:
        """Make files that the program looks for."""
        for name in names:
            (self.folder / name).touch()

    def untell(self) -> None:
        """Remove them all."""
        for file in [*self.folder.glob("hold-*"), *self.folder.glob("fail-*")]:
            file.unlink()

    def notes(self, event: str) -> list[str]:
        """Return the runs that noted an event, in the order in which they did."""
        return [words[1] for words in self._ledger() if words[0] == event]

    def processes(self, event: str) -> list[int]:
        """Return the processes that noted an event."""
        return [int(words[2]) for words in self._ledger() if words[0] == event]

    def _ledger(self) -> list[list[str]]:
        file = self.folder / "ledger.txt"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def assert_once(self) -> None:
        """Every run ended once, and made each of its steps once."""
        names = sorted(run.name for run in self.runs)
        for event in ("end", *(f"step{n}" for n in range(5))):
            assert sorted(self.notes(event)) == names, event


def grid_of(**fields: Any) -> Grid:
    """Return a grid of trade-offs."""
    return Grid.model_validate({"command": "tradeoff", "arguments": ["m.csv"], **fields})


def is_running(process: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Run a bench's sweep: `python -m experiments.sweep_examples FOLDER SEEDS JOBS or ray`."""
    from motionveil.experiments.sweep.run import local_engine, ray_engine, run_sweep

    # Tests that a shell runs in the background have Ctrl-C ignored, and so would we.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, seeds, jobs = sys.argv[1:]
    bench = Bench(Path(folder), int(seeds))
    engine = ray_engine() if jobs == "ray" else local_engine(int(jobs))
    run_sweep(bench.runs, bench.out, engine, program=bench.program)


if __name__ == "__main__":
    main()
