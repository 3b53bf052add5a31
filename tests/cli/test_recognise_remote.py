"""`motionveil recognise --webhook` and `--mqtt`: what the command line takes and refuses."""

from __future__ import annotations

import pytest

from motionveil.cli import main


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--webhook", "ftp://a/b"], "--webhook ftp://a/b: no address"),
        (["--webhook", "${NOT_THERE}"], "NOT_THERE"),
        (["--webhook", "http://h/", "--clips"], "--webhook: is not for --clips"),
        (["--mqtt", "mqtt://h"], "--mqtt mqtt://h: no address of a broker"),
        (["--mqtt", "mqtt://name:secret@h/a"], "come from the environment"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_read(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recognise", "in.mp4", "--model", "none", *words]) == 1
    said = capsys.readouterr().err
    assert problem in said
    assert "secret" not in said
