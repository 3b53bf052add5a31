"""What an external package adds: a method, a network, an attack, a data set and a sink.

Each is as many files as `CONTRIBUTING.md` says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from motionveil import methods
from motionveil.cli import main
from motionveil.datasets import loaders
from motionveil.datasets.manifest import Manifest
from motionveil.encoders import load_encoder
from motionveil.errors import MotionveilError
from motionveil.evaluation.attack import attack_kinds
from motionveil.export import IntegerEncoder
from motionveil.plugins import load_entry_points
from motionveil.spec import EncoderSpec, load_spec
from motionveil.streaming import StreamEncoder
from motionveil.video import VideoSink, check_dest, read_clip, sinks
from tiny import tiny_values, toy_frames, write_toys

PLUGIN = Path(__file__).parents[1] / "plugin"


def forget_plugins() -> None:
    """Look for plugins again, as a new process would."""
    methods.find_again()
    load_entry_points.cache_clear()
    attack_kinds.cache_clear()


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the package: a folder on the path with its metadata."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN, folder, dirs_exist_ok=True)
    info = folder / "motionveil_sign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: motionveil-sign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[motionveil.methods]\nsign = motionveil_sign:Sign\n"
        "[motionveil.networks]\npooled = motionveil_tools.network\n"
        "[motionveil.attacks]\nbrightness = motionveil_tools.attack:Brightness\n"
        "[motionveil.datasets]\nflat = motionveil_tools.dataset\n"
        "[motionveil.sinks]\narray = motionveil_tools.sink\n"
    )
    known, kinds = loaders.loaders(), {kind.example: kind for kind in sinks.sinks()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "_LOADERS", known)  # to be as before when the package is gone
        patch.setattr(sinks, "_KINDS", kinds)
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        forget_plugins()
        yield folder
    forget_plugins()


@pytest.fixture(scope="module")
def run(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the method on toys by the command."""
    place = tmp_path_factory.mktemp("sign")
    write_toys(place)
    (place / "tiny.yaml").write_text(yaml.safe_dump(tiny_values()))
    words = ["--method", "sign", "--recipe", str(place / "tiny.yaml"), "--device", "cpu"]
    out = place / "run"
    assert main(["train", str(place / "manifest.csv"), *words, "--out", str(out)]) == 0
    return out


FILES = {
    "method": ["motionveil_sign/__init__.py", "motionveil_sign/encoder.py"],
    "network": ["motionveil_tools/network.py"],
    "attack": ["motionveil_tools/attack.py"],
    "data set": ["motionveil_tools/dataset.py"],
    "sink": ["motionveil_tools/sink.py"],
}
"""What adds what; the tests below use each."""


