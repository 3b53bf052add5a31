"""`motionveil study serve`: what is wrong with a command line is said before anything is served."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from motionveil.cli import main
from small_study import small_study

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")
pytest.importorskip("uvicorn", reason="needs uvicorn: install '.[study]'")

if TYPE_CHECKING:
    from motionveil.study.server.context import Context


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_study(tmp_path / "study")
    return tmp_path / "study"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--address", "x"], "--address x: no address; write HOST:PORT"),
        (["--address", "127.0.0.1:99999"], "--address 127.0.0.1:99999: no address"),
        (["--address", "192.0.2.1:8000"], "192.0.2.1 is no address of this machine"),
        (["--address", "0.0.0.0:0"], "also give --url with the address that participants open"),
        (["--url", "study.example.org"], "--url study.example.org: write what participants open"),
        (["--url", "https://a.example/b"], "--url https://a.example/b: write what participants"),
        (["--url", "ftp://a.example"], "--url ftp://a.example: write what participants open"),
        (["--admin-token", "secret"], "--admin-token: has 6 characters; give 16 or more"),
        (["--admin-token", "${NONESUCH}"], "${NONESUCH}: this environment variable is not set"),
        (["--admin-token-file", "none"], "--admin-token-file none: cannot be read"),
        (["--admin-token", "x" * 16, "--admin-token-file", "none"], "give one of the two"),
        (["--invite", "-1"], "--invite -1: between 0 and 10000"),
        (["--links", "links.txt"], "--links needs --invite N"),
        (["--texts", "none.yaml"], "none.yaml: cannot read the texts"),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "serve", str(folder), *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("motionveil: error: ")
    assert problem in error
    assert error.count("\n") == 1


TOKEN = "sixteen letters or more"


@pytest.mark.parametrize("way", ["word", "variable", "file"])
def test_the_administrator_s_token_is_taken_and_not_printed(
    folder: Path,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sites: list[Context] = []

    def serve(site: Context, listener: socket.socket, ready: Callable[[], None]) -> None:
        sites.append(site)
        ready()

    monkeypatch.setattr("motionveil.study.server.app.serve", serve)
    monkeypatch.setenv("TOKEN", TOKEN)
    file = folder.parent / "token.txt"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    words = {
        "word": ["--admin-token", TOKEN],
        "variable": ["--admin-token", "${TOKEN}"],
        "file": ["--admin-token-file", str(file)],
    }
    assert main(["study", "serve", str(folder), "--address", "0", *words[way]]) == 0
    said = capsys.readouterr()
    assert [site.admin_token for site in sites] == [TOKEN]
    assert "/admin" in said.out
    assert TOKEN not in said.out + said.err
    assert "token" not in said.out + said.err


def test_a_token_in_a_file_that_is_too_short_is_not_repeated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder.parent / "token.txt"
    file.write_text("hunter2\n")
    assert main(["study", "serve", str(folder), "--admin-token-file", str(file)]) == 1
    error = capsys.readouterr().err
    assert "--admin-token: has 7 characters; give 16 or more" in error
    assert "hunter2" not in error


def test_a_port_that_is_taken_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["study", "serve", str(folder), "--address", f"{port}"]) == 1
    assert f"port {port} is in use by another program" in capsys.readouterr().err
    assert not (folder / "study.db").exists()


def test_a_folder_that_is_no_study_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "serve", str(tmp_path), "--address", "0"]) == 1
    assert (
        "study.json: no such file; create it with `motionveil study create`"
        in capsys.readouterr().err
    )


def test_plain_http_for_others_is_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--url", "http://study.example.org", "--address", "0", "--texts", "none.yaml"]
    assert main(["study", "serve", str(folder), *words]) == 1
    assert "study.example.org is reached over plain HTTP: others" in capsys.readouterr().err


def test_the_texts_are_written_to_be_translated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "texts.yaml"
    assert main(["study", "serve", "any", "--write-texts", str(file)]) == 0
    assert capsys.readouterr().out == f"wrote {file}\n"
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["language"] == "en"
