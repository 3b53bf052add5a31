import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_examples import baseline_rows, dataset, quickstart_rows, result, row, write_png

from motionveil.errors import MotionveilError
from motionveil.report import write_tradeoff
from motionveil.report.aggregate import StoredResult, pool
from motionveil.results import Result
from motionveil.spec import EncoderSpec


def write(stored: Result, folder: Path) -> str:
    page, _, _ = write_tradeoff([StoredResult(stored, folder)], folder)
    return page.read_text(encoding="utf-8")


def with_pictures(folder: Path) -> Result:
    rows = baseline_rows(n=24)
    for one in rows[::2]:
        one.picture = f"{one.method}-{one.alpha}.png"
        write_png(folder / one.picture, width=40 + len(one.picture), height=12)
    return result(rows, kind="tradeoff")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tradeoff")
    stored = with_pictures(folder)
    stored.save(folder / "results.json")
    write(stored, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / "tradeoff.html").read_text(encoding="utf-8")


def frames_of(page: str) -> dict[str, bytes]:
    """Return the veiled frames by method."""
    found = re.findall(
        r'<img src="data:image/png;base64,([^"]*)" alt="Held-out frames, ([^"]*)">', page
    )
    return {name: base64.b64decode(content) for content, name in found}


def test_it_leaves_three_files_and_the_page_stands_alone(folder, page):
    assert (folder / "tradeoff.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(folder / "tradeoff.svg").getroot().tag.endswith("svg")
    assert "<script" not in page
    assert "<link" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert all(a.startswith("data:") for a in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page


def test_every_method_is_a_line_with_its_accuracies(folder, page):
    for method in pool([Result.read(folder)]):
        line = page.partition(f'<th scope="row">{method.label}</th>')[2].partition("</tr>")[0]
        for accuracy in (method.action, method.frame):
            low, high = accuracy.interval
            shown = f"{100 * accuracy.accuracy:.1f} <small>({100 * low:.1f} to {100 * high:.1f})"
            assert shown in line


def test_a_method_shows_its_own_frames(folder, page):
    shown = frames_of(page)
    for method in pool([Result.read(folder)]):
        name = method.rows[0].picture
        assert (name is not None) == (method.label in shown)
        if name is not None:
            assert shown[method.label] == (folder / name).read_bytes()


def test_steps_and_tables_are_below(page):
    assert page.count("Learned and initial quantisation steps") == 4
    assert page.count('<th scope="row">') >= 25
    for caption in ("Points of all methods", "Hypervolume", "Dominance between families"):
        assert caption in page


def plain(*rows) -> list:
    """Rows whose encoder has no steps to draw."""
    return [one.model_copy(update={"encoder": EncoderSpec(method="raw")}) for one in rows]


@pytest.mark.slow
def test_equal_results_give_equal_bytes_without_torch(tmp_path):
    """In another process, with other hashes: the files are the same and torch is never loaded."""
    rows = plain(row("bdq", 2.0, n=8), row("unet", 2.0, n=8), row("blur-4", n=8))
    stored = result(rows)
    stored.save(tmp_path / "results.json")
    files = write_tradeoff([StoredResult(stored, tmp_path)], tmp_path)
    before = [file.read_bytes() for file in files]
    script = (
        "import sys; from pathlib import Path; from motionveil.report import write_tradeoff;"
        "from motionveil.report.aggregate import StoredResult;"
        "from motionveil.results import Result; folder = Path(sys.argv[1]);"
        "write_tradeoff([StoredResult(Result.read(folder), folder)], folder);"
        "assert 'torch' not in sys.modules"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env=environment)
    assert [file.read_bytes() for file in files] == before


def test_text_of_the_result_is_never_markup(tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}</style>"
    data = dataset(name=evil)
    data.privacy_label = data.actions[0] = data.privacy_names[0] = evil
    rows = plain(row(evil, 2.0, n=8, data=data), row(f"{evil}-3", n=8, data=data))
    page = write(result([*rows, row("raw", n=8, data=data)], data), tmp_path)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count("</style>") == 1
    assert "{{ 7 * 7 }}" in page


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a\\b.png"])
def test_pictures_cannot_reach_out_of_the_folder(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(b"secret")
    run = tmp_path / "run"
    run.mkdir()
    (only,) = plain(row("blur-4", n=4))
    only.picture = name
    with pytest.raises(MotionveilError, match=r"a row's image is .* plain file"):
        write(result([only]), run)
    assert list(run.iterdir()) == []


def test_pictures_cannot_be_links_or_videos(tmp_path):
    (only,) = plain(row("blur-4", n=4))
    only.picture = "frames.mp4"
    with pytest.raises(MotionveilError, match=r"frames\.mp4: a row's image is a video"):
        write(result([only]), tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    try:
        (tmp_path / "frames.png").symlink_to(tmp_path / "secret")
    except OSError:
        pytest.skip("this user may not make symbolic links")
    only.picture = "frames.png"
    with pytest.raises(MotionveilError, match="plain file"):
        write(result([only]), tmp_path)


def test_a_lost_picture_is_no_error(tmp_path):
    (only,) = plain(row("blur-4", n=4))
    only.picture = "gone.png"
    assert "Veiled frames" not in write(result([only]), tmp_path)


def test_each_run_s_pictures_lie_in_its_own_folder(tmp_path):
    runs = []
    for k, method in enumerate(("blur-4", "blur-8")):
        (one,) = plain(row(method, n=4))
        one.picture = "frames.png"
        place = tmp_path / str(k)
        place.mkdir()
        write_png(place / "frames.png", width=20 + k, height=5)
        runs.append(StoredResult(result([one]), place))
    page = write_tradeoff(runs, tmp_path)[0].read_text(encoding="utf-8")
    stored = [(run.folder / "frames.png").read_bytes() for run in runs]
    assert list(frames_of(page).values()) == stored


def test_one_family_has_no_comparison(tmp_path):
    page = write(result(plain(*quickstart_rows(n=12, epochs=0))), tmp_path)
    assert "Hypervolume" not in page
    assert "Pareto" not in page
    assert "BDQ, α = 2" in page


def test_without_predictions_it_says_that_there_are_no_intervals(tmp_path):
    rows = plain(row("bdq", 2.0, n=8), row("unet", 2.0, n=8))
    rows[0].predictions = []
    page = write(result(rows), tmp_path)
    assert "No paired bootstrap intervals: some rows hold no answers clip by clip" in page


def test_published_figures_stand_beside(tmp_path):
    data = dataset(name="kth").model_copy(update={"privacy_label": "person"})
    page = write(result(plain(row("bdq", 1.0, n=8), row("unet", n=8)), data), tmp_path)
    assert "Ryoo et al., 28 pixels" in page
    assert "Published figures, not measured here" in page


def test_runs_on_other_data_are_refused(tmp_path):
    runs = [
        StoredResult(result([row("raw", n=4)], dataset(name=n)), tmp_path) for n in ("kth", "sbu")
    ]
    with pytest.raises(MotionveilError, match=r"runs on kth, sbu: .* one data set"):
        write_tradeoff(runs, tmp_path)
    with pytest.raises(MotionveilError, match="runs on no data"):
        write_tradeoff([], tmp_path)
