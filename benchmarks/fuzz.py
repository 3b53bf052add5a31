"""What happens when texts have wrong values and videos changed bytes: errors of ours, or faults?

    python benchmarks/fuzz.py --texts 2000 --videos 500

Prints inputs and faults by kind, and each fault once with the place that it comes from. A fault is
any exception but `MotionveilError`; the command line makes one line of it. Exits with 1 if there is
one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cli"))

from fuzzing import (
    PAIRS,
    as_text,
    changed,
    mutated,
    read_mutated_text,
    read_pipe,
    read_video,
    small_video,
    texts,
)

Faults = Counter[str]


def guarded(faults: Faults, work: Callable[[], None]) -> None:
    """Count what is raised by its place in our code."""
    try:
        work()
    except Exception as error:
        if isinstance(error, AssertionError):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "motionveil" in frame.filename] or frames
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        faults[f"{place} {type(error).__name__}: {str(error)[:100]!r}"] += 1


def fuzz_text(kind: str, count: int, folder: Path, number: int) -> Faults:
    """Read a kind of text with values changed, and as often with bytes changed."""
    name, value, read = texts()[kind]
    faults: Faults = Counter()

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def with_values_changed(data: st.DataObject) -> None:
        content = as_text(name, changed(data.draw, value))
        guarded(faults, lambda: read_mutated_text(folder / name, content, read))

    with_values_changed()
    chance, whole = random.Random(number), as_text(name, value)
    for _ in range(count):
        content = mutated(chance, whole)
        guarded(faults, lambda c=content: read_mutated_text(folder / name, c, read))
    return faults


def fuzz_video(name: str, count: int, folder: Path, number: int) -> Faults:
    """Read a video with bytes changed, and as often through a pipe."""
    faults: Faults = Counter()
    data, chance = small_video(name), random.Random(number)
    for _ in range(count):
        content = mutated(chance, data)
        guarded(faults, lambda c=content: read_video(folder, name, c))
        guarded(faults, lambda c=content: read_pipe(c))
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=200, help="inputs of each kind, twice")
    parser.add_argument(
        "--videos", type=int, default=200, help="inputs of each codec, container, twice"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    total = found = 0
    work = [(kind, fuzz_text, arguments.texts, 2) for kind in texts()]
    work += [(name, fuzz_video, arguments.videos, 2) for name in PAIRS]
    for kind, fuzz, count, times in work:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            faults = fuzz(kind, count, Path(folder), arguments.seed) if count else Counter()
        total, found = total + count * times, found + faults.total()
        print(f"{kind:<12} {count * times:>6} inputs {faults.total():>5} faults", end="")
        print(f" {time.monotonic() - began:>6.1f} s", flush=True)
        for fault, number in faults.most_common():
            print(f"    {number} x {fault}")
    print(f"{total} inputs, {found} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
