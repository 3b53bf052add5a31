from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.cli.complexity import si_prefixed


@pytest.mark.slow
def test_the_table_and_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "costs.json"
    words = ["complexity", "bdq", "--frames", "4", "--size", "32", "--json", str(file)]
    assert main(words) == 0
    said = capsys.readouterr().out
    stored = json.loads(file.read_text())
    assert [row["method"] for row in stored["rows"]] == ["bdq"]
    bdq = stored["rows"][0]
    assert bdq["parameters"] == 16
    assert bdq["flops"]["paper"] == 2 * 25 * 3 * 4 * 32 * 32
    assert bdq["flops"]["all"] > 0
    assert bdq["frames_per_second"] > 0
    assert stored["clip"] == [1, 3, 4, 32, 32]
    assert "published: unet" not in said  # that is for another clip
    assert any(line.startswith("bdq") for line in said.splitlines())
    assert f"wrote {file}" in said


def test_an_unknown_encoder_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complexity", "bdqq"]) == 1
    assert "bdqq: no such encoder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "shown"), [(457, "457 "), (1061, "1.061 k"), (1.672e11, "167.2 G"), (0, "0 ")]
)
def test_numbers_with_a_decimal_prefix(value: float, shown: str) -> None:
    assert si_prefixed(value) == shown