def test_the_guide_gives_the_number_of_files() -> None:
    text = (PLUGIN.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    counts = dict(re.findall(r"^\| an? (.+?) \| (\d+) \|", text, re.MULTILINE))
    assert counts == {name: str(len(files)) for name, files in FILES.items()}
    shared = "motionveil_tools/__init__.py"
    assert (PLUGIN / shared).read_text(encoding="utf-8").count("\n") <= 1, "it has no code"
    there = {path.relative_to(PLUGIN).as_posix() for path in PLUGIN.rglob("*.py")}
    assert there - {shared} == {file for files in FILES.values() for file in files}


def test_it_is_trained(run: Path) -> None:
    spec = load_spec(run)
    assert spec.method == "sign"
    assert spec.settings.zone != 0.2, "the dead zone was learned"
    assert "zone" in (run / "curves.csv").read_text()
    assert load_encoder(run).spec == spec


def test_it_streams_as_it_trains(run: Path) -> None:
    spec = load_spec(run)
    clip = toy_frames("left", 0, 0)
    stream = StreamEncoder(spec, native=True)
    veiled = np.stack([stream(frame) for frame in clip])[1:]
    video = torch.from_numpy(clip).permute(3, 0, 1, 2)[None] / 255
    with torch.no_grad():
        exact = 17 * load_encoder(run)(video)[0].permute(1, 2, 3, 0).numpy()
    assert np.abs(veiled - exact).max() <= 1.5
    assert np.ptp(veiled) > 100


@pytest.mark.parametrize("kind", ["c", "onnx"])
def test_it_is_exported(run: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / f"sign.{kind}"
    assert main(["export", str(run), "-o", str(out)]) == 0
    spec, clip = load_spec(run), toy_frames("right", 1, 2)
    stream = StreamEncoder(spec, native=True)
    expected = np.stack([stream(frame) for frame in clip]).astype(int)
    if kind == "c":  # what the C file computes, to the bit
        encoder = IntegerEncoder(spec)
        found = np.stack([encoder.veil(frame) for frame in clip])
        assert np.abs(found - expected).max() <= 2
    else:
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        kept = np.full((1, 1, 3), np.nan, np.float32)
        for frame in clip:  # 24 pixels are brought to the geometry's 16
            veiled, kept = session.run(None, {"frame": frame, "previous": kept})
        assert veiled.shape == (16, 16, 3)
        assert np.ptp(veiled) > 100


@pytest.mark.slow
def test_it_stands_in_the_tradeoff_and_on_its_page(run: Path, tmp_path: Path) -> None:
    manifest, recipe = str(run.parent / "manifest.csv"), str(run.parent / "tiny.yaml")
    words = ["--recipe", recipe, "--device", "cpu", "--out", str(tmp_path)]
    assert main(["tradeoff", manifest, *words, "--methods", "raw", "sign:0,1"]) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [(row["method"], row["alpha"]) for row in rows] == [
        ("raw", None),
        ("sign", 0.0),
        ("sign", 1.0),
    ]
    pages = "".join(page.read_text() for page in tmp_path.glob("*.html"))
    assert "sign, α = 1" in pages


@pytest.mark.slow
def test_it_is_validated_and_audited_by_other_networks_and_attacks(
    run: Path, tmp_path: Path
) -> None:
    """In two processes, which find the package by themselves."""
    (tmp_path / "suite.yaml").write_text(
        "- {name: bright, kind: brightness}\n- {name: whole, kind: recognise, temporal: true}\n"
    )
    data = [str(run.parent / "manifest.csv"), "--recipe", str(run.parent / "tiny.yaml")]
    words = [str(run), *data, "--set", "action.name=pooled", "--device", "cpu"]
    assert main(["validate", *words, "--out", str(tmp_path / "validate")]) == 0
    out = tmp_path / "audit"
    suite = ["--suite", str(tmp_path / "suite.yaml"), "--jobs", "2"]
    assert main(["audit", *words, *suite, "--out", str(out)]) == 0
    found = json.loads((out / "audit.json").read_text())["findings"]
    assert {finding["kind"] for finding in found} == {"brightness", "recognise"}
    assert "The mean brightness of a veiled clip." in (out / "audit.html").read_text()


def test_it_veils_a_video(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = next(run.parent.rglob("*.mkv"))
    out = tmp_path / "veiled.mkv"
    assert main(["encode", str(source), str(out), "--encoder", str(run)]) == 0
    assert out.exists()
    assert "encoder" in capsys.readouterr().out


def test_a_data_set_is_indexed(
    plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("left", "right"):
        for take in (0, 1):
            with VideoSink(tmp_path / f"{action}-ann-{take}.mkv") as sink:
                for frame in toy_frames(action, 0, take):
                    sink.write(frame)
    out = tmp_path / "manifest.csv"
    assert main(["index", "flat", str(tmp_path), "--out", str(out)]) == 0
    found = Manifest.read(out)
    assert [(c.path, c.action, c.privacy["person"], c.split) for c in found.clips] == [
        ("left-ann-0.mkv", "left", "ann", "validation"),
        ("left-ann-1.mkv", "left", "ann", "train"),
        ("right-ann-0.mkv", "right", "ann", "validation"),
        ("right-ann-1.mkv", "right", "ann", "train"),
    ]
    with pytest.raises(SystemExit):
        main(["index", "--help"])
    assert "take 0 is for validation" in capsys.readouterr().out


def test_a_sink_takes_the_destinations_that_it_names(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, words = next(run.parent.rglob("*.mkv")), ["--encoder", str(run), "--enlarge", "1"]
    for name in ("veiled.npy", "veiled.mkv"):
        assert main(["encode", str(source), str(tmp_path / name), *words]) == 0
    veiled = np.load(tmp_path / "veiled.npy")
    np.testing.assert_array_equal(veiled, read_clip(tmp_path / "veiled.mkv"))
    with pytest.raises(MotionveilError, match="--codec h264 is for video files"):
        check_dest("veiled.npy", codec="h264")
    with pytest.raises(SystemExit):
        main(["encode", "--help"])
    assert re.search("out.npy +a numpy array", capsys.readouterr().out)


def test_names_and_help(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "sign" in methods.method_names()
    assert methods.choose("sign-untrained").label == "sign, untrained"
    with pytest.raises(SystemExit):
        main(["tradeoff", "--help"])
    assert "sign of the blurred difference" in capsys.readouterr().out
    assert EncoderSpec.untrained("sign:zone=0.4").settings.zone == 0.4


def test_a_package_that_fails_is_named(
    tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[motionveil.methods]\nbroken = nowhere:Method\n")
    monkeypatch.syspath_prepend(tmp_path)
    forget_plugins()
    with pytest.raises(MotionveilError, match=r"broken \(nowhere:Method\): No module"):
        methods.method_names()
    monkeypatch.undo()
    forget_plugins()


@pytest.mark.slow
def test_it_is_swept(run: Path, tmp_path: Path) -> None:
    """The sweep's processes find the method, the network and the attack by themselves."""
    (tmp_path / "suite.yaml").write_text(
        "- {name: bright, kind: brightness}\n- {name: whole, kind: recognise, temporal: true}\n"
    )
    words = [str(run), str(run.parent / "manifest.csv"), "--suite", str(tmp_path / "suite.yaml")]
    words += ["--recipe", str(run.parent / "tiny.yaml"), "--set", "action.name=pooled"]
    words += ["--device", "cpu"]
    grid = {"command": "audit", "arguments": words, "axes": {"--seed": ["3"]}}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    out = tmp_path / "sweep"
    assert main(["sweep", str(tmp_path / "grid.yaml"), "--out", str(out)]) == 0
    (file,) = out.glob("*/audit.json")
    audit = json.loads(file.read_text())
    assert {finding["kind"] for finding in audit["findings"]} == {"brightness", "recognise"}
    assert audit["recipe"]["action"]["name"] == "pooled"
