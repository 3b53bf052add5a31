from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from motionveil.cli import main
from motionveil.results import Result
from tiny import tiny_values, write_toys


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_toys(tmp_path_factory.mktemp("toys")).file)


@pytest.fixture
def words(manifest: str, tmp_path: Path) -> list[str]:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(tiny_values(epochs=1)))
    return [manifest, "--recipe", str(file), "--device", "cpu", "--out", str(tmp_path / "out")]


@pytest.mark.slow
def test_an_encoder_is_trained_and_taken_apart(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablate", *words, "--variants", "levels=3"]) == 0
    result = Result.read(tmp_path / "out")
    parts = [f"bdq:modules={m}" for m in ("B", "D", "Q", "BD", "BQ", "DQ")]
    methods = ["raw", *parts, "bdq", "bdq:hard=true", "bdq:levels=3"]
    assert [row.method for row in result.rows] == methods
    assert result.kind == "ablate"
    said = capsys.readouterr().out
    for name in ("report.html", "tradeoff.html", "tradeoff.svg", "tradeoff.png"):
        assert f"wrote {tmp_path / 'out' / name}" in said
        assert (tmp_path / "out" / name).stat().st_size > 1000


@pytest.mark.slow
def test_a_given_encoder_keeps_its_alpha(words: list[str], tmp_path: Path) -> None:
    assert main(["ablate", "bdq", *words]) == 0
    rows = Result.read(tmp_path / "out").rows
    alpha = next(row.alpha for row in rows if row.method == "bdq")
    assert alpha == next(row for row in rows if row.method == "bdq").encoder.provenance["alpha"]


def test_faults_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "raw", *words]) == 1
    assert "raw: an ablation needs a bdq encoder, this is raw" in capsys.readouterr().err
    assert main(["ablate", *words, "--variants", "nosuch"]) == 1
    assert "bdq:nosuch: 'nosuch' is no number" in capsys.readouterr().err
