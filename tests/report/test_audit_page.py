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
    at_the_floor,
    attacked,
    attacks,
    audit,
    computed,
    leaking,
    searched,
    stored,
)
from report_examples import write_png
from test_page import VOID, content

from motionveil.audit_results import Audit
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
        if "verdict" in [classes for _, classes in self._open]:
            self.verdict += data.replace("\N{NO-BREAK SPACE}", " ")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

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
def floor() -> Audit:
    return at_the_floor()


@pytest.fixture(scope="module")
def floor_page(floor, tmp_path_factory) -> Page:
    return read(floor, tmp_path_factory.mktemp("floor"))


class TestVerdict:
    def test_a_leak_is_said_beside_raw_video_and_the_floor(self, leak, leak_page):
        best = leak.strongest.accuracy
        low, high = best.interval
        said = f"{100 * best.value:.0f} % ({100 * low:.0f} to {100 * high:.0f}) of the 192 clips"
        assert f"The strongest of 8 attacks is right about the identity in {said}" in (
            leak_page.verdict
        )
        assert "There are signs" not in leak_page.verdict
        assert "guessing the commonest would be in 12 %" in leak_page.verdict
        assert "from raw video the same attack is in" in leak_page.verdict
        assert "lower than raw video's by more than the intervals" in leak_page.verdict

    def test_what_was_tried_is_counted(self, leak_page):
        assert "11 attacks on the veiled video, of 11 kinds" in leak_page.verdict
        # Six networks of one kind, h264, four of the persistent one, two for each other attack.
        assert "trained 17 networks for 6 to 12 passes" in leak_page.verdict
        assert "learned from 384 clips and were asked about 192 others" in leak_page.verdict
        assert "cut from 24 recordings" in leak_page.verdict

    def test_the_strongest_is_corrected_and_named(self, leak, leak_page):
        assert leak.strongest.naive > leak.strongest.accuracy.value
        for name in leak.strongest.chosen:
            assert f"“{name}”" in leak_page.verdict
        assert f"luck has chosen too, has {100 * leak.strongest.naive:.0f} %" in leak_page.verdict
        assert "p < 0.001, 0.004 for one of 8 attacks" in leak_page.verdict

    def test_the_information_in_bits_is_a_lower_bound_of_what_there_is(self, leak, leak_page):
        lead = next(
            f for f in leak.attacks if f.name in leak.strongest.chosen and f.video == "veiled"
        )
        names = leak.strongest.chosen
        bits = {
            f.name: f.judgement.bits.value for f in leak.attacks
            if f.video == "veiled" and f.name in names
        }  # fmt: skip
        assert lead.judgement.entropy == pytest.approx(3)
        assert f"at least {max(bits.values()):.2f} of the 3.00 bits" in leak_page.verdict

    def test_people_found_again_and_the_action_are_said(self, leak, leak_page):
        assert "learned nothing were found again more often than chance allows" in (
            leak_page.verdict
        )
        for found in leak.retrievals:
            assert f"{100 * found.rank_1.value:.0f} %" in leak_page.verdict
        for found in leak.attacks:
            if found.target == "action":
                assert f"{100 * found.judgement.clip.value:.0f} %" in leak_page.verdict

    def test_the_floor_is_said_as_nothing_that_these_clips_can_show(self, floor_page):
        assert "None of these attacks learned anything that these clips can show" in (
            floor_page.verdict
        )
        assert "it may be chance" in floor_page.verdict
        assert "were not found again more often than guessing does" in floor_page.verdict
        assert "no proof that nothing is there" in floor_page.verdict

    def test_no_page_calls_the_video_safe(self, leak_page, floor_page):
        for page in (leak_page, floor_page):
            assert re.findall(CLAIMS, page.text, re.I) == []

    def test_attackers_that_fail_on_raw_video_say_nothing_of_the_veil(self, tmp_path):
        known = dict.fromkeys(VEILED, 0.0)
        page = read(audit(known, raw_known=0.0), tmp_path)
        assert "None of these attacks learned anything" in page.verdict
        assert "too weak, or the clips too few, to say anything about the veil" in page.verdict

    def test_a_sign_of_a_leak_is_no_nothing(self, floor, tmp_path):
        found = floor.model_copy(deep=True)
        next(f for f in found.attacks if f.video == "veiled").judgement.p = 0.0005
        verdict = read(found, tmp_path).verdict
        assert "There are signs that something of the identity was learned" in verdict
        assert "None of these attacks" not in verdict

    def test_what_chance_explains_among_eight_attacks_is_no_sign(self, floor, tmp_path):
        found = floor.model_copy(deep=True)
        next(f for f in found.attacks if f.video == "veiled").judgement.p = 0.01
        assert "There are signs" not in read(found, tmp_path).verdict

    def test_a_search_with_guesses_alone_finds_nobody(self, floor, tmp_path):
        """However small its p: first hits that guessing makes as often are none."""
        found = floor.model_copy(deep=True)
        for hunt in found.retrievals:
            hunt.p = 0.0005
        assert "None of these attacks learned anything" in read(found, tmp_path).verdict

    def test_who_is_only_found_again_is_no_nothing(self, tmp_path):
        known = dict.fromkeys(VEILED, 0.0) | {"retrieval": 0.8}
        page = read(audit(known), tmp_path)
        assert "No attack recognised the identity more often than guessing, but people" in (
            page.verdict
        )
        assert "None of these attacks" not in page.verdict

    def test_who_is_only_reconstructed_is_no_nothing(self, tmp_path):
        known = dict.fromkeys(VEILED, 0.0) | {"reconstruction": 0.8}
        page = read(audit(known), tmp_path)
        assert "in reconstructed frames a network names the right person in" in page.verdict
        assert "None of these attacks" not in page.verdict

    def test_a_picture_without_anybody_limits_what_nothing_means(self, tmp_path):
        known = dict.fromkeys(VEILED, 0.0)
        found = audit(known)
        (rebuilt,) = found.reconstructions
        rebuilt.known.psnr.interval = (20.0, 21.0)
        assert "learned anything of the identity that these clips" in (
            read(found, tmp_path).verdict
        )

    def test_failures_only(self, tmp_path):
        failed = {"frame-veiled": "a loss is not finite", "clip-raw": "see log.txt"}
        page = read(stored([], failed=failed), tmp_path)
        assert "No attack on veiled video was carried out" in page.verdict
        assert page.table("Why") == {name: [why] for name, why in failed.items()}
        assert "2\N{NO-BREAK SPACE}attacks, named below" in page.text
        assert re.findall(CLAIMS, page.text, re.I) == []


