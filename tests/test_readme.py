"""What the README and the documentation tell a reader to type, typed."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from motionveil.cli import COMMANDS, main
from motionveil.datasets.actors import make_actors
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec
from published.sbu_examples import sbu_result, sbu_row
from report.report_examples import quickstart as invented_quickstart
from threads import GIVEN

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *ROOT.glob("[A-Z]*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
PAGES = sorted(set(PAGES))


TUTORIALS = [
    ROOT / "docs" / place
    for place in re.findall(r"tutorials/\S+", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
]
FOLLOWED = [*sorted(TUTORIALS, key=lambda page: page.stem != "train-on-your-own-videos"), README]
"""Pages that a reader follows to the letter; the one that makes the data comes first."""

DRAWN = "PEOPLE, TAKES = 5, 4"
"""How much the tutorial draws; here it is less."""


SHORTER = ["--set", "adversarial.epochs=2", "--set", "validation.epochs=4"]
"""What is added to commands that train: the pages train for longer."""

TRAINING = {"train", "validate", "tradeoff", "ablate", "audit"}


class Step(NamedTuple):
    """What a page tells a reader to do, and what is said to be printed.

    `kind` is "type" (words), "save" (name, text) or "run" (code).
    """

    kind: str
    words: list[str]
    said: list[str]


def fenced(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of each of a page's fenced blocks."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def blocks(page: Path, *languages: str) -> list[str]:
    """Return a page's fenced blocks in these languages."""
    return [text for language, text in fenced(page) if language in languages]


FILE = re.compile(r"# ([\w.]+\.(?:py|toml|yaml))\n")
"""The first line of a block that a reader saves under this name."""


def steps(page: Path) -> list[Step]:
    """Return what a page tells a reader to do, in its order."""
    found: list[Step] = []
    for language, text in fenced(page):
        name = FILE.match(text)
        if name:
            found.append(Step("save", [name[1], text], []))
        elif language == "python":
            found.append(Step("run", [text], []))
        elif language == "console":
            for line in text.splitlines():
                if line.startswith("$ "):
                    found.append(Step("type", shlex.split(line[2:]), []))
                else:
                    found[-1].said.append(line)
    return found


def as_typed(words: list[str]) -> str:
    """Return the command line for a shell, with its pipes and files, and with fewer epochs."""
    if words[0] == "motionveil" and words[1] in TRAINING:
        words = [*words[:2], *SHORTER, *words[2:]]
    return " ".join(word if word in ("|", ">") else shlex.quote(word) for word in words)


def needs_ut_interaction(words: list[str]) -> bool:
    return any(word.startswith("ut") for word in words)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a reader in whose folder lies an installed package."""
    paths = [str(folder), *filter(None, [GIVEN.get("PYTHONPATH")])]
    programs = str(Path(sys.executable).parent)
    return {
        **GIVEN,
        "PATH": os.pathsep.join([programs, GIVEN["PATH"]]),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def install(folder: Path, project: str) -> None:
    """Do what pip would do with the project, but for a network."""
    told = tomllib.loads(project)["project"]
    info = folder / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {told['name']}\nVersion: {told['version']}\n"
    )
    lines = []
    for group, points in told["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def follow(folder: Path, step: Step) -> None:
    """Do what a page says."""
    if step.kind == "type":
        type_in(folder, step.words, step.said)
    elif step.kind == "run":
        command = [sys.executable, "-c", *step.words]
        subprocess.run(command, cwd=folder, env=environment(folder), check=True)
    else:
        name, text = step.words
        if name == "draw.py":
            assert text.count(DRAWN) == 1
            text = text.replace(DRAWN, "PEOPLE, TAKES = 2, 2")
        (folder / name).write_text(text)
        if name == "pyproject.toml":
            install(folder, text)


def type_in(folder: Path, words: list[str], said: list[str]) -> None:
    """Run a command as a reader would, and hold what it prints it wrote against what is said."""
    programs = str(Path(sys.executable).parent)
    assert shutil.which(words[0], path=programs) is not None, words[0]
    done = subprocess.run(
        as_typed(words),
        shell=True,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    for line in said:
        if line.startswith("wrote "):
            assert line in printed
            assert (folder / line.split()[1]).exists()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it is after the quickstart, but small: two people, an untrained encoder.

    The result on SBU beside it is invented, since the data are not here; the README shows no figure
    of it.
    """
    folder = tmp_path_factory.mktemp("reader")
    left = folder / "quickstart"
    made = make_actors(left / "actors", people=2, train_sessions=2, validation_sessions=1)
    actors = made.root.rename(left / "actors" / "seed0")
    shutil.copy(actors / "person00" / "session02.mkv", actors / "person00" / "session10.mkv")
    geometry = Geometry(size=64, rate=15)
    EncoderSpec.untrained(range=0.2, geometry=geometry).save(left / "encoder.json")
    invented_quickstart().save(left / "results.json")
    sbu_result(sbu_row("bdq", 2.0)).save(folder / "runs" / "sbu" / "results.json")
    return folder


