import base64
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from report_examples import (
    dataset,
    quickstart,
    quickstart_rows,
    result,
    row,
    small,
    write_mp4,
    write_png,
)

from motionveil.errors import MotionveilError
from motionveil.geometry import Geometry
from motionveil.recognition.artefact import (
    Calibration,
    NetworkFile,
    RecogniserScores,
    RecogniserSpec,
    ReliabilityBin,
    hash_encoder,
)
from motionveil.recognition.network_input import NetworkInput
from motionveil.report import write_joint_report, write_report
from motionveil.report.aggregate import StoredResult, pool
from motionveil.report.pareto import analyse
from motionveil.report.published_rows import difference_interval
from motionveil.results import Accuracy, Result
from motionveil.spec import load_spec

VOID = {"meta", "img", "br", "link", "hr", "input", "source"}


class Page(HTMLParser):
    """The elements of a page, checked for balance while reading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    """The folder of a quickstart's results with a strip and a video, and its report."""
    folder = tmp_path_factory.mktemp("quickstart")
    write_png(folder / "strip.png")
    write_mp4(folder / "veiled.mp4")
    stored = quickstart(media={"veiled": "veiled.mp4", "strip": "strip.png"})
    stored.save(folder / "results.json")
    write_report(stored, folder)
    return folder


@pytest.fixture(scope="module")
def page(full) -> Page:
    return Page((full / "report.html").read_text(encoding="utf-8"))


def read(result: Result, folder: Path) -> Page:
    return Page(write_report(result, folder).read_text(encoding="utf-8"))


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_the_page_stands_alone(page):
    """No script, no address but data:, and a policy that would stop both."""
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "poster", "action"):
            if attributes.get(name) is not None:
                assert attributes[name].startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy


def test_the_style_loads_nothing(full):
    style = re.search(r"<style>(.*?)</style>", (full / "report.html").read_text("utf-8"), re.S)
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_pictures_have_words_and_are_whole(page):
    images = page.all("img")
    # The trade-off, 2 trained encoders' steps, 2 x 5 curves, the strip.
    assert len(images) == 1 + 2 + 10 + 1
    for image in images:
        assert image["alt"]
        if image["src"].startswith("data:image/svg+xml"):
            assert ElementTree.fromstring(content(image["src"])).tag.endswith("svg")


def test_the_strip_and_the_video_are_in_the_page(full, page):
    strip = next(i for i in page.all("img") if i["src"].startswith("data:image/png"))
    assert content(strip["src"]) == (full / "strip.png").read_bytes()
    (video,) = page.all("video")
    assert video["src"].startswith("data:video/mp4;base64,")
    assert content(video["src"]) == (full / "veiled.mp4").read_bytes()
    assert "controls" in video


def test_tables_have_captions_and_scopes(page):
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert all(a.get("scope") in ("row", "col", "rowgroup") for a in page.all("th"))


def test_the_numbers_are_those_of_the_result(full, page):
    stored = Result.read(full)
    for row_ in stored.rows:
        for accuracy in (row_.action, row_.privacy.frame, row_.privacy.clip):
            assert f"{100 * accuracy.accuracy:.1f}" in page.text
            low, high = accuracy.interval
            assert f"{100 * low:.1f} to {100 * high:.1f}" in page.text
        weaker = row_.privacy.modes["eval"].frame
        assert f"{100 * weaker.accuracy:.1f}" in page.text
    assert "reestimated" in page.text
    for fact in (stored.command, stored.dataset.hash, "some CPU, 2 cores", "7 min 12 s"):
        assert fact in page.text
    assert '"momentum": 0.9' in page.text


def test_it_states_its_limitations(page):
    assert "Limitations" in page.text
    assert "may learn more" in page.text
    assert "Synthetic data" in page.text


def test_the_summary_shows_the_references_the_encoder_and_the_chance_level(full):
    text = (full / "report.html").read_text(encoding="utf-8")
    summary = Page(re.search(r'<section class="summary".*?</section>', text, re.S)[0])
    names = ("raw video", "BDQ, untrained", "BDQ, α = 0", "BDQ, α = 2", "chance level")
    places = [summary.text.index(name) for name in names]
    assert places == sorted(places)
    assert "12.5" in summary.text


def test_the_differences_are_those_of_the_methods_with_paired_intervals(full, page):
    draws = analyse(pool([Result.read(full)])).draws
    for i, j in ((3, 0), (3, 2)):  # alpha 2 less raw video, and less alpha 0
        difference = 100 * (draws.observed_privacy[i] - draws.observed_privacy[j])
        low, high = np.percentile(100 * (draws.privacy[:, i] - draws.privacy[:, j]), [2.5, 97.5])
        assert f"{difference:+.1f} ({low:+.1f} to {high:+.1f})" in page.text


