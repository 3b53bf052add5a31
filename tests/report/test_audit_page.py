"""What a reader of an audit's report would read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from audit_examples import (
    ACTIONS,
    PEOPLE,
    VEILED,
    at_chance_level,
    attacked,
    attacks,
    computed,
    leaking,
    searched,
    stored,
)
from report_examples import write_png
from test_page import VOID, content

from motionveil.audit_results import Audit, Reconstruction, Retrieval
from motionveil.errors import MotionveilError
from motionveil.report import write_audit

CLAIMS = r"\b(safe|safely|secure|anonymous|anonymised|private|protects?|protected|irreversible)\b"


class Page(HTMLParser):
    """A page's elements, its text, the cells of its tables, and what its verdict says."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = self.verdict = ""
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self._open: list[tuple[str, str]] = []
        self.feed(markup)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag not in VOID:
            self._open.append((tag, found.get("class") or ""))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        tags = [tag for tag, _ in self._open]
        if "style" in tags:
            return
        self.text += data
        if "td" in tags or "th" in tags:
            self.tables[-1][-1][-1] += data
        if "h2" in tags:
            self.headings[-1] += data
        if "summary" in [classes for _, classes in self._open]:
            self.verdict += data.replace("\N{NO-BREAK SPACE}", " ")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def table_rows(self, heading: str) -> list[list[str]]:
        """Return a table's rows: the table with this heading."""
        (found,) = (t for t in self.tables if t and heading in t[0])
        return found[1:]

    def table(self, heading: str) -> dict[str, list[str]]:
        """Return a table's rows by their first cells: the table with this heading."""
        (found,) = (t for t in self.tables if t and heading in t[0])
        return {row[0]: row[1:] for row in found[1:]}


