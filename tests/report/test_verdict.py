import pytest
from report_examples import quickstart_rows, result, row

from motionveil.report.pooling import Method, pool
from motionveil.report.verdict import CAVEAT, SPACE, compare, findings, headline, judged, percent
from motionveil.results import Accuracy, wilson_interval


def accuracy(share: float, n: int = 200, floor: float = 0.125) -> Accuracy:
    return Accuracy(
        accuracy=share, n=n, interval=wilson_interval(share, n), balanced=share, chance_level=floor
    )


def method(name: str, alpha: float | None, action: float, frame: float, n: int = 200) -> Method:
    scores = accuracy(action, n), accuracy(frame, n), accuracy(frame, n)
    return Method(name, alpha, (), (), *scores)


RAW = method("raw", None, 0.97, 0.96)
UNTRAINED = method("bdq-untrained", None, 0.97, 0.94)
PLAIN = method("bdq", 0.0, 0.96, 0.60)
TRAINED = method("bdq", 2.0, 0.93, 0.31)
ALL = [RAW, UNTRAINED, PLAIN, TRAINED]


def text(methods, label="identity") -> str:
    sentences = [headline(methods, label), *findings(methods, label)]
    return " ".join(sentences).replace(SPACE, " ")


def test_percent_does_not_break():
    assert percent(0.314) == f"31{SPACE}%"


@pytest.mark.parametrize(
    ("a", "b", "outcome"), [(0.3, 0.6, -1), (0.6, 0.3, 1), (0.5, 0.55, 0), (0.5, 0.5, 0)]
)
def test_compare_asks_for_intervals_that_do_not_overlap(a, b, outcome):
    assert compare(accuracy(a), accuracy(b)) == outcome


def test_headline_gives_both_accuracies_with_intervals_raw_and_floor():
    assert headline(ALL, "identity").replace(SPACE, " ") == (
        "Freshly trained networks recognise the action in 93 % (89 to 96) of the clips veiled by"
        " BDQ, α = 2 (raw video: 97 %), and the identity in 31 % (25 to 38) of their frames"
        " (raw video: 96 %; guessing the commonest identity: 12 %)."
    )


def test_headline_is_about_the_largest_alpha_not_the_luckiest():
    weak = method("bdq", 1.0, 0.96, 0.20)
    assert judged([*ALL[:3], weak, TRAINED]) is TRAINED
    assert judged([RAW, UNTRAINED]) is UNTRAINED
    assert judged([RAW]) is None


def test_alpha_below_plain_beyond_the_intervals():
    assert (
        "BDQ, α = 2 against α = 0, the identity: 31 % (25 to 38) of the frames against 60 %"
        " (53 to 67). Training against the adversary lowered it by more than the intervals."
    ) in text(ALL)


def test_alpha_within_the_intervals_is_not_called_a_success():
    words = text([RAW, PLAIN, method("bdq", 2.0, 0.93, 0.55)])
    assert "do not show that the adversary helped" in words
    assert "lowered it" not in words


def test_alpha_above_plain_is_said():
    assert "raised it" in text([RAW, PLAIN, method("bdq", 2.0, 0.93, 0.9)])


def test_a_small_sample_decides_nothing():
    """The same shares of a tenth of the clips: the intervals overlap."""
    few = [method("bdq", 0.0, 0.96, 0.6, n=12), method("bdq", 2.0, 0.93, 0.31, n=12)]
    assert "do not show that the adversary helped" in text(few)


def test_every_alpha_is_held_against_plain():
    words = text([*ALL, method("bdq", 8.0, 0.5, 0.2)])
    assert words.count("against α = 0") == 2


def test_price_against_raw_video():
    words = text([RAW, method("bdq", 2.0, 0.80, 0.31)])
    assert "the action accuracy is lower than raw video's by more than the intervals" in words
    assert "(0.82 of it); the identity accuracy by frame is lower" in words
    assert "(0.32 of it)" in words
    assert "not different from raw video's beyond the intervals" in text(ALL)


def test_what_is_left_over_guessing():
    assert "Something of it shows through" in text(ALL)
    at_floor = text([RAW, method("bdq", 2.0, 0.93, 0.13)])
    assert "includes what guessing the commonest gives" in at_floor
    assert "no proof that nothing is there" in at_floor
    below = text([RAW, method("bdq", 2.0, 0.93, 0.01)])
    assert "lies below what guessing" in below


def test_untrained_is_called_no_protection():
    assert "an untrained encoder is not protection" in text(ALL)


@pytest.mark.parametrize("methods", [ALL, [RAW], [RAW, UNTRAINED], [TRAINED], [PLAIN]])
def test_the_caveat_is_always_last_and_nothing_is_called_safe(methods):
    sentences = findings(methods, "identity")
    assert sentences[-1] == CAVEAT
    assert "safe" not in " ".join([headline(methods, "identity"), *sentences[:-1]])


def test_raw_alone_says_that_nothing_was_veiled():
    words = text([RAW])
    assert "clips of raw video" in words
    assert "No encoder was measured" in words


def test_raw_of_zero_gives_no_ratio():
    assert "of it)" not in text([method("raw", None, 0.0, 0.0), TRAINED])


def test_the_label_is_the_data_sets_own():
    words = text(pool([result(quickstart_rows())]), "pair")
    assert "the pair in" in words
    assert "identity" not in words


def test_an_encoder_of_unknown_alpha_is_judged():
    assert judged(pool([result([row("raw"), row("bdq")])])).method == "bdq"
