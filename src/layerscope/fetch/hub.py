"""The hub, through its own clients, with one clear line for everything that can go wrong there."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, is_offline_mode, set_client_factory, snapshot_download
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from layerscope.fetch.client import NOT_THE_HUB, NoAnswer, patient_client
from layerscope.io.errors import UserError
from layerscope.io.redact import redact_logs

INSTEAD = "the default study (snakemake without --configfile) needs no network"
WAYS_ON = {
    401: "log in again with `hf auth login`",
    407: "write the proxy's user name and password into HTTPS_PROXY",
    429: "try again later, or log in with `hf auth login`, which allows more",
}
# Variables that say where the clients keep files, those of one kind of file before those of all.
CACHES = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"]

redact_logs()  # the clients log URLs, and those of large files are signed
set_client_factory(patient_client)


@contextmanager
def one_line_errors(source: str, revision: str | None, unforeseen: bool = True) -> Iterator[None]:
    """Turn the clients' exceptions into a UserError that names the source and a way on.

    Args:
        unforeseen: whether to turn unknown exceptions too; if not, they are raised as they are.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        line = _local_trouble(source, error) or _trouble(source, revision, list(_with_causes(error)))
        if line is None and unforeseen:
            line = f"hub: {source} could not be fetched ({_shown(error)})"
        if line is None:
            raise
        raise UserError(f"{line}; {INSTEAD}") from error


def resolve_commit(source: str, revision: str | None, repo_type: str) -> tuple[str, list[str]]:
    """The commit that a revision (default: the newest) stands for, and the repository's files."""
    with one_line_errors(source, revision):
        look_up = HfApi().dataset_info if repo_type == "dataset" else HfApi().model_info
        info = look_up(source, revision=revision)
        if not info.sha:
            raise NoAnswer(f"{constants.ENDPOINT} reports no commit (sha), {NOT_THE_HUB}")
        # A stranger may list a gated repository; that its files are barred should show before any is asked for.
        if info.gated:
            HfApi().auth_check(source, repo_type=repo_type)
    return info.sha, [file.rfilename for file in info.siblings or []]


def download(source: str, commit: str, patterns: list[str]) -> Path:
    """Download the files of a model repository that match ``patterns``; their folder in the hub cache."""
    with one_line_errors(source, commit):
        return Path(snapshot_download(source, revision=commit, allow_patterns=patterns))


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it, one after the other.

    The clients raise an error of their own for what the hub answered, and some of them hide that it was the cause.
    """
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def _trouble(source: str, revision: str | None, errors: list[BaseException]) -> str | None:
    """The line for what the hub, or what answers in its place, did; None for other errors.

    Args:
        errors: from :func:`_with_causes`.
    """

    def first(*kinds: type[BaseException]) -> Any:
        # A missing file means little: the clients ask for some that a repository need not have.
        return next((e for e in errors if isinstance(e, kinds) and not isinstance(e, RemoteEntryNotFoundError)), None)

    if error := first(NoAnswer):
        return f"hub: {source} could not be fetched: {error}"
    if first(GatedRepoError):
        return f"hub: {source} is gated: accept its terms on the hub and log in with `hf auth login`"
    if first(RevisionNotFoundError):
        return f"hub: {source} has no revision '{revision}'; name a branch, tag or commit it has"
    if first(RepositoryNotFoundError):
        return f"hub: {source} does not exist or is private: check the id, or log in with `hf auth login`"
    if first(HFValidationError):
        return f"hub: '{source}' is not a valid hub id; write owner/name"
    if error := first(HfHubHTTPError):
        status = error.response.status_code
        way_on = WAYS_ON.get(status, "try again later")
        return f"hub: {source} could not be fetched (HTTP {status} {error.response.reason_phrase}); {way_on}"
    if first(FileMetadataError):
        return f"hub: {source} could not be fetched: {constants.ENDPOINT} reports no commit for a file, {NOT_THE_HUB}"
    if error := first(OfflineModeIsEnabled, HTTPError) or first(LocalEntryNotFoundError, ConnectionError):
        if is_offline_mode():
            return f"hub: {source} cannot be fetched while HF_HUB_OFFLINE is set: unset it where Snakemake runs"
        return f"hub: cannot be reached for {source} ({_shown(error)}): fetching needs the network where Snakemake runs"
    return None


def _local_trouble(source: str, error: Exception) -> str | None:
    """The line for a local folder in which the clients cannot store files; None for other errors."""
    if not isinstance(error, OSError) or not error.errno:
        return None
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    place = None if error.filename is None else Path(os.fsdecode(error.filename)).absolute()
    folders = {name: os.environ[name] for name in CACHES if os.environ.get(name)}
    folders.setdefault("HF_HOME", constants.HF_HOME)
    for name, value in folders.items():
        folder = Path(os.path.expandvars(value)).expanduser().absolute()
        if full or (place and (place.is_relative_to(folder) or folder.is_relative_to(place))):
            reason = f"{place}: {error.strerror}" if place else error.strerror
            right = "free some space there, or name a larger disk" if full else "name a folder that can be written"
            return f"hub: {source} cannot be stored in {name}={value} ({reason}); {right}"
    return None


def _shown(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
