"""From answers to findings: chance, intervals, tests, exclusions."""

from __future__ import annotations

from itertools import combinations
from math import comb
from random import Random

import numpy as np
import pytest

from motionveil.datasets.loaders.sbu import read_list
from motionveil.errors import MotionveilError
from motionveil.published import load_publication
from motionveil.study.analysis import analyse
from motionveil.study.design import Exclusions, Participant, Study
from motionveil.study.findings import ConditionFinding, StudyFindings
from motionveil.study.inference import (
    bootstrap_interval,
    bootstrap_shares,
    chance_level,
    chance_test,
    compare_conditions,
    hypergeometric,
    informed_chance_level,
    learning_slope,
    reasons_to_exclude,
    tabulate,
)
from study.study_examples import (
    Chooser,
    by_condition,
    correct_answers,
    invented_study,
    random_answers,
    simulated,
)

DRAWS = 400


def crowd(study: Study, choose: Chooser, number: int = 20, **values: object) -> list[Participant]:
    return [simulated(study, choose, number=n, **values) for n in range(number)]  # type: ignore[arg-type]


def in_condition(findings: StudyFindings, name: str) -> ConditionFinding:
    return next(found for found in findings.conditions if found.condition == name)


class TestChance:
    def test_of_two_of_seven_is_what_was_printed(self):
        printed = load_publication("paper").study
        assert round(100 * chance_level(2, 7, 2), 2) == printed.both.chance == 4.76
        assert round(100 * chance_level(1, 7, 2), 2) == printed.at_least_one.chance == 52.38

    @pytest.mark.parametrize(("options", "persons"), [(2, 1), (7, 1), (3, 2), (7, 2), (24, 2)])
    def test_is_the_share_of_all_choices(self, options: int, persons: int):
        right = set(range(persons))
        hits = [len(right & set(choice)) for choice in combinations(range(options), persons)]
        for least in range(persons + 1):
            share = sum(hit >= least for hit in hits) / len(hits)
            assert chance_level(least, options, persons) == pytest.approx(share)
        assert sum(
            hypergeometric(h, options, persons) for h in range(persons + 1)
        ) == pytest.approx(1)

    def test_needs_more_options_than_people(self):
        with pytest.raises(ValueError, match="2 people of 2 options"):
            hypergeometric(1, 2, 2)


class TestInformedChance:
    def test_is_chance_where_everybody_occurs_with_everybody(self):
        pairs = list(combinations("abcdefg", 2))
        for least in (1, 2):
            informed = informed_chance_level(least, [(pair, "abcdefg") for pair in pairs])
            assert informed == pytest.approx(chance_level(least, 7, 2))

    def test_of_sbu_is_more_than_its_chance(self):
        sets = [name[:6] for name, clip in read_list().items() if clip.split == "validation"]
        everybody = [f"s{number:02d}" for number in range(1, 8)]
        questions = [((name[:3], name[3:]), everybody) for name in sets]
        assert len({frozenset(right) for right, _ in questions}) == 13
        both, one = (round(100 * informed_chance_level(k, questions), 2) for k in (2, 1))
        assert (both, one) == (7.69, 57.28)

    def test_is_more_where_few_pairs_exist(self):
        questions = [("ab", "abcde"), ("cd", "abcde"), ("ae", "abe"), ("ab", "abcd")]
        # Of ab, cd and ae: three fit the first two questions, ab and ae the third, ab and cd
        # the last.
        assert informed_chance_level(2, questions) == pytest.approx((2 / 3 + 1) / 4)
        assert informed_chance_level(1, questions) == pytest.approx((2 / 3 + 1 / 3 + 1 + 1 / 2) / 4)

    def test_is_told_beside_chance(self):
        study, key = invented_study(veiled=4, raw=0, checks=0)
        found = analyse(study, key, crowd(study, random_answers(study), 3), draws=100)
        both = found.conditions[0].scores[0]
        assert both.informed >= 0.25 > both.chance


