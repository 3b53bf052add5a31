import pytest
from report_examples import baseline_rows, quickstart_rows, result, row

from motionveil.methods import method, method_names
from motionveil.report.aggregate import pool
from motionveil.report.method_style import family_and_strength, label
from motionveil.report.tables import adversaries
from motionveil.report.tradeoff_figure import sizes, styles
from motionveil.results import Row


@pytest.mark.parametrize(
    ("method", "alpha", "name"),
    [
        ("raw", None, "raw video"),
        ("bdq-untrained", None, "BDQ, untrained"),
        ("bdq", None, "BDQ"),
        ("bdq", 0.5, "BDQ, α = 0.5"),
        ("unet", 2.0, "Wu et al., α = 2"),
        ("ryoo-28", None, "Ryoo et al., 28 pixels"),
        ("downsample-28", None, "down-sampled to 28 pixels"),
        ("blur-4", None, "blur σ = 4"),
        ("pixelate-8", None, "mosaic of 8 pixels"),
        ("dvs-0.4", None, "event camera, threshold 0.4"),
        ("face-blur", None, "faces blurred"),
        ("bdq:modules=BD", None, "BDQ, modules BD"),
        ("bdq:levels=31", 2.0, "BDQ, levels 31, α = 2"),
        ("something-3", None, "something-3"),
        ("downsample", None, "down-sampled"),
    ],
)
def test_label(method, alpha, name):
    assert label(method, alpha) == name


@pytest.mark.parametrize(
    ("method", "family", "strength"),
    [
        ("raw", "raw", None),
        ("bdq-untrained", "bdq-untrained", None),
        ("downsample-28", "downsample", 28),
        ("dvs-0.4", "dvs", 0.4),
        ("face-blur", "face-blur", None),
        ("bdq:modules=BD", "bdq:modules=BD", None),
        ("-3", "-3", None),
        ("", "", None),
    ],
)
def test_family_and_strength(method, family, strength):
    assert family_and_strength(method) == (family, strength)


def test_every_method_of_one_family_has_its_own_colour_and_marker():
    rows = [*quickstart_rows(n=12), row("bdq", 4.0, n=12), row("bdq", 8.0, n=12)]
    chosen = styles(pool([result(rows)]))
    assert len({colour for colour, _ in chosen}) == len(chosen)
    assert len({marker for _, marker in chosen}) == len(chosen)


def test_no_two_methods_share_a_colour():
    colours = [method(name).colour for name in method_names()]
    assert len(set(colours)) == len(colours)


def test_raw_and_plain_bdq_look_the_same_in_every_figure():
    all_four = styles(pool([result(quickstart_rows())]))
    assert styles(pool([result(quickstart_rows()[:1])])) == all_four[:1]
    assert styles(pool([result(quickstart_rows()[3:])])) == all_four[3:]


def test_families_have_looks_of_their_own_and_the_known_ones_keep_theirs():
    methods = pool([result(baseline_rows(n=12))])
    chosen = dict(zip([m.family for m in methods], styles(methods), strict=True))
    for one, style in zip(methods, styles(methods), strict=True):
        assert style == chosen[one.family]
    assert len(set(chosen.values())) == len(chosen) == 10
    fewer = pool([result([row("bdq", 2.0, n=4), row("dvs-0.4", n=4), row("unet", 2.0, n=4)])])
    assert styles(fewer) == [chosen[m.family] for m in fewer]


def test_unknown_families_are_told_apart():
    names = ["bdq-B", "bdq-D", "bdq-Q", "bdq-BD", "bdq-BQ", "bdq-DQ"]
    rows = [row(name, n=4) for name in names]
    chosen = styles(pool([result([row("bdq", 2.0, n=4), *rows])]))
    assert len(set(chosen)) == 7


def test_marks_grow_with_what_is_removed():
    methods = pool([result(baseline_rows(n=12))])
    size = {m.label: s for m, s in zip(methods, sizes(methods), strict=True)}
    assert size["Ryoo et al., 4 pixels"] > size["Ryoo et al., 28 pixels"]
    assert size["Ryoo et al., 28 pixels"] > size["Ryoo et al., 112 pixels"]
    assert size["BDQ, α = 8"] > size["BDQ, α = 0"]
    assert size["event camera, threshold 2.4"] > size["event camera, threshold 0.4"]
    few = pool([result(quickstart_rows(n=12))])
    assert len(set(sizes(few))) == 1


def test_the_number_of_adversaries_is_told_where_it_is_known() -> None:
    def trained(method: str, **adversarial: object) -> Row:
        one = row(method, 2.0)
        origin = {"alpha": 2.0, "recipe": {"adversarial": adversarial}}
        encoder = one.encoder.model_copy(update={"provenance": origin})
        return one.model_copy(update={"encoder": encoder})

    rows = [
        row("raw"),
        trained("bdq", adversaries=1, restart_every=None),
        trained("unet", adversaries=4, restart_every=100),
    ]
    assert adversaries(pool([result(rows)])) == [
        ("BDQ, α = 2", "1"),
        ("Wu et al., α = 2", "4 (one reset every 100 steps)"),
    ]


@pytest.mark.parametrize("recipe", [-1, "actors", {"adversarial": [4]}])
def test_a_provenance_that_was_edited_by_hand_tells_nothing(recipe: object) -> None:
    told = row("bdq", 2.0)
    provenance = {"alpha": 2.0, "recipe": recipe}
    spec = told.encoder.model_copy(update={"provenance": provenance})
    rows = [row("raw"), told.model_copy(update={"encoder": spec})]
    assert adversaries(pool([result(rows)])) == []
