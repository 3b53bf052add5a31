"""`motionveil encode SOURCE DEST DEST ...`: what is sent where, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from motionveil.cli import main
from motionveil.video import count_frames
from rtsp_recorder import recorder


@pytest.mark.slow
def test_several_of_which_one_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RTSP_PASSWORD", "hunter2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dead.txt").touch(0o600)
    (tmp_path / "dead.txt").write_text("rtmp://127.0.0.1:1/app/streamkey\n")
    with recorder(password="eve:hunter2") as server:
        words = [
            *("test:96x72@30", f"rtsp://eve:${{RTSP_PASSWORD}}@127.0.0.1:{server.port}/live"),
            *("hls/live.m3u8", "rec/%Y%m%d-%H%M%S.mp4", "whole.mkv", "--dest-file", "dead.txt"),
            *("--frames", "90", "--segment", "1", "--keep", "1h", "--keep-size", "1G"),
        ]
        assert main(["encode", *words]) == 1
        server.wait_for(1)
    said, told = capsys.readouterr()
    assert "hunter2" not in said + told
    assert "streamkey" not in said + told
    assert "motionveil: rtmp://127.0.0.1:1/...: Connection refused; trying again\n" in told
    written = count_frames(tmp_path / "whole.mkv")
    assert f"wrote rtmp://127.0.0.1:1/...: 0 frames, {written} dropped; Connection refused" in said
    assert f"wrote rtsp://127.0.0.1:{server.port}/live: " in said
    for place in ("hls/live.m3u8", "rec/%Y%m%d-%H%M%S.mp4", "whole.mkv"):
        assert f"wrote {place}: {written} frames, 0 dropped\n" in said
    with av.open(str(tmp_path / "hls" / "live.m3u8")) as live:
        assert sum(1 for _ in live.decode(video=0)) == written
    cut = list((tmp_path / "rec").iterdir())
    assert sum(count_frames(path) for path in cut) == written
    assert len(cut) >= 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.mkv", "--format", "mpegts"], "--format mpegts: is for the destination -"),
        (["rtsp://eve:${NOT_SET}@host/live"], "${NOT_SET}: this environment variable is not set"),
        (["a.mkv", "a.mkv"], "a.mkv: is given twice"),
        (["rtsp://eve:hunter2@host/live", "--codec", "vp9"], "rtsp://host/live: is sent H.264"),
    ],
)
def test_what_does_not_go_together(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", "test", *words]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("option", "value"), [("--keep", "7x"), ("--segment", "0"), ("--keep-size", "20 GB")]
)
def test_what_is_no_duration_or_size(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["encode", "test", "a.mkv", option, value])
    assert repr(value) in capsys.readouterr().err
