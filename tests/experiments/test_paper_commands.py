"""The commands for the paper's figure 3, as the documentation has them, on small data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from motionveil.cli import main
from motionveil.datasets.loaders.kth import LIST, read_list
from motionveil.experiments.train_methods import read_choices
from motionveil.networks import create_action_network, create_privacy_network
from motionveil.published import load_publication
from motionveil.results import Result
from motionveil.training.recipe import load_recipe
from tiny import write_toys
from videos import moving_square, write_pictures, write_video

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
NAMES = ("sbu", "kth", "ipn")

SMALL = {
    "action.name": "squeezenet_3d",
    "privacy.name": "mobilenet_v3_small",
    "size": 32,
    "cache_size": 32,
    "frames": 4,
    "adversarial.epochs": 1,
    "validation.epochs": 1,
    "methods.unet.widths": "[4, 8, 12]",
    "methods.unet.blocks": 1,
    "methods.unet.adversaries": 1,
}


def block_of(name: str) -> list[list[str]]:
    """Return the documentation's commands of figure 3 for a data set, as words."""
    return commands_of("## Figure 3", f"index {name} ")


def commands_of(heading: str, holds: str) -> list[list[str]]:
    """Return the commands of the block below a heading that holds a text, as words."""
    text = PAGE.read_text(encoding="utf-8").partition(heading)[2]
    (block,) = (b for b in re.findall(r"```sh\n(.*?)```", text, re.S) if holds in b)
    return [shlex.split(line)[1:] for line in block.replace("\\\n", " ").splitlines()]


def write_sbu(root: Path) -> None:
    """Two pairs, two interactions, in both parts of the authors' split; shorter than published."""
    for name in ("s01s02/01/001", "s01s02/01/002", "s01s03/01/001", "s01s03/01/002"):
        write_pictures(root / name, moving_square(10), "rgb_{:06d}.png")
    for name in ("s01s02/02/001", "s01s02/02/002", "s01s03/02/001", "s01s03/02/002"):
        write_pictures(root / name, 255 - moving_square(10), "rgb_{:06d}.png")


def write_kth(root: Path) -> None:
    """Two people and two actions, four sequences a video."""
    root.mkdir()
    rows = [
        f"{person}_{action}_d1\t\tframes\t1-4, 5-8, 9-12, 13-16"
        for person in ("person01", "person02")
        for action in ("boxing", "walking")
    ]
    (root / LIST).write_text("\n".join(rows) + "\n")
    for sequence in read_list(root / LIST):
        (root / sequence.video).parent.mkdir(exist_ok=True)
        write_video(root / sequence.video, moving_square(16))


def write_ipn(root: Path) -> None:
    """A man and a woman in each part, two gestures each."""
    (root / "annotations").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, people in (("Train", ("1CM1_1", "2CM1_2")), ("Test", ("3CM1_3", "4CM1_4"))):
        lists, about = (
            ["video,label,id,t_start,t_end,frames"],
            ["video,frames,label,Hand,Background"],
        )
        for person, gender in zip(people, "MW", strict=True):
            video = f"{person}_R_#{rng.integers(100)}"
            lists += [f"{video},B0A,2,1,5,5", f"{video},G11,14,6,10,5"]
            about.append(f"{video},10,{gender},Right,Plain")
            write_pictures(root / "frames" / video, moving_square(10), video + "_{:06d}.jpg")
        (root / f"annotations/Annot_{part}List.txt").write_text("\n".join(lists) + "\n")
        (root / f"annotations/metadata_{part.lower()}.csv").write_text("\n".join(about) + "\n")


DATA: dict[str, Callable[[Path], None]] = {"sbu": write_sbu, "kth": write_kth, "ipn": write_ipn}


@pytest.mark.parametrize("name", NAMES)
def test_the_command_names_all_of_the_figure(name: str) -> None:
    _, tradeoff, _ = block_of(name)
    recipe = load_recipe(name)
    methods = tradeoff[tradeoff.index("--methods") + 1 : tradeoff.index("--action-weights")]
    named = {(c.name, c.alpha) for c in read_choices(methods, recipe, None)}
    published = next(d for d in load_publication("paper").datasets if d.name == name)
    assert {("bdq", recipe.alpha), ("unet", recipe.alpha)} <= named
    assert {row.method for row in published.rows} <= {method for method, _ in named}
    assert len(named) == 9


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_lines_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    DATA[name](tmp_path / name.upper())
    # As published: Köpüklü's checkpoint, to be converted, and timm's safetensors.
    torch.manual_seed(0)
    state = create_action_network("squeezenet_3d", 600).network.state_dict()
    file = "kinetics_squeezenet_RGB_16_best.pth"
    torch.save({"epoch": 9, "state_dict": {f"module.{k}": v for k, v in state.items()}}, file)
    assert main(["weights", ".", "--convert", f"squeezenet_3d={file}"]) == 0
    Path("squeezenet_3d.safetensors").rename("resnet50_3d.safetensors")
    frames = create_privacy_network("mobilenet_v3_small", 1000).network
    save_file(frames.state_dict(), "resnet50.safetensors")
    index, tradeoff, verify = block_of(name)
    assert main(index) == 0
    small = [word for k, v in SMALL.items() for word in ("--set", f"{k}={v}")]
    assert main([*tradeoff, *small, "--device", "cpu", "--workers", "1"]) == 0
    result = Result.read(Path("runs") / name)
    made = [row.method for row in result.rows]
    assert made == ["raw", "bdq", "unet", "ryoo-16", "ryoo-8", "ryoo-4", "ryoo-2", "ryoo-1"]
    capsys.readouterr()
    assert main(verify) == 0
    said = capsys.readouterr().out
    assert f"bdq, alpha {load_recipe(name).alpha:g}" in said
    departures = said.partition("not the published experiment:")[2]
    assert re.search(
        r"^action\.weights +resnet50_3d\.safetensors, .*Kinetics-600.* Kinetics-400",
        departures,
        re.M,
    )
    assert "of unknown source" in departures  # of the privacy network, which was not converted


@pytest.mark.slow
def test_the_lines_of_figure_7_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_toys(tmp_path / "sbu", people=4)
    # Networks of these names, from scratch: their published weights are not the figure's matter.
    names = {"--action-weights", "--privacy-weights"}
    *lines, report = commands_of("## Figure 7", "--show-raw")
    for line in lines:
        pairs = zip(["", *line], line, strict=False)
        words = [word for before, word in pairs if word not in names and before not in names]
        small = SMALL | {"action.weights": "null", "privacy.weights": "null", "validation.batch": 4}
        sets = [word for k, v in small.items() for word in ("--set", f"{k}={v}")]
        assert main([*words, *sets, "--device", "cpu", "--workers", "1"]) == 0
    assert main(report) == 0
    page = Path("figure-7.html").read_text(encoding="utf-8")
    heads = re.findall(r'<th scope="col">([^<]*)</th>', page.partition('table class="rebuilt')[2])
    assert [head.rpartition("/")[2] for head in heads[:7]] == [
        "Clip of", "original", "bdq-untrained", "bdq", "flow", "moments", "mean frame"
    ]  # fmt: skip
