"""motionveil from Python: what the commands do, as functions.

What needs torch is imported when a function that needs it is called: `encode_video` does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from motionveil.errors import MotionveilError
from motionveil.processes import usable_cores
from motionveil.spec import DEFAULT, EncoderSpec, at_geometry, load_spec, spec_folder

if TYPE_CHECKING:
    from motionveil.audit_results import Audit
    from motionveil.datasets.manifest import Manifest
    from motionveil.evaluation.executors import Executor
    from motionveil.results import Row
    from motionveil.streaming import VeilSummary
    from motionveil.training.experiment import Experiment

    Name: TypeAlias = str | os.PathLike[str]
    Data: TypeAlias = Manifest | Name


@dataclass(frozen=True)
class TrainedRun:
    """What a training left.

    Attributes:
        spec: The encoder.
        folder: Its run folder: `encoder.json`, weights where it has any, `curves.csv`,
            `recipe.yaml` and checkpoints.
        curves: A row per epoch, as in `curves.csv`.
    """

    spec: EncoderSpec
    folder: Path
    curves: list[dict[str, float]]


def encode_video(
    source: Name,
    dest: Name,
    *,
    encoder: Name | EncoderSpec = DEFAULT,
    native: bool = False,
    hard: bool = False,
    guard: bool = True,
    enlarge: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> VeilSummary:
    """Veil a video; needs no torch. `motionveil encode` takes cameras and streams too.

    Args:
        source: A video file, or a folder of frames.
        dest: `.mp4`, `.mkv` (lossless), `.webm`, or a folder of frames with a slash at its end.
        encoder: As `load_spec` takes it; one that is not trained works at the size and rate of the
            default encoder.
        native: Veil at the source's own size and rate, for which nothing was measured.
        hard: Quantise in steps instead of sigmoids.
        guard: Write a neutral frame where two frames have no valid difference.
        enlarge: How many times each pixel is repeated along both sides, for people to see.
        progress: Called after each frame with the frames written and the number declared, None
            where the source declares none.

    Raises:
        MotionveilError: The source cannot be read whole, the encoder cannot stream, or `dest` is
            the source or cannot be written.

    Examples:
        >>> import tempfile, numpy as np
        >>> from motionveil.video import VideoSink
        >>> folder = tempfile.mkdtemp()
        >>> with VideoSink(f"{folder}/in.mkv", rate=15) as sink:
        ...     for shade in range(4):
        ...         sink.write(np.full((48, 64, 3), 10 * shade, np.uint8))
        >>> summary = encode_video(f"{folder}/in.mkv", f"{folder}/out.mkv")
        >>> summary.frames_out, summary.height, summary.guarded["first"]
        (4, 8, 1)
    """
    from motionveil.streaming import VeilOptions, veil_video

    spec = load_spec(encoder)
    options = VeilOptions(native=native, hard=hard, guard=guard, enlarge=enlarge)
    told = progress or (lambda done, total: None)
    return veil_video(source, dest, at_geometry(spec, native), options, progress=told)


def train(
    data: Data,
    *,
    out: Name,
    method: str = "bdq",
    recipe: Name = "actors",
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    label: str | None = None,
    alpha: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "32-true",
    resume: bool = False,
    checkpoint_every: int | None = None,
    workers: int | None = None,
    recogniser: bool = True,
    log_to: Sequence[str | Callable[[Mapping[str, float]], None]] = (),
) -> TrainedRun:
    """Train an encoder against its adversary.

    Args:
        data: A folder `<action>/<person>/<video>`, a `manifest.csv`, or what was read from one;
            see `motionveil.training.experiment.open_data`.
        out: The run folder.
        method: What to train, such as `bdq`, `unet`, `ryoo:28` or `bdq:levels=31`.
        recipe: A shipped name (`"actors"`), or a YAML file.
        settings: Fields of the recipe to set, such as `{"adversarial.lr": 0.003}`.
        split: The part held out; the data set's first if None.
        label: The privacy label; the data set's first if None.
        alpha: Weight of the adversary; the recipe's if None.
        seed: Decides everything that is drawn.
        device: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`.
        precision: Of the networks: `"32-true"` or `"bf16-mixed"`.
        resume: Resume from the folder's checkpoint.
        checkpoint_every: Write a checkpoint after so many steps, and not only after each epoch.
        workers: Videos decoded in parallel; one per core if None.
        recogniser: Train an action network on the encoder's output too, and leave it in the run
            folder's `recogniser/`, where the encoder can veil a stream.
        log_to: Trackers that get each epoch beside `curves.csv`: functions, or names as
            `motionveil.training.loop.open_trackers` takes them.

    Raises:
        MotionveilError: There is nothing to train, the folder holds a training, data cannot be
            read, a setting is wrong, or the training collapsed.

    Examples:
        >>> import tempfile
        >>> from motionveil.datasets.actors import make_actors
        >>> folder = tempfile.mkdtemp()
        >>> data = make_actors(folder, people=2, train_sessions=1, validation_sessions=1)
        >>> tiny = {"size": 16, "cache_size": 24, "frames": 6, "adversarial.epochs": 1}
        >>> run = train(
        ...     data, out=f"{folder}/run", alpha=2, settings=tiny, device="cpu", recogniser=False
        ... )
        >>> run.spec.name, run.spec.provenance["alpha"], len(run.curves)
        ('bdq', 2.0, 1)
    """
    from motionveil.streaming.veils import streams
    from motionveil.training.distributed import is_first_process
    from motionveil.training.experiment import open_experiment, training_of
    from motionveil.training.loop import open_trackers

    choice, chosen = training_of(method, recipe, settings, alpha)
    folder = Path(out)
    if not resume and (folder / "checkpoints").exists():
        raise MotionveilError(
            f"{folder}: there is a training here already; --resume (resume=True) resumes it,"
            " another --out begins a new one"
        )
    with open_trackers(log_to if is_first_process() else (), folder) as tracker:
        experiment = open_experiment(data, chosen, split, label, seed, device, precision, workers)
        start = experiment.untrained(choice)
        spec, curves = experiment.train(
            start, folder, resume=resume, checkpoint_every=checkpoint_every, tracker=tracker
        )
    if recogniser and streams(spec):
        from motionveil.evaluation.recogniser import train_recogniser

        train_recogniser(experiment, spec, folder, folder / "recogniser")
    return TrainedRun(spec, folder, curves)


def evaluate(
    encoder: Name | EncoderSpec,
    data: Data,
    *,
    out: Name | None = None,
    recipe: Name = "actors",
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "32-true",
    workers: int | None = None,
    command: str | None = None,
    recogniser: bool = True,
) -> Row:
    """Score a frozen encoder with fresh networks: action, and privacy by frame and by clip.

    `recipe`, `settings`, `split`, `label`, `seed`, `device`, `precision` and `workers` are those of
    `train`.

    Args:
        encoder: As `load_encoder` takes it, or the spec of one without weights.
        data: As in `train`.
        out: Folder for `results.json` and `report.html`; None to write neither.
        command: What the result says it was made by; this call if None.
        recogniser: Leave the action network in `out/recogniser/` too, where the recipe's order is
            the camera's and the encoder can veil a stream.

    Raises:
        MotionveilError: There is no such encoder, data cannot be read, or a setting is wrong.

    Examples:
        >>> import tempfile
        >>> from motionveil.datasets.actors import make_actors
        >>> folder = tempfile.mkdtemp()
        >>> data = make_actors(folder, people=2, train_sessions=1, validation_sessions=1)
        >>> tiny = {"size": 16, "cache_size": 24, "frames": 6, "validation.epochs": 1}
        >>> row = evaluate("blur-4", data, settings=tiny, device="cpu")
        >>> row.method, row.action.n, row.privacy.label, row.privacy.frame.chance_level
        ('blur-4', 16, 'identity', 0.5)
    """
    from motionveil.evaluation.validation import validation_result, warn_of_leak
    from motionveil.report import write_report
    from motionveil.streaming.veils import streams
    from motionveil.training.experiment import open_experiment
    from motionveil.training.recipe import load_recipe

    spec, folder = _spec_and_folder(encoder)
    read = load_recipe(recipe, settings)
    experiment = open_experiment(data, read, split, label, seed, device, precision, workers)
    first = experiment.fabric.is_global_zero
    if first:
        warn_of_leak(spec, experiment.cache.manifest, experiment.split)
    command = command or f"motionveil.evaluate({spec.name!r}, ...)"
    left = out is not None and recogniser and read.order == "camera" and streams(spec)
    place = Path(out) / "recogniser" if left and out is not None else None
    result = validation_result(experiment, spec, folder=folder, command=command, recogniser=place)
    if out is not None and first:
        result.save(Path(out) / "results.json")
        write_report(result, Path(out))
    return result.rows[0]


def audit(
    encoder: Name | EncoderSpec | Callable[..., Any],
    data: Data,
    *,
    out: Name,
    suite: str = "strongest",
    only: Sequence[str] = (),
    jobs: int = 1,
    veiled: Name | None = None,
    face_detector: Name | None = None,
    face_recogniser: Name | None = None,
    raw_from: Name | None = None,
    retry: bool = False,
    show_raw: bool = False,
    recipe: Name = "actors",
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "32-true",
    workers: int | None = None,
    run: Executor | None = None,
    progress: Callable[[str], None] = lambda line: None,
    command: str | None = None,
) -> Audit:
    """Attack veiled video, and write `audit.json` and `audit.html`; done attacks are kept.

    `recipe`, `settings`, `split`, `label`, `seed`, `device`, `precision` and `workers` are those of
    `train`.

    Args:
        encoder: As in `evaluate`; `bdq-untrained`, for BDQ as its training would begin; or a
            function from and to uint8 frames (T, H, W, 3), of a module or a script, or its name:
            `module:function`, `file.py:function`. Its file is imported again, in several
            processes: a script calls `audit` under `if __name__ == "__main__":`.
        data: As in `train`.
        out: The audit's folder.
        suite: Which attacks: `"strongest"`, `"quick"`, `"paper"`, `"full"`, or a YAML file.
        only: Of the suite, only these; empty for all.
        jobs: Attacks carried out in parallel.
        veiled: A folder of videos that were veiled already; `encoder` is then only a name.
        face_detector: YuNet's ONNX file, to look for faces too.
        face_recogniser: dlib's network as safetensors, to ask whose they are.
        raw_from: Folder of an audit whose findings on raw video are taken over.
        retry: Carry out again what has failed before.
        show_raw: Show original frames in the page too.
        run: Where attacks run, instead of `jobs`; see `motionveil.evaluation.executors`.
        progress: Called with each attack that has ended.
        command: What the audit says it was made by; this call if None.

    Raises:
        MotionveilError: There is no such encoder, attack or file, data cannot be read, the
            function cannot be found by other processes, or `out` holds another audit.

    Examples:
        >>> import tempfile
        >>> from motionveil.datasets.actors import make_actors
        >>> folder = tempfile.mkdtemp()
        >>> data = make_actors(folder, people=2, train_sessions=1, validation_sessions=1)
        >>> tiny = {"size": 16, "cache_size": 24, "frames": 6, "validation.epochs": 1}
        >>> found = audit(
        ...     "blur-4", data, out=f"{folder}/audit", only=["frame"], settings=tiny, device="cpu"
        ... )
        >>> [(finding.name, finding.video) for finding in found.attacks]
        [('frame', 'veiled'), ('frame', 'raw')]
    """
    from motionveil.evaluation import executors
    from motionveil.evaluation.audit import AuditPlan
    from motionveil.evaluation.audit import audit as carry_out
    from motionveil.evaluation.plan_audit import anywhere, choose_attacks, stored_encoder
    from motionveil.report import write_audit
    from motionveil.training.distributed import make_fabric
    from motionveil.training.experiment import open_data, open_experiment
    from motionveil.training.recipe import load_recipe

    detector, recogniser, videos, earlier = (
        None if file is None else Path(file)
        for file in (face_detector, face_recogniser, veiled, raw_from)
    )
    manifest, split, label = open_data(data, split, label)
    assert manifest.file is not None
    read, folder = load_recipe(recipe, settings), Path(out)
    attacks = choose_attacks(
        suite,
        only,
        manifest,
        read,
        split=split,
        label=label,
        face_detector=detector,
        face_recogniser=recogniser,
    )
    if videos is not None and not videos.is_dir():
        raise MotionveilError(f"--veiled {videos}: no such folder")

    def experiment() -> Experiment:
        return open_experiment(manifest, read, split, label, seed, device, precision, workers)

    if videos is None:
        name = stored_encoder(encoder, folder, experiment)
    elif isinstance(encoder, str | os.PathLike):
        name = anywhere(os.fspath(encoder))
    else:
        raise MotionveilError(f"--veiled {videos}: the encoder is then a name, for the report")
    plan = AuditPlan(
        encoder=name,
        veiled=None if videos is None else str(videos.absolute()),
        manifest=str(manifest.file.absolute()),
        recipe=read,
        label=label,
        split=split,
        seed=seed,
        device=device,
        precision=precision,
        suite=suite,
        attacks=attacks,
    )
    if run is None:
        several = jobs > 1
        run = executors.in_processes(jobs, threads_each(jobs)) if several else None
    found = carry_out(
        plan,
        folder,
        make_fabric(device, precision),
        command=command or f"motionveil.audit({name!r}, ...)",
        run=run or executors.in_this_process,
        workers=workers,
        retry=retry,
        raw_from=earlier,
        progress=progress,
    )
    write_audit(found, folder, show_raw=show_raw)
    return found


def threads_each(jobs: int) -> int:
    """Return the threads that each of several processes takes: OMP_NUM_THREADS, or a share."""
    return int(os.environ.get("OMP_NUM_THREADS") or max(1, usable_cores() // jobs))


def _spec_and_folder(encoder: Name | EncoderSpec) -> tuple[EncoderSpec, Path | None]:
    """Return an encoder's numbers, and where its weights lie."""
    if not isinstance(encoder, EncoderSpec):
        return load_spec(encoder), spec_folder(encoder)
    if encoder.weights is not None:
        raise MotionveilError(f"{encoder.name}: its weights are in a file: give its folder")
    return encoder, None
