from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.pipeline import ClosedError, Lane, Pipeline
from motionveil.streaming.status import Latency
from motionveil.video import Frame, SyntheticSource, VideoInfo
from programs import PATIENCE, until
from videos import AS_FILMED

SPEC = EncoderSpec.untrained(range=0.25, geometry=AS_FILMED)


class ListSource:
    """Gives the frames of a list, at a pace; may wait after the first, and fail at the end."""

    name = "list"
    damaged = 0

    def __init__(
        self,
        images: NDArray[np.uint8],
        *,
        live: bool = False,
        pause: float = 0.0,
        fresh: tuple[int, ...] = (),
        error: Exception | None = None,
        after_first: Event | None = None,
    ) -> None:
        self.images, self.live, self.pause = images, live, pause
        self.fresh, self.error = fresh, error
        self.after_first, self.given = after_first, Event()
        height, width = images.shape[1:3]
        self.info: VideoInfo | None = VideoInfo(
            width, height, Fraction(25), Fraction(1, 25), len(images)
        )

    def frames(self, stop: Event) -> Iterator[Frame]:
        for number, image in enumerate(self.images):
            if stop.is_set():
                return
            time.sleep(self.pause)
            yield Frame(image, number, Fraction(1, 25), fresh=number in self.fresh)
            assert self.after_first is None or self.after_first.wait(PATIENCE)
        self.given.set()
        if self.error:
            raise self.error


class ListSink:
    """Keeps copies of what is written, each after a pause and not before an event."""

    name = "list"
    damaged = 0

    def __init__(self, pause: float = 0.0, after: Event | None = None) -> None:
        self.written: list[tuple[NDArray[np.uint8], int | None]] = []
        self.pause, self.after, self.frames = pause, after, 0
        self.begun = Event()
        self.ended_with: BaseException | str | None = "open"

    def __enter__(self) -> ListSink:
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        self.begun.set()
        time.sleep(self.pause)
        assert self.after is None or self.after.wait(PATIENCE)
        self.written.append((image.copy(), pts))
        self.frames += 1

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.ended_with = error