def read(found: Audit, folder: Path) -> Page:
    return Page(write_audit(found, folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def leak() -> Audit:
    return leaking()


@pytest.fixture(scope="module")
def leak_page(leak, tmp_path_factory) -> Page:
    folder = tmp_path_factory.mktemp("leak")
    attack = folder / "attacks" / "reconstruction-veiled"
    attack.mkdir(parents=True)
    write_png(attack / "reconstruction.png", 40, 80)
    return read(leak, folder)


@pytest.fixture(scope="module")
def chance() -> Audit:
    return at_chance_level()


@pytest.fixture(scope="module")
def chance_page(chance, tmp_path_factory) -> Page:
    return read(chance, tmp_path_factory.mktemp("chance"))


class TestSummary:
    def test_the_strongest_attacker_on_each_video(self, leak, leak_page):
        rows = leak_page.table_rows("Target")
        assert [row[:2] for row in rows] == [
            ["identity", "veiled"],
            ["identity", "raw"],
            ["action", "veiled"],
            ["action", "raw"],
            ["re-identification", "veiled"],
            ["re-identification", "raw"],
        ]
        veiled = rows[0]
        best = leak.strongest
        assert best.naive > best.accuracy.value
        assert veiled[2] == ", ".join(best.chosen)
        low, high = (f"{100 * end:.1f}" for end in best.accuracy.interval)
        assert veiled[3] == f"{100 * best.accuracy.value:.1f} ({low} to {high})"
        assert veiled[4:6] == ["12.5", "192"]
        lead = next(f for f in leak.attacks if f.name in best.chosen and f.video == "veiled")
        trained = {f.name: f for f in leak.attacks if f.video == "veiled"}
        assert float(veiled[6]) in [round(100 * trained[name].curve[-1], 1) for name in best.chosen]
        assert float(veiled[7]) == pytest.approx(8 * lead.scores.p, abs=1e-4)  # of eight attacks
        assert veiled[8] == "0"

    def test_no_page_calls_the_video_safe(self, leak_page, chance_page):
        for page in (leak_page, chance_page):
            assert re.findall(CLAIMS, page.text, re.I) == []
            assert "does not prove that nothing can be learned" in page.verdict

    def test_p_is_corrected_for_the_number_of_attacks(self, chance, tmp_path):
        found = chance.model_copy(deep=True)
        for attack in found.attacks:
            attack.scores.p = 0.01
        assert read(found, tmp_path).table_rows("Target")[0][7] == "0.0800"

    def test_without_raw_video_there_is_no_row_of_it(self, tmp_path):
        rows = read(leaking(raw=False), tmp_path).table_rows("Target")
        assert {row[1] for row in rows} == {"veiled"}

    def test_failures_only(self, tmp_path):
        failed = {"frame-veiled": "a loss is not finite", "clip-raw": "out of memory"}
        page = read(stored([], failed=failed), tmp_path)
        assert "No attack that learns from veiled video was carried out" in page.verdict
        assert page.table("Reason") == {name: [why] for name, why in failed.items()}
        assert re.findall(CLAIMS, page.text, re.I) == []

    def test_limitations_are_listed(self, leak_page):
        assert "Limitations" in leak_page.headings
        assert "training accuracy is below 90" in leak_page.text


class TestTables:
    def test_attacks_are_sorted_and_hold_the_findings(self, leak, leak_page):
        private, useful = (list(t[1:]) for t in leak_page.tables if t and "Variants" in t[0])
        by_key = {(f.name, f.video): f for f in leak.attacks}
        assert {tuple(row[:2]) for row in (*private, *useful)} == set(by_key)
        assert {row[0] for row in useful} == {"action"}
        values = [by_key[row[0], "veiled"].scores.clip.value for row in private[::2]]
        assert values == sorted(values, reverse=True)
        for name, video, *cells in (*private, *useful):
            scores = by_key[name, video].scores
            assert cells[0].startswith(f"{100 * scores.clip.value:.1f}")
            assert f"{100 * scores.clip.interval[0]:.1f} to" in cells[0]
            assert cells[1].startswith(f"{100 * scores.frame.value:.1f}")
            assert cells[2:5] == [
                f"{100 * scores.balanced:.1f}",
                f"{100 * scores.chance_level:.1f}",
                "192",
            ]
            assert cells[9] == f"{max(0, scores.bits.value):.2f} of {scores.entropy:.2f}"
            assert cells[10] == str(scores.variants)
        assert next(row for row in private if row[0] == "persistent")[-1] == "4"

    def test_every_attack_is_explained(self, leak_page):
        says = leak_page.table("Settings")
        assert set(VEILED) < set(says)  # and a heading for each kind
        assert says["integrated"][0].startswith("small2d, from scratch, 12 epochs, view integrated")
        assert "quality 28" in says["h264-28"][0]
        assert "rates 0.003/0.001, restarts 2, crops 4" in says["persistent"][0]
        assert any("matched to clips of other recordings" in heading for heading in says)

    def test_searches_hold_the_findings(self, leak, leak_page):
        rows = {(row[0], row[1]): row[2:] for row in leak_page.table_rows("Rank-1, %")}
        found = {(f.name, f.video): f for f in leak.of(Retrieval)}
        assert rows.keys() == found.keys()
        for key, cells in rows.items():
            one = found[key]
            for figure, place in ((one.rank_1, 0), (one.mean_precision, 2), (one.area, 4)):
                assert cells[place].startswith(f"{100 * figure.value:.1f}")
            assert cells[1] == "25.0"

    def test_reconstructions_hold_the_findings(self, leak, leak_page):
        known, unseen = leak_page.table_rows("SSIM")
        (found,) = leak.of(Reconstruction)
        assert [known[0], unseen[0]] == [
            "reconstruction known people",
            "reconstruction unseen people",
        ]
        assert known[2].startswith(f"{found.known.psnr.value:.1f}")
        assert unseen[-4] == f"{100 * found.unseen.chance_level:.1f}"
        # its losses were not stored
        assert known[-3:] == [str(found.known.clips), "unknown", "–"]

    def test_the_highest_comes_first(self, leak, leak_page):
        tables = [t for t in leak_page.tables if t and t[0][0] == "Class"]
        people, by_action, actions = tables
        assert [row[0] for row in people[1:]] != sorted(PEOPLE)
        for table, names in ((people, PEOPLE), (by_action, ACTIONS), (actions, ACTIONS)):
            assert {row[0] for row in table[1:]} == set(names)
            shares = [float(row[2]) for row in table[1:]]
            assert shares == sorted(shares, reverse=True)
            assert sum(int(row[1]) for row in table[1:]) == 192
        right = sum(float(row[2]) * int(row[1]) for row in people[1:])
        assert right == pytest.approx(
            sum(float(row[2]) * int(row[1]) for row in by_action[1:]), rel=1e-2
        )

    def test_the_surest_clips_are_right_ones(self, tmp_path):
        found = leaking(only=("frame",), raw=False)
        page = read(found, tmp_path)
        rows = page.table("Probability, %")
        assert len(rows) == 10
        answers = {answer.clip: answer for answer in found.attacks[0].answers}
        for clip, (person, probability, frame) in rows.items():
            answer = answers[clip]
            assert person == PEOPLE[answer.truth]
            assert max(answer.probabilities) == answer.probabilities[answer.truth]
            assert probability == f"{100 * answer.probabilities[answer.truth]:.1f}"
            assert frame == str(answer.surest)

    def test_an_attack_on_whole_clips_names_no_frame(self, tmp_path):
        page = read(leaking(only=("clip",), raw=False), tmp_path)
        assert all(len(cells) == 2 for cells in page.table("Probability, %").values())
        assert "since the attack does not use single frames" not in page.text  # no image

    def test_thirty_classes_have_no_matrix(self, tmp_path, leak_page):
        assert len([a for a in leak_page.all("table") if a.get("class") == "confusion"]) == 2
        people = [f"person {n:02d}" for n in range(30)]
        (attack,) = [a for a in attacks() if a.name == "frame"]
        found = attacked(attack, "veiled", 0.6, classes=people, clips=240)
        page = read(stored([found], people=people), tmp_path)
        assert [a for a in page.all("table") if a.get("class") == "confusion"] == []
        assert set(page.table("Class")) == set(people)

    def test_without_raw_video_and_retrieval(self, tmp_path):
        page = read(leaking(raw=False, searches=False), tmp_path)
        assert not any("e-identification" in heading for heading in page.headings)
        assert "raw" not in [cell for table in page.tables for row in table for cell in row]

    def test_provenance(self, leak, leak_page):
        for fact in (leak.command, leak.dataset.hash, leak.encoder, leak.split, "3.11.7"):
            assert fact in leak_page.text
        assert "10 min 11 s" in leak_page.text
        assert '"method": "bdq"' in leak_page.text
        assert '"range_quantile"' in leak_page.text


class TestPage:
    def test_it_stands_alone(self, leak_page):
        assert leak_page.all("script") == leak_page.all("link") == leak_page.all("iframe") == []
        for _, attributes in leak_page.elements:
            for name in ("src", "href", "srcset", "poster", "action"):
                if attributes.get(name) is not None:
                    assert attributes[name].startswith("data:")
            assert not any(name.startswith("on") for name in attributes)
        policy = next(a["content"] for a in leak_page.all("meta") if "http-equiv" in a)
        assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

    def test_the_style_loads_nothing(self, leak, tmp_path):
        markup = write_audit(leak, tmp_path).read_text(encoding="utf-8")
        style = re.search(r"<style>(.*?)</style>", markup, re.S)[1]
        assert "url(" not in style
        assert "@import" not in style
        assert "http" not in re.sub(r'"data:[^"]*"', "", markup).replace("http-equiv", "")

    def test_pictures_have_words_and_are_whole(self, leak_page):
        images = leak_page.all("img")
        assert len(images) == 6  # three sections, training curves, ROC curves, the reconstruction
        for image in images:
            assert image["alt"]
            if image["src"].startswith("data:image/svg+xml"):
                assert ElementTree.fromstring(content(image["src"])).tag.endswith("svg")
        assert "persistent, veiled: " in images[0]["alt"].replace("\N{NO-BREAK SPACE}", " ")

    def test_tables_have_captions_and_scopes(self, leak_page):
        assert len(leak_page.all("caption")) == len(leak_page.all("table")) > 0
        assert all(a.get("scope") in ("row", "col", "rowgroup") for a in leak_page.all("th"))

    def test_text_of_the_audit_is_never_markup(self, tmp_path):
        evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}</style>"
        people = [evil, *PEOPLE[1:]]
        renamed = [
            a.model_copy(update={"name": evil.replace("/", "") + a.name, "view": evil})
            for a in attacks()
        ]
        recognise = [a for a in renamed if a.kind == "recognise"]
        private = [a for a in recognise if a.target == "privacy"][:2]
        useful = [a for a in recognise if a.target == "action"]
        found = [
            *(attacked(a, "veiled", 0.6, classes=people, label=evil) for a in private),
            *(attacked(a, "veiled", 0.6, classes=[evil, "b"]) for a in useful),
        ]
        for finding in found:
            for answer in finding.answers:
                answer.clip += evil
        searches = [searched(a, "veiled", 0.6) for a in renamed if a.kind == "retrieve"]
        rebuilt = [computed(a, 0.5) for a in renamed if a.kind == "reconstruct"]
        facts = {"command": evil, "encoder": evil, "split": evil, "suite": evil}
        evil_audit = stored(
            [*found, *searches, *rebuilt], people, failed={evil: evil},
            environment={evil: evil}, spec={evil: evil}, recipe={evil: evil}, **facts,
        )  # fmt: skip
        evil_audit.dataset.name = evil_audit.dataset.privacy_label = evil
        evil_audit.dataset.split_rule = evil
        markup = write_audit(evil_audit, tmp_path).read_text(encoding="utf-8")
        assert "<script" not in markup
        assert "<img src=x" not in markup
        assert markup.count("</style>") == 1
        assert "{{ 7 * 7 }}" in Page(markup).text

    @pytest.mark.slow
    def test_equal_audits_give_equal_bytes_without_torch(self, tmp_path):
        found = leaking(only=("frame", "clip", "retrieval", "action"))
        found.save(tmp_path)
        before = write_audit(Audit.read(tmp_path), tmp_path).read_bytes()
        script = (
            "import sys; from pathlib import Path; from motionveil.report import write_audit;"
            "from motionveil.audit_results import Audit; folder = Path(sys.argv[1]);"
            "write_audit(Audit.read(folder), folder); sys.exit('torch' in sys.modules)"
        )
        environment = os.environ | {"PYTHONHASHSEED": "7"}
        command = [sys.executable, "-c", script, str(tmp_path)]
        subprocess.run(command, check=True, env=environment)
        assert (tmp_path / "audit.html").read_bytes() == before


class TestRefusals:
    def frame(self) -> Audit:
        return leaking(only=("frame",), raw=False)

    def refused(self, found: Audit, folder: Path, match: str) -> None:
        with pytest.raises(MotionveilError, match=match):
            write_audit(found, folder)
        assert not (folder / "audit.html").exists()

    def test_a_class_that_is_not_there(self, tmp_path):
        found = self.frame()
        found.attacks[0].answers[3].truth = 8
        self.refused(found, tmp_path, r"attack 'frame' on veiled video, clip .*: class 8")

    def test_a_matrix_of_other_classes(self, tmp_path):
        found = self.frame()
        found.attacks[0].scores.confusion.pop()
        self.refused(found, tmp_path, "confusion matrix is not one of 8 classes")

    def test_a_strongest_attack_that_is_not_there(self, tmp_path):
        found = self.frame()
        found.strongest = None
        self.refused(found, tmp_path, "the strongest attack is not named; it must be one of frame")

    @pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a\\b.png"])
    def test_a_picture_that_leads_out_of_its_folder(self, tmp_path, name):
        found = leaking(only=("reconstruction",), raw=False)
        found.of(Reconstruction)[0].picture = name
        self.refused(found, tmp_path, "plain file")

    def test_an_attack_that_leads_out_of_the_folder(self, tmp_path):
        found = leaking(only=("reconstruction",), raw=False)
        found.of(Reconstruction)[0].name = "../../elsewhere/reconstruction"
        self.refused(found, tmp_path, "must be the name of an attack's folder")


def test_a_lost_picture_is_no_error(chance_page):
    assert "The image of reconstruction is no longer beside the audit" in chance_page.text
