import numpy as np
import pytest
from report_examples import dataset, quickstart_rows, result, row

from motionveil.errors import MotionveilError
from motionveil.report.aggregate import StoredResult, by_labels, check, families, main_encoder, pool
from motionveil.statistics import wilson_interval


def test_methods_come_raw_first_then_by_alpha():
    rows = [row("unet", 1.0), row("bdq", 8.0), row("bdq", 0.0), row("raw"), row("bdq", 2.0)]
    methods = pool([result(rows)])
    assert [m.label for m in methods] == [
        "raw video", "BDQ, α = 0", "BDQ, α = 2", "BDQ, α = 8", "Wu et al., α = 1",
    ]  # fmt: skip


def test_families_are_ordered_by_what_they_remove():
    names = ["ryoo-4", "ryoo-112", "ryoo-28", "blur-8", "blur-16", "blur-4", "raw"]
    rows = [*(row(name, n=4) for name in names), row("bdq", 8.0, n=4), row("bdq", 0.0, n=4)]
    groups = families(pool([result(rows)]))
    assert [m.method for m in groups["ryoo"]] == ["ryoo-112", "ryoo-28", "ryoo-4"]
    assert [m.method for m in groups["blur"]] == ["blur-4", "blur-8", "blur-16"]
    assert [m.alpha for m in groups["bdq"]] == [0.0, 8.0]
    assert set(groups) == {"ryoo", "blur", "bdq"}


def test_families_come_by_name_and_strengths_as_numbers():
    names = ["ryoo-112", "ryoo-4", "dvs-10", "dvs-2.4", "bdq-untrained", "bdq", "raw"]
    methods = pool([result([row(name, n=4) for name in names])])
    assert [m.method for m in methods] == [
        "raw", "bdq-untrained", "bdq", "dvs-2.4", "dvs-10", "ryoo-4", "ryoo-112",
    ]  # fmt: skip


def test_keys_tell_equal_names_in_other_data_apart():
    other = dataset().model_copy(update={"hash": "sha256:another"})
    (method,) = pool([result([row("raw", n=2)]), result([row("raw", n=2)], other)])
    assert len(set(method.keys)) == len(method.answers) == 4
    assert [clip for _, clip in method.keys] == [seen[0].clip for seen in method.answers]


def test_a_single_row_keeps_its_own_numbers():
    only = row("bdq", 2.0, identity=0.3)
    (method,) = pool([result([only])])
    assert method.action == only.action
    assert method.frame == only.privacy.frame
    assert method.clip == only.privacy.clip


def test_seeds_on_the_same_clips_are_averaged_and_count_once():
    rows = [row("bdq", 2.0, seed=seed, identity=0.3, n=48) for seed in range(3)]
    (method,) = pool([result(rows)])
    assert method.frame.n == 48
    mean = np.mean([r.privacy.frame.accuracy for r in rows])
    assert method.frame.accuracy == pytest.approx(mean)
    assert method.frame.interval == pytest.approx(wilson_interval(float(mean), 48))
    assert method.action.accuracy == pytest.approx(np.mean([r.action.accuracy for r in rows]))
    assert method.clip.accuracy == pytest.approx(np.mean([r.privacy.clip.accuracy for r in rows]))


def test_folds_add_up():
    """Clips of other folds are other trials, so the pooled count is the sum."""
    rows = [row("bdq", 2.0, split=f"fold-{k}", identity=0.3 + 0.2 * k, n=24) for k in range(3)]
    for k, fold in enumerate(rows):
        for p in fold.predictions:
            p.clip = f"fold{k}/{p.clip}"
    (method,) = pool([result(rows)])
    assert method.frame.n == 72
    assert method.frame.accuracy == pytest.approx(np.mean([r.privacy.frame.accuracy for r in rows]))


def test_equal_names_in_other_data_are_other_clips():
    other = dataset().model_copy(update={"hash": "sha256:another"})
    (method,) = pool([result([row("raw", n=24)]), result([row("raw", n=24)], other)])
    assert method.action.n == 48


def test_rows_without_predictions_are_not_pooled():
    rows = [row("raw", seed=seed) for seed in (0, 1)]
    for r in rows:
        r.predictions = []
    assert len(pool([result(rows)])) == 2


def test_runs_are_grouped_by_labels(tmp_path):
    runs = [
        StoredResult(result(quickstart_rows(), data), tmp_path)
        for data in (dataset(), dataset(name="kth"), dataset(), dataset(people=5))
    ]
    assert [len(group) for group in by_labels(runs)] == [2, 1, 1]


def test_check_refuses_a_result_without_rows(tmp_path):
    with pytest.raises(MotionveilError, match=r"results\.json: no rows"):
        check(StoredResult(result([]), tmp_path))


@pytest.mark.parametrize("field", ["action", "privacy"])
def test_check_refuses_classes_that_the_data_set_does_not_name(tmp_path, field):
    wrong = row("raw", n=4)
    setattr(wrong.predictions[2], field, 8)
    with pytest.raises(
        MotionveilError, match=rf"clips/0002.*: {field} class 8 .* names \d classes"
    ):
        check(StoredResult(result([wrong]), tmp_path))


def test_the_main_encoder_is_that_of_the_largest_alpha_not_the_luckiest():
    weak = row("bdq", 1.0, n=12, identity=0.0)
    methods = pool([result([*quickstart_rows(n=12, epochs=0), weak])])
    assert main_encoder(methods).label == "BDQ, α = 2"
    assert main_encoder(methods[:2]).label == "BDQ, untrained"
    assert main_encoder(methods[:1]) is None
    assert main_encoder(pool([result([row("raw"), row("bdq")])])).method == "bdq"
