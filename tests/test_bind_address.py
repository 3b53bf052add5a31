from __future__ import annotations

import pytest

from motionveil.bind_address import may_hold_password, shown


@pytest.mark.parametrize(
    "written",
    [
        "in.mp4",
        "/videos/room 1/a.b.mkv",
        r"C:\videos\a.mp4",
        "-",
        "camera",
        "camera:1",
        "camera:/dev/video2",
        "camera:FaceTime HD Camera",
        "test:64x48@30000/1001",
        "${CAMERA_URL}",
        "rtsp://192.0.2.7/stream1",
        "rtsp://192.0.2.7:554/Streaming/Channels/101",
        "rtsp://camera.example/h264/ch1/main/av_stream",
        "rtsp://[2001:db8::7]:554/live.sdp",
        "http://host/axis-media/media.amp",
        "udp://:5000",
        "srt://host:9000",
    ],
)
def test_nothing_secret_is_shown_as_it_is(written: str) -> None:
    assert shown(written) == written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("rtsp://admin:SECRET@host/live", "rtsp://host/live"),
        ("RTSP://admin:SECRET@host/live", "rtsp://host/live"),
        ("rtsp://admin:SEC@RET@[::1]:554/ch1", "rtsp://[::1]:554/ch1"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("http://host/video.cgi?user=admin&pwd=SECRET", "http://host/video.cgi?..."),
        ("http://host?SECRET", "http://host?..."),
        ("rtsp://host/live#SECRET", "rtsp://host/live?..."),
        ("rtsp://host/user=admin_password=SECRET_channel=1", "rtsp://host/..."),
        ("rtsp://host/live/admin/SECRET", "rtsp://host/..."),
        ("rtmp://host/live/SECRET-key-4711", "rtmp://host/..."),
        ("rtsp://host/123456", "rtsp://host/..."),
        ("rtsp://host/12-34-56-78", "rtsp://host/..."),
        # Where the password ends and the host begins, nobody can say.
        ("rtsp://admin:SEC/RET@host/live", "rtsp://..."),
        ("rtsp://admin:SEC?RET@host/live", "rtsp://..."),
        ("rtsp://admin:SEC#RET@host/live", "rtsp://..."),
        ("rtsp://admin:SEC\\RET@host/live", "rtsp://..."),
        ("rtsp://host/user=admin_password=SECR@ET_stream=0", "rtsp://..."),
        ("rtsp://admin:SECRET/live", "rtsp://..."),
        ("rtsp://admin:99999/live", "rtsp://..."),
        ("rtsp://SEC RET/live", "rtsp://..."),
        ("rstp://admin:SECRET@host/live", "rstp://host/live"),
        ("rtsp:/admin:SECRET@host/live", "rtsp:..."),
        ("rtsp:admin:SECRET@host", "rtsp:..."),
        ("rtsp//admin:SECRET@host/live", "..."),
        ("rtsp;//admin:SECRET@host/live", "..."),
        (" rtsp://admin:SECRET@host/live", "..."),
        ("admin:SECRET@host", "..."),
        ("SECRET@host", "..."),
        ("host/live?token=SECRET", "..."),
        ("host/user=admin_password=SECRET", "..."),
        ("camera:rtsp://admin:SECRET@host", "camera:..."),
        ("camera:admin:SECRET", "camera:..."),
        ("camrea:SECRET", "..."),
        ("test:SECRET", "..."),
    ],
)
def test_a_password_is_not_shown_wherever_it_stands(written: str, expected: str) -> None:
    assert shown(written) == expected
    assert "SEC" not in shown(written)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("rtsp://host", True),
        ("user:pw@host", True),
        ("host/password=pw", True),
        ("runs/1", False),
        ("bdq:levels=31", False),
        ("mine.py:veil", False),
        ("hf:owner/name@v1", False),
        ("hf:user:pw@host", True),
    ],
)
def test_which_words_may_hold_a_password(word: str, expected: bool) -> None:
    assert may_hold_password(word) == expected
