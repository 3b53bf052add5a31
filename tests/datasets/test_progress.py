"""The progress bar: on a terminal only, and only for what takes long."""

from __future__ import annotations

import pytest

from motionveil.datasets.console import track


def test_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take the output for a terminal
    monkeypatch.setattr("motionveil.datasets.console.PATIENCE", 0.0)
    assert list(track("abc", "Working", 3)) == ["a", "b", "c"]
    printed = capsys.readouterr()
    assert "Working" in printed.err
    assert "3/3" in printed.err
    assert printed.out == ""


def test_no_bar_for_what_is_quick(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(track("abc", "Working", 3)) == ["a", "b", "c"]
    assert "Working" not in capsys.readouterr().err


def test_no_bar_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr("motionveil.datasets.console.PATIENCE", 0.0)
    assert list(track("abc", "Working", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
