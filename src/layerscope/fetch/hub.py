"""The hub, through its own clients, with one clear line for everything that can go wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from layerscope.errors import UserError

INSTEAD = "the default study (snakemake without --configfile) needs no network"


@contextmanager
def one_line_errors(source: str, revision: str | None) -> Iterator[None]:
    """Turn the clients' exceptions into a UserError that names the source and a way on."""
    try:
        yield
    except GatedRepoError:
        raise UserError(
            f"hub: {source} is gated: accept its terms on the hub and log in with `hf auth login`; {INSTEAD}"
        ) from None
    except RevisionNotFoundError:
        raise UserError(
            f"hub: {source} has no revision '{revision}'; name a branch, tag or commit it has; {INSTEAD}"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"hub: {source} does not exist or is private: check the id, or log in with `hf auth login`; {INSTEAD}"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        raise UserError(f"hub: {source} could not be fetched (HTTP {status}); try again later; {INSTEAD}") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, ConnectionError, HTTPError) as error:
        raise UserError(
            f"hub: cannot be reached for {source} ({type(error).__name__}): "
            f"fetching needs the network where Snakemake runs; {INSTEAD}"
        ) from error


def resolve_commit(source: str, revision: str | None, repo_type: str) -> tuple[str, list[str]]:
    """The commit that a revision (default: the newest) stands for, and the repository's files."""
    with one_line_errors(source, revision):
        info = HfApi().repo_info(source, revision=revision, repo_type=repo_type)
    return info.sha, [file.rfilename for file in info.siblings or []]


def download(source: str, commit: str, patterns: list[str]) -> Path:
    """Download the files of a model repository that match ``patterns``; their folder in the hub cache."""
    with one_line_errors(source, commit):
        return Path(snapshot_download(source, revision=commit, allow_patterns=patterns))
