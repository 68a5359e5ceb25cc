"""The hub, through its own clients, with one clear line for everything that can go wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, is_offline_mode, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from layerscope.errors import UserError

INSTEAD = "the default study (snakemake without --configfile) needs no network"
PATIENCE = 30  # seconds: a firewall that drops packets never answers, and the client would wait for ever


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
    except HFValidationError:
        raise UserError(f"hub: '{source}' is not an id the hub can have; write owner/name; {INSTEAD}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        way_on = "log in anew with `hf auth login`" if status == 401 else "try again later"
        raise UserError(f"hub: {source} could not be fetched (HTTP {status}); {way_on}; {INSTEAD}") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, ConnectionError, HTTPError) as error:
        if is_offline_mode():
            raise UserError(
                f"hub: {source} cannot be fetched while HF_HUB_OFFLINE is set: unset it where Snakemake runs; {INSTEAD}"
            ) from None
        raise UserError(
            f"hub: cannot be reached for {source} ({type(error).__name__}): "
            f"fetching needs the network where Snakemake runs; {INSTEAD}"
        ) from error


def resolve_commit(source: str, revision: str | None, repo_type: str) -> tuple[str, list[str]]:
    """The commit that a revision (default: the newest) stands for, and the repository's files."""
    with one_line_errors(source, revision):
        look_up = HfApi().dataset_info if repo_type == "dataset" else HfApi().model_info
        info = look_up(source, revision=revision, timeout=PATIENCE)
        # A stranger may list a gated repository; that its files are barred should show before any is asked for.
        if info.gated:
            HfApi().auth_check(source, repo_type=repo_type)
    assert info.sha  # the clients' types leave it open; the hub always says it
    return info.sha, [file.rfilename for file in info.siblings or []]


def download(source: str, commit: str, patterns: list[str]) -> Path:
    """Download the files of a model repository that match ``patterns``; their folder in the hub cache."""
    with one_line_errors(source, commit):
        return Path(snapshot_download(source, revision=commit, allow_patterns=patterns))
