"""A clip of a data set, and what can be wrong with clips."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from unicodedata import normalize

VALIDATION = "validation"

_FOLD = re.compile(r"fold\d+")


@dataclass(frozen=True)
class Clip:
    """Some consecutive frames of a video, with labels.

    Attributes:
        path: The video's path relative to the data set's root, with `/` between its parts.
        start: First frame, counted from 0.
        end: The frame after the last one.
        action: The action label's name, in Unicode's normal form C, like those of `privacy`.
        privacy: Name of each privacy label, such as `{"person": "anna"}`.
        group: The recording or session that the clip comes from.
        split: `"train"`, `"validation"` or `"fold0"`, `"fold1"`, ...
    """

    path: str
    start: int
    end: int
    action: str
    privacy: Mapping[str, str]
    group: str
    split: str

    def __post_init__(self) -> None:
        # One word can be written in two ways: é, or e and an accent, as macOS names folders.
        labels = {label: normalize("NFC", name) for label, name in self.privacy.items()}
        object.__setattr__(self, "action", normalize("NFC", self.action))
        object.__setattr__(self, "privacy", labels)

    @property
    def key(self) -> str:
        """The clip's name, `path#start-end`; no other clip of a manifest has the same."""
        return f"{self.path}#{self.start}-{self.end}"

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.end - self.start


def find_faults(clips: Sequence[Clip]) -> Iterator[tuple[int | None, str]]:
    """Yield what is wrong with clips, and the position of the clip (None: all together)."""
    if not clips:
        yield None, "no clips"
        return
    labels = tuple(clips[0].privacy)
    seen: dict[str, int] = {}
    for position, clip in enumerate(clips):
        for fault in _clip_faults(clip, labels):
            yield position, fault
        if clip.key in seen:
            yield position, f"{clip.key} is there twice"
        seen[clip.key] = position
    folds = [bool(_FOLD.fullmatch(clip.split)) for clip in clips]
    if len(set(folds)) == 2:
        odd = folds.index(not folds[0])
        yield odd, f"split {clips[odd].split!r} beside {clips[0].split!r}: use one kind of split"
    yield from _leaks(clips)


def _clip_faults(clip: Clip, labels: tuple[str, ...]) -> Iterator[str]:
    parts = PurePosixPath(clip.path).parts
    inside = bool(parts) and parts[0] != "/" and ".." not in parts and "\\" not in clip.path
    if not inside or not clip.path.isprintable():
        yield f"path {clip.path!r} must be relative to the root, inside it, with / between parts"
    if not 0 <= clip.start < clip.end:
        yield f"frames {clip.start} to {clip.end}: end must be above start, start 0 or more"
    if not labels or tuple(clip.privacy) != labels:
        yield f"privacy labels {tuple(clip.privacy)}: every clip needs the same ones, at least one"
    for label, name in {"action": clip.action, "group": clip.group, **clip.privacy}.items():
        if not name.strip() or not name.isprintable():
            yield f"{label} is {name!r}, it must be a name"
    if clip.split not in ("train", VALIDATION) and not _FOLD.fullmatch(clip.split):
        yield f"split is {clip.split!r}, it must be train, validation or fold0, fold1, ..."


def _leaks(clips: Iterable[Clip]) -> Iterator[tuple[int, str]]:
    """Find frames that are in two splits: what is validated on must not have been trained on."""
    reached: dict[PurePosixPath, dict[str, int]] = {}  # path -> split -> the furthest end so far
    for position, clip in sorted(enumerate(clips), key=lambda item: item[1].start):
        ends = reached.setdefault(PurePosixPath(clip.path), {})  # ./a.mp4 is a.mp4
        for split, end in ends.items():
            if split != clip.split and clip.start < end:
                yield (
                    position,
                    f"frames {clip.start} to {min(end, clip.end)} of {clip.path} are in"
                    f" split {clip.split!r} and in {split!r}",
                )
        ends[clip.split] = max(ends.get(clip.split, 0), clip.end)
