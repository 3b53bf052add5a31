"""A service's file: what it says, what of it is wrong and where."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.errors import MotionveilError
from motionveil.service.read_config import ServiceConfig, read_config

WHOLE = """\
listen: 127.0.0.1:0
token_file: token.txt
defaults:
  recogniser: runs/1
  destinations: ["out/{camera}-%Y%m%d.mkv"]
  events: {mqtt: "mqtt://192.0.2.7/home"}
  limits: {give_up: 10}
cameras:
  hall:
    source: rtsp://me:${HALL_PASSWORD}@192.0.2.7/live
    limits: {memory: 512}
  desk:
    source_file: desk.txt
    encoder: bdq-ut
    destinations: []
    events: {webhook_file: hook.txt}
"""

A = "cameras:\n  a:\n    source: test\n    "


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALL_PASSWORD", "b/d&secret")
    for name, line in {
        "token.txt": "a token of some length",
        "desk.txt": "rtsp://me:other-secret@192.0.2.8/stream1",
        "hook.txt": "https://me:third-secret@192.0.2.9/api",
    }.items():
        (tmp_path / name).write_text(f"{line}\n")
        os.chmod(tmp_path / name, 0o600)
    return tmp_path


def read(folder: Path, text: str) -> ServiceConfig:
    file = folder / "cameras.yaml"
    file.write_text(text, encoding="utf-8")
    return read_config(file)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(MotionveilError) as error:
        read(folder, text)
    return str(error.value).removeprefix(str(folder / "cameras.yaml"))


class TestWhatItSays:
    def test_with_defaults_variables_and_files(self, folder: Path) -> None:
        config = read(folder, WHOLE)
        hall, desk = config.cameras["hall"], config.cameras["desk"]
        assert config.token == "a token of some length"
        assert hall.source == "rtsp://me:b%2Fd&secret@192.0.2.7/live"
        assert hall.shown == "rtsp://192.0.2.7/live"
        assert (hall.encoder, hall.recogniser) == (None, "runs/1")
        assert hall.destinations == ("out/hall-%Y%m%d.mkv",)
        assert hall.receivers == (("mqtt", "mqtt://192.0.2.7/home"),)
        assert (hall.limits.give_up, hall.limits.memory) == (10, 512)
        # What a camera says takes the place of the default, and an encoder that of a recogniser.
        assert desk.source == "rtsp://me:other-secret@192.0.2.8/stream1"
        assert "192.0.2.8" not in desk.shown
        assert (desk.encoder, desk.recogniser, desk.destinations) == ("bdq-ut", None, ())
        assert dict(desk.receivers) == {
            "mqtt": "mqtt://192.0.2.7/home",
            "webhook": "https://me:third-secret@192.0.2.9/api",
        }

    def test_only_what_is_needed(self, folder: Path) -> None:
        config = read(folder, "cameras: {hall: {source: test}}")
        assert (config.listen, config.token) == ("127.0.0.1:8080", None)
        assert config.cameras["hall"].encoder == "moments"


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("listen: 127.0.0.1:0\n", "cameras: Field required"),
            ("cameras:\n  a: {}\n", ":2: cameras.a: source: is missing"),
            (A + "sauce: 1\n", ":4: cameras.a.sauce: Extra inputs"),
            ("cameras:\n  'two words': {source: test}\n", ":2: cameras.two words: String should"),
            ("cameras:\n  a: {source: test}\n  a: {source: test}\n", ":3: a: stands here twice"),
            ("cameras:\n  hall: [\n", ": is no YAML"),
            (A + "limits:\n      give_up: 0\n", ":5: cameras.a.limits.g"),
            ("cameras:\n  a:\n    source: ${NO}\n", ":3: cameras.a.source: ${NO}: this env"),
            (A + "source_file: x\n", "give source or source_file"),
            ("cameras:\n  a:\n    source_file: none.txt\n", ":3: cameras.a.source_file: "),
            (A + "encoder: b\n    recogniser: c\n", "its own encoder"),
            (A + "destinations: [a.mkv]\n", "a.%Y%m%d-%H%M%S.mkv"),
            (A + "events: {fax: x}\n", "there are mqtt, mqtt_file"),
            (
                A + "events:\n      mqtt: http://x\n",
                ":5: cameras.a.events.mqtt: http://x: no address of a broker",
            ),
        ],
    )
    def test_name_line_and_field(self, folder: Path, text: str, told: str) -> None:
        assert told in fault(folder, text)

    def test_never_quote_what_may_be_a_password(self, folder: Path) -> None:
        said = fault(
            folder, "cameras:\n  a:\n    source: {x: rtsp://me:hunter2@h/}\n    b: hunter2"
        )
        assert ":3: cameras.a.source" in said
        assert "hunter2" not in said

    def test_are_one_line_on_the_command_line(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = folder / "none.yaml"
        assert main(["serve", str(file)]) == 1
        assert capsys.readouterr().err == (
            f"motionveil: error: {file}: cannot read the service's file:"
            " No such file or directory\n"
        )


def test_the_schema_is_that_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["required"] == ["cameras"]
    camera = schema["$defs"]["CameraSettings"]["properties"]
    assert {"source", "source_file", "encoder", "recogniser", "destinations"} <= camera.keys()
    assert all("description" in field for field in camera.values() if "$ref" not in field)
