"""What is left out of lines and logs, and what is not."""

import logging
import subprocess
import sys

import pytest

from layerscope.io.errors import UserError
from layerscope.io.redact import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("for url 'http://me:pass@word@host:80/a' and b@c", "for url 'http://[hidden]@host:80/a' and b@c"),
        ('GET https://cdn/x?Signature=a&Key=b "200"', 'GET https://cdn/x?[hidden] "200"'),
        ("http://me:pw@cdn/x?token=a", "http://[hidden]@cdn/x?[hidden]"),
        ("header b'Bearer abc\\n'", "header b'Bearer [hidden]'"),
        ("token hf_abcdefABCDEF0123456789.", "token [hidden]."),
        ("hf_hub_download(…) of hf_raise_for_status", "hf_hub_download(…) of hf_raise_for_status"),
        ("https://host/owner/name: no such file, is it there?", "https://host/owner/name: no such file, is it there?"),
    ],
)
def test_passwords_and_tokens_are_left_out(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert str(UserError(text)) == shown


def test_messages_of_every_logger_are_redacted() -> None:
    script = (
        "import logging; from layerscope.io.redact import redact_logs; redact_logs()\n"
        "logging.getLogger('a.b').warning('asked %s, %d times', 'http://me:pw@host/', 2)\n"
        "logging.getLogger('a.b').warning('%d', 'not a number')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("asked http://[hidden]@host/, 2 times\n")
    assert "Logging error" in done.stderr, "one that cannot be formatted is no error of the program"
    assert logging.getLogRecordFactory() is logging.LogRecord, "only jobs that fetch redact what others log"
