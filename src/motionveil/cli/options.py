"""Options that commands share: recipe and data, parallel jobs; what is printed of jobs."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from statistics import mean
from typing import TYPE_CHECKING, Any

from motionveil.errors import MotionveilError

if TYPE_CHECKING:
    from motionveil.experiments.sweep.run import Engine, Recorded, SweepProgress
    from motionveil.training.dry_run import DryRun
    from motionveil.training.recipe import Recipe


PRECISIONS = ("32-true", "bf16-mixed")
"""Of networks, as Fabric names them."""

_LAST_LINES = 5
"""Lines of a failed run's log that are shown."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Declare `--device`, `--seed` and `--workers`."""
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)"
    )
    parser.add_argument("--seed", type=count_from(0), default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--workers",
        type=count_from(1),
        metavar="N",
        help="number of videos decoded in parallel (default: one per core)",
    )


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--give-up` and `--decode`, of cameras and streams."""
    from motionveil.video.live import DECODE

    parser.add_argument(
        "--give-up",
        type=above_zero,
        default=60.0,
        metavar="SECONDS",
        help="stop when a camera or stream has sent nothing for this time (default: %(default)g)",
    )
    parser.add_argument(
        "--decode",
        choices=DECODE,
        default="none",
        help="hardware to decode a camera or stream with; auto: the first available, else the"
        " processor (default: %(default)s)",
    )


def above_zero(text: str) -> float:
    """Read a finite number above 0, for argparse."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return value


def frame_rate(text: str) -> Fraction:
    """Read the rate of a video, such as `25` or `30000/1001`, for argparse."""
    from motionveil.video.reader import whole_rate

    try:
        return whole_rate(Fraction(text))
    except (ValueError, ZeroDivisionError, MotionveilError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no rate of a video; write 25 or 30000/1001"
        ) from None


def count_from(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` on, for argparse."""

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() else -1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return value

    return read


def command_line() -> str:
    """Return the command line as it was typed, for the record."""
    return shlex.join(["motionveil", *sys.argv[1:]])


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the shared arguments."""
    parser.add_argument("manifest", metavar="MANIFEST", help="manifest.csv")
    parser.add_argument(
        "--recipe", default="actors", help="a shipped name or a YAML file (default: actors)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="FIELD=VALUE",
        help="set a field of the recipe, such as adversarial.lr=0.003; can be given several times",
    )
    parser.add_argument(
        "--label",
        help="privacy label (default: the manifest's first), or several columns of two values each,"
        " recognised at once: face+gender",
    )
    parser.add_argument("--split", help="part held out (default: the manifest's first)")
    parser.add_argument("--action-weights", metavar="FILE", help="weights of the action network")
    parser.add_argument("--privacy-weights", metavar="FILE", help="weights of the privacy network")
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        dest="weights_files",
        metavar="NAME=FILE",
        help="weights for the network NAME wherever it is to be pretrained, or a folder of"
        " NAME.safetensors (see `motionveil weights`); can be given several times",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="32-true",
        help="precision of the networks; bf16-mixed is faster on GPUs and on processors with AMX"
        " (default: 32-true)",
    )
    add_common(parser)


