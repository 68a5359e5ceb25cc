"""Keep passwords and tokens out of what is printed and logged."""

import logging
import re
from contextlib import suppress
from typing import Any

SECRETS = [
    re.compile(r"(?<=://)()[^/\s]+(?=@)"),  # user and password in a URL
    re.compile(r"(://[^\s?'\"]+\?)[^\s'\"]+"),  # the query of a URL, which may sign it
    re.compile(r"(\bBearer )[^\s'\"]+", re.IGNORECASE),  # the header that a token is sent in
    re.compile(r"()\bhf_[A-Za-z0-9]{16,}"),  # a token of the hub
]


def redacted(text: str) -> str:
    """A text without the passwords and tokens in it."""
    for secret in SECRETS:
        text = secret.sub(r"\1[hidden]", text)
    return text


def redact_logs() -> None:
    """From now on, redact every message that this process logs, those of libraries too."""
    make_record = logging.getLogRecordFactory()

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        with suppress(TypeError, ValueError):  # arguments that do not fit the message: logging complains itself
            record.msg, record.args = redacted(record.getMessage()), None
        return record

    logging.setLogRecordFactory(make_redacted)
