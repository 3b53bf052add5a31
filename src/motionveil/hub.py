"""Files on the Hugging Face Hub, by the name `hf:owner/name[@revision]`.

Every file is checked against the hash that the hub states for it, and known by its commit, so that
what is written with it can be made again. The token is taken from the environment only.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from motionveil.errors import MotionveilError, one_line

PREFIX = "hf:"
TOKEN = "HF_TOKEN"
OFFLINE = "HF_HUB_OFFLINE"

_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", re.ASCII)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_STATED = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, in the local cache.

    Attributes:
        path: Where it lies.
        repository: `owner/name`.
        revision: The commit that it is of, 40 hexadecimal digits.
        sha256: Of its bytes.
    """

    path: Path
    repository: str
    revision: str
    sha256: str

    @property
    def pinned(self) -> str:
        """The repository's name at this commit, which means the same everywhere and always."""
        return f"{PREFIX}{self.repository}@{self.revision}"

    def origin(self, *others: HubFile) -> dict[str, Any]:
        """Return where it and other files of its commit come from, for a provenance."""
        return {
            "repository": self.repository,
            "revision": self.revision,
            "sha256": {file.path.name: file.sha256 for file in (self, *others)},
        }


def is_hub_name(name: str | os.PathLike[str]) -> bool:
    """Tell whether a name is of a repository on the hub."""
    return os.fspath(name).startswith(PREFIX)


def has_revision(name: str) -> bool:
    """Tell whether a name says which commit is meant, by all of its 40 digits."""
    return _COMMIT.fullmatch(name.rpartition("@")[2]) is not None


def fetch(name: str | os.PathLike[str], file: str) -> HubFile:
    """Return a file of a repository, from the cache or downloaded.

    Within a process a name stands for one commit, which does not change while it runs.

    Args:
        name: `hf:owner/name`, or with a branch, a tag or a commit: `hf:owner/name@v1`.
        file: Its path in the repository, with slashes.

    Raises:
        MotionveilError: It is no such name, there is no such repository, revision or file, it
            cannot be reached and is not in the cache, or its hash is not the one stated.
    """
    text = os.fspath(name).replace("\\", "/")  # what Path makes of it on Windows
    return _fetch(text, file)


def optional(name: str | os.PathLike[str], file: str) -> HubFile | None:
    """Return a file as `fetch`; None where the repository does not have it."""
    try:
        return fetch(name, file)
    except MissingFileError:
        return None


class MissingFileError(MotionveilError):
    """A repository does not have a file, or the cache where there is no network."""


@cache
def _fetch(name: str, file: str) -> HubFile:
    found = _NAME.fullmatch(name)
    if found is None:
        raise MotionveilError(f"{name}: write hf:owner/name or hf:owner/name@revision")
    repository, revision = found[1], found[2] or "main"
    hub = _library(name)
    try:
        path = Path(hub.hf_hub_download(repository, file, revision=revision, token=_token()))
    except Exception as error:  # the hub's errors, the network's and the disk's share no base
        raise _explained(error, name, file) from error
    # .../snapshots/COMMIT/FILE, and FILE may have folders
    commit = path.parents[file.count("/")].name
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    _refuse_other(path, repository, commit, file, digest)
    return HubFile(path, repository, commit, digest)


forget = _fetch.cache_clear
"""Forgets which commits names stand for."""


def _refuse_other(path: Path, repository: str, commit: str, file: str, digest: str) -> None:
    """Compare a file with the hash that the hub states: SHA-256 for large files, else git's."""
    stated, found = _stated(path, repository, commit, file), digest
    if stated is not None and len(stated) == 40:
        data = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    if stated in (None, found):
        return
    for each in (path.parent / os.readlink(path) if path.is_symlink() else path, path):
        with suppress(OSError):  # a cache that may only be read
            each.unlink()
    raise MotionveilError(
        f"{PREFIX}{repository}@{commit}: {file} is damaged: its hash is {found}, the hub states"
        f" {stated}; it was removed from the cache: get it again"
    )


def _stated(path: Path, repository: str, commit: str, file: str) -> str | None:
    """Return the hash that the hub states; None where neither cache nor hub can say."""
    if path.is_symlink():  # the cache names contents by what the hub stated when it sent them
        name = Path(os.readlink(path)).name
    else:
        hub = _library(repository)
        try:
            address = hub.hf_hub_url(repository, file, revision=commit)
            name = hub.get_hf_file_metadata(address, token=_token()).etag or ""
        except Exception:  # offline, and on a system without links
            return None
    return name if _STATED.fullmatch(name) else None


def upload(
    files: Mapping[str, Path | bytes], repository: str, *, private: bool, message: str
) -> str:
    """Write files into a repository as one commit, and return its name with that commit.

    Args:
        files: By their paths in the repository: files, or what is to be in them.
        repository: `owner/name`; made where there is none.
        private: Whether one that is made is private; one that is there stays as it is.
        message: Of the commit.

    Raises:
        MotionveilError: There is no token in the environment, or the hub refuses.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise MotionveilError(f"{repository}: write owner/name")
    hub = _library(f"{PREFIX}{repository}")
    token = os.environ.get(TOKEN)
    if not token:
        raise MotionveilError(
            f"{TOKEN}: not set; a token that may write is made at huggingface.co/settings/tokens"
        )
    additions = [
        hub.CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]
    try:
        api = hub.HfApi(token=token)
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.create_commit(repository, additions, commit_message=message)
    except Exception as error:
        raise _explained(error, f"{PREFIX}{repository}", "") from None  # a trace may quote headers
    return f"{PREFIX}{repository}@{done.oid}"


def _token() -> str | bool:
    return os.environ.get(TOKEN) or False


def _library(name: str) -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MotionveilError(
            f"{name}: needs the package 'huggingface_hub': pip install 'motionveil[hub]'"
        ) from error
    return huggingface_hub


def _explained(error: Exception, name: str, file: str) -> MotionveilError:
    """Return one line on why a repository cannot be read or written, without the token."""
    from huggingface_hub import constants
    from huggingface_hub.utils import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = f"{name}: {file}" if file else name
    if isinstance(error, LocalEntryNotFoundError):
        if constants.HF_HUB_OFFLINE:
            return MissingFileError(
                f"{what} is not in the cache {constants.HF_HUB_CACHE}, and {OFFLINE} is set"
            )
        return MotionveilError(
            f"{what} is not in the cache, and {constants.ENDPOINT} cannot be reached; where there"
            " is no network, copy the repository's files into a folder and give that"
        )
    if isinstance(error, RevisionNotFoundError):
        return MotionveilError(f"{name}: no such revision: give a branch, a tag or a commit")
    if isinstance(error, RepositoryNotFoundError):
        return MotionveilError(
            f"{name}: no such repository; if it is private, {TOKEN} must hold a token that may"
            " read it"
        )
    if isinstance(error, EntryNotFoundError):
        return MissingFileError(f"{name}: no {file} in this repository")
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status in (401, 403):
        return MotionveilError(f"{name}: refused ({status}): {TOKEN} holds no token that may")
    reason = one_line(str(error).strip().partition("\n")[0]) or type(error).__name__
    token = os.environ.get(TOKEN)
    return MotionveilError(f"{what}: {reason.replace(token, '...') if token else reason}")