class TestLimits:
    def test_what_the_suite_has_is_not_missing(self, leak_page):
        assert "Of the usual kinds of attacks" not in leak_page.text
        assert "Real people: the clips are drawn by a program" in leak_page.text

    def test_what_is_missing_is_named(self, tmp_path):
        page = read(leaking(only=("frame", "clip"), raw=False), tmp_path)
        (missing,) = re.findall(r"Of the usual kinds of attacks: (.*)\.\n", page.text)
        assert "H.264" in missing
        assert "reconstruction" in missing
        assert "finding people again by whole clips" in missing
        assert "single frames;" not in missing.replace("again by single frames;", "")
        assert "Raw video: whether these attackers can learn anything at all" in page.text
        assert "The action: whether anything useful is left" in page.text

    def test_pretrained_networks_are_missing_only_where_there_are_none(self, tmp_path):
        line = "Networks that had learned from other pictures"
        (attack,) = [a for a in attacks() if a.name == "frame"]
        pretrained = attack.network.model_copy(update={"weights": "pretrained"})
        with_weights = attack.model_copy(update={"network": pretrained})
        assert line in read(stored([attacked(attack, "veiled", 0.5)]), tmp_path).text
        assert line not in read(stored([attacked(with_weights, "veiled", 0.5)]), tmp_path).text

    def test_who_had_not_learned_its_own_clips_might_find_more(self, tmp_path):
        known = {"frame": 0.4, "stacked": 0.6, "clip": 0.95}
        found = [attacked(a, "veiled", known[a.name]) for a in attacks() if a.name in known]
        page = read(stored(found), tmp_path)
        assert (
            "learn for longer: when their training ended, 2 of 3\N{NO-BREAK SPACE}attacks were"
            in (page.text)
        )
        assert re.search(r"less than 90\W%.*\(“stacked”: 60\W% after 12 epochs\)", page.text)
        done = read(stored([f for f in found if f.name == "clip"]), tmp_path)
        assert "learn for longer" not in done.text