class TestFindings:
    def test_one_who_knows_is_always_right(self):
        study, key = invented_study()
        found = analyse(study, key, crowd(study, correct_answers(key)), draws=DRAWS)
        for condition in found.conditions:
            for score in condition.scores:
                assert score.share.value == 1
                assert score.share.interval == (1, 1)
                assert score.p == pytest.approx(1 / (DRAWS + 1))
        assert all(line.recognised.value == 1 for line in found.conditions[0].people)

    @pytest.mark.parametrize(("persons", "options"), [(2, 7), (1, 4)])
    def test_random_answers_are_at_chance_level_within_the_interval(
        self, persons: int, options: int
    ):
        study, key = invented_study(persons=persons, options=options)
        choose = by_condition(key, random_answers(study), correct_answers(key))
        veiled = in_condition(analyse(study, key, crowd(study, choose), draws=DRAWS), "veiled")
        for score in veiled.scores:
            assert score.share.interval is not None
            low, high = score.share.interval
            assert low <= score.chance <= high
            assert score.p > 0.05
            assert score.share.n == 20 * 60

    def test_scores_are_counted_by_hand(self):
        study, key = invented_study(veiled=3, raw=0)
        _, second, third = (question.id for question in study.of_kind("question"))

        def choose(question, options, random):
            right = key.questions[question.id].persons
            wrong = [person for person in options if person not in right]
            if question.id == second:
                return [right[0], wrong[0]]
            return wrong[:2] if question.id == third else list(right)

        found = in_condition(analyse(study, key, crowd(study, choose, 2), draws=DRAWS), "veiled")
        both, one = found.scores
        assert (both.measure, both.share.value) == ("both", pytest.approx(1 / 3))
        assert (one.measure, one.share.value) == ("at least one", pytest.approx(2 / 3))
        actions = {line.name: [share.value for share in line.shares] for line in found.actions}
        assert actions == {"wave": [1, 1], "walk": [0, 1], "sit": [0, 0]}
        assert [line.shares[1].value for line in found.members] == [pytest.approx(2 / 3)] * 2

    def test_the_control_is_held_against_within_participants(self):
        study, key = invented_study()
        choose = by_condition(key, random_answers(study), correct_answers(key))
        veiled = in_condition(analyse(study, key, crowd(study, choose), draws=DRAWS), "veiled")
        both = veiled.control[0]
        assert both.value == pytest.approx(veiled.scores[0].share.value - 1)
        assert both.interval is not None
        assert both.interval[0] < both.value < both.interval[1] < -0.8
        assert both.p == pytest.approx(1 / (DRAWS + 1))

    def test_whoever_is_taken_for_others_is_not_recognised(self):
        study, key = invented_study(persons=1, raw=0)
        popular = study.people[0]

        def choose(question, options, random):
            if question.kind != "question":
                return list(key.questions[question.id].persons)
            return [popular.id if popular.id in options else random.choice(list(options))]

        found = in_condition(analyse(study, key, crowd(study, choose), draws=DRAWS), "veiled")
        line = next(line for line in found.people if line.name == key.names[popular.id])
        assert line.taken is not None
        assert line.recognised.value == line.taken.value == 1

    def test_times_are_quartiles_of_what_is_known(self):
        study, key = invented_study(veiled=20, raw=4)
        people = [
            simulated(study, correct_answers(key), number=n, seconds=n + 2.0) for n in range(3)
        ]
        people.append(simulated(study, correct_answers(key), number=9, seconds=None))
        found = in_condition(analyse(study, key, people, draws=DRAWS), "veiled")
        assert found.times is not None
        assert (found.times.median, found.times.n) == (3.0, 60)

    def test_those_who_become_better_have_learned(self):
        study, key = invented_study(raw=0, checks=0)
        people = []
        for number in range(12):
            person = simulated(study, random_answers(study), number=number)
            answers = [
                answer.model_copy(
                    update={
                        "chosen": key.questions[answer.question].persons
                        if answer.position >= 30
                        else answer.chosen
                    }
                )
                for answer in person.answers
            ]
            people.append(person.model_copy(update={"answers": answers}))
        (both, _) = in_condition(analyse(study, key, people, draws=DRAWS), "veiled").learning
        assert both.interval is not None
        assert both.interval[0] > 0.1
        assert [round(part.value, 1) for part in both.parts] == pytest.approx([0, 0, 1, 1], abs=0.2)

    def test_examples_and_checks_do_not_count(self):
        study, key = invented_study(veiled=5, raw=0, checks=9)
        found = analyse(study, key, crowd(study, correct_answers(key)), draws=DRAWS)
        assert [c.scores[0].share.n for c in found.conditions] == [100]

    def test_of_one_participant_has_no_interval(self):
        study, key = invented_study()
        found = analyse(study, key, crowd(study, correct_answers(key), 1), draws=DRAWS)
        assert found.conditions[0].scores[0].share.interval is None

    def test_are_read_as_they_were_written(self, tmp_path):
        study, key = invented_study(veiled=8, raw=4)
        found = analyse(study, key, crowd(study, random_answers(study), 4), draws=100)
        assert StudyFindings.read(found.save(tmp_path)) == found


