"""What participants did is kept: once, all of it, and nothing that could be used against them."""

from __future__ import annotations

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from motionveil.errors import MotionveilError
from motionveil.study.design import Study
from motionveil.study.store import FILE_NAME, Store, export
from programs import fill, small_disk
from small_study import small_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_study(tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return small_study(tmp_path_factory.mktemp("design") / "study")[0]


def take_part(store: Store, *, answers: int | None = None) -> str:
    """Have a simulated participant give so many answers, all if None; return their secret."""
    token = store.enrol("simulated").result()
    store.consent(token).result()
    places = store.state(token).places
    for position in range(places if answers is None else answers):
        asked = store.asked(token, position)
        store.show(token, position)
        assert store.answer(token, asked.question, asked.options[:2]).result() == "kept"
    return token


class TestSession:
    def test_begins_with_consent_and_ends_with_the_last_answer(
        self, folder: Path, study: Study
    ) -> None:
        with Store(folder, study) as store:
            token = store.enrol().result()
            assert store.state(token) == (store.progress()[0].id, False, -1, 0, 0)
            store.consent(token).result()
            assert store.state(token)[1:] == (True, -1, 0, 6)
            token = take_part(store, answers=5)
            assert store.participants()[1].finished is None
            asked = store.asked(token, 5)
            store.show(token, 5)
            store.answer(token, asked.question, asked.options[:2]).result()
            person = store.participants()[1]
        assert person.finished
        assert person.consented
        assert person.kind == "simulated"
        assert [answer.position for answer in person.answers] == list(range(6))
        assert all(answer.chosen == answer.order[:2] for answer in person.answers)
        assert all(0 <= answer.seconds < 60 for answer in person.answers)
        assert export(folder)[1] == person

    def test_consenting_twice_draws_once(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            token = take_part(store, answers=2)
            store.consent(token).result()
            assert store.state(token).answered == 2

    def test_goes_on_in_another_process_of_the_server(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            token = take_part(store, answers=2)
            before = store.asked(token, 3)
        with Store(folder, study) as store:
            assert store.state(token).answered == 2
            assert store.asked(token, 3) == before

    def test_nobody_is_known_by_another_secret(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            take_part(store)
            for token in ("", "x", "\ud800", "' OR 1 --"):
                assert store.state(token) is None
                assert store.shown(token) == set()
                assert store.answer(token, "q001", ["who1"]).result() == "refused"

    def test_passing_more_than_there_is_counts_for_nothing(
        self, folder: Path, study: Study
    ) -> None:
        with Store(folder, study) as store:
            token = take_part(store, answers=2)
            store.go_on(token, 2).result()
            store.go_on(token, 1).result()
            store.go_on(token, 3).result()
            assert store.state(token).passed == 2


class TestAnswer:
    def test_the_first_counts(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            token = take_part(store, answers=1)
            asked = store.asked(token, 0)
            assert store.answer(token, asked.question, asked.options[2:]).result() == "earlier"
            assert store.asked(token, 0).chosen == asked.options[:2]

    def test_of_many_at_once_one_counts(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store, ThreadPoolExecutor(16) as pool:
            token = take_part(store, answers=1)
            asked = store.asked(token, 1)
            store.show(token, 1).result()
            choices = [asked.options[n % 3 : n % 3 + 2] for n in range(64)]
            outcomes = list(
                pool.map(
                    lambda chosen: store.answer(token, asked.question, chosen).result(), choices
                )
            )
            assert sorted(set(outcomes)) == ["earlier", "kept"]
            assert outcomes.count("kept") == 1
            assert store.asked(token, 1).chosen == choices[outcomes.index("kept")]

    def test_to_what_was_not_shown_is_refused(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            token = take_part(store, answers=1)
            for position in (1, 4):
                asked = store.asked(token, position)
                assert store.answer(token, asked.question, asked.options[:2]).result() == "refused"
            assert store.answer(token, "none", []).result() == "refused"
            assert store.state(token).answered == 1

    def test_how_long_it_took_is_not_known_when_it_was_shown_twice(
        self, folder: Path, study: Study
    ) -> None:
        with Store(folder, study) as store:
            token = take_part(store, answers=1)
            asked = store.asked(token, 1)
            store.show(token, 1)
            store.show(token, 1)
            store.answer(token, asked.question, asked.options[:2]).result()
            first, second = store.participants()[0].answers
            assert first.seconds is not None
            assert second.seconds is None

    def test_many_participants_at_once_lose_none(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store, ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda _: take_part(store), range(20)))
            people = store.participants()
        assert len({person.id for person in people}) == 20
        assert sum(len(person.answers) for person in people) == 120


class TestSecrets:
    def test_the_file_is_its_owners_and_knows_no_secret(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            token = take_part(store)
            assert len(token) >= 22, "128 bits"
            for name in (FILE_NAME, f"{FILE_NAME}-wal"):
                assert stat.S_IMODE(os.stat(folder / name).st_mode) == 0o600
                assert token.encode() not in (folder / name).read_bytes()

    def test_withdrawing_leaves_a_number_and_nothing_else(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            other = take_part(store)
            token = take_part(store)
            public = store.state(token).id
            store.withdraw(token).result()
            store.withdraw(token).result()
            assert store.state(token) is None
            assert store.withdrawn() == 1
            assert len(store.participants()) == 1
            assert store.state(other).answered == 6
            files = b"".join(path.read_bytes() for path in folder.glob(f"{FILE_NAME}*"))
            assert public.encode() not in files


class TestFile:
    def test_a_commit_waits_for_the_disk_and_readers_wait_for_nobody(
        self, folder: Path, study: Study
    ) -> None:
        with Store(folder, study) as store:

            def settings(connection: sqlite3.Connection) -> list[object]:
                names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
                return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

            assert store._writer.submit(settings).result() == ["wal", 2, 1, 1]

    def test_of_another_study_is_refused(self, folder: Path, study: Study) -> None:
        Store(folder, study).close()
        other = study.model_copy(update={"seed": 8})
        with pytest.raises(MotionveilError, match=r"study\.db: has answers to another study"):
            Store(folder, other)
        Store(folder, study.model_copy(update={"title": "Better"})).close()

    @pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0"])
    def test_that_is_none_is_named(self, folder: Path, study: Study, content: bytes) -> None:
        (folder / FILE_NAME).write_bytes(content)
        with pytest.raises(MotionveilError, match=r"study\.db: cannot be used as a database"):
            Store(folder, study)
        with pytest.raises(MotionveilError, match=r"study\.db: cannot be read"):
            export(folder)
        assert (folder / FILE_NAME).read_bytes() == content

    def test_of_another_format_is_named(self, folder: Path, study: Study) -> None:
        Store(folder, study).close()
        with sqlite3.connect(folder / FILE_NAME) as connection:
            connection.execute("PRAGMA user_version = 9")
        with pytest.raises(MotionveilError, match="has format 9"):
            Store(folder, study)
        with pytest.raises(MotionveilError, match="has format 9"):
            export(folder)

    def test_that_is_missing_is_named(self, folder: Path) -> None:
        with pytest.raises(MotionveilError, match=r"study\.db: no such file"):
            export(folder)

    def test_is_read_while_it_is_served(self, folder: Path, study: Study) -> None:
        with Store(folder, study) as store:
            take_part(store)
            assert [len(person.answers) for person in export(folder)] == [6]

    def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(
        self, tmp_path: Path, study: Study
    ) -> None:
        with small_disk(tmp_path / "disk", 256 * 1024) as disk, Store(disk, study) as store:
            token = take_part(store, answers=2)
            fill(disk / "others")
            kept, failed = 0, None
            while failed is None:  # what SQLite had set aside may still take some
                try:
                    store.enrol().result()
                    kept += 1
                except sqlite3.Error as error:
                    failed = error
                assert kept < 1000
            assert "full" in str(failed)
            assert store.state(token).answered == 2
            assert len(store.progress()) == 1 + kept

            (disk / "others").unlink()
            asked = store.asked(token, 2)
            store.show(token, 2).result()
            assert store.answer(token, asked.question, asked.options[:2]).result() == "kept"
            assert len(export(disk)) == 1 + kept
            assert store._rows("PRAGMA integrity_check") == [("ok",)]


def test_the_writer_lets_nobody_pay_for_another(folder: Path, study: Study) -> None:
    """An operation that fails takes only itself along, also out of the middle of a commit."""
    with Store(folder, study) as store:

        def fail(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO fact VALUES ('half', 1)")
            raise RuntimeError("on purpose")

        futures = []
        for _ in range(10):
            futures += [store.enrol(), store._writer.submit(fail)]
        for number, future in enumerate(futures):
            if number % 2:
                with pytest.raises(RuntimeError, match="on purpose"):
                    future.result()
            else:
                assert store.state(future.result())
        assert len(store.progress()) == 10
        assert store._rows("SELECT * FROM fact WHERE name = 'half'") == []


def test_a_closed_store_says_so(folder: Path, study: Study) -> None:
    store = Store(folder, study)
    store.close()
    store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.enrol()
