"""The strongest attacker on pages, beside the figure by frame; invented results."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from report_examples import quickstart_rows, result, row

from motionveil.cli.console import print_rows
from motionveil.report import write_report, write_tradeoff
from motionveil.report.aggregate import StoredResult, by_frame, comparable, pool
from motionveil.report.pareto import analyse, resample
from motionveil.report.tradeoff_figure import tradeoff
from motionveil.results import Accuracy, Attacker, Result, Row, Training

NAMES = ("per frame", "frames averaged", "whole clip", "transformer", "re-identification")


def attacked(one: Row, shares: tuple[float, ...], seed: int = 0) -> Row:
    """Add attackers that are right on about these shares of the clips."""
    rng = np.random.default_rng([seed, len(one.predictions)])
    labels = [p.privacy for p in one.predictions]
    for name, share in zip(NAMES, shares, strict=True):
        right = (rng.random(len(labels)) < share).astype(float).tolist()
        runs = [Training(epochs=23, accuracy=0.97, rate=0.003, tried={0.003: 0.5, 0.001: 0.4})]
        if name == "re-identification":
            runs.append(Training(epochs=31, accuracy=0.91, rate=0.001))
        accuracy = Accuracy.of(right, labels)
        one.attackers.append(
            Attacker(name=name, accuracy=accuracy, right=list(right), trainings=runs)
        )
    return one


def rows(seed: int = 0) -> list[Row]:
    found = quickstart_rows(seed=seed)
    for place, one in enumerate(found):
        attacked(one, (0.2, 0.3, 0.9 - 0.1 * place, 0.5, 0.25), seed=10 * seed + place)
    return found


def page_of(stored: Result, folder: Path) -> str:
    page, _, _ = write_tradeoff([StoredResult(stored, folder)], folder)
    return page.read_text(encoding="utf-8")


def table_under(page: str, title: str) -> list[list[str]]:
    """Return the cells of the first table after a heading."""
    after = page[page.index(title) :]
    table = after[after.index("<tbody>") : after.index("</tbody>")]
    lines = re.findall(r"<tr>(.*?)</tr>", table, re.S)
    return [
        [
            re.sub(r"<[^>]+>", "", cell).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S)
        ]
        for line in lines
    ]


def test_the_strongest_is_the_maximum_of_all(tmp_path: Path) -> None:
    stored = result(rows(), kind="tradeoff")
    table = table_under(page_of(stored, tmp_path), "<h2>Attackers</h2>")
    assert len(table) == 4
    for cells, one in zip(table, stored.rows, strict=True):
        by_name = {a.name: 100 * np.mean([float(s or 0) for s in a.right]) for a in one.attackers}
        figures = [by_name[name] for name in NAMES[1:]]
        assert cells[2] == f"{100 * one.privacy.frame.accuracy:.1f}"
        assert cells[3:7] == [f"{figure:.1f}" for figure in figures]
        published = [100 * a.accuracy for a in (one.privacy.frame, one.privacy.clip)]
        assert cells[7].startswith(f"{max(*by_name.values(), *published):.1f}")


def test_how_each_attacker_was_trained_is_shown(tmp_path: Path) -> None:
    page = page_of(result(rows(), kind="tradeoff"), tmp_path)
    lines = table_under(page, "<summary>Attackers (20)</summary>")
    assert len(lines) == 20
    assert lines[0][1] == "per frame"
    assert lines[0][6:] == ["97.0", "23", "0.003"]
    assert lines[4][1] == "re-identification"
    assert lines[4][6:] == ["94.0", "23, 31", "0.003, 0.001"]


def test_rows_of_before_show_a_dash_and_are_compared_by_frame(tmp_path: Path) -> None:
    old = row("blur-4", n=192)
    stored = result([*rows(), old], kind="tradeoff")
    table = table_under(page_of(stored, tmp_path), "<h2>Attackers</h2>")
    assert table[-1][3:8] == ["–"] * 5
    methods = comparable(pool([stored]))
    assert all(m.privacy == m.frame for m in methods)
    assert "accuracy, by frame, %" in tradeoff(methods, "identity").axes[0].get_xlabel()


def test_results_without_attackers_are_read(tmp_path: Path) -> None:
    stored = result(quickstart_rows(), kind="tradeoff")
    text = re.sub(r'\n\s*"attackers": \[\],', "", stored.save(tmp_path / "r.json").read_text())
    assert "attackers" not in text
    (tmp_path / "r.json").write_text(text)
    assert Result.read(tmp_path / "r.json") == stored
    assert "<h2>Attackers</h2>" not in page_of(stored, tmp_path)


def test_the_figure_shows_the_strongest_and_another_the_paper_s(tmp_path: Path) -> None:
    stored = result(rows(), kind="tradeoff")
    methods = pool([stored])
    for shown, label in ((methods, "strongest attacker"), (by_frame(methods), "by frame")):
        axes = tradeoff(shown, "identity").axes[0]
        assert label in axes.get_xlabel()
        marks = {float(box.get_xdata()[0]) for box in axes.lines if len(box.get_xdata()) == 1}
        for method in shown:
            assert any(m == pytest.approx(100 * method.privacy.accuracy) for m in marks)
    page = page_of(stored, tmp_path)
    assert page.count('class="wide tradeoff"') == 2


def test_seeds_are_pooled_clip_by_clip() -> None:
    both = [result(rows(seed=seed)) for seed in (0, 1)]
    method = pool(both)[0]
    clip = next(a for a in method.attackers if a.name == "whole clip")
    scores = [[float(s or 0) for s in r.rows[0].attackers[2].right] for r in both]
    assert clip.accuracy.accuracy == pytest.approx(np.mean(scores))
    assert clip.accuracy.n == 192
    assert clip.scores == pytest.approx(np.mean(scores, axis=0))


def test_the_bootstrap_and_the_front_go_by_the_strongest() -> None:
    methods = comparable(pool([result(rows())]))
    strongest = [m.strongest.accuracy.accuracy for m in methods if m.strongest]
    assert resample(methods, draws=10).observed_privacy == pytest.approx(strongest)
    assert analyse(methods).front != []
    partly = rows()
    for one in partly:
        one.attackers[2].right[0] = None
    assert "not asked about every clip" in analyse(comparable(pool([result(partly)]))).no_bootstrap


def test_the_report_and_the_console_name_the_strongest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = result(rows())
    page = write_report(stored, tmp_path).read_text(encoding="utf-8")
    assert "identity, strongest attacker" in page
    print_rows([*stored.rows, row("blur-4", n=192)])
    said = capsys.readouterr().out.splitlines()
    assert "strongest %" in said[0]
    one = stored.rows[3]  # the published network is weak there
    assert f"{100 * one.attackers[2].accuracy.accuracy:.1f} (" in said[4]
    assert said[4].rstrip().endswith("whole clip")
    assert said[1].rstrip().endswith("as published")
    assert said[5].rstrip().endswith("–")