@pytest.mark.slow
def test_equal_results_give_equal_bytes_without_torch(full):
    """In another process, with other hashes: the page is the same and torch is never loaded."""
    script = (
        "import sys; from pathlib import Path; from motionveil.report import write_report;"
        "from motionveil.results import Result; folder = Path(sys.argv[1]);"
        "write_report(Result.read(folder), folder);"
        "assert 'torch' not in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    before = (full / "report.html").read_bytes()
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script, str(full)], check=True, env=environment)
    assert (full / "report.html").read_bytes() == before


def test_text_of_the_result_is_never_markup(tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}"
    data = dataset(name=evil)
    data.actions[0] = data.privacy_names[0] = data.hash = data.privacy_label = evil
    rows = [row("raw", data=data, split=evil), row(evil, 2.0, data=data, epochs=2)]
    rows[0].privacy.modes[evil] = rows[0].privacy.modes["eval"]
    stored = result(
        rows,
        data,
        kind=evil,
        command=evil,
        recipe={evil: evil},
        environment={evil: evil},
        media={evil: "gone.png"},
    )
    page = read(stored, tmp_path)
    assert page.all("script") == []
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count(evil) >= 8


@pytest.mark.parametrize(
    "rows",
    [
        [row("raw")],
        [row("raw", n=1)],
        [row("bdq", 2.0, epochs=0)],
        [row("bdq", 2.0, epochs=1, n=2)],
        [row("bdq"), row("bdq-untrained")],
        [row("raw"), row("something", 3.0)],
    ],
    ids=["raw alone", "one clip", "no curves", "one epoch", "no alpha", "unknown method"],
)
def test_degenerate_results_are_reported(tmp_path, rows):
    page = read(result(rows), tmp_path)
    assert "may learn more" in page.text
    assert page.all("video") == []


def test_no_predictions(tmp_path):
    bare = row("bdq", 2.0)
    bare.predictions = []
    page = read(result([bare]), tmp_path)
    assert "Accuracy by class" not in page.text


def bare(*rows):
    """Rows without what takes long to draw, which other tests look at."""
    for one in rows:
        one.encoder, one.curves = load_spec("raw"), []
    return list(rows)


def test_baselines_are_compared_with_intervals(tmp_path):
    rows = [
        row("raw", n=60, action=0.99, identity=0.98),
        row("bdq", 2.0, n=60, action=0.95, identity=0.1),
        row("unet", 2.0, n=60, action=0.5, identity=0.6),
    ]
    page = read(result(bare(*rows)), tmp_path)
    assert "Pareto front" in page.text
    assert "1 of 1" in page.text
    assert "2000 draws of 60 recordings (60 clips)" in page.text
    for area in analyse(pool([result(rows)])).hypervolumes:
        low, high = area.interval
        assert f"{area.value:.3f}{low:.3f} to {high:.3f}" in page.text


def test_one_family_is_not_compared(page):
    for words in ("Hypervolume", "Pareto", "Dominance", "ublished"):
        assert words not in page.text


def test_baselines_without_predictions_get_no_intervals(tmp_path):
    rows = bare(row("bdq", 2.0, n=12), row("unet", 2.0, n=12))
    rows[1].predictions = []
    page = read(result(rows), tmp_path)
    assert "No paired bootstrap intervals: some rows hold no answers clip by clip" in page.text
    assert "Dominance between" not in page.text


def test_baselines_only(tmp_path):
    page = read(result(bare(row("ryoo-28", n=12), row("unet", 2.0, n=12))), tmp_path)
    assert "raw video" not in page.text
    assert "Differences of accuracies" not in page.text


def test_an_ablation(tmp_path):
    rows = bare(row("raw", n=12), row("bdq-B", n=12), row("bdq-BD", n=12), row("bdq", 2.0, n=12))
    page = read(result(rows, kind="ablation"), tmp_path)
    assert "BDQ, modules BD" in page.text


def test_published_figures_stand_beside_with_their_sources(tmp_path):
    data = dataset(name="sbu").model_copy(update={"privacy_label": "pair"})
    page = read(result(bare(row("bdq", 2.0, n=12)), data), tmp_path)
    assert "Published figures, not measured here" in page.text
    assert "Ryoo et al., 28 pixels" in page.text
    assert "34.2" in page.text
    assert "read off a drawing" in page.text
    (found,) = pool([result([row("bdq", 2.0, n=12)], data)])
    low, high = difference_interval(found.frame.accuracy, 12, 0.3418, 94)
    difference = 100 * (found.frame.accuracy - 0.3418)
    assert f"{difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})" in page.text
    other = read(result(bare(row("bdq", 2.0, n=12)), dataset(name="sbu")), tmp_path)
    assert "Published figures" not in other.text