def add_recogniser_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--no-recogniser`."""
    parser.add_argument(
        "--no-recogniser",
        dest="recogniser",
        action="store_false",
        help="write no recogniser for `motionveil recognise`; saves a training",
    )


def experiment_words(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the shared arguments as `motionveil.train`, `evaluate` and `audit` take them."""
    same = ("recipe", "label", "split", "seed", "device", "precision", "workers")
    words = {name: getattr(arguments, name) for name in same}
    return {"data": arguments.manifest, "settings": settings_of(arguments), **words}


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `--set` and the weights given change in the recipe."""
    from motionveil.training.recipe import read_setting

    settings = dict(map(read_setting, arguments.settings))
    for name in ("action", "privacy"):
        weights = getattr(arguments, f"{name}_weights")
        if weights is not None:
            settings[f"{name}.weights"] = weights
    if arguments.weights_files:
        from motionveil.networks.weights import weights_by_network

        settings["weights"] = weights_by_network(arguments.weights_files)
    return settings


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe named, with what is changed in it."""
    from motionveil.training.recipe import load_recipe

    return load_recipe(arguments.recipe, settings_of(arguments))


def add_job_arguments(parser: argparse.ArgumentParser, *, jobs: str) -> None:
    """Declare `--engine`, `--jobs`, `--address`, `--retry`; `jobs` is what the jobs are called."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes on this machine, or tasks on a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--jobs",
        type=count_from(1),
        metavar="N",
        help=f"number of parallel {jobs}, local only (default: 1)",
    )
    parser.add_argument(
        "--address",
        help="address of the Ray cluster, or auto (default: a temporary cluster on this machine)",
    )
    parser.add_argument("--retry", action="store_true", help=f"run failed {jobs} again")


def refuse_contradictions(arguments: argparse.Namespace) -> None:
    """Raise an error where the arguments of the two engines are mixed."""
    if arguments.engine == "local" and arguments.address is not None:
        raise MotionveilError(f"--address {arguments.address}: it goes with --engine ray")
    if arguments.engine == "ray" and arguments.jobs is not None:
        raise MotionveilError(
            f"--jobs {arguments.jobs}: it goes with --engine local; on Ray the cores and GPUs"
            " of each run decide how many run in parallel"
        )


def engine_of(arguments: argparse.Namespace, *, cpus: int = 1, gpus: float = 0.0) -> Engine:
    """Return the engine that the arguments name; `cpus` and `gpus` are what a run asks of Ray."""
    if arguments.engine == "ray":
        from motionveil.experiments.sweep.run import ray_engine

        return ray_engine(arguments.address, cpus=cpus, gpus=gpus)
    from motionveil.experiments.sweep.run import local_engine

    return local_engine(arguments.jobs or 1)


def threads_of(arguments: argparse.Namespace, cpus: int | None = None) -> str:
    """Return OMP_NUM_THREADS of a run: the user's, `cpus`, or a share of this machine."""
    own = os.environ.get("OMP_NUM_THREADS")
    if own:
        return own
    if cpus is not None:
        return str(cpus)
    if arguments.engine == "ray":
        return "1"
    from motionveil.api import threads_each

    return str(threads_each(arguments.jobs or 1))


@contextlib.contextmanager
def show_progress() -> Iterator[Callable[[SweepProgress], None]]:
    """Yield a callback that shows a sweep's progress: a bar, or lines if stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(progress: SweepProgress) -> None:
            ended = progress.done + progress.failed
            bar.update(task, total=progress.total, completed=ended, description=_line(progress))

        yield show


class _Lines:
    """Prints a line when something begins and whenever a run has ended."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def __call__(self, progress: SweepProgress) -> None:
        now = (progress.done, progress.failed)
        if (progress.running or sum(now)) and now != self._last:
            print(_line(progress), file=sys.stderr, flush=True)
            self._last = now


def _line(progress: SweepProgress) -> str:
    left = progress.seconds_left
    return str(progress) + (f" ({duration(left)} left)" if left else "")


def show_failures(recorded: Recorded) -> int:
    """Print why runs failed, where their logs are and how these end; return how many failed."""
    from motionveil.experiments.sweep.run_job import last_lines

    failed = [(run, record) for run, record in recorded if record.status == "failed"]
    for run, record in failed:
        status = (record.value or {}).get("exit_status")
        why = record.reason if status is None else f"exit status {status}"
        print(f"\nfailed: {run.name}: {why}, see {run.log}", file=sys.stderr)
        for line in last_lines(run.log, _LAST_LINES) or ["(there is no log)"]:
            print(f"    {line}", file=sys.stderr)
    if failed:
        print("\n--retry runs what has failed again", file=sys.stderr)
    return len(failed)


def print_dry_run(found: DryRun) -> None:
    """Print shapes, parameters, memory and time, a line each."""
    for name, told in _lines(found):
        print(f"{name:<16}{told}")


def _lines(found: DryRun) -> Iterator[tuple[str, str]]:
    adversarial, validation = found.recipe.adversarial, found.recipe.validation
    yield "clip", f"{_shape(found.clip)} (B, 3, T, H, W)"
    yield "veiled clip", _shape(found.veiled)
    yield "privacy frames", _shape(found.frames)
    yield "parameters", ", ".join(f"{who} {n:,}" for who, n in found.parameters.items())
    if found.fresh:
        yield "weights", f"fresh for {' and '.join(found.fresh)}, as large and fast as pretrained"
    yield "memory", _memory(found)
    yield "step", f"{found.step_seconds:.3g} s: {_parts_of_a_step(found)}"
    yield "epoch", f"{found.steps} steps, {duration(found.epoch_seconds)}"
    yield "training", f"{adversarial.epochs} epochs, {duration(found.training_seconds)}"
    longest = duration(found.validation_seconds)
    yield "validation", f"{validation.epochs} epochs, up to about {longest}, and the scoring"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _memory(found: DryRun) -> str:
    if found.memory is None:
        return "unknown on this system"
    where = f"on {found.device}" if found.device.startswith("cuda") else "by the whole process"
    return f"{found.memory / 2**30:.2f} GiB at most {where}"


def _parts_of_a_step(found: DryRun) -> str:
    steps = ", ".join(f"{seconds:.3g}" for seconds in found.computing)
    loading = f"{mean(found.loading):.3g}"
    return f"computing on {found.device} {steps} s, beside it loading {loading} s"


def duration(seconds: float) -> str:
    """Return `41 s`, `8 min 14 s` or `6 h 52 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
