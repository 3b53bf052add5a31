"""The benchmark of a study's server, with a few who answer as fast as they can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark_code import import_benchmark

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")
pytest.importorskip("uvicorn", reason="needs uvicorn: install '.[study]'")


def test_no_answer_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = import_benchmark("study_load")
    words = ["--participants", "4", "--questions", "3", "--think", "0"]
    monkeypatch.setattr("sys.argv", ["study_load.py", *words, "--json", str(tmp_path / "a.json")])
    load.main()
    figures = json.loads((tmp_path / "a.json").read_text())
    assert (figures["answers"], figures["expected"], figures["lost"]) == (12, 12, 0)
    assert 0 < figures["wait_p50_ms"] <= figures["wait_p95_ms"]
