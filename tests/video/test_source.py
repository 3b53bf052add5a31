from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.video import FileSource, check_dest, open_source, read_frames
from motionveil.video.source import camera_input, network_input, video4linux
from videos import NTSC, cut_short, frame_numbers, moving_square, write_pictures, write_video


class TestFiles:
    def test_a_file_as_read_frames_reads_it(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", moving_square(12), rate=NTSC)
        for written in (path, str(path)):
            source = open_source(written)
            assert (source.name, source.live) == (str(path), False)
            assert source.info is not None
            assert (source.info.rate, source.info.width) == (NTSC, 64)
            for one, other in zip(source.frames(Event()), read_frames(path), strict=True):
                np.testing.assert_array_equal(one.image, other.image)
                assert one[1:] == other[1:]

    def test_a_folder(self, tmp_path: Path) -> None:
        source = open_source(write_pictures(tmp_path / "f", moving_square(5)), rate=10)
        frames = list(source.frames(Event()))
        assert frame_numbers(np.stack([frame.image for frame in frames])) == list(range(5))
        assert frames[4].time == 0.4

    def test_stop(self, tmp_path: Path) -> None:
        source, stop = open_source(write_video(tmp_path / "a.mp4", moving_square(12))), Event()
        frames = source.frames(stop)
        next(frames)
        stop.set()
        assert list(frames) == []

    def test_faults(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
        path = write_video(tmp_path / "a.avi", noise)
        cut_short(path, 0.7)
        with pytest.raises(MotionveilError, match="cut short"):
            list(open_source(path).frames(Event()))
        (tmp_path / "text.txt").write_text("hello\n" * 100)
        with pytest.raises(MotionveilError, match="a text file"):
            open_source(tmp_path / "text.txt")

    @pytest.mark.parametrize("written", ["none.mp4", "ftp://host/film.mp4", "cameras", "C:\\a.mp4"])
    def test_nothing_of_the_kind(self, written: str) -> None:
        with pytest.raises(MotionveilError) as error:
            open_source(written)
        shown = written.replace("film.mp4", "...")
        assert str(error.value).startswith(f"{shown}: no such file")
        assert "; a source is" in str(error.value)
        for way in ("camera:", "rtsp://", "http://", "- (a pipe)", "test:640x480@30"):
            assert way in str(error.value)


class TestSynthetic:
    @pytest.mark.parametrize(
        ("written", "width", "height", "rate"),
        [
            ("test", 640, 480, 30),
            ("test:64x48", 64, 48, 30),
            ("test:64x48@25", 64, 48, 25),
            ("test:64x48@30000/1001", 64, 48, NTSC),
        ],
    )
    def test_ways_to_write_it(self, written: str, width: int, height: int, rate: Fraction) -> None:
        source = open_source(written)
        assert source.live
        assert source.info is not None
        assert (source.info.width, source.info.height, source.info.rate) == (width, height, rate)
        frame = next(source.frames(Event()))
        assert frame.image.shape == (height, width, 3)

    @pytest.mark.parametrize("written", ["test:", "test:64", "test:64x48@", "test:64x48@30/0"])
    def test_wrong(self, written: str) -> None:
        with pytest.raises(MotionveilError, match="must look like test:640x480@30"):
            open_source(written)


TWO = [("/dev/video0", "Front Camera"), ("/dev/video2", "USB Microscope")]


class TestCamera:
    @pytest.mark.parametrize(
        ("written", "platform", "url", "format_name"),
        [
            ("camera", "linux", "/dev/video0", "video4linux2"),
            ("camera:2", "linux", "/dev/video2", "video4linux2"),
            ("camera:/dev/video2", "linux", "/dev/video2", "video4linux2"),
            ("camera:usb microscope", "linux", "/dev/video2", "video4linux2"),
            ("camera:Front", "linux", "/dev/video0", "video4linux2"),
            ("camera", "darwin", "0:none", "avfoundation"),
            ("camera:FaceTime HD Camera", "darwin", "FaceTime HD Camera:none", "avfoundation"),
            ("camera", "win32", "video=/dev/video0", "dshow"),
            ("camera:1", "win32", "video=/dev/video2", "dshow"),
            ("camera:Front Camera", "win32", "video=/dev/video0", "dshow"),
        ],
    )
    def test_what_is_opened(self, written: str, platform: str, url: str, format_name: str) -> None:
        found = camera_input(written, platform, lambda: TWO)
        assert (found.name, found.url, found.format) == (written, url, format_name)
        assert not found.finite

    @pytest.mark.parametrize("platform", ["linux", "win32"])
    def test_a_missing_one_lists_those_there_are(self, platform: str) -> None:
        with pytest.raises(MotionveilError, match=r"camera:7: .*/dev/video2 \(USB Microscope\)"):
            camera_input("camera:7", platform, lambda: TWO)
        with pytest.raises(MotionveilError, match="no camera on this machine"):
            camera_input("camera", platform, lambda: [])

    @pytest.mark.skipif(sys.platform != "linux", reason="looks for a device of Linux")
    def test_a_missing_device(self) -> None:
        with pytest.raises(MotionveilError, match=r"^camera:/dev/video97: no such camera; there"):
            open_source("camera:/dev/video97")

    @pytest.mark.skipif(sys.platform != "linux", reason="opens a device of Linux")
    def test_ffmpeg_knows_the_format(self) -> None:
        from motionveil.video.live import LiveInput, LiveSource

        source = LiveSource(LiveInput("camera", "/dev/null", "video4linux2"), give_up=0.1)
        with pytest.raises(MotionveilError, match="Inappropriate ioctl for device"):
            next(source.frames(Event()))

    @pytest.mark.skipif(sys.platform != "linux", reason="opens a device of Linux")
    def test_a_real_one(self) -> None:
        if not video4linux():
            pytest.skip("no camera on this machine")
        source = open_source(f"camera:{video4linux()[0][0]}", give_up=20)
        frames = list(islice(source.frames(Event()), 3))
        assert frames[0].fresh
        assert frames[0].time < frames[1].time < frames[2].time


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "shown"),
        [
            ("rtsp://host/live", "rtsp://host/live"),
            ("rtsp://admin:secret@host:554/live", "rtsp://host:554/live"),
            ("RTSP://admin:se@cret@host/live", "rtsp://host/live"),
            ("rtsp://admin:se/cr@et@host/live", "rtsp://..."),
            ("http://admin:se?cret@host/live", "http://..."),
            ("http://host/video.cgi?user=admin&pwd=secret", "http://host/video.cgi?..."),
        ],
    )
    def test_no_password_is_shown(self, address: str, shown: str) -> None:
        source = network_input(address)
        assert source.name == shown
        assert source.url == address.replace("RTSP", "rtsp"), "FFmpeg knows no capitals"
        assert "cret" not in repr(source)

    @pytest.mark.parametrize("sign", ["\n", "\0", "\udcff"])
    def test_no_address(self, sign: str) -> None:
        with pytest.raises(MotionveilError, match=r"^rtsp://host/\.\.\.: an address has no"):
            open_source(f"rtsp://admin:secret@host/{sign}")

    @pytest.mark.parametrize(
        ("written", "shown"),
        [
            ("rstp://admin:secret@host/live", "rstp://host/live"),
            ("rtsp:/admin:secret@host/live", "rtsp:..."),
            ("rtsp:admin:secret@host", "rtsp:..."),
            ("admin:secret@host/live", "..."),
            ("host/user=admin_password=secret", "..."),
            ("//host/live?password=secret", "..."),
            ("test:admin:secret", "..."),
            ("camera:rtsp://admin:secret@host", "camera:..."),
            ("camera:admin:secret", "camera:..."),
        ],
    )
    def test_mistyped_shows_no_password_either(self, written: str, shown: str) -> None:
        with pytest.raises(MotionveilError, match=f"^{re.escape(shown)}: ") as error:
            open_source(written)
        assert "secret" not in "".join(traceback.format_exception(error.value))
        with pytest.raises(MotionveilError) as error:
            FileSource(written)
        assert "secret" not in str(error.value)

    def test_a_secret_is_called_by_another_name(self) -> None:
        for written in ("secret", "camera:secret"):
            with pytest.raises(MotionveilError, match=r"^\$\{CAMERA\}: no such ") as error:
                open_source(written, name="${CAMERA}")
            assert "secret" not in str(error.value)

    def test_takes_no_veiled_video(self) -> None:
        with pytest.raises(MotionveilError, match=r"^http://host/live: .* to no such address"):
            check_dest("http://admin:secret@host/live")

    def test_opening_asks_no_network(self) -> None:
        source = open_source("rtsp://admin:secret@127.0.0.1:1/live")
        assert (source.name, source.live) == ("rtsp://127.0.0.1:1/live", True)
        assert source.info is None


def test_is_light_to_import() -> None:
    code = "import sys, motionveil.video; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=os.environ
    )
    assert not {"torch", "numba", "rich", "http.server"} & set(done.stdout.split())
