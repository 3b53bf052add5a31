"""Rules of CONTRIBUTING.md that a program can check; the layers are those of its table."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import motionveil
from motionveil.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "motionveil"
FILES = sorted(PACKAGE.rglob("*.py"))
BASE = {
    "errors",
    "limits",
    "atomic_write",
    "job_store",
    "plugins",
    "bind_address",
    "numba_cache",
    "process_hardening",
    "processes",
    "secret",
    "_version",
}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def read_layers() -> dict[str, tuple[set[str], set[str]]]:
    """Return, for each package of the table, what it may import of ours and from outside."""
    rows = {}
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            ours = set(re.findall(r"`(\w+)`", cells[2]))
            rows[cells[0].strip("`")] = (ours, set(re.findall(r"\w+", cells[3])))
    return rows


LAYERS = read_layers()


def layer_of(file: Path) -> str:
    """Return the layer of a file: `faces` for `faces/detector.py`, `spec` for `spec.py`."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


class _Imports(ast.NodeVisitor):
    """Collects what a module imports, inside functions too, but not for the type checker only."""

    def __init__(self, package: str) -> None:
        self.package = package.split(".")
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.package[: len(self.package) + 1 - node.level] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        self.names.update(f"{module}.{alias.name}" for alias in node.names)


@functools.cache
def imported(file: Path) -> set[str]:
    """Return the dotted names that a file imports."""
    found = _Imports(".".join(["motionveil", *file.relative_to(PACKAGE).parts[:-1]]))
    found.visit(ast.parse(file.read_text(encoding="utf-8")))
    return found.names


def imports(file: Path) -> tuple[set[str], set[str]]:
    """Return the layers and the third-party packages that a file imports."""
    parts = [name.split(".") for name in imported(file)]
    ours = {words[1] for words in parts if words[0] == "motionveil"}
    tops = {words[0] for words in parts} - {"motionveil", *sys.stdlib_module_names}
    return ours, tops


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a file with the text of what is called, such as `np.load`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def by_path(files: list[Path]) -> pytest.MarkDecorator:
    names = [file.relative_to(PACKAGE).as_posix() for file in files]
    return pytest.mark.parametrize("file", files, ids=names)


WITHOUT_TORCH = {
    *("methods", "geometry", "spec", "results", "audit_results", "statistics", "actors", "video"),
    *("streaming", "recognition", "service", "export", "events", "faces", "report", "published"),
    *("study", "frames", "cli"),
}


class TestLayers:
    def test_the_table_has_every_layer_and_no_other(self):
        there = {layer_of(file) for file in FILES}
        assert set(LAYERS) == there - BASE - {"__init__", "__main__"}

    def test_a_layer_imports_only_from_those_above_it(self):
        above: set[str] = set()
        for layer, (ours, _) in LAYERS.items():
            assert ours <= above, layer
            above.add(layer)

    @by_path([file for file in FILES if layer_of(file) in LAYERS])
    def test_a_file_imports_what_its_layer_may(self, file: Path):
        layer = layer_of(file)
        ours, outside = imports(file)
        may, may_outside = LAYERS[layer]
        assert ours <= may | BASE | {layer}
        assert outside <= may_outside

    def test_no_row_allows_unused_imports(self):
        for layer, (may, may_outside) in LAYERS.items():
            used = [imports(file) for file in FILES if layer_of(file) == layer]
            assert may == set().union(*(ours for ours, _ in used)) - BASE - {layer}, layer
            assert may_outside == set().union(*(outside for _, outside in used)), layer

    def test_base_modules_import_no_layer(self):
        for file in FILES:
            if layer_of(file) in BASE:
                ours, outside = imports(file)
                assert ours <= BASE
                assert not outside

    def test_the_package_itself_imports_when_asked_only(self):
        assert imports(PACKAGE / "__init__.py") == ({"_version", "errors"}, set())

    def test_is_imported_without_torch(self):
        modules = [
            ".".join(["motionveil", *file.relative_to(PACKAGE).with_suffix("").parts])
            for file in FILES
            if layer_of(file) in WITHOUT_TORCH or "sweep" in file.parts
        ]
        code = (
            "import importlib, sys\n"
            f"for name in {modules}:\n"
            "    importlib.import_module(name)\n"
            "    if 'torch' in sys.modules: sys.exit(f'{name} imports torch')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_commands_run_without_torch(self):  # others of them beside what they do
        code = "from motionveil.cli import main; main(['index', 'folder', 'none']);"
        code += "main(['check', 'none.csv']); import sys; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestFiles:
    @by_path(FILES)
    def test_is_no_longer_than_400_lines(self, file: Path):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400

    @by_path(FILES)
    def test_says_what_it_is_for(self, file: Path):
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))

    def test_none_is_called_utils(self):
        assert not [file for file in ROOT.glob("*/**/*util*.py") if ".venv" not in file.parts]

    def test_every_folder_is_a_package(self):
        assert not [f.parent for f in FILES if not (f.parent / "__init__.py").exists()]


class TestNoPickle:
    @by_path(FILES)
    def test_imports_none(self, file: Path):
        assert not {name.split(".")[0] for name in imported(file)} & PICKLES

    @by_path(FILES)
    def test_reads_none(self, file: Path):
        for called, call in calls(file):
            assert called not in ("torch.hub.load_state_dict_from_url", "yaml.load")
            if called == "torch.load":  # published checkpoints are converted, tensors only
                assert file.name == "weights.py"
                only = [k.value for k in call.keywords if k.arg == "weights_only"]
                assert [ast.unparse(value) for value in only] == ["True"]
            if called in ("np.load", "numpy.load"):
                allowed = [k.value for k in call.keywords if k.arg == "allow_pickle"]
                assert [ast.unparse(value) for value in allowed] == ["False"]


class TestCommands:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_has_its_two_functions(self, name: str):
        module = import_module(f"motionveil.cli.{name}")
        assert callable(module.add_arguments)
        assert callable(module.run)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_its_help_ends_with_an_example(self, name: str, capsys: pytest.CaptureFixture[str]):
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        usage, _, example = capsys.readouterr().out.partition("example")
        assert usage
        assert f"motionveil {name} " in example


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.M)[1] == motionveil.__version__
    assert motionveil.__version__ in changes


def test_the_page_of_licences_names_what_the_extra_all_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = re.search(r"\[(.*)\]", extras["all"][0])[1].split(",")
    assert set(names) == set(extras) - {"all", "bench", "docs", "test"}
    wanted = [*project["dependencies"], *(text for name in names for text in extras[name])]
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").lower().replace("_", "-")
    for text in wanted:
        package = re.match(r"[\w.-]+", text)[0].lower().replace("_", "-")
        assert f"| [{package}](" in page or f"| {package} |" in page
