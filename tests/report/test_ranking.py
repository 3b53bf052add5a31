import pytest
from report_examples import result, rival_rows, row

from motionveil.report import ranking
from motionveil.report.frontier import contest
from motionveil.report.pooling import pool
from motionveil.report.verdict import CAVEAT, findings


def compare(*rows):
    return contest(pool([result(list(rows))]))


@pytest.fixture(scope="module")
def rivals():
    return compare(*rival_rows(n=60))


def family_text(found) -> str:
    return " ".join(ranking.family_sentences(found))


def test_bdq_ahead_is_said_of_hypervolume_and_dominance():
    found = compare(
        row("bdq", 2.0, n=60, action=0.9, identity=0.1),
        row("unet", 2.0, n=60, action=0.5, identity=0.6),
        row("ryoo-4", n=60, action=0.3, identity=0.7),
    )
    assert ranking.family_sentences(found) == [
        "By hypervolume BDQ is ahead, beyond the intervals, of Ryoo et al. and Wu et al.",
        "As a family, BDQ dominates beyond the intervals: Ryoo et al. and Wu et al.",
    ]
    assert ranking.point_sentences(found) == [
        "BDQ, α = 2 dominates, beyond the intervals: Ryoo et al., 4 pixels; Wu et al., α = 2."
    ]


def test_bdq_behind_is_said_as_plainly():
    found = compare(
        row("bdq", 2.0, n=60, action=0.4, identity=0.7),
        row("unet", 2.0, n=60, action=0.95, identity=0.1),
    )
    assert ranking.family_sentences(found) == [
        "By hypervolume BDQ is behind, beyond the intervals, Wu et al.",
        "As a family, BDQ is dominated beyond the intervals by: Wu et al.",
    ]
    assert ranking.point_sentences(found) == [
        "BDQ, α = 2 is dominated, beyond the intervals, by: Wu et al., α = 2."
    ]


def test_what_the_clips_cannot_tell_apart_is_no_win():
    rows = [row("bdq", 2.0, n=60), row("unet", 2.0, n=60)]
    rows[1].predictions, rows[1].action = rows[0].predictions, rows[0].action
    rows[1].privacy = rows[0].privacy
    found = compare(*rows)
    assert "not told apart by these clips from Wu et al." in family_text(found)
    assert "does not dominate beyond the intervals: Wu et al. (0 of 1 points)" in family_text(found)
    assert "neither dominates nor is dominated by" in ranking.point_sentences(found)[0]


def test_rivals_only_are_held_against_each_other():
    found = compare(
        row("unet", 2.0, n=60, action=0.9, identity=0.1),
        row("blur-4", n=60, action=0.5, identity=0.8),
    )
    assert ranking.family_sentences(found) == [
        "Wu et al. dominates blur beyond the intervals, as a family."
    ]
    assert ranking.point_sentences(found) == []
    assert "BDQ" not in family_text(found)
    even = compare(row("unet", 2.0, n=60), row("unet", 4.0, n=60), row("blur-4", n=60, action=1.0))
    assert "dominates blur" not in family_text(even)


def test_without_predictions_nobody_is_ahead():
    rows = [row("bdq", 2.0, n=20), row("unet", 2.0, n=20)]
    rows[0].predictions = []
    found = compare(*rows)
    (sentence,) = ranking.family_sentences(found)
    assert "cannot be said" in sentence
    assert "clip by clip" in sentence
    assert ranking.point_sentences(found) == []
    assert all(line.dominated_by is None for line in ranking.point_lines(found))
    assert all(line.beaten is None for line in ranking.area_lines(found))


def test_one_family_is_compared_with_nobody():
    assert ranking.family_sentences(compare(row("raw", n=20), row("bdq", 2.0, n=20))) == []


def test_the_front_is_listed_from_private_to_useful():
    found = compare(
        row("raw", n=60, action=1.0, identity=1.0),
        row("bdq", 2.0, n=60, action=0.8, identity=0.1),
        row("unet", 2.0, n=60, action=0.5, identity=0.6),
    )
    assert ranking.front_sentence(found, "pair") == (
        "On the Pareto front, the most private first: BDQ, α = 2; raw video. For each of these no"
        " method here has a higher action accuracy without a higher pair accuracy by frame."
    )


def test_every_other_method_is_in_exactly_one_sentence_of_the_judged(rivals):
    sentences = " ".join(ranking.point_sentences(rivals))
    for m in rivals.methods:
        ends = sentences.count(f" {m.label};") + sentences.count(f" {m.label}.")
        assert ends == (0 if m.family == "bdq" else 1), m.label


def test_point_lines_agree_with_the_outcomes(rivals):
    lines = ranking.point_lines(rivals)
    assert [line.name for line in lines] == [m.label for m in rivals.methods]
    assert {i for i, line in enumerate(lines) if line.on_front} == set(rivals.front)
    for j, line in enumerate(lines):
        assert len(line.dominated_by) == sum(o[j] == "dominates" for o in rivals.outcomes)
        assert not (line.on_front and line.dominated_by)


def test_area_lines_count_beaten_points(rivals):
    lines = {line.name: line for line in ranking.area_lines(rivals)}
    assert lines["BDQ"].beaten is None
    assert lines["all methods together"].beaten is None
    assert lines["Ryoo et al."].outcome == "dominates"
    assert lines["Ryoo et al."].beaten == lines["Ryoo et al."].area.points == 6


def test_an_ablation_names_its_modules():
    found = compare(
        row("bdq", 2.0, n=60, action=0.9, identity=0.1),
        row("bdq-B", n=60, action=0.9, identity=0.9),
        row("bdq-BD", n=60, action=0.9, identity=0.7),
    )
    assert "B of BDQ and B+D of BDQ" in family_text(found)


def test_the_caveat_stays_last_in_the_findings(rivals):
    sentences = findings(rivals.methods, "identity", ranking.family_sentences(rivals))
    assert sentences[-1] == CAVEAT
    assert "By hypervolume" in sentences[-3] + sentences[-4]