class TestRefusals:
    def test_real_and_simulated_are_never_mixed(self):
        study, key = invented_study()
        people = [
            simulated(study, correct_answers(key), number=0, kind="real"),
            simulated(study, correct_answers(key), number=1),
        ]
        with pytest.raises(MotionveilError, match="real and simulated participants"):
            analyse(study, key, people)

    def test_nobody_is_nothing(self):
        study, key = invented_study()
        with pytest.raises(MotionveilError, match="no participants yet"):
            analyse(study, key, [])
        with pytest.raises(MotionveilError, match="no questions answered"):
            analyse(
                study,
                key,
                [simulated(study, correct_answers(key)).model_copy(update={"answers": []})],
            )

    @pytest.mark.parametrize(
        ("change", "fault"),
        [
            ({"question": "q999"}, "q999 is not in the study"),
            ({"chosen": ["p00"]}, "has 1 people selected, expected 2"),
            ({"chosen": ["p00", "p00"]}, "expected 2"),
            ({"chosen": ["p00", "zz"]}, "who is not among its options"),
        ],
    )
    def test_an_answer_that_does_not_fit(self, change: dict[str, object], fault: str):
        study, key = invented_study()
        person = simulated(study, correct_answers(key))
        answers = [person.answers[0].model_copy(update=change), *person.answers[1:]]
        with pytest.raises(MotionveilError, match=f"p-0000: question .*{fault}"):
            analyse(study, key, [person.model_copy(update={"answers": answers})])

    def test_two_answers_to_one_question(self):
        study, key = invented_study()
        person = simulated(study, correct_answers(key))
        twice = person.model_copy(update={"answers": [*person.answers, person.answers[0]]})
        with pytest.raises(MotionveilError, match="is answered twice"):
            analyse(study, key, [twice])


class TestExclusions:
    def test_say_why(self):
        study, key = invented_study()
        careless = simulated(study, random_answers(study))
        assert reasons_to_exclude(study, key, careless) == ["failed 3 of 3 attention checks"]
        (hurried,) = reasons_to_exclude(
            study, key, simulated(study, correct_answers(key), seconds=0.4)
        )
        assert hurried == "median response time 0.4 s, minimum 1 s"
        gone = simulated(study, correct_answers(key), answered=10)
        counted = sum(a.question != "q075" for a in gone.answers)
        assert reasons_to_exclude(study, key, gone) == [
            f"unfinished: {counted} of 75 questions answered"
        ]
        never = simulated(study, correct_answers(key)).model_copy(update={"consented": None})
        assert reasons_to_exclude(study, key, never) == ["did not consent"]
        assert reasons_to_exclude(study, key, simulated(study, correct_answers(key))) == []

    def test_are_what_the_design_says(self):
        study, key = invented_study()
        lenient = Exclusions(failed_checks_allowed=3, unfinished=False, seconds=0)
        study = study.model_copy(update={"exclusions": lenient})
        person = simulated(study, random_answers(study), seconds=0.1, answered=30)
        assert reasons_to_exclude(study, key, person) == []

    def test_both_results_are_told(self):
        study, key = invented_study()
        good = crowd(study, correct_answers(key), 10)
        bad = [simulated(study, random_answers(study), number=99)]
        found = analyse(study, key, good + bad, draws=DRAWS)
        assert [one.participant for one in found.excluded] == ["p-0099"]
        assert found.conditions[0].scores[0].share.value == 1
        assert found.everybody[0].scores[0].share.value < 1
        assert found.everybody[0].participants == 11

    def test_may_leave_nobody(self):
        study, key = invented_study()
        found = analyse(
            study, key, crowd(study, random_answers(study), 3, seconds=0.1), draws=DRAWS
        )
        assert found.conditions == []
        assert len(found.everybody) == 2


