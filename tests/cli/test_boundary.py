"""What reaches a user when something fails: one line, never a trace."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from fuzzing import (
    MANIFEST,
    PAIRS,
    as_text,
    changed,
    mutated,
    read_manifest,
    read_mutated_text,
    read_pipe,
    read_video,
    small_video,
    texts,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motionveil.atomic_write import atomic_path, find_parts
from motionveil.cli import check, encode, main
from motionveil.datasets.loaders.folder import index_csv
from motionveil.errors import MotionveilError
from motionveil.job_store import in_use
from motionveil.process_hardening import stopping
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import folder as veil_folders
from motionveil.yaml_file import load_yaml
from videos import moving_square, write_video

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
TEXTS = texts()


@pytest.mark.parametrize("kind", TEXTS)
def test_no_text_is_more_than_an_error(kind: str, tmp_path: Path) -> None:
    name, value, read = TEXTS[kind]

    @settings(max_examples=40, **QUIET)
    @given(st.data())
    def with_values_changed(data: st.DataObject) -> None:
        content = as_text(name, changed(data.draw, value))
        read_mutated_text(tmp_path / name, content, read)

    with_values_changed()
    chance = random.Random(0)
    for _ in range(20):
        read_mutated_text(tmp_path / name, mutated(chance, as_text(name, value)), read)


def test_no_manifest_is_more_than_an_error(tmp_path: Path) -> None:
    chance = random.Random(0)
    for _ in range(100):
        content = mutated(chance, MANIFEST.encode())
        read_mutated_text(tmp_path / "m.csv", content, read_manifest)


# numba compiles what reads HEVC and VP8 for tens of seconds.
COMPILED = ("hevc.mp4", "vp8.webm")
EACH = [pytest.param(n, marks=pytest.mark.slow) if n in COMPILED else n for n in PAIRS]


@pytest.mark.parametrize("name", EACH)
def test_no_video_is_more_than_an_error(name: str, tmp_path: Path) -> None:
    data, chance = small_video(name), random.Random(0)
    read_video(tmp_path, name, data)
    for _ in range(20):
        content = mutated(chance, data)
        read_video(tmp_path, name, content)
        read_pipe(content)


class TestOneLine:
    def fail(self, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
        def run(arguments: object) -> int:
            raise error

        for module in (check, encode):
            monkeypatch.setattr(module, "run", run)

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (KeyError("x"), r"check m.csv: an error of motionveil itself \(KeyError: 'x', "),
            (OSError(28, "No space left", "a/b"), "check m.csv: a/b: No space left"),
            (MemoryError(), "check m.csv: there is not enough memory"),
            (RecursionError("deep\nand\x1b[2J"), r"RecursionError: deep\\nand\\x1b\[2J"),
            (MotionveilError("a\nwrote b"), r"error: a\\nwrote b$"),
            (ModuleNotFoundError("no", name="motionveil.x"), "."),
        ],
    )
    def test_whatever_is_raised(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        error: BaseException,
        said: str,
    ) -> None:
        self.fail(monkeypatch, error)
        assert main(["check", "m.csv"]) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert told.startswith("motionveil: error: ")
        assert re.search(said, told.rstrip("\n"))

    def test_the_trace_is_there_for_who_asks(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.fail(monkeypatch, KeyError("x"))
        monkeypatch.setenv("MOTIONVEIL_DEBUG", "1")
        assert main(["check", "m.csv"]) == 1
        assert "Traceback (most recent call last)" in capsys.readouterr().err

    @pytest.mark.parametrize("length", range(150, 210, 7))
    def test_no_secret_is_cut_into_sight(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], length: int
    ) -> None:
        monkeypatch.setenv("MOTIONVEIL_DEBUG", "1")
        url = "rtsp://me:hunter2hunter2@host/live"
        self.fail(monkeypatch, KeyError(url))
        name = "x" * (length - len("motionveil encode "))
        assert main(["encode", name, url]) == 1
        self.fail(monkeypatch, RuntimeError("y" * length + url))
        assert main(["encode", url, "a.mkv"]) == 1
        assert "hunter" not in capsys.readouterr().err

    def test_in_a_folder_the_others_go_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("a.mkv", "b.mkv"):
            (tmp_path / "in").mkdir(exist_ok=True)
            write_video(tmp_path / "in" / name, moving_square(2))
        veil = veil_folders.veil_video

        def fails_once(source: Path, *rest: object) -> object:
            if source.name == "a.mkv":
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")
            return veil(source, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(veil_folders, "veil_video", fails_once)
        assert main(["encode", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
        assert (tmp_path / "out" / "b.veiled.mp4").exists()
        assert "a.mkv: an error of motionveil itself (UnicodeDecodeError" in capsys.readouterr().err


def test_what_an_encoder_says_of_itself_moves_no_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_spec("bdq").model_copy(
        update={"provenance": {"data": "\x1b[2J", "alpha": "x\nwrote y"}}
    )
    spec.save(tmp_path / "encoder.json")
    main(["encode", "test", "--encoder", str(tmp_path / "encoder.json")])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "data \\x1b[2J, alpha x\\nwrote y" in said


@pytest.mark.parametrize("sigma", [1e300, 1e-300, 0, -1])
def test_sigma_beyond_reason_is_refused(sigma: float) -> None:
    for method, numbers in (("blur", {}), ("bdq", load_spec("bdq").model_dump()["settings"])):
        with pytest.raises(ValueError, match="sigma"):
            EncoderSpec(method=method, settings=numbers | {"sigma": sigma})


class TestYaml:
    BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in pairwise("abcdefghij")
    )

    @pytest.mark.parametrize(
        "text", [BOMB, "a: " + "[" * 5000, "a: 2024-99-99", "? [1]: 2", "a: " + "9" * 5000, "*a"]
    )
    def test_what_would_not_fit_is_refused_at_once(self, text: str) -> None:
        with pytest.raises(MotionveilError, match=r"^it(:1)?: (is no YAML|cannot be read): "):
            load_yaml(text, "it")

    def test_names_for_values_work(self) -> None:
        assert load_yaml("a: &x {b: 1}\nc: {<<: *x, d: 2}", "it")["c"] == {"b": 1, "d": 2}


def test_a_quote_that_is_never_closed_is_found_where_it_opens(tmp_path: Path) -> None:
    rows = "".join(f"clips/{number}.mp4,wave,person\n" for number in range(9000))
    (tmp_path / "l.csv").write_text(f'path,action,person\na.mp4,"wave,x\n{rows}')
    with pytest.raises(MotionveilError, match=r"l\.csv:2: cannot read this row"):
        index_csv(tmp_path / "l.csv")


class TestFolderInUse:
    CODE = (
        "import sys, pathlib; from motionveil.job_store import in_use\n"
        "with in_use(pathlib.Path(sys.argv[1])): print('held', flush=True); input()"
    )

    def test_is_refused_until_the_other_ends_however_it_does(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "run"
        words = [sys.executable, "-c", self.CODE, str(out)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            assert main(["train", "none.csv", "--out", str(out)]) == 1
            assert "another run is using this folder" in capsys.readouterr().err
            other.kill()
        assert main(["train", "none.csv", "--out", str(out)]) == 1
        assert "none.csv: cannot read the manifest" in capsys.readouterr().err
        assert not out.exists(), "nothing is left behind"

    def test_what_is_in_it_stays(self, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        with in_use(tmp_path), pytest.raises(MotionveilError), in_use(tmp_path):
            pass
        assert os.listdir(tmp_path) == ["x"]


def test_parts_of_killed_runs_are_listed_and_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    killed = tmp_path / "a" / ".out.0123abcd.part.mkv"
    killed.write_bytes(b"1234")
    foreign = tmp_path / ".notes.part.txt"
    foreign.touch()
    with atomic_path(tmp_path / "live.mkv") as live:
        assert list(find_parts(tmp_path)) == [killed]
        assert main(["clean", str(tmp_path)]) == 0
        assert f"{killed}: 4 bytes" in capsys.readouterr().out
        assert main(["clean", str(tmp_path), "--delete"]) == 0
        assert not killed.exists()
        assert live.exists()
        assert foreign.exists()


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping(Event(), at_once=True):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_in_the_middle_of_a_wait_holds_nothing_up() -> None:
    stop = Event()
    with stopping(stop, at_once=False):
        with stop._cond:  # type: ignore[attr-defined]  # as `wait` has it for a moment
            signal.raise_signal(signal.SIGINT)
        assert stop.wait(60)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
