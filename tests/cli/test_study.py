"""`motionveil study create` and `study analyse`: from a manifest to figures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from motionveil.cli import main
from motionveil.datasets.actors import make_actors
from motionveil.datasets.manifest import Manifest
from motionveil.spec import load_spec
from motionveil.study.design import read_key, read_study
from motionveil.study.findings import StudyFindings
from motionveil.study.store import Store


@dataclass(frozen=True)
class CreatedStudy:
    """A study made by the command, and what it printed."""

    manifest: Path
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> CreatedStudy:
    root = tmp_path_factory.mktemp("study")
    actors = make_actors(root / "actors", people=3, train_sessions=1, validation_sessions=1)
    manifest = actors.root / "manifest.csv"
    command = ["create", str(manifest), "--questions", "3", "--raw", "2", "--options", "3"]
    command += ["--checks", "1", "--fastest", "0", "--out", str(root / "mystudy")]
    code = "import sys; from motionveil.cli import main; status = main(sys.argv[1:])"
    code += "; sys.exit(9 if 'torch' in sys.modules else status)"
    done = subprocess.run(
        [sys.executable, "-c", code, "study", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr  # 9: it has loaded torch
    return CreatedStudy(manifest, root / "mystudy", done.stdout)


class TestCreate:
    def test_says_what_there_is_and_where(self, created: CreatedStudy):
        study = read_study(created.folder)
        assert "questions: 5 (3 veiled, 2 raw); attention checks: 1;" in created.printed
        assert "worked examples: 1; selection: 1 of 3" in created.printed
        for person in study.people:
            assert (person.picture in created.printed) == (not person.marked)
        assert created.printed.splitlines()[-1] == f"wrote {created.folder}"

    def test_says_that_images_are_personal_data(self, created: CreatedStudy):
        assert (
            f"personal data: {created.folder / 'pictures'} and {created.folder / 'media'};"
            in created.printed
        )

    def test_remembers_its_command(self, created: CreatedStudy):
        study = read_study(created.folder)
        assert study.command.startswith("motionveil ")
        assert study.dataset.hash == Manifest.read(created.manifest).hash
        assert study.exclusions.seconds == 0

    def test_says_where_the_encoder_was_made_to_hide_nobody(
        self, created: CreatedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        spec = load_spec("bdq")
        for alpha in (6.0, 0.0):
            provenance = spec.provenance | {"alpha": alpha}
            spec.model_copy(update={"provenance": provenance}).save(tmp_path / "encoder.json")
            command = ["study", "create", str(created.manifest), "--raw", "0"]
            command += ["--encoder", str(tmp_path / "encoder.json"), "--questions", "1"]
            command += ["--options", "2", "--out", str(tmp_path / f"study{alpha}")]
            assert main(command) == 0
            warned = "it was not made to hide anybody" in capsys.readouterr().err
            assert warned == (alpha == 0)

    def test_refuses_what_does_not_fit(
        self, created: CreatedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        command = ["study", "create", str(created.manifest), "--out", str(tmp_path / "study")]
        assert main([*command, "--options", "7"]) == 1
        assert "--options 7: there are 3 people" in capsys.readouterr().err
        assert not (tmp_path / "study").exists()


class TestAnalyse:
    def test_turns_answers_into_figures(
        self, created: CreatedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        self.take_part(created.folder, people=4)
        out = tmp_path / "results"
        command = ["study", "analyse", str(created.folder), "--out", str(out), "--draws", "100"]
        assert main(command) == 0
        printed = capsys.readouterr().out
        assert "note: Simulated participants" in printed
        row = next(line.split() for line in printed.splitlines() if line.startswith("veiled"))
        assert row[:7] == ["veiled", "right", "12", "(4", "×", "3)", "100.0"]
        assert row[10] == "33.3", "the chance level"
        for line in printed.splitlines():
            assert not line.startswith("wrote ") or Path(line.split()[1]).exists()
        found = StudyFindings.read(out / "study-results.json")
        assert [c.scores[0].share.value for c in found.conditions] == [1, 1]
        assert found.conditions[0].scores[0].chance == pytest.approx(1 / 3)

    def take_part(self, folder: Path, *, people: int) -> None:
        """Have simulated people answer everything, through the store, as they know it."""
        study = read_study(folder)
        key = read_key(folder, study)
        with Store(folder, study) as store:
            for _ in range(people):
                token = store.enrol("simulated").result()
                store.consent(token).result()
                for position in range(len(study.questions)):
                    store.show(token, position).result()
                    asked = store.asked(token, position)
                    persons = key.questions[asked.question].persons
                    assert store.answer(token, asked.question, persons).result() == "kept"

    def test_before_anybody_took_part(
        self, created: CreatedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        for name in ("study.json", "answers.json"):
            (fresh / name).write_bytes((created.folder / name).read_bytes())
        assert main(["study", "analyse", str(fresh)]) == 1
        assert "study.db: no such file" in capsys.readouterr().err

    def test_of_answers_of_another_study(
        self, created: CreatedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        (tmp_path / "study.json").write_bytes((created.folder / "study.json").read_bytes())
        values = json.loads((created.folder / "answers.json").read_text())
        values["questions"].popitem()
        (tmp_path / "answers.json").write_text(json.dumps(values))
        assert main(["study", "analyse", str(tmp_path)]) == 1
        assert "answers.json: its questions are not those of study.json" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["create", "analyse"])
def test_help_of_each_step_ends_with_an_example(step: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main(["study", step, "--help"])
    assert f"motionveil study {step} " in capsys.readouterr().out.partition("example")[2]


@pytest.mark.parametrize("option", ["--fastest", "--around"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "x"])
def test_a_number_that_is_none_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit, match="2"):
        main(["study", "create", "none.csv", f"{option}={value}"])
    assert option in capsys.readouterr().err
