"""Encoders and recognisers on a hub: a stand-in on this machine, through huggingface_hub itself."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants, file_download

import motionveil
from hub_server import TOKEN, Hub, running_hub
from motionveil import MotionveilError, hub, load_encoder, load_recogniser, load_spec, push
from motionveil.cli import main
from motionveil.encoders import Unet, build_encoder
from motionveil.evaluation.plan_audit import anywhere
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.service import supervised
from motionveil.service.log import Log
from motionveil.service.read_config import read_config
from motionveil.spec import EncoderSpec
from motionveil.streaming import VeilOptions
from motionveil.streaming.folder import veil_folder
from motionveil.streaming.veil_video import describe_encoder
from report.audit_examples import audit
from report.report_examples import result, row

NAME = "someone/office"
SHIPPED = Path(motionveil.__file__).parent / "recognisers" / "actors"


@pytest.fixture
def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub, an empty cache, and a token in the environment."""
    with running_hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            server.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run: the encoder and recogniser of the package, a result and an audit of them."""
    folder = tmp_path / "run"
    shutil.copytree(SHIPPED, folder / "recogniser")
    spec = RecogniserSpec.read(SHIPPED / "recogniser.json").stream_spec()
    origin = spec.provenance | {"recipe": {"action": {"weights": "/home/someone/i3d.safetensors"}}}
    spec = spec.model_copy(update={"provenance": origin})
    spec.save(folder / "encoder.json")
    own = row("bdq", 6.0, action=0.9, identity=0.3).model_copy(update={"encoder": spec})
    result([row("raw"), own]).save(folder / "results.json")
    known, numbers = {"frame": 0.35, "clip": 0.5}, spec.model_dump(mode="json")
    audit(known, only=[*known], raw=False, searches=False, rebuilt=False, spec=numbers).save(folder)
    return folder


def test_what_is_pushed_is_loaded_with_its_commit_and_hashes(
    online: Hub, run_folder: Path, tmp_path: Path
) -> None:
    name = push(run_folder, NAME, license_id="apache-2.0", private=True)
    assert name == f"hf:{NAME}@{online.newest(NAME)}"
    there = online.commits[NAME][online.newest(NAME)]
    assert {*there} == {
        ".gitattributes",
        "README.md",
        "encoder.json",
        "recogniser/action.onnx",
        "recogniser/recogniser.json",
    }
    assert NAME in online.private
    assert b"/home/someone" not in b"".join(there.values())

    spec, local = load_spec(f"hf:{NAME}"), load_spec(run_folder)
    assert spec.fingerprint == local.fingerprint
    assert load_encoder(f"hf:{NAME}").spec == spec
    assert spec.provenance["hub"] == {
        "repository": NAME,
        "revision": online.newest(NAME),
        "sha256": {"encoder.json": hashlib.sha256(there["encoder.json"]).hexdigest()},
    }
    assert anywhere(f"hf:{NAME}") == name  # what other processes of an audit get

    recogniser = load_recogniser(name)
    origin = recogniser.spec.provenance["hub"]
    assert origin["revision"] == online.newest(NAME)
    assert origin["sha256"]["action.onnx"] == recogniser.spec.network.sha256
    images = np.zeros((recogniser.spec.frames, *[recogniser.spec.input.size] * 2, 3), np.uint8)
    assert np.array_equal(recogniser.logits(images), load_recogniser(SHIPPED).logits(images))

    assert describe_encoder(spec, VeilOptions()).endswith(f", {name}")
    assert recogniser.origin == recogniser.spec.encoder.origin == name
    spec.save(tmp_path / "encoder.json")
    claimed = load_spec(tmp_path / "encoder.json")
    assert claimed.origin == "", "what a file says of itself is no proof"
    assert spec.change(range=0.3).origin == ""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "no.mkv").write_bytes(b"no video")
    assert veil_folder(tmp_path / "in", tmp_path / "out", spec, VeilOptions()).failed
    record = json.loads((tmp_path / "out" / "motionveil.json").read_text("utf-8"))
    assert record["hub"] == spec.provenance["hub"]


def test_the_card_says_what_was_measured_and_no_more(online: Hub, run_folder: Path) -> None:
    push(run_folder, NAME, license_id="apache-2.0")
    text = online.commits[NAME][online.newest(NAME)]["README.md"].decode()
    card = huggingface_hub.ModelCard(text)
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag == "video-classification"
    measured = {found.metric_name: found.metric_value for found in card.data.eval_results}
    stored = motionveil.results.Result.read(run_folder).rows[1]  # the row of raw video is left out
    assert measured == {
        "action accuracy, by clip": round(stored.action.accuracy, 4),
        "identity accuracy, by frame": round(stored.privacy.frame.accuracy, 4),
        "identity accuracy, by clip": round(stored.privacy.clip.accuracy, 4),
    }
    low, high = stored.action.interval
    chance = stored.action.chance_level
    shares = f"{100 * stored.action.accuracy:.1f} | {100 * low:.1f} to {100 * high:.1f}"
    assert f"| action | by clip | {shares} | {100 * chance:.1f} | 192 | not measured |" in text
    assert "Strongest attacker on identity: not measured" in text
    found = motionveil.audit_results.Audit.read(run_folder)
    assert found.strongest is not None
    chosen = " and ".join(found.strongest.chosen)
    assert f"attack on identity: {chosen}, {found.strongest.accuracy.value:.1%} (95 %" in text
    assert "drawn people only" in text

    spec = EncoderSpec.untrained(range=0.25)
    bare = run_folder / "bare"
    spec.save(bare / "encoder.json")
    push(bare, "someone/bare")
    text = online.commits["someone/bare"][online.newest("someone/bare")]["README.md"].decode()
    assert text.count("not measured") == 3
    assert "not trained against an adversary" in text
    assert huggingface_hub.ModelCard(text).data.eval_results is None
    with pytest.raises(MotionveilError, match=r"results.json: no row of this encoder"):
        push(bare, "someone/bare", figures=[run_folder])


def test_weights_come_with_an_encoder_and_other_bytes_are_refused(
    online: Hub, tmp_path: Path
) -> None:
    folder = tmp_path / "unet"
    unet = build_encoder(EncoderSpec.untrained("unet"))
    assert isinstance(unet, Unet)
    unet.save(folder)
    spec = EncoderSpec.read(folder / "encoder.json")
    spec = spec.model_copy(update={"provenance": {"weights": "/home/someone/w"}})
    spec.save(folder / "encoder.json")
    own = row("bdq", 6.0, action=0.9, identity=0.3).model_copy(update={"encoder": spec})
    result([row("raw"), own]).save(folder / "results.json")
    push(folder, NAME)
    again = shutil.copytree(folder, tmp_path / "again")
    (again / "encoder.json").write_bytes(online.commits[NAME][online.newest(NAME)]["encoder.json"])
    (again / "results.json").unlink()
    push(again, NAME, figures=[folder])  # the pushed encoder is its own run's
    loaded = load_encoder(f"hf:{NAME}")
    assert {*loaded.spec.provenance["hub"]["sha256"]} == {"encoder.json", loaded.spec.weights}
    for key, tensor in unet.state_dict().items():
        assert tensor.equal(loaded.state_dict()[key])

    for damaged in ("encoder.json", loaded.spec.weights):
        data = bytearray(online.commits[NAME][online.newest(NAME)][damaged])
        data[-2] ^= 1
        shutil.rmtree(constants.HF_HUB_CACHE)
        online.sent = {damaged: bytes(data)}
        with pytest.raises(MotionveilError, match=f"{damaged} is damaged: its hash is"):
            load_encoder(f"hf:{NAME}")
    online.sent.clear()
    assert load_encoder(f"hf:{NAME}").spec == loaded.spec, "what was damaged is fetched again"


def test_a_name_stands_for_one_commit_while_a_process_runs(
    online: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = online.commit(NAME, {"encoder.json": _numbers(0.2), "a.json": b"1"})
    assert load_spec(f"hf:{NAME}").settings.range == 0.2
    online.commit(NAME, {"encoder.json": _numbers(0.3), "a.json": b"2"})
    assert load_spec(f"hf:{NAME}").settings.range == 0.2
    assert hub.fetch(f"hf:{NAME}", "a.json").path.read_bytes() == b"1", "of the same commit"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "other"))  # as another process
    assert load_spec(f"hf:{NAME}").settings.range == 0.3
    assert load_spec(f"hf:{NAME}@{first}").settings.range == 0.2


def test_every_start_of_a_camera_has_the_same_commit(
    online: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = online.commit(NAME, {"encoder.json": _numbers(0.2)})
    (tmp_path / "cameras.yaml").write_text(
        f"cameras: {{hall: {{source: test, encoder: 'hf:{NAME}'}}}}"
    )
    config = read_config(tmp_path / "cameras.yaml")
    started: Queue[Any] = Queue()

    def start(camera: Any, *_: Any) -> Any:
        online.commit(NAME, {"encoder.json": _numbers(0.3)})
        started.put(camera.encoder)
        raise MotionveilError("it ends at once")

    monkeypatch.setattr(supervised, "start_process", start)
    running = supervised.Supervised(
        config.cameras["hall"], tmp_path, Log(as_json=False, output=io.StringIO())
    )
    running.start()
    try:
        assert [started.get(timeout=60) for _ in range(2)] == [f"hf:{NAME}@{first}"] * 2
    finally:
        running.stop()
        running.join()


def test_files_are_checked_or_refused(
    online: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online.commit(NAME, {"encoder.json": _numbers(0.2)})
    online.unhashed.add("encoder.json")
    with pytest.raises(MotionveilError, match=r"encoder\.json: cannot be checked: .*'5f3a-62'"):
        load_spec(f"hf:{NAME}")
    online.unhashed.clear()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "files"))
    # A system without symbolic links.
    monkeypatch.setattr(file_download, "are_symlinks_supported", lambda *_: False)
    file = hub.fetch(f"hf:{NAME}", "encoder.json").path
    assert not file.is_symlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(online.requests)
    assert load_spec(f"hf:{NAME}").settings.range == 0.2, "by the hash that was kept"
    file.write_bytes(_numbers(0.4))
    with pytest.raises(MotionveilError, match="is damaged: its hash is"):
        load_spec(f"hf:{NAME}")
    file.write_bytes(_numbers(0.4))
    (kept,) = file.parents[2].rglob("*.hash")
    kept.unlink()
    with pytest.raises(MotionveilError, match=r"cannot be checked: .* load it once with a net"):
        load_spec(f"hf:{NAME}")
    assert len(online.requests) == asked


def test_no_message_has_the_token(
    online: Hub, run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}\n")
    assert push(run_folder, NAME, private=True)
    assert load_spec(f"hf:{NAME}")
    for inner in (f"{TOKEN}\nX: y", f"{TOKEN} {TOKEN}", f"{TOKEN}\u00e9"):
        monkeypatch.setenv("HF_TOKEN", inner)
        for command in (
            ["push", str(run_folder), NAME],
            ["encode", "no", "--encoder", f"hf:{NAME}@v1"],
        ):
            assert main(command) == 1
            said = "".join(capsys.readouterr())
            assert "HF_TOKEN: holds spaces" in said
            assert TOKEN not in said
    told = f"{TOKEN}\\"
    monkeypatch.setenv("HF_TOKEN", told)

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError(f"Illegal header value {f'Bearer {told}'.encode()}")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(MotionveilError, match="Illegal") as caught:
        load_spec(f"hf:{NAME}")
    assert TOKEN not in str(caught.value)


def test_what_cannot_be_had_is_named(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    online.commit(NAME, {"README.md": b"nothing"})
    online.commit("someone/hidden", {"encoder.json": _numbers(0.2)})
    online.private.add("someone/hidden")
    for name, fault in {
        f"hf:{NAME}": "no encoder.json in this repository",
        f"hf:{NAME}@v7": "no such revision",
        "hf:someone/none": "no such repository; if it is private, HF_TOKEN",
        "hf:office": "write hf:owner/name",
    }.items():
        with pytest.raises(MotionveilError, match=f"{name}: .*{fault}"):
            load_spec(name)
    with pytest.raises(MotionveilError, match=r"no recogniser\.json in this repository"):
        load_recogniser(f"hf:{NAME}")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(MotionveilError, match="if it is private"):
        load_spec("hf:someone/hidden")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert load_spec("hf:someone/hidden").settings.range == 0.2


def test_a_push_replaces_what_another_wrote_and_shows_nothing_private(
    online: Hub, run_folder: Path, tmp_path: Path
) -> None:
    push(run_folder, NAME)
    online.commit(NAME, {"notes.md": b"of its owner"})
    shutil.rmtree(run_folder / "recogniser")
    push(run_folder, NAME)
    there = online.commits[NAME][online.newest(NAME)]
    assert {*there} == {".gitattributes", "README.md", "encoder.json", "notes.md"}
    assert {len(each) for each in online.commits[NAME].values()} == {1, 4, 5, 6}, "one commit each"
    with pytest.raises(MotionveilError, match="is there already and is public, nothing was"):
        push(run_folder, NAME, private=True)
    assert len(online.commits[NAME]) == 4


def test_what_is_published_names_no_places_and_is_no_markup(online: Hub, run_folder: Path) -> None:
    spec = EncoderSpec.read(run_folder / "encoder.json")
    told = {
        "data": "![p](http://evil/p.png) <b> *a* _b_ `c`\n# d",
        "command": "motionveil train '/home/alice/my data' --data=/home/alice/x --out ~/alice/y"
        " rtsp://alice:pw@cam/1 ../../alice/foo NAME=/home/alice/z",
        "note": ["file:///home/alice/w", "C:\\Users\\alice", "/home/alice b/v.npz", "~alice"],
    }
    run_folder.joinpath("encoder.json").unlink()
    spec = spec.model_copy(update={"provenance": {**spec.provenance, **told}})
    spec.save(run_folder / "encoder.json")
    stored = motionveil.results.Result.read(run_folder)
    data = stored.dataset.model_copy(update={"name": "\U0001f600 \u2028 <i> | data"})
    stored.model_copy(update={"dataset": data, "command": told["command"] + " <b> `c`"}).save(
        run_folder / "results.json"
    )
    push(run_folder, NAME)
    there = online.commits[NAME][online.newest(NAME)]
    for name in ("encoder.json", "README.md"):
        assert not re.search(rb"alice|pw@|/cam", there[name]), name
    pushed = EncoderSpec.model_validate_json(there["encoder.json"])
    command = "motionveil train 'my data' --data=x --out y rtsp://... foo NAME=z"
    assert pushed.provenance["command"] == command
    assert pushed.provenance["note"] == ["file:w", "...", "v.npz", "..."]
    text = there["README.md"].decode()
    assert f"`{command} <b> 'c'`" in text, "a code span shows what it has"
    row = r"\!\[p\]\(http://... &lt;b&gt; \*a\* \_b\_ \`c\`\\n# d"
    assert f"| Training: data | {row} |" in text
    card = huggingface_hub.ModelCard(text)
    assert card.data.eval_results[0].dataset_name == data.name


def test_push_needs_a_token_that_may(
    online: Hub, run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    command = ["push", str(run_folder), NAME]
    assert main([*command, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "recogniser/action.onnx: 741,777 bytes" in said
    assert "library_name: " in said
    assert not online.requests
    assert main(["push", str(run_folder), "office", "--dry-run"]) == 1
    assert "office: write owner/name" in capsys.readouterr().err
    monkeypatch.delenv("HF_TOKEN")
    assert main(command) == 1
    assert "HF_TOKEN: not set" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert main(command) == 1
    said = "".join(capsys.readouterr())
    assert "refused (401)" in said
    assert "hf_another" not in said
    assert not online.commits
    (run_folder / "recogniser" / "action.onnx").write_bytes(b"other")
    with pytest.raises(MotionveilError, match="not the one whose SHA-256"):
        push(run_folder, NAME)


@pytest.mark.slow
def test_by_the_environment_alone(run_folder: Path, tmp_path: Path) -> None:
    """As a user does it: other processes, the variables of huggingface_hub, then no network."""

    def ask(*words: str, **more: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, *words],
            env=os.environ | more,
            capture_output=True,
            text=True,
            check=False,
        )
        assert TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    home = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    load = ("-c", "import sys, motionveil; print(motionveil.load_spec(sys.argv[1]).origin)")
    with running_hub() as server:
        there = {"HF_ENDPOINT": server.address, "HF_TOKEN": TOKEN, **home}
        code, said = ask("-m", "motionveil", "push", str(run_folder), NAME, **there)
        pinned = f"hf:{NAME}@{server.newest(NAME)}"
        assert code == 0, said
        assert f"wrote {pinned}\n" in said
        assert pinned in ask(*load, f"hf:{NAME}", **there)[1]
    offline = {"HF_HUB_OFFLINE": "1", **home}
    assert pinned in ask(*load, f"hf:{NAME}", **offline)[1]
    code, said = ask(*load, "hf:someone/else", **offline)
    assert code == 1
    assert "not in the cache" in said
    assert "HF_HUB_OFFLINE is set" in said


def test_a_bare_install_says_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MotionveilError, match=r"pip install 'motionveil\[hub\]'"):
        load_spec(f"hf:{NAME}")


def _numbers(reach: float) -> bytes:
    return EncoderSpec.untrained(range=reach).model_dump_json(exclude_none=True).encode()