class TestStatistics:
    def test_of_one_answer_each_the_bootstrap_is_that_of_participants(self):
        rng = np.random.default_rng(1)
        scores = (rng.random((200, 1)) < 0.3).astype(float)
        shares = bootstrap_shares(scores, np.ones_like(scores, bool), draws=4000)
        expected = np.sqrt(scores.mean() * (1 - scores.mean()) / 200)
        assert shares.std() == pytest.approx(expected, rel=0.06)

    def test_the_crossed_bootstrap_allows_for_people_and_for_questions(self):
        # Var = var(people) / P + var(questions) / Q + noise, of which it counts the last thrice.
        rng = np.random.default_rng(2)
        people, questions = rng.normal(0, 1, 40), rng.normal(0, 2, 30)
        scores = people[:, None] + questions[None, :]
        shares = bootstrap_shares(scores, np.ones_like(scores, bool), draws=4000)
        expected = np.sqrt(people.var() / 40 + questions.var() / 30)
        assert shares.std() == pytest.approx(expected, rel=0.06)

    def test_what_was_not_answered_does_not_count(self):
        scores = np.ones((6, 6))
        scores[3:] = 0
        answered = np.ones((6, 6), bool)
        answered[3:] = False
        assert bootstrap_interval(scores, answered, draws=DRAWS) == (1, 1)

    def test_a_face_that_everybody_takes_is_no_knowledge(self):
        """All 40 participants answer alike: one random answer per question, some of them right."""
        study, key = invented_study(persons=1, options=4, veiled=12, raw=0, checks=0)
        right = {q.id for q in study.of_kind("question")[:5]}

        def choose(question, options, random):
            truth = key.questions[question.id].persons[0]
            wrong = next(person for person in options if person != truth)
            return [truth if question.id in right else wrong]

        responses = tabulate(study, key, crowd(study, choose, 40))
        p = chance_test(responses, 1, draws=4000)
        exact = sum(comb(12, k) * 0.25**k * 0.75 ** (12 - k) for k in range(5, 13))
        assert p == pytest.approx(exact, abs=0.03)
        assert p > 0.1

    @pytest.mark.slow
    def test_the_test_against_chance_is_wrong_as_often_as_it_says(self):
        """Guessers who half of the time take a question's favourite face."""
        seen = []
        for run in range(300):
            study, key = invented_study(veiled=30, raw=0, checks=0, seed=run)
            random = Random(f"favourites {run}")
            favourite = {q.id: random.sample(q.options, 2) for q in study.questions}

            def choose(question, options, own, favourite=favourite):
                taken = favourite[question.id]
                return taken if own.random() < 0.5 else own.sample(list(options), 2)

            people = [simulated(study, choose, number=1000 * run + n) for n in range(15)]
            seen.append(chance_test(tabulate(study, key, people), 2, draws=200, seed=run))
        assert 0.02 < np.mean(np.array(seen) <= 0.05) < 0.09

    def test_two_conditions_that_do_not_differ_are_not_told_apart(self):
        small = 0
        for seed in range(40):
            rng = np.random.default_rng(seed)
            ease = rng.random((1, 20))
            scores = (rng.random((12, 20)) < ease).astype(float)
            there = np.ones((12, 10), bool)
            p = compare_conditions(
                (scores[:, :10], there), (scores[:, 10:], there), draws=200, seed=seed
            )
            small += p <= 0.05
        assert small <= 4

    def test_questions_of_unlike_difficulty_are_no_difference_of_conditions(self):
        """Every participant alone would swear to it; the few questions cannot."""
        first = np.tile([1.0, 1.0, 0.0], (50, 1))
        second = np.tile([0.0, 0.0, 1.0], (50, 1))
        there = np.ones((50, 3), bool)
        assert compare_conditions((first, there), (second, there), draws=DRAWS) > 0.3

    def test_the_slope_is_that_of_least_squares(self):
        rng = np.random.default_rng(0)
        scores = rng.random((1, 30))
        places = rng.permutation(30)[None]
        fit = learning_slope(scores, np.ones((1, 30), bool), places, draws=10)
        assert fit is not None
        assert fit[0] == pytest.approx(np.polyfit(places[0], scores[0], 1)[0])
        assert fit[1] is None
