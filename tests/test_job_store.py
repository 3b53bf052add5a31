"""The job store: values are returned for their own question only, and jobs do not run twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motionveil.errors import MotionveilError
from motionveil.job_store import Job, Record, settle


def test_a_value_is_returned_for_its_question(tmp_path: Path) -> None:
    job = Job(tmp_path / "job", {"seed": 0, "method": "bdq"})
    assert job.get() is None
    assert job.read() == Record("to do")
    assert job.put({"accuracy": 0.5}) == {"accuracy": 0.5}
    assert Job(job.folder, {"method": "bdq", "seed": 0}).get() == {"accuracy": 0.5}
    assert job.read() == Record("done", {"accuracy": 0.5})


def test_another_question_gets_no_value_and_is_refused_by_read(tmp_path: Path) -> None:
    Job(tmp_path, ["train", "a"]).put(1)
    other = Job(tmp_path, ["train", "b"])
    assert other.get() is None
    with pytest.raises(MotionveilError, match=r"job\.json: .* another job: was \['train', 'a'\],"):
        other.read()
    assert other.put(2) == 2
    assert other.get() == 2


def test_an_error_names_what_differs(tmp_path: Path) -> None:
    Job(tmp_path, {"seed": 0, "recipe": {"alpha": 2.0, "size": 16}}).put(1)
    other = Job(tmp_path, {"seed": 1, "recipe": {"alpha": 3.0, "size": 16}})
    with pytest.raises(MotionveilError, match=r"recipe\.alpha was 2\.0, is 3\.0; seed was 0, is"):
        other.read()
    of_other_type = Job(tmp_path, {"seed": 0.0, "recipe": {"alpha": 2.0, "size": 16}})
    with pytest.raises(MotionveilError, match="of other types"):
        of_other_type.read()


def test_a_folder_is_settled_for_one_question(tmp_path: Path) -> None:
    file = tmp_path / "made.json"
    settle(file, {"encoder": {"sigma": 1.0}, "lossless": None}, {"version": "1"})
    # Another version made it, perhaps before an option was there.
    file.write_text('{"version": "0", "encoder": {"sigma": 1.0}}')
    settle(file, {"encoder": {"sigma": 1.0}, "lossless": None}, {"version": "1"})
    with pytest.raises(MotionveilError, match=r"made\.json: .* encoder\.sigma was 1\.0, is 2\.0"):
        settle(file, {"encoder": {"sigma": 2.0}, "lossless": None}, {})
    for damage in ("[]", "{"):
        file.write_text(damage)
        with pytest.raises(MotionveilError, match="cannot be read; remove it"):
            settle(file, {"encoder": 1}, {})


def test_a_job_that_failed_has_no_value(tmp_path: Path) -> None:
    job = Job(tmp_path, 1)
    job.write(Record("failed", reason="no memory", seconds=2.0, attempts=1))
    assert job.get() is None
    assert job.read().reason == "no memory"


@pytest.mark.parametrize("damage", [b"null", b"[1]", b'{"key": 1}', b"{", b"\xff"])
def test_a_damaged_file_is_reported(
    tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(tmp_path, 1)
    job.put(1)
    job.file.write_bytes(damage)
    assert job.get() is None
    assert f"{job.file}: cannot be read; the job is run again" in capsys.readouterr().err
    assert job.read() == Record("damaged")


def test_a_value_that_cannot_be_parsed_counts_as_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(tmp_path, 1)
    job.put("seven")
    assert job.get(int) is None
    assert "cannot be read" in capsys.readouterr().err
    job.put("7")
    assert job.get(int) == 7


def test_running_is_believed_while_the_lock_is_held(tmp_path: Path) -> None:
    job = Job(tmp_path, 1)
    job.write(Record("running", attempts=1))
    with job.lock() as held:
        assert held is not None
        assert job.read().status == "running"
        with job.lock() as again:
            assert again is None
    assert job.read() == Record("stopped", attempts=1)


def test_a_lock_is_inherited_and_ends_with_its_process(tmp_path: Path) -> None:
    job = Job(tmp_path, 1)
    with job.lock() as held:
        assert held is not None
        sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
        process = subprocess.Popen(sleeping, pass_fds=(held,))
    with job.lock() as again:
        assert again is None
    process.kill()
    process.wait()
    with job.lock() as again:
        assert again is not None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MotionveilError, match="cannot write here"):
        Job(tmp_path / "job", 1).put(1)
