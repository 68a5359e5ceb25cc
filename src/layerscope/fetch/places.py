"""Where a source is: on this machine, or on the hub."""

import re
from pathlib import Path

# No hub id ends like a file of documents: such a path that does not exist is a mistake, not a hub id.
DOCUMENTS = (".json", ".jsonl", ".parquet", ".txt", ".csv", ".tsv")
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")


def is_local(source: str) -> bool:
    """Whether a source is a path on this machine; anything else must be a hub id."""
    return Path(source).exists() or source.endswith(DOCUMENTS) or not HUB_ID.match(source)