def pictures(frames: int, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def run(
    source: ListSource | SyntheticSource, sink: ListSink, **options: object
) -> tuple[Pipeline, ListSink]:
    pipeline = Pipeline(
        source,
        StreamEncoder(SPEC, guard=Guard() if options.pop("guard", False) else None),
        lambda info, time_base: sink,
        **options,  # type: ignore[arg-type]
    )
    pipeline.run()
    return pipeline, sink


class TestFiles:
    @pytest.mark.parametrize(("reading", "writing"), [(0, 0), (0.002, 0), (0, 0.002)])
    def test_lose_no_frame_and_keep_the_order(self, reading: float, writing: float) -> None:
        clip = pictures(60)
        pipeline, sink = run(ListSource(clip, pause=reading), ListSink(writing))
        encoder = StreamEncoder(SPEC)
        np.testing.assert_array_equal(
            [image for image, _ in sink.written], list(map(encoder, clip))
        )
        assert [pts for _, pts in sink.written] == list(range(60))
        status = pipeline.status
        assert (status.frames_in, status.frames_out, status.dropped) == (60, 60, 0)
        assert dict(status.guarded) == {"first": 1}
        assert (status.width, status.height, status.ended) == (64, 48, True)

    def test_what_was_read_before_a_fault_is_written_before_it_is_raised(self) -> None:
        sink = ListSink()
        with pytest.raises(MotionveilError, match="torn"):
            run(ListSource(pictures(30), error=MotionveilError("torn")), sink)
        assert sink.frames == 30
        assert isinstance(sink.ended_with, MotionveilError)

    def test_a_limit_ends_it(self) -> None:
        pipeline, sink = run(ListSource(pictures(30)), ListSink(), limit=7)
        assert pipeline.status.frames_in == sink.frames == 7

    def test_memory_holds_a_few_frames_only(self) -> None:
        taken: list[int] = []

        class Counting(ListSource):
            def frames(self, stop: Event) -> Iterator[Frame]:
                for frame in super().frames(stop):
                    taken.append(frame.pts)
                    yield frame

        most = 0

        def watch(image: NDArray[np.uint8]) -> None:
            nonlocal most
            most = max(most, len(taken) - sink.frames)

        sink = ListSink(pause=0.001)
        run(Counting(pictures(200)), sink, watch=watch)
        assert most <= 20


class TestLive:
    """Of a source that does not wait for a writer that is slow: here, until all frames came."""

    def test_prefers_the_newest_and_counts_what_it_drops(self) -> None:
        source = ListSource(pictures(100), live=True)
        pipeline, sink = run(source, ListSink(after=source.given))
        status = pipeline.status
        assert status.frames_in == 100
        assert status.dropped > 90, "few wait"
        assert status.frames_out + status.dropped == 100
        stamps = [pts for _, pts in sink.written]
        assert stamps == sorted(stamps)
        assert stamps[-2:] == [98, 99], "the newest frames are not those that are dropped"

    @pytest.mark.parametrize("fresh", [range(100), (30,), (50,), (70,)], ids=str)
    def test_a_dropped_frame_hands_on_that_something_is_missing(self, fresh: Iterable[int]) -> None:
        # If frame 50 is dropped, the next must still not be compared with those before the gap.
        sink = ListSink()
        source = ListSource(pictures(100), live=True, fresh=tuple(fresh), after_first=sink.begun)
        sink.after = source.given
        pipeline, _ = run(source, sink)
        guarded = dict(pipeline.status.guarded)
        if len(source.fresh) == 1:
            assert guarded == {"first": 1, "fresh": 1}
        else:
            assert sum(guarded.values()) == sink.frames

    def test_stop_ends_it_and_what_was_read_is_written(self) -> None:
        class Stopping(ListSink):
            def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
                super().write(image, pts)
                if self.frames == 5:
                    stop.set()

        stop, sink = Event(), Stopping()
        pipeline, _ = run(SyntheticSource(64, 48, 50), sink, stop=stop)  # has no end of its own
        assert pipeline.status.frames_in == sink.frames + pipeline.status.dropped
        assert sink.frames >= 5
        assert sink.ended_with is None

    @pytest.mark.slow
    def test_stop_does_not_wait_for_a_dead_network(self) -> None:
        class Hanging(ListSource):
            def frames(self, stop: Event) -> Iterator[Frame]:
                yield from super().frames(stop)
                stop.set()
                back.wait(PATIENCE)

        back, sink = Event(), ListSink()
        started = time.monotonic()
        try:
            pipeline, _ = run(Hanging(pictures(3), live=True), sink)
        finally:
            back.set()
        assert time.monotonic() - started < PATIENCE / 2
        # On a busy machine the newest frame replaces one that waits.
        assert pipeline.status.frames_in == 3 == sink.frames + pipeline.status.dropped


class TestFaults:
    def test_of_the_sink_stops_the_rest(self) -> None:
        class Full(ListSink):
            def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
                if self.frames == 5:
                    raise MotionveilError("disk full")
                super().write(image, pts)

        sink = Full()
        with pytest.raises(MotionveilError, match="disk full"):
            run(ListSource(pictures(500)), sink)
        assert isinstance(sink.ended_with, MotionveilError)
        assert not [t for t in threading.enumerate() if t.name.startswith("motionveil-")]

    def test_of_whoever_watches(self) -> None:
        def watch(image: NDArray[np.uint8]) -> None:
            raise KeyboardInterrupt

        sink = ListSink()
        with pytest.raises(KeyboardInterrupt):
            run(ListSource(pictures(500)), sink, watch=watch)
        assert isinstance(sink.ended_with, KeyboardInterrupt)

    def test_no_frame_opens_no_sink(self) -> None:
        sink = ListSink()
        pipeline, _ = run(ListSource(pictures(1)[:0]), sink)
        assert pipeline.status.frames_in == 0
        assert sink.ended_with == "open"


class TestLane:
    def test_waits_for_room(self) -> None:
        lane: Lane[int] = Lane(2)
        order: list[str] = []

        def put() -> None:
            for number in range(5):
                lane.put(number)
                order.append(f"put {number}")
            lane.end()

        thread = threading.Thread(target=put)
        thread.start()
        until(lambda: len(order) == 2)
        time.sleep(0.1)
        assert order == ["put 0", "put 1"]
        assert list(lane) == list(range(5))
        thread.join()

    def test_merges_the_oldest(self) -> None:
        lane: Lane[list[int]] = Lane(2)
        for number in range(5):
            lane.put([number], merge=lambda older, newer: [*older, *newer])
        lane.end()
        assert list(lane) == [[0, 1, 2, 3], [4]]
        assert lane.merged == 3

    def test_raises_the_error_of_the_end_after_the_last_item(self) -> None:
        lane: Lane[int] = Lane(2)
        lane.put(1)
        lane.end(ValueError("over"))
        items = iter(lane)
        assert next(items) == 1
        with pytest.raises(ValueError, match="over"):
            next(items)

    @pytest.mark.parametrize("merge", [None, lambda older, newer: newer])
    def test_nothing_goes_into_a_closed_one(self, merge: Callable[[int, int], int] | None) -> None:
        lane: Lane[int] = Lane(1)
        lane.put(1)
        lane.close()
        with pytest.raises(ClosedError):
            lane.put(2, merge=merge)
        assert list(lane) == []


class TestLatency:
    @given(st.lists(st.floats(1e-4, 100), min_size=1, max_size=300), st.sampled_from([5, 50, 95]))
    def test_percentiles_to_about_one_percent(self, waits: list[float], percent: int) -> None:
        latency = Latency()
        for wait in waits:
            latency.add(wait)
        exact = np.percentile(waits, percent, method="inverted_cdf")
        assert latency.percentile(percent) == pytest.approx(exact, rel=0.013)

    def test_of_nothing_is_none(self) -> None:
        assert Latency().percentile(50) is None

    def test_takes_any_wait(self) -> None:
        latency = Latency()
        for wait in (-1.0, 0.0, 1e9):
            latency.add(wait)
        assert latency.percentile(95) >= 900
