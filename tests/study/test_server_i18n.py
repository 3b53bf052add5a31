"""The words of the pages, and translations of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from motionveil.errors import MotionveilError
from motionveil.study.server.context import default_texts, fill, read_texts


def changed(tmp_path: Path, key: str, value: Any) -> Path:
    """Write the English texts with one changed; `...` removes it."""
    texts = yaml.safe_load(default_texts())
    *above, last = key.split(".")
    place = texts
    for name in above:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    path = tmp_path / "texts.yaml"
    path.write_text(yaml.safe_dump(texts, allow_unicode=True), encoding="utf-8")
    return path


def test_a_translation_is_used(tmp_path: Path) -> None:
    texts = read_texts(changed(tmp_path, "question.title", "Frage {number} von {count}"))
    assert texts["question"]["title"] == "Frage {number} von {count}"
    assert texts["pause"] == read_texts()["pause"]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("pause.title", ..., r"pause\.title: is missing; the English text is 'Time for a break'"),
        ("pause", ..., r"pause: is missing"),
        ("pause", "short", r"pause: has no nested texts, such as 'title'"),
        ("pause.titel", "x", r"pause\.titel: unknown text"),
        ("language", False, r"language: is False, not text; quote it"),
        ("pause.title", "", r"pause\.title: is empty"),
        ("consent.purpose", "one", r"consent\.purpose: is 'one', not a list of texts"),
        ("consent.purpose", ["one", 2], r"consent\.purpose: is .*, not a list of texts"),
        (
            "question.title",
            "{number} of",
            r"question\.title: has the placeholders \{number\}, expected",
        ),
        ("pause.title", "{a}", r"pause\.title: has the placeholders \{a\}, expected none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, key: str, value: Any, problem: str) -> None:
    with pytest.raises(MotionveilError, match=rf"texts\.yaml: {problem}"):
        read_texts(changed(tmp_path, key, value))


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"\xff", "cannot read the texts: not UTF-8"), (b"a: [", "is no YAML"), (b"", "the file")],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "texts.yaml").write_bytes(content)
    with pytest.raises(MotionveilError, match=rf"texts\.yaml.*: {problem}"):
        read_texts(tmp_path / "texts.yaml")
    with pytest.raises(MotionveilError, match="cannot read"):
        read_texts(tmp_path / "none.yaml")


def test_values_are_put_in_once() -> None:
    assert fill("{a} of {b}", {"a": "{b}", "b": 2}) == "{b} of 2"
