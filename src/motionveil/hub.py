"""Files on the Hugging Face Hub, by the name `hf:owner/name[@revision]`.

Every file is checked against the hash that the hub states for it, and known by its commit, so that
what is written with it can be made again. The token is taken from the environment only.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from threading import Lock
from typing import Any

from motionveil.atomic_write import write_text_atomically
from motionveil.bind_address import HUB_NAME
from motionveil.errors import MotionveilError, one_line

PREFIX = "hf:"
TOKEN = "HF_TOKEN"
OFFLINE = "HF_HUB_OFFLINE"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_STATED = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")

_commits: dict[tuple[str, str, str], str] = {}
_resolving = Lock()


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


def check_repository(repository: str) -> None:
    """Refuse what is no `owner/name`.

    Raises:
        MotionveilError: It is none.
    """
    found = HUB_NAME.fullmatch(f"{PREFIX}{repository}")
    if found is None or found[2]:
        raise MotionveilError(
            f"{repository}: write owner/name: letters, digits, '_', '-' and '.', neither of the"
            " last two at an end or twice in a row"
        )


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class MissingFileError(MotionveilError):
    """A repository does not have a file, or the cache where there is no network."""


def fetch(name: str | os.PathLike[str], file: str) -> HubFile:
    """Return a file of a repository, from the cache or downloaded.

    A name stands for the commit that its first file was of, until the process ends.

    Args:
        name: `hf:owner/name`, or with a branch, a tag or a commit: `hf:owner/name@v1`.
        file: Its path in the repository, with slashes.

    Raises:
        MotionveilError: It is no such name, there is no such repository, revision or file, it
            cannot be reached and is not in the cache, its hash is not the one stated, or none is
            known to compare it with.
    """
    text = os.fspath(name).replace("\\", "/")  # what Path makes of it on Windows
    found = HUB_NAME.fullmatch(text)
    if found is None:
        raise MotionveilError(f"{text}: write hf:owner/name or hf:owner/name@revision")
    repository, revision = found[1], found[2] or "main"
    _library(text)
    from huggingface_hub import constants

    key = (str(constants.HF_HUB_CACHE), repository, revision)  # other caches, other commits
    with _resolving:
        got = _download(text, repository, _commits.get(key, revision), file)
        _commits[key] = got.revision
    return got


def optional(name: str | os.PathLike[str], file: str) -> HubFile | None:
    """Return a file as `fetch`; None where the repository does not have it."""
    try:
        return fetch(name, file)
    except MissingFileError:
        return None


def _download(name: str, repository: str, revision: str, file: str) -> HubFile:
    token, hub = _token(), _library(name)
    try:
        path = Path(hub.hf_hub_download(repository, file, revision=revision, token=token))
    except Exception as error:  # the hub's errors, the network's and the disk's share no base
        raise _explained(error, name, file) from None  # a trace may quote headers
    # .../snapshots/COMMIT/FILE, and FILE may have folders
    commit = path.parents[file.count("/")].name
    if not _COMMIT.fullmatch(commit) or (_COMMIT.fullmatch(revision) and commit != revision):
        raise MotionveilError(f"{name}: {file}: came with the commit {commit!r}, not {revision}")
    digest = sha256_of(path)
    _refuse_other(path, repository, commit, file, digest)
    return HubFile(path, repository, commit, digest)


def _refuse_other(path: Path, repository: str, commit: str, file: str, digest: str) -> None:
    """Compare a file with the hash that the hub states: SHA-256 for large files, else git's."""
    stated, found = _stated(path, repository, commit, file), digest
    if len(stated) == 40:
        data = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    if stated == found:
        return
    links = [path]
    while links[-1].is_symlink():  # to the cache's contents, and from there to a shared store
        links.append(links[-1].parent / os.readlink(links[-1]))
    for each in links:
        with suppress(OSError):  # a cache that may only be read
            each.unlink()
    raise MotionveilError(
        f"{PREFIX}{repository}@{commit}: {file} is damaged: its hash is {found}, the hub states"
        f" {stated}; it was removed from the cache: get it again"
    )


