"""The report of a study."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from motionveil.published import load_publication
from motionveil.study.analysis import analyse
from motionveil.study.design import Key, Study
from motionveil.study.findings import StudyFindings
from motionveil.study.summary import write_results
from study.study_examples import (
    by_condition,
    correct_answers,
    invented_study,
    random_answers,
    simulated,
)


def found_by(study: Study, key: Key, kind: str = "simulated") -> StudyFindings:
    choose = by_condition(key, random_answers(study), correct_answers(key))
    people = [simulated(study, choose, number=n, kind=kind) for n in range(8)]
    people.append(simulated(study, random_answers(study), number=99, kind=kind))
    return analyse(study, key, people, draws=100)


@pytest.fixture(scope="module")
def findings() -> StudyFindings:
    return found_by(*invented_study(veiled=20, raw=8))


@pytest.fixture(scope="module")
def written(findings: StudyFindings, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_results(findings, tmp_path_factory.mktemp("out"), load_publication("paper"))


@pytest.fixture(scope="module")
def page(written: list[Path]) -> str:
    return written[-1].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def other_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of real participants, one person per clip, no original clips, names that are no names."""
    study, key = invented_study(persons=1, veiled=8, raw=0)
    evil = "<script>alert(1)</script>"
    study = study.model_copy(update={"title": evil, "label": evil})
    key = key.model_copy(update={"names": dict.fromkeys(key.names, evil)})
    out = tmp_path_factory.mktemp("other")
    *_, file = write_results(found_by(study, key, "real"), out, load_publication("paper"))
    return file.read_text(encoding="utf-8")


class TestPage:
    def test_needs_nothing_else_and_runs_nothing(self, page: str):
        addresses = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)", page)
        assert len(addresses) == 4
        assert all(address.startswith("data:image/svg+xml") for address in addresses)
        assert "<script" not in page
        assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page

    def test_says_the_figure_its_interval_and_chance(self, page: str, findings: StudyFindings):
        score = findings.conditions[0].scores[0]
        assert score.share.interval is not None
        low, high = (f"{100 * end:.1f}" for end in score.share.interval)
        assert f"<td>{100 * score.share.value:.1f} <small>({low} to {high})</small></td>" in page
        assert "<td>4.8</td>" in page

    def test_marks_the_published_figures_as_published(self, page: str):
        body = page[page.index('<tbody class="published">') :]
        body = body[: body.index("</tbody>")]
        assert "Published, not reproduced here" in body
        for figure in ("8.65", "4.76", "65.64", "52.38"):
            assert f"<td>{figure}</td>" in body

    def test_says_who_does_not_count_and_why(self, page: str):
        row = page[page.index('<th scope="row">p-0099</th><td class="wrap">') :]
        assert "failed 3 of 3 attention checks" in row[:200]

    def test_of_simulated_participants_says_so_first(self, page: str):
        assert page.index("Simulated participants:") < page.index("<h2>Summary</h2>")

    def test_of_real_participants_does_not(self, other_page: str):
        body = other_page[other_page.index("</head>") :]
        assert "imulated" not in body
        assert "9, real" in body

    def test_never_claims_protection_for_an_encoder_without_an_adversary(self, page: str):
        assert "The encoder was not trained against an adversary" in page

    def test_says_what_is_missing_without_a_control(self, other_page: str):
        assert "whether the task is feasible" in other_page
        assert "<td>14.3</td>" in other_page

    def test_is_made_when_nobody_counts(self, tmp_path: Path):
        study, key = invented_study(veiled=8, raw=4)
        people = [simulated(study, random_answers(study), number=n, seconds=0.1) for n in range(3)]
        found = analyse(study, key, people, draws=100)
        *_, file = write_results(found, tmp_path, load_publication("paper"))
        page = file.read_text(encoding="utf-8")
        assert "All participants are excluded by the criteria" in page
        assert "Results of everyone who consented" in page

    def test_escapes_what_it_did_not_write(self, other_page: str):
        assert "&lt;script&gt;alert(1)" in other_page
        assert "<script" not in other_page


class TestFiles:
    def test_are_all_there(self, written: list[Path]):
        names = {file.name for file in written}
        figures = {"conditions", "people", "participants", "session"}
        assert names == {
            "study-results.json", "scores.csv", "groups.csv", "study.html",
            *(f"{name}{suffix}" for name in figures for suffix in (".svg", ".png")),
        }  # fmt: skip
        assert all(file.stat().st_size for file in written)

    def test_tables_have_the_findings(self, written: list[Path], findings: StudyFindings):
        files = {file.name: file for file in written}
        with files["scores.csv"].open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 8  # counted and everybody, two conditions, two measures
        first = findings.conditions[0].scores[0]
        assert float(rows[0]["share"]) == first.share.value
        assert float(rows[0]["p"]) == first.p
        with files["groups.csv"].open() as file:
            by = {row["by"] for row in csv.DictReader(file)}
        assert by == {"person", "action", "participant"}
