"""`motionveil audit`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from safetensors.torch import save_file

from motionveil.audit_results import Audit
from motionveil.cli import main
from motionveil.evaluation import suites
from motionveil.networks import create_action_network
from motionveil.training.recipe import load_recipe
from tiny import tiny_values, write_toys


@pytest.fixture
def toys(tmp_path: Path) -> list[str]:
    """The arguments of an audit on toys."""
    manifest = write_toys(tmp_path / "toys", people=3).file
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(tiny_values()))
    return [str(manifest), "--recipe", str(recipe), "--device", "cpu", "--workers", "1"]


@pytest.mark.slow
def test_from_the_command_line_to_the_findings(
    toys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "audit"
    words = ["audit", "bdq", *toys, "--only", "frame", "action", "--out", str(out), "--jobs", "2"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["person", "video"]
    assert {tuple(line.split()[:2]) for line in lines[1:3]} == {
        ("frame", "veiled"),
        ("frame", "raw"),
    }
    assert lines[3].split()[:2] == ["action", "video"]
    assert lines[-2:] == [f"wrote {out / 'audit.json'}", f"wrote {out / 'audit.html'}"]
    assert (out / "audit.html").stat().st_size > 10_000
    found = Audit.read(out)
    assert {(f.name, f.video) for f in found.attacks} == {
        (name, video) for name in ("frame", "action") for video in ("veiled", "raw")
    }
    # The page is drawn again from what is stored, elsewhere and with original frames.
    (out / "audit.html").unlink()
    assert main(["report", str(out)]) == 0
    assert main(["report", str(out), "--show-raw", "-o", str(tmp_path / "raw.html")]) == 0
    pages = [(out / "audit.html").read_text(), (tmp_path / "raw.html").read_text()]
    assert ["veiled and original" in page for page in pages] in ([False, True], [False, False])
    # The command again carries out nothing.
    capsys.readouterr()
    assert main(words) == 0
    assert " done (" not in capsys.readouterr().err
    assert Audit.read(out) == found


@pytest.mark.slow
def test_bdq_before_training(
    toys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "audit"
    assert main(["audit", "bdq-untrained", *toys, "--only", "frame", "--out", str(out)]) == 0
    spec = Audit.read(out).spec
    assert spec is not None
    assert spec["settings"]["sigma"] == 1.0
    assert spec["provenance"]["note"] == "untrained: protects nothing"
    # It lies there for the attackers, for whoever checks the audit, and to be compared with.
    raw_from = ["--raw-from", str(out)]
    again = ["audit", str(out / "bdq-untrained"), *toys, "--only", "frame", *raw_from]
    assert main([*again, "--out", str(tmp_path / "again")]) == 0
    found = Audit.read(tmp_path / "again")
    assert {(f.name, f.video) for f in found.attacks} == {("frame", "veiled"), ("frame", "raw")}
    assert (found.raw_from, found.spec) == (str(out), spec)
    # Another one does not take its place.
    other = ["audit", "bdq:untrained", *toys, "--only", "frame", "--out", str(out), "--seed", "1"]
    before = (out / "bdq-untrained/encoder.json").read_bytes()
    assert main(other) == 1
    assert "holds another encoder" in capsys.readouterr().err
    assert (out / "bdq-untrained/encoder.json").read_bytes() == before
    assert main([*other[:-2]]) == 0


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["bdq", "--only", "frme"], "--only frme: the suite strongest has frame, clip"),
        (["bdq", "--suite", "fast"], "--suite fast: no such file, and no suite of ours"),
        (["bdq", "--veiled", "no/where"], "--veiled no/where: no such folder"),
        (["bdq", "--face-recogniser", "x"], "--face-recogniser x: it needs --face-detector"),
        (["bdq", "--face-detector", "x.onnx"], "x.onnx: cannot read the detector"),
        (["bdqq"], "bdqq"),
        (["nowhere.py:veil"], "cannot import"),
        (["bdq", "--split", "fold7"], "--split fold7"),
        (["bdq", "--engine", "ray", "--jobs", "2"], "--jobs 2: it goes with --engine local"),
        (["bdq", "--set", "frames=2"], "set frames=3 or more"),
        (["bdq", "--raw-from", "no/where"], "no/where: cannot read audit"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_attacked(
    words: list[str],
    fault: str,
    toys: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder, *rest = words
    out = tmp_path / "audit"
    assert main(["audit", encoder, *toys, *rest, "--out", str(out)]) == 1
    assert fault in capsys.readouterr().err
    assert not out.exists()


def test_what_the_data_do_not_allow_is_left_out_and_said(
    toys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three people are too few for re-identification; nothing else was requested."""
    only = ["--only", "re-identification", "--out", str(tmp_path / "audit")]
    words = ["audit", "bdq", *toys, *only]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "3 values of 'person' are in both parts" in told
    assert "re-identification is left out" in told
    assert "no attack is left" in told


@pytest.mark.slow
def test_weights_by_network_reach_the_suite_and_what_has_none_is_said_first(
    toys: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suites, "ACTION_NETWORKS", ("resnet50_3d", "small3d"))
    nets, out = tmp_path / "nets", tmp_path / "audit"
    nets.mkdir()
    save_file(create_action_network("small3d", 9).state_dict(), nets / "small3d.safetensors")
    paper = ["--suite", "paper", "--weights", str(nets), "--only", "resnet50_3d"]
    assert main(["audit", "bdq", *toys, *paper, "small3d", "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert said.index("resnet-50-kinetics.pth") < said.index("small3d-veiled done")
    found = Audit.read(out)
    assert set(found.failed) == {"resnet50_3d-veiled", "resnet50_3d-raw"}
    assert {(f.name, f.video) for f in found.attacks} == {("small3d", "veiled"), ("small3d", "raw")}
    networks = {f.attack["network"]["weights"] for f in found.attacks}
    assert networks == {str(nets / "small3d.safetensors")}
    assert main(["audit", "bdq", *toys, *paper, "--out", str(tmp_path / "none")]) == 1
    assert "no attack is left" in capsys.readouterr().err


def test_the_suite_of_the_paper_takes_the_recipe_s_own_weights() -> None:
    own = {"action.weights": "t.safetensors", "weights": {"resnet50": "p.safetensors"}}
    recipe = load_recipe("sbu", own)
    attacks = {attack.name: attack for attack in suites.read_suite("paper", recipe)}
    weights = {name: attack.network.weights for name, attack in attacks.items()}
    assert weights["resnet50_3d"] == "t.safetensors"
    assert weights["resnet50"] == recipe.privacy.weights == "p.safetensors"
    assert (weights["resnet50-scratch"], weights["s3d"]) == (None, "pretrained")