def _stated(path: Path, repository: str, commit: str, file: str) -> str:
    """Return the hash that the hub states of a file, 40 or 64 hexadecimal digits.

    The cache names contents by what the hub stated when it sent them; where there are no links,
    the hub is asked once and the answer kept beside.
    """
    name = f"{PREFIX}{repository}@{commit}"
    if path.is_symlink():
        return _hash(Path(os.readlink(path)).name, f"{name}: {file}")
    snapshot = path.parents[file.count("/")]
    kept = snapshot.parent.parent / "motionveil" / commit / f"{file}.hash"
    if kept.is_file():
        return _hash(kept.read_text("utf-8", errors="replace").strip(), f"{kept}")
    hub = _library(repository)
    try:
        address = hub.hf_hub_url(repository, file, revision=commit)
        stated = hub.get_hf_file_metadata(address, token=_token()).etag or ""
    except Exception as error:
        raise MotionveilError(
            f"{name}: {file} cannot be checked: no hash of it was kept when it was downloaded, and"
            f" the hub cannot be asked ({_reason(error)}); load it once with a network"
        ) from None
    _hash(stated, f"{name}: {file}")
    with suppress(OSError):  # a cache that may only be read: asked again the next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(kept, stated + "\n")
    return stated


def _hash(stated: str, what: str) -> str:
    if not _STATED.fullmatch(stated):
        raise MotionveilError(
            f"{what}: cannot be checked: in place of a hash the hub states"
            f" {one_line(stated)[:80]!r}; get it from {PREFIX[:-1]} itself, or copy the"
            " repository's files into a folder and give that"
        )
    return stated


def upload(
    files: Mapping[str, Path | bytes],
    repository: str,
    *,
    replaced: Collection[str] = (),
    private: bool,
    message: str,
) -> str:
    """Write files into a repository as one commit, and return its name with that commit.

    Args:
        files: By their paths in the repository: files, or what is to be in them.
        repository: `owner/name`; made where there is none.
        replaced: Patterns (`fnmatch`) of files that are deleted in the same commit where `files`
            does not have them.
        private: Whether a repository that is made is private.
        message: Of the commit.

    Raises:
        MotionveilError: There is no token in the environment, the repository is there and public
            though it is to be private, or the hub refuses.
    """
    check_repository(repository)
    name = f"{PREFIX}{repository}"
    hub = _library(name)
    token = _token()
    if not token:
        raise MotionveilError(
            f"{TOKEN}: not set; a token that may write is made at huggingface.co/settings/tokens"
        )
    changes = [
        hub.CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
        for path, content in files.items()
    ]
    try:
        api = hub.HfApi(token=token)
        api.create_repo(repository, private=private, exist_ok=True)
        there = api.model_info(repository)
        if not private or there.private:
            paths = {each.rfilename for each in there.siblings or ()} - files.keys()
            old = [path for path in sorted(paths) if any(fnmatch(path, p) for p in replaced)]
            changes += [hub.CommitOperationDelete(path) for path in old]
            done = api.create_commit(repository, changes, commit_message=message)
            return f"{name}@{done.oid}"
    except Exception as error:
        raise _explained(error, name, "") from None  # a trace may quote headers
    raise MotionveilError(
        f"{name}: is there already and is public, nothing was written: make it private in its"
        " settings on the hub, or push without private"
    )


def _token() -> str | bool:
    """Return the token without the spaces and line breaks that a file leaves around it.

    Raises:
        MotionveilError: It cannot be one; an HTTP library would quote it in its own error.
    """
    token = os.environ.get(TOKEN, "").strip()
    if token and not re.fullmatch("[!-~]+", token):
        raise MotionveilError(
            f"{TOKEN}: holds spaces, control characters or letters beyond ASCII, as no token does"
        )
    return token or False


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
    return MotionveilError(f"{what}: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Return the first line of an error, without the token."""
    text = str(error).strip()
    told = os.environ.get(TOKEN, "")
    for form in (told, told.strip()):  # the longer one first
        for token in (form, repr(form)[1:-1]):
            text = text.replace(token, "...") if token else text
    return one_line(text.partition("\n")[0]) or type(error).__name__