@pytest.fixture(scope="module")
def dev() -> ModuleType:
    return load_dev(ROOT)


def load_dev(folder: Path) -> ModuleType:
    """Import the `dev.py` of a checkout."""
    spec = importlib.util.spec_from_file_location("dev", folder / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestSetUp:
    def test_is_two_commands(self, dev: ModuleType):
        lines = blocks(README, "sh")[0].splitlines()
        assert lines == ["python3 dev.py quickstart", "python3 dev.py test"]
        assert dev.COMMANDS["quickstart"] == ["motionveil quickstart"]
        assert dev.COMMANDS["test"] == ["pytest -n auto --dist loadfile --no-loadscope-reorder"]

    def test_ci_runs_all_tests_by_the_same_command(self):
        lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        assert lines[-1] == 'python3 dev.py test "${tests[@]}"'
        assert '    tests=(-m "")' in lines

    def test_says_what_there_is(self):
        done = subprocess.run(
            [sys.executable, "dev.py", "frobnicate"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "python3 dev.py quickstart" in done.stdout

    def test_refuses_an_old_python(self, dev: ModuleType, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(sys, "version_info", (3, 9, 18))
        with pytest.raises(SystemExit, match=r"3\.11 or later"):
            dev.refuse_unfit_python()

    def test_says_how_to_get_venv(self, dev: ModuleType, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(SystemExit, match="apt install python3-venv"):
            dev.refuse_unfit_python()

    def test_installs_again_when_the_project_changed(self, tmp_path: Path):
        copy = self._installed_copy(tmp_path)
        assert copy.is_installed()
        (tmp_path / "pyproject.toml").write_text("[project]\nname = 'other'\n")
        assert not copy.is_installed()

    def test_passes_arguments_and_the_status_on(self, tmp_path: Path):
        self._installed_copy(tmp_path)
        (tmp_path / "pytest.py").write_text("import sys; print(sys.argv[1:]); sys.exit(3)")
        done = subprocess.run(
            [sys.executable, str(tmp_path / "dev.py"), "test", "-m", "", "tests/test_spec.py"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3
        assert done.stdout.splitlines()[-1].endswith("'-m', '', 'tests/test_spec.py']")

    def _installed_copy(self, folder: Path) -> Any:
        """Return the `dev` of a checkout whose environment stands, empty."""
        shutil.copy(ROOT / "dev.py", folder)
        (folder / "pyproject.toml").write_text("[project]\nname = 'one'\n")
        (folder / "constraints.txt").touch()
        copy = load_dev(folder)
        assert not copy.is_installed()
        command = [sys.executable, "-m", "venv", "--without-pip", str(copy.ENVIRONMENT)]
        subprocess.run(command, check=True)
        copy.stamp_file().write_text(copy.wanted(), encoding="utf-8")
        return copy


class TestExamples:
    @pytest.fixture(scope="class")
    def followed(self) -> list[list[str]]:
        """What was done on an earlier page, and is not done again."""
        return []

    def test_show_every_command(self):
        elsewhere = {"quickstart", "doctor", "completion"}  # the last two: docs/installation.md
        typed = [step.words for page in FOLLOWED for step in steps(page) if step.kind == "type"]
        names = {words[1] for words in typed if words[0] == "motionveil"}
        assert names | elsewhere == set(COMMANDS)

    @pytest.mark.slow
    def test_those_on_ut_interaction_run_in_order(
        self, tmp_path: Path, ut_interaction: Path, pretrained: Path
    ):
        (tmp_path / "ut-interaction").symlink_to(ut_interaction)
        (tmp_path / "yunet_n_640.onnx").symlink_to(pretrained / "yunet_n_640.onnx")
        for page in FOLLOWED:
            for step in steps(page):
                if step.kind == "type" and needs_ut_interaction(step.words):
                    follow(tmp_path, step)

    @pytest.mark.slow
    @pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
    def test_all_run_in_order(self, page: Path, reader: Path, followed: list[list[str]]):
        for step in steps(page):
            if step.words not in followed and not needs_ut_interaction(step.words):
                follow(reader, step)
                followed.append(step.words)


class TestPages:
    @pytest.mark.parametrize("page", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES])
    def test_links_lead_somewhere(self, page: Path):
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        targets = re.findall(r"\]\(([^)#]+)", text)
        missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
        assert not missing

    @pytest.mark.parametrize("page", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES])
    def test_commands_and_options_exist(self, page: Path, capsys: pytest.CaptureFixture[str]):
        text = "\n".join(blocks(page, "", "sh", "console")).replace("\\\n", " ")
        for line in re.findall(r"^(?:\$ )?(motionveil .*)$", text, re.M):
            _, command, *rest = shlex.split(line, comments=True)
            with pytest.raises(SystemExit, match="0"):
                main([command, "--help"])
            known = capsys.readouterr().out
            for option in (word for word in rest if word.startswith("-")):
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known), line