class TestTables:
    def test_attacks_are_sorted_and_hold_the_findings(self, leak, leak_page):
        tables = [t for t in leak_page.tables if t and "Variants" in t[0]]
        private, useful = ({row[0]: row[1:] for row in t[1:]} for t in tables)
        veiled = {f.name: f for f in leak.attacks if f.video == "veiled"}
        raw = {f.name: f for f in leak.attacks if f.video == "raw"}
        assert set(useful) == {"action"}
        assert set(private) == set(veiled) - {"action"}
        values = [veiled[name].judgement.clip.value for name in private]
        assert values == sorted(values, reverse=True)
        for name, cells in (private | useful).items():
            judged = veiled[name].judgement
            assert cells[0].startswith(f"{100 * judged.clip.value:.1f}")
            assert f"{100 * judged.clip.interval[0]:.1f} to" in cells[0]
            if name == "h264-28":
                assert cells[2] == "–"
            else:
                assert cells[2].startswith(f"{100 * raw[name].judgement.clip.value:.1f}")
            assert cells[3] == f"{100 * judged.floor:.1f}"
            assert cells[5].startswith(f"{max(0, judged.bits.value):.2f}")
            assert cells[6] == str(judged.variants)
        assert private["persistent"][6] == "4"

    def test_every_attack_is_explained(self, leak_page):
        says = leak_page.table("What it does")
        assert set(says) == set(VEILED)
        assert "running sums" in says["integrated"][0]
        assert "three frames at once" in says["stacked"][0]
        assert "in which most moves" in says["most-motion"][0]
        assert "how somebody moves" in says["clip"][0]
        assert "crf 28, a usual camera's quality" in says["h264-28"][0]
        persistent = says["persistent"][0].replace("\N{NO-BREAK SPACE}", " ")
        assert "2 learning rates and 2 starts of each" in persistent
        assert "of whom it has learned nothing" in says["retrieval"][0]
        assert len({cells[0].split("small")[0] for cells in says.values()}) == len(says) - 1

    def test_searches_hold_the_findings(self, leak, leak_page):
        tables = [t for t in leak_page.tables if t and "Video" in t[0]]
        assert len(tables) == 2
        for name, table in zip(("retrieval", "clip-retrieval"), tables, strict=True):
            rows = {row[0]: row[1:] for row in table[1:]}
            for video in ("veiled", "raw"):
                (found,) = (f for f in leak.retrievals if (f.name, f.video) == (name, video))
                figures = (found.rank_1, found.mean_precision, found.area, found.equal_error)
                for figure, cell in zip(figures, rows[video], strict=True):
                    assert cell.startswith(f"{100 * figure.value:.1f}")
            assert [rows["guessing"][k] for k in (0, 2, 3)] == ["25.0", "50.0", "50.0"]

    def test_reconstructions_hold_the_findings(self, leak, leak_page):
        (table,) = (t for t in leak_page.tables if t and "SSIM" in t[0])
        (found,) = leak.reconstructions
        assert f"({found.known.clips} clips)" in table[1][0]
        assert table[2][1].startswith(f"{found.known.psnr.value:.1f}")
        assert table[7][4] == f"{100 * found.strangers.floor:.1f}"

    def test_who_shows_most_comes_first(self, leak, leak_page):
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
        assert "there is no frame to name" in page.text

    def test_thirty_classes_have_no_matrix(self, tmp_path, leak_page):
        assert len([a for a in leak_page.all("table") if a.get("class") == "confusion"]) == 2
        people = [f"person {n:02d}" for n in range(30)]
        (attack,) = [a for a in attacks() if a.name == "frame"]
        found = attacked(attack, "veiled", 0.6, classes=people, clips=240)
        page = read(stored([found], people=people), tmp_path)
        assert [a for a in page.all("table") if a.get("class") == "confusion"] == []
        assert set(page.table("Class")) == set(people)

    def test_without_raw_video_and_retrieval(self, tmp_path):
        page = read(leaking(raw=False, hunts=False), tmp_path)
        assert "Finding people again" not in page.headings
        assert "whether these attackers would have learned the identity" in page.verdict
        assert "raw" not in [cell for table in page.tables for cell in table[0]]

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
        assert len(images) == 5  # both labels, how they learned, the ROC curve, the reconstruction
        for image in images:
            assert image["alt"]
            if image["src"].startswith("data:image/svg+xml"):
                assert ElementTree.fromstring(content(image["src"])).tag.endswith("svg")
        assert "persistent: veiled" in images[0]["alt"].replace("\N{NO-BREAK SPACE}", " ")

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
        hunts = [searched(a, "veiled", 0.6) for a in renamed if a.kind == "retrieve"]
        rebuilt = [computed(a, 0.5) for a in renamed if a.kind == "reconstruct"]
        facts = {"command": evil, "encoder": evil, "split": evil, "suite": evil}
        evil_audit = stored(
            found, hunts, people, reconstructions=rebuilt, failed={evil: evil},
            environment={evil: evil}, spec={evil: evil}, recipe={evil: evil}, **facts,
        )  # fmt: skip
        evil_audit.dataset.name = evil_audit.dataset.privacy_label = evil
        evil_audit.dataset.split_rule = evil
        markup = write_audit(evil_audit, tmp_path).read_text(encoding="utf-8")
        assert "<script" not in markup
        assert "<img src=x" not in markup
        assert markup.count("</style>") == 1
        assert "{{ 7 * 7 }}" in Page(markup).text

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
        found.attacks[0].judgement.confusion.pop()
        self.refused(found, tmp_path, "confusion matrix is not one of 8 classes")

    def test_a_strongest_attack_that_is_not_there(self, tmp_path):
        found = self.frame()
        found.strongest = None
        self.refused(found, tmp_path, "the strongest attack is not named; it must be one of frame")

    def test_an_attack_that_is_not_written_down(self, tmp_path):
        found = self.frame()
        found.attacks[0].attack["restarts"] = "often"
        self.refused(found, tmp_path, "attack 'frame': restarts")

    @pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png", "a\\b.png"])
    def test_a_picture_that_leads_out_of_its_folder(self, tmp_path, name):
        found = leaking(only=("reconstruction",), raw=False)
        found.reconstructions[0].picture = name
        self.refused(found, tmp_path, "plain file")

    def test_an_attack_that_leads_out_of_the_folder(self, tmp_path):
        found = leaking(only=("reconstruction",), raw=False)
        found.reconstructions[0].name = "../../elsewhere/reconstruction"
        self.refused(found, tmp_path, "must be the name of an attack's folder")


def test_a_lost_picture_is_no_error(floor_page):
    assert "The picture of reconstruction is not beside the audit any more" in floor_page.text
