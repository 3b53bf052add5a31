from xml.etree import ElementTree

import matplotlib
import pytest
from report_examples import quickstart_rows, result, rival_rows, row

from motionveil.report import figures
from motionveil.report.pooling import pool
from motionveil.report.quantiser_figure import quantisation
from motionveil.report.tradeoff_figure import tradeoff
from motionveil.spec import EncoderSpec


def test_every_method_of_one_family_has_its_own_colour_and_marker():
    rows = [*quickstart_rows(n=12), row("bdq", 4.0, n=12), row("bdq", 8.0, n=12)]
    looks = figures.styles(pool([result(rows)]))
    assert len({colour for colour, _ in looks}) == len(looks)
    assert len({marker for _, marker in looks}) == len(looks)


def test_raw_and_plain_bdq_look_the_same_in_every_figure():
    all_four = figures.styles(pool([result(quickstart_rows())]))
    assert figures.styles(pool([result(quickstart_rows()[:1])])) == all_four[:1]
    assert figures.styles(pool([result(quickstart_rows()[3:])])) == all_four[3:]


def test_svg_is_whole_equal_and_free_of_dates():
    methods = pool([result(quickstart_rows())])
    first, second = (figures.to_svg(tradeoff(methods, "identity")) for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert b"<dc:date>" not in first


def test_the_readers_own_matplotlib_style_is_left_alone():
    before = dict(matplotlib.rcParams)
    figures.to_svg(quantisation(EncoderSpec.untrained(range=0.12)))
    assert dict(matplotlib.rcParams) == before


def test_families_have_looks_of_their_own_and_the_known_ones_keep_theirs():
    methods = pool([result(rival_rows(n=12))])
    looks = dict(zip([m.family for m in methods], figures.styles(methods), strict=True))
    for method, look in zip(methods, figures.styles(methods), strict=True):
        assert look == looks[method.family]
    assert len(set(looks.values())) == len(looks) == 10
    fewer = pool([result([row("bdq", 2.0, n=4), row("dvs-0.4", n=4), row("unet", 2.0, n=4)])])
    assert figures.styles(fewer) == [looks[m.family] for m in fewer]


def test_unknown_families_are_told_apart():
    names = ["bdq-B", "bdq-D", "bdq-Q", "bdq-BD", "bdq-BQ", "bdq-DQ"]
    rows = [row(name, n=4) for name in names]
    looks = figures.styles(pool([result([row("bdq", 2.0, n=4), *rows])]))
    assert len(set(looks)) == 7


def test_marks_grow_with_what_is_taken_away():
    methods = pool([result(rival_rows(n=12))])
    size = {m.label: s for m, s in zip(methods, figures.sizes(methods), strict=True)}
    assert size["Ryoo et al., 4 pixels"] > size["Ryoo et al., 28 pixels"]
    assert size["Ryoo et al., 28 pixels"] > size["Ryoo et al., 112 pixels"]
    assert size["BDQ, α = 8"] > size["BDQ, α = 0"]
    assert size["event camera, threshold 2.4"] > size["event camera, threshold 0.4"]
    few = pool([result(quickstart_rows(n=12))])
    assert len(set(figures.sizes(few))) == 1


def test_png_is_whole_equal_and_as_large_as_asked():
    methods = pool([result(quickstart_rows(n=12))])
    first, second = (figures.to_png(tradeoff(methods, "identity"), 50) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
    large = figures.to_png(tradeoff(methods, "identity"), 100)
    width = [int.from_bytes(png[16:20]) for png in (first, large)]
    assert width[1] == pytest.approx(2 * width[0], abs=1)


@pytest.mark.parametrize("marker", ["o", "s", "P", "*"])
def test_marker_paths_have_the_size_asked_for(marker):
    d = figures.marker_path(marker, 10)
    numbers = [float(n) for n in d.replace("M", " ").replace("L", " ").replace("Z", " ")
               .replace(",", " ").split()]  # fmt: skip
    assert max(numbers) == pytest.approx(5, abs=0.3)
    assert min(numbers) == pytest.approx(-5, abs=0.3)
