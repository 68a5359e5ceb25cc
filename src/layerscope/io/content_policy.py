"""Content security policies of the pages, which allow what is written into them and nothing else."""

import base64
import hashlib


def source_of(text: str) -> str:
    """How a policy names an inline style or script, so that no other is applied or run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
