"""Recording into files that are cut by duration, of which the newest are kept."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from motionveil.atomic_write import atomic_path, make_folder
from motionveil.errors import MotionveilError
from motionveil.video.codecs import CODECS, Muxing, encoding_for, metadata_for, muxing_for
from motionveil.video.packets import Muxer, Packet, PacketSink
from motionveil.video.reopening import LostError, ReopeningSink, writing
from motionveil.video.sinks import Segments, SinkOptions, register

_DIRECTIVE = re.compile(r"%([YmdHMS])")
_DIGITS = {"Y": r"\d{4}"}


class SegmentFolder:
    """The files of one recording.

    Args:
        pattern: A path; `%Y`, `%m`, `%d`, `%H`, `%M` and `%S` in its name stand for the local time
            of a file's first frame.

    Raises:
        MotionveilError: The folder cannot be made.
    """

    def __init__(self, pattern: Path, segments: Segments) -> None:
        self._pattern, self._segments = pattern, segments
        name = re.escape(pattern.stem)
        name = re.sub(r"%([YmdHMS])", lambda found: _DIGITS.get(found[1], r"\d{2}"), name)
        suffix = re.escape(pattern.suffix)
        # Files that were left under their temporary names by a crash are kept no longer.
        self._ours = re.compile(rf"{name}(-\d+)?{suffix}|\.{name}(-\d+)?\.[0-9a-f]+\.part{suffix}")

    def prepare(self) -> None:
        """Make the folder, and delete what is not to be kept of an earlier run."""
        make_folder(self._pattern.parent)
        self.prune()

    def next(self) -> Path:
        """Return a path for a file that begins now, at which there is none."""
        name = time.strftime(self._pattern.stem)
        path = self._pattern.with_name(name + self._pattern.suffix)
        number = 1
        while path.exists():  # the clock was put back
            number += 1
            path = self._pattern.with_name(f"{name}-{number}{self._pattern.suffix}")
        return path

    def prune(self) -> None:
        """Delete the files that are too old, and the oldest if all are too large together."""
        now, total = time.time(), 0
        for path, changed, size in sorted(self._files(), key=lambda file: -file[1]):
            total += size
            keep, most = self._segments.keep, self._segments.most
            if (keep is not None and now - changed > keep) or (most is not None and total > most):
                with suppress(OSError):  # not reported: the next file tries again
                    path.unlink()

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        for path in self._pattern.parent.iterdir():
            if self._ours.fullmatch(path.name):
                with suppress(OSError):
                    state = path.stat()
                    yield path, state.st_mtime, state.st_size


class _Recording:
    """Files one after the other; a connection of `ReopeningSink`."""

    def __init__(
        self,
        folder: SegmentFolder,
        length: float,
        muxing: Muxing,
        metadata: dict[str, str],
        stream: Any,
    ) -> None:
        self._folder, self._length = folder, length
        self._muxing, self._metadata, self._stream = muxing, metadata, stream
        self._files = ExitStack()
        self._muxer: Muxer | None = None
        self._start = 0

    def write(self, packet: Packet) -> None:
        try:
            with writing():
                if packet.key and self._is_full(packet):
                    self._finish()
                    self._folder.prune()
                if self._muxer is None:
                    self._begin(packet)
                assert self._muxer is not None
                self._muxer.write(packet)
        except MotionveilError as error:
            raise LostError(str(error)) from error

    def close(self) -> None:
        with writing():
            self._finish()

    def _is_full(self, packet: Packet) -> bool:
        return (packet.pts - self._start) * packet.time_base >= self._length

    def _begin(self, packet: Packet) -> None:
        self._start = packet.pts
        part = self._files.enter_context(atomic_path(self._folder.next()))
        self._muxer = Muxer(
            part, self._muxing, self._stream, metadata=self._metadata, start=self._start
        )

    def _finish(self) -> None:
        muxer, self._muxer = self._muxer, None
        if muxer is not None:
            try:
                muxer.close()
            finally:
                self._files.close()  # atomic_path renames the file; what it has is worth keeping


def is_pattern(dest: str) -> bool:
    """Say whether a file's name holds the time."""
    path = Path(dest)
    return (
        "://" not in dest and bool(_DIRECTIVE.search(path.name)) and path.suffix.lower() in CODECS
    )


def check_codec(dest: str, codec: str | None) -> None:
    """Raise an error if the format of a file does not take a codec."""
    encoding_for(Path(dest), codec=codec, live=False)


def _check(dest: str, codec: str | None) -> None:
    check_codec(dest, codec)
    rest = _DIRECTIVE.sub("", Path(dest).name)
    if "%" in rest or "%" in str(Path(dest).parent):
        raise MotionveilError(
            f"{dest}: the name of a file that is cut takes %Y, %m, %d, %H, %M and %S, and no other"
            " %; the folder takes none"
        )


class _SegmentSink(ReopeningSink):
    def __init__(self, folder: SegmentFolder, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._folder = folder

    def __enter__(self) -> _SegmentSink:
        self._folder.prepare()
        return self


@register(
    "rec/%Y%m%d-%H%M%S.mkv",
    "a file for each --segment, named by its time",
    takes=is_pattern,
    check=_check,
)
def open_segments(dest: str, options: SinkOptions) -> PacketSink:
    """Open a recording that is cut."""
    path, segments = Path(dest), options.segments
    muxing = muxing_for(path, live=True, time_base=options.time_base)
    metadata = metadata_for(muxing.container, options.comment)
    folder = SegmentFolder(path, segments)
    return _SegmentSink(
        folder,
        dest,
        encoding_for(path, codec=options.codec, live=True),
        lambda stream: _Recording(folder, segments.length, muxing, metadata, stream),
        notice=options.notice,
    )
