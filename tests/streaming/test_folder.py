from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from motionveil.errors import MotionveilError
from motionveil.spec import EncoderSpec
from motionveil.streaming import VeilOptions, veil_video
from motionveil.streaming import folder as folder_module
from motionveil.streaming.folder import RECORD, plan, veil_folder
from motionveil.video import count_frames, read_clip
from videos import AS_FILMED, cut_short, moving_square, write_video

SPEC = EncoderSpec.untrained(range=0.25, geometry=AS_FILMED)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    (root / "hall" / "night").mkdir(parents=True)
    write_video(root / "a.mp4", moving_square(6))
    write_video(root / "hall" / "b.mkv", moving_square(7))
    write_video(root / "hall" / "night" / "b.avi", moving_square(8))
    (root / "notes.txt").write_text("not a video")
    (root / ".hidden.mp4").write_bytes(b"half a download")
    return root


def outputs(out: Path) -> list[str]:
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())


class TestVeil:
    @pytest.mark.slow
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_keeps_the_folders_and_the_frames(
        self, videos: Path, tmp_path: Path, jobs: int
    ) -> None:
        out = tmp_path / "out"
        calls: list[tuple[int, int]] = []
        summary = veil_folder(
            videos,
            out,
            SPEC,
            name="{stem}.veiled.mkv",
            jobs=jobs,
            progress=lambda *call: calls.append(call),
        )
        assert outputs(out) == [
            "a.veiled.mkv",
            "hall/b.veiled.mkv",
            "hall/night/b.veiled.mkv",
            RECORD,
        ]
        assert {path.name: s.frames_out for path, s in summary.veiled.items()} == {
            "a.mp4": 6,
            "b.mkv": 7,
            "b.avi": 8,
        }
        assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
        veil_video(videos / "a.mp4", tmp_path / "alone.mkv", SPEC)
        np.testing.assert_array_equal(
            read_clip(out / "a.veiled.mkv"), read_clip(tmp_path / "alone.mkv")
        )

    def test_goes_on_where_it_was(self, videos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        veil_folder(videos, out, SPEC)
        (out / "hall" / "b.veiled.mp4").unlink()
        before = (out / "a.veiled.mp4").stat().st_mtime_ns
        summary = veil_folder(videos, out, SPEC)
        assert [path.name for path in summary.veiled] == ["b.mkv"]
        assert [path.name for path in summary.skipped] == ["a.mp4", "b.avi"]
        assert (out / "a.veiled.mp4").stat().st_mtime_ns == before

    @pytest.mark.slow
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_one_bad_file_does_not_stop_the_rest(
        self, videos: Path, tmp_path: Path, jobs: int
    ) -> None:
        cut_short(videos / "hall" / "b.mkv", 0.6)
        summary = veil_folder(videos, tmp_path / "out", SPEC, jobs=jobs)
        assert len(summary.veiled) == 2
        ((bad, reason),) = summary.failed.items()
        assert bad == videos / "hall" / "b.mkv"
        assert str(bad) in reason
        assert "cut short" in reason
        assert "hall/b.veiled.mp4" not in outputs(tmp_path / "out")
        # Once mended, only that one is done.
        write_video(bad, moving_square(7))
        assert list(veil_folder(videos, tmp_path / "out", SPEC).veiled) == [bad]

    @pytest.mark.slow
    def test_nor_does_one_that_kills_its_process(
        self, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folder_module, "_veil_one", die_on_b_avi)
        summary = veil_folder(videos, tmp_path / "out", SPEC, jobs=2)
        assert {path.name for path in summary.veiled} == {"a.mp4", "b.mkv"}
        ((bad, reason),) = summary.failed.items()
        assert bad.name == "b.avi"
        assert "the process that read it died" in reason

    def test_never_mixes_two_encoders(self, videos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        veil_folder(videos, out, SPEC)
        other = EncoderSpec.untrained(range=0.1, geometry=AS_FILMED)
        for spec, options, fault in (
            (other, None, r"encoder\.settings\.range was .*, is 0\.1"),
            (SPEC, VeilOptions(hard=True), r"options\.hard was False, is True"),
        ):
            with pytest.raises(MotionveilError, match=rf"motionveil\.json: .* otherwise: {fault}"):
                veil_folder(videos, out, spec, options)
        assert veil_folder(videos, out, SPEC, VeilOptions()).veiled == {}
        (out / RECORD).write_text("{")
        with pytest.raises(MotionveilError, match="cannot be read"):
            veil_folder(videos, out, SPEC)

    def test_its_own_output_is_no_input(self, videos: Path) -> None:
        out = videos / "veiled"
        assert len(veil_folder(videos, out, SPEC).veiled) == 3
        summary = veil_folder(videos, out, SPEC)
        assert (len(summary.veiled), len(summary.skipped)) == (0, 3)
        assert count_frames(out / "a.veiled.mp4") == 6


def die_on_b_avi(
    source: Path, dest: Path, spec: EncoderSpec, options: VeilOptions
) -> folder_module.Outcome:
    if source.name == "b.avi":
        os._exit(9)
    return veil_video(source, dest, spec, options)


class TestNames:
    def test_that_meet(self, videos: Path, tmp_path: Path) -> None:
        write_video(videos / "a.mkv", moving_square(2))
        with pytest.raises(MotionveilError, match=r"a\.mkv and .*a\.mp4 would both become"):
            plan(videos, tmp_path / "out", "{stem}.mp4")
        names = plan(videos, tmp_path / "out", "{stem}-{suffix}.mp4").values()
        assert {path.name for path in names} == {"a-mkv.mp4", "a-mp4.mp4", "b-mkv.mp4", "b-avi.mp4"}

    @pytest.mark.parametrize(
        "name", ["{nonsense}.mp4", "{0}.mp4", "{stem", "{stem.x}.mp4", "../{stem}.mp4", "", ".."]
    )
    def test_that_are_none(self, videos: Path, tmp_path: Path, name: str) -> None:
        with pytest.raises(MotionveilError, match=r"no name; it may hold|a name, not a path"):
            plan(videos, tmp_path / "out", name)

    def test_of_an_unknown_format(self, videos: Path, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match=r"must end in \.mp4"):
            veil_folder(videos, tmp_path / "out", SPEC, name="{stem}.gif")
        assert not (tmp_path / "out").exists()

    def test_no_videos(self, tmp_path: Path) -> None:
        with pytest.raises(MotionveilError, match="no videos in this folder"):
            veil_folder(tmp_path, tmp_path / "out", SPEC)
        with pytest.raises(MotionveilError, match="no such folder"):
            veil_folder(tmp_path / "none", tmp_path / "out", SPEC)
