"""One camera in a process of its own: `python -m motionveil.service.camera_process NAME FD`.

The process that holds raw frames serves no network; see `motionveil.service.channel`.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from fractions import Fraction
from multiprocessing.connection import Connection
from threading import Event
from typing import NoReturn

from motionveil.errors import MotionveilError
from motionveil.process_hardening import forbid_core_dumps, stopping
from motionveil.recognition import (
    Recogniser,
    RecognitionOptions,
    StreamOptions,
    load_recogniser,
    recognise_source,
)
from motionveil.recognition.remote import RemoteReceiver, receiver_kinds
from motionveil.service.channel import receive
from motionveil.service.config import Camera, is_file
from motionveil.service.reporter import Reporter
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import StreamEncoder, VeilOptions, prepare, veil_source
from motionveil.streaming.veil_video import describe_encoder
from motionveil.video import (
    Destination,
    FileSource,
    Segments,
    Sink,
    Source,
    SyntheticSource,
    VideoInfo,
    check_dest,
    open_sink,
    open_source,
)

TERMINATED = 143
"""Exit status of a process that was asked to end, but not by its supervisor."""

_GRACE = 1.0  # seconds for events that are not delivered when the process ends


def main() -> int:
    """Do what the supervisor says; 0 when the source has ended or the supervisor said stop."""
    forbid_core_dumps()
    connection = Connection(int(sys.argv[2]))
    task = receive(connection)
    assert isinstance(task, dict)
    camera = Camera.model_validate(task["camera"])
    stop = Event()
    reporter = Reporter(connection, stop)
    try:
        with stopping(stop, at_once=False):
            if task["kind"] == "probe":
                reporter.tell("probed", text=_probe(camera, reporter, stop))
            else:
                _run(camera, reporter, stop)
    except MotionveilError as error:
        reporter.tell("failed", text=str(error))
        return 1
    finally:
        reporter.close()
    return TERMINATED if stop.is_set() and not reporter.told_to_stop else 0


class _Veil:
    """The encoder of a camera, and its recogniser if it has one."""

    def __init__(self, camera: Camera) -> None:
        self.recogniser: Recogniser | None = None
        if camera.recogniser is not None:
            self.recogniser = load_recogniser(camera.recogniser)
            self.spec: EncoderSpec = self.recogniser.spec.stream_spec()
        else:
            assert camera.encoder is not None, "the file gives one or the other"
            self.spec = load_spec(camera.encoder)
        encoder = StreamEncoder(self.spec)  # refuses what cannot stream
        self.geometry = encoder.geometry
        self.is_baseline = encoder.neutral is None

    def warnings(self, source: Source) -> list[str]:
        """Return what the operator must know."""
        warnings = []
        if self.is_baseline:
            warnings.append(f"{self.spec.name} shows the scene: it is no protection")
        drawn = isinstance(source, SyntheticSource) and source.acts
        if self.recogniser is not None and self.recogniser.spec.knows_drawn_people_only:
            warnings += [] if drawn else ["this recogniser was trained on drawn people only"]
        return warnings

    @property
    def name(self) -> str:
        """What the page calls it."""
        return f"{self.spec.name}, {self.geometry}"


def _open(camera: Camera, reporter: Reporter) -> Source:
    if camera.source == "-":
        raise MotionveilError("source -: a service has no standard input; name a source")
    return open_source(
        camera.source,
        give_up=camera.limits.give_up,
        notice=reporter.notice,
        name=camera.shown,
        decode=camera.decode,
    )


def _destinations(camera: Camera) -> list[Destination]:
    """Return the destinations, checked."""
    said = camera.recordings
    segments = Segments(
        said.length,
        None if said.keep_days is None else 86_400 * said.keep_days,
        None if said.keep_gigabytes is None else round(1e9 * said.keep_gigabytes),
    )
    dests = [
        Destination(dest, camera.codec if is_file(dest) else None, segments=segments)
        for dest in camera.destinations
    ]
    check_dest(*dests)
    return dests


def _probe(camera: Camera, reporter: Reporter, stop: Event) -> str:
    """Check everything that a camera needs, and read one frame; write nothing."""
    veil = _Veil(camera)
    _destinations(camera)
    source = _open(camera, reporter)
    frame = next(iter(source.frames(stop)), None)
    info = source.info
    if frame is None or info is None:
        raise MotionveilError(f"{source.name}: gave no frame")
    rate = "unknown rate" if info.rate is None else f"{float(info.rate):.4g} frames/s"
    warnings = "".join(f"; warning: {warning}" for warning in veil.warnings(source))
    return f"{source.name}: {info.width} x {info.height} at {rate}; {veil.name}{warnings}"


def _run(camera: Camera, reporter: Reporter, stop: Event) -> None:
    veil = _Veil(camera)
    dests = _destinations(camera)
    source = _open(camera, reporter)
    for warning in veil.warnings(source):
        reporter.notice(f"warning: {warning}")
    prepare()
    reporter.further = lambda: {"encoder": veil.name, "source": source.name}
    options = VeilOptions()
    if veil.recogniser is None:
        veil_source(
            source,
            dests,
            veil.spec,
            options,
            stop=stop,
            notice=reporter.notice,
            watch=reporter.watch,
        )
        return

    def open_output(info: VideoInfo, time_base: Fraction) -> Sink:
        assert veil.geometry is not None
        return open_sink(
            *dests,
            rate=veil.geometry.frame_rate(info.rate),
            time_base=time_base,
            live=not isinstance(source, FileSource),
            comment=describe_encoder(veil.spec, options),
            pace=not source.live,
            notice=reporter.notice,
        )

    receivers = [_receiver(camera, kind, address, reporter) for kind, address in camera.receivers]
    reporter.further = lambda: {
        "encoder": veil.name,
        "source": source.name,
        "receivers": {r.option: _delivered(r) for r in receivers},
    }
    try:
        recognise_source(
            source,
            veil.recogniser,
            [reporter, *receivers],
            RecognitionOptions(stream=StreamOptions(threshold=camera.threshold)),
            stop=stop,
            open_output=open_output if dests else None,
            watch=reporter.watch,
        )
    finally:
        until = time.monotonic() + _GRACE  # for all of them together
        for receiver in receivers:
            outcome = receiver.delivery.close(max(0.05, until - time.monotonic()))
            if outcome.lost:
                reporter.notice(f"{receiver.name}: {outcome}")


def _receiver(camera: Camera, kind: str, address: str, reporter: Reporter) -> RemoteReceiver:
    return receiver_kinds()[kind](address, camera.name, which=camera.name, notice=reporter.notice)


def _delivered(receiver: RemoteReceiver) -> dict[str, int]:
    counts = receiver.delivery.counts()
    return {
        "delivered": counts.delivered,
        "lost": counts.dropped + counts.refused,
        "waiting": counts.left,
    }


def _exit(status: int) -> NoReturn:
    """End at once: all is written, and the teardown of the libraries can take a second."""
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    try:
        _exit(main())
    except BaseException:
        traceback.print_exc()
        _exit(1)
