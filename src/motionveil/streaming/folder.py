"""Veil every video of a folder: resumable, several in parallel, and no bad file stops the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from motionveil._version import __version__
from motionveil.errors import MotionveilError, explain
from motionveil.job_store import settle
from motionveil.process_hardening import forbid_core_dumps
from motionveil.processes import run_in_processes
from motionveil.spec import EncoderSpec
from motionveil.streaming.veil_video import VeilOptions, VeilSummary, veil_video
from motionveil.video import Destination, check_dest
from motionveil.video.image_sequence import VIDEO_SUFFIXES, find_videos

DEFAULT_NAME = "{stem}.veiled.mp4"
RECORD = "motionveil.json"
"""What says with which encoder and options an output folder was made."""


@dataclass
class FolderSummary:
    """What became of a folder's videos.

    Attributes:
        veiled: What was veiled now, by source.
        skipped: Sources whose output was there already.
        failed: Why a source could not be veiled, by source.
    """

    veiled: dict[Path, VeilSummary] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def veil_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    spec: EncoderSpec,
    options: VeilOptions | None = None,
    *,
    name: str = DEFAULT_NAME,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FolderSummary:
    """Veil every video below a folder into another one, keeping the sub-folders.

    What is there already is skipped, so interrupted runs resume: a file appears under
    its name when it is whole.

    Args:
        folder: Where the videos are, at any depth; see `VIDEO_SUFFIXES`.
        options: How; `VeilOptions()` if None.
        name: Names the output: `{stem}`, `{name}` (with the suffix) and `{suffix}` (without its
            dot) are the source's.
        jobs: Processes that veil one video each.
        progress: Called after each video with the number done and the number of all.

    Raises:
        MotionveilError: There is no video, two would get the same name, the template is wrong, or
            `out` was made with another encoder or other options. A video that cannot be veiled
            raises nothing: it is in `failed`.
    """
    folder, out, options = Path(folder), Path(out), options or VeilOptions()
    targets = plan(folder, out, name)
    for target in targets.values():
        check_dest(Destination(str(target), options.codec, literal=True))
    encoder = spec.model_dump(mode="json", exclude={"provenance"})
    origin = {"hub": spec.provenance["hub"]} if spec.origin else {}
    settle(
        out / RECORD,
        {"encoder": encoder, "options": asdict(options)},
        {"motionveil": __version__, **origin},
    )
    summary = FolderSummary(skipped=[source for source, dest in targets.items() if dest.exists()])
    pending = {source: dest for source, dest in targets.items() if not dest.exists()}
    done = len(summary.skipped)
    progress(done, len(targets))
    for source, outcome in _veil_all(pending, spec, options, jobs):
        if isinstance(outcome, VeilSummary):
            summary.veiled[source] = outcome
        else:
            summary.failed[source] = outcome
        done += 1
        progress(done, len(targets))
    return summary


def plan(folder: Path, out: Path, name: str) -> dict[Path, Path]:
    """Return the output of each video below a folder, in the order of their names.

    Raises:
        MotionveilError: See `veil_folder`.
    """
    inside = out.resolve()
    sources = [path for path in find_videos(folder) if inside not in path.resolve().parents]
    if not sources and inside == folder.resolve():
        raise MotionveilError(f"--out {out}: this is the folder of the videos itself; give another")
    if not sources:
        names = ", ".join(VIDEO_SUFFIXES)
        raise MotionveilError(
            f"{folder}: no videos in this folder; their names must end in {names}"
        )
    targets: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for source in sources:
        dest = out / source.relative_to(folder).parent / _named(name, source)
        if dest in taken:
            raise MotionveilError(
                f"{name}: {taken[dest]} and {source} would both become {dest};"
                " use {name} or {suffix} in --name"
            )
        targets[source], taken[dest] = dest, source
    return targets


def _named(template: str, source: Path) -> str:
    try:
        made = template.format(stem=source.stem, name=source.name, suffix=source.suffix[1:])
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise MotionveilError(
            f"{template}: no name; it may hold {{stem}}, {{name}} and {{suffix}}"
        ) from error
    if not made or "/" in made or "\\" in made or made in (".", ".."):
        raise MotionveilError(f"{template}: a name, not a path; the folder is --out")
    return made


Outcome = VeilSummary | str


def _veil_all(
    pending: dict[Path, Path], spec: EncoderSpec, options: VeilOptions, jobs: int
) -> Iterator[tuple[Path, Outcome]]:
    """Yield each source with its summary or the reason why there is none, as they come."""
    if jobs == 1:
        for source, dest in pending.items():
            yield source, _veil_one(source, dest, spec, options)
        return
    calls = {source: (source, dest, spec, options) for source, dest in pending.items()}
    for source, outcome in run_in_processes(_veil_one, calls, jobs, begin=forbid_core_dumps):
        killed = f"{source}: the process that read it died; is the file damaged?"
        yield source, killed if outcome is None else outcome


def _veil_one(source: Path, dest: Path, spec: EncoderSpec, options: VeilOptions) -> Outcome:
    try:
        return veil_video(source, dest, spec, options)
    except Exception as error:  # whatever a decoder or a disk comes up with: the others go on
        return explain(error, str(source))
