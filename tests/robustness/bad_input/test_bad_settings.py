"""Environment variables that the hub's clients cannot use: one line that names the variable and shows no password."""

import pytest

from layerscope.fetch.settings import check_addresses
from layerscope.io.errors import UserError

CODES = ": its user name or password has a character that must be written as a percent code: / as %2F, ? as %3F, "
ADDRESS = " is not an address that the clients of the hub can use; write "
SOCKS = (
    " is a SOCKS proxy, which the clients of the hub cannot use as it is; write http://host:port, or socks5://host:port"
)
BAD = [
    ("HTTPS_PROXY", "http://me:pa#55word@proxy:8080", CODES),
    ("https_proxy", "http://me:pa?55word@proxy:8080", CODES),
    ("HTTP_PROXY", "http://me:12#55word@proxy:8080", CODES),  # port 12 of the host "me"
    ("HTTP_PROXY", "me:pa/55word@proxy:8080", CODES),
    ("ALL_PROXY", "http://me:pa 55word@proxy:8080", CODES),
    ("ALL_PROXY", "socks://me:55word@proxy:1080", SOCKS),
    ("ALL_PROXY", "socks5://me:55word@proxy:1080", SOCKS),
    ("all_proxy", "socks4://proxy", SOCKS),
    ("HTTPS_PROXY", "ftp://me:55word@proxy", ADDRESS),
    ("HTTPS_PROXY", "http://me:55word@proxy:80a", ADDRESS),
    ("HTTPS_PROXY", "http://me:55word@[::1:80", ADDRESS),
    ("HTTPS_PROXY", "http://", ADDRESS),
    ("HF_ENDPOINT", "https://me:pa#55word@mirror", CODES),
    ("HF_ENDPOINT", "https://mirror:55word", ADDRESS),
    ("HF_ENDPOINT", "mirror.example.org", ADDRESS),
    ("HF_ENDPOINT", "hf://mirror", ADDRESS),
]
GOOD = [
    {"HTTPS_PROXY": "http://me:pa%2355word@proxy:8080", "NO_PROXY": "127.0.0.1,.example.org"},
    {"HTTPS_PROXY": "proxy:8080", "http_proxy": "http://[::1]:3128/"},
    {"ALL_PROXY": "http://me:p@ss@proxy"},
    {"ALL_PROXY": "socks://proxy", "NO_PROXY": "*"},  # not used at all
    {"HF_ENDPOINT": "https://mirror.example.org/hub/", "HTTPS_PROXY": ""},
]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "hf_endpoint"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("layerscope.fetch.settings.SCHEMES", ["http", "https"])  # whether or not socksio is there


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_address_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as error:
        check_addresses()
    assert str(error.value).startswith(f"{name}{said}")
    assert len(str(error.value).splitlines()) == 1
    assert "55word" not in str(error.value) and error.value.__cause__ is error.value.__context__ is None


@pytest.mark.parametrize("settings", GOOD, ids=str)
def test_address_that_can_be_used(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    check_addresses()