def test_a_hundred_classes(tmp_path):
    data = dataset(100, 100)
    rows = [row("raw", data=data, n=400), row("bdq", 2.0, data=data, n=400, identity=0.05)]
    page = read(result(rows, data), tmp_path)
    assert "action 99" in page.text
    assert "person 099" in page.text
    assert "true action down" not in page.text  # no confusion matrix of 10,000 cells


def test_seeds_are_pooled_and_shown_apart(tmp_path):
    rows = [r for seed in range(3) for r in quickstart_rows(seed=seed, n=48, epochs=0)]
    page = read(result(rows), tmp_path)
    assert "Single runs (12)" in page.text
    assert "BDQ, α = 2, seed 1" in page.text
    assert "Seeds0, 1, 2" in page.text
    assert "Validation clips48" in page.text


def test_a_joint_report_has_a_section_for_each_data_set(tmp_path):
    runs = [
        StoredResult(result([row("raw", n=24)], dataset(name=name)), tmp_path)
        for name in ("kth", "sbu")
    ]
    page = Page(write_joint_report(runs, tmp_path / "both.html").read_text("utf-8"))
    assert "Data set: kth" in page.text
    assert "Data set: sbu" in page.text
    assert len(page.all("article")) == 2


def test_a_lost_picture_is_named_and_no_error(tmp_path):
    page = read(small(media={"strip": "strip.png"}), tmp_path)
    assert "strip.png is missing beside the results" in page.text


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a\\b.png", "..", ""])
def test_media_cannot_reach_out_of_the_folder(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(MotionveilError, match=r"plain file|neither an image"):
        write_report(small(media={"strip": name}), folder)
    assert list(folder.iterdir()) == []


def test_media_cannot_be_links(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "run"
    folder.mkdir()
    try:
        (folder / "strip.png").symlink_to(tmp_path / "secret")
    except OSError:
        pytest.skip("this user may not make symbolic links")
    with pytest.raises(MotionveilError, match="plain file"):
        write_report(small(media={"strip": "strip.png"}), folder)


def test_unknown_media_are_refused_by_name(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(MotionveilError, match=r"notes\.txt: media 'strip' is neither"):
        write_report(small(media={"strip": "notes.txt"}), tmp_path)


def test_a_failure_leaves_the_earlier_page(tmp_path):
    write_report(small(), tmp_path)
    before = (tmp_path / "report.html").read_bytes()
    with pytest.raises(MotionveilError, match="no rows"):
        write_report(result([]), tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["report.html"]


def test_the_reliability_of_a_recogniser_beside_the_results(tmp_path):
    write_report(small(), tmp_path)
    assert "Recogniser" not in Page((tmp_path / "report.html").read_text()).text
    geometry = Geometry(size=64, rate=15.0)
    spec = load_spec("bdq").model_copy(update={"geometry": geometry})
    numbers = RecogniserSpec(
        classes=("left", "right"),
        frames=15,
        geometry=geometry,
        input=NetworkInput(size=64),
        encoder=spec,
        encoder_hash=hash_encoder(spec, geometry),
        network=NetworkFile(architecture="small3d", sha256="0" * 64, largest_error=0.0),
        calibration=Calibration(temperature=1.0, threshold=0.5, passing=0.95, clips=9),
        scores=RecogniserScores(
            accuracy=Accuracy.of([1.0, 0.0], [0, 1]),
            calibration_error=0.123,
            uncalibrated_error=0.2,
            named=1.0,
            named_accuracy=0.5,
            reliability=[
                ReliabilityBin(n=3, probability=0.61, accuracy=1 / 3),
                ReliabilityBin(n=41, probability=0.972, accuracy=0.95),
            ],
        ),
    )
    numbers.save(tmp_path / "recogniser")
    write_report(small(), tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    assert "bdq: expected calibration error 12.3\xa0%" in page.text
    (alt,) = [str(image["alt"]) for image in page.all("img") if "mean prob" in str(image["alt"])]
    assert "61.0\xa0%: 33.3\xa0% of 3; 97.2\xa0%: 95.0\xa0% of 41" in alt
    (tmp_path / "recogniser/recogniser.json").write_text("{}")
    with pytest.raises(MotionveilError, match=r"recogniser\.json: not a recogniser"):
        write_report(small(), tmp_path)
