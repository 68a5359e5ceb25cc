"""What the environment tells the hub's clients, checked before they read it, which is when they are imported.

A client that cannot read an address shows a part of it, which may be a password.
"""

import os
from importlib.util import find_spec
from types import ModuleType
from urllib.request import getproxies

import httpx2

from layerscope.io.errors import UserError

SCHEMES = ["http", "https", *(["socks5", "socks5h"] if find_spec("socksio") else [])]


def import_hub() -> ModuleType:
    """The module :mod:`layerscope.fetch.hub`, which imports the hub's clients.

    Raises:
        UserError: a setting of theirs cannot be used. The line shows no address.
    """
    check_addresses()
    try:
        from layerscope.fetch import hub
    except ValueError as error:
        raise UserError(
            f"one of the environment variables HF_... has a value that the clients of the hub cannot read ({error}); "
            "correct it, or unset it"
        ) from error
    return hub


def check_addresses() -> None:
    """Look at the hub's address, where it is set, and at those of the proxies that a client would use.

    Raises:
        UserError: one of them is none that a client can use.
    """
    if endpoint := os.environ.get("HF_ENDPOINT"):
        _check("HF_ENDPOINT", endpoint, "https://host", ["http", "https"])
    proxies = getproxies()
    if "*" in (host.strip() for host in proxies.get("no", "").split(",")):
        return
    for kind in ("http", "https", "all"):
        if address := proxies.get(kind):
            name = f"{kind}_proxy" if os.environ.get(f"{kind}_proxy") else f"{kind}_proxy".upper()
            _check(name, address if "://" in address else f"http://{address}", "http://host:port", SCHEMES)


def _check(name: str, address: str, right: str, schemes: list[str]) -> None:
    scheme, _, rest = address.partition("://")
    login, _, _ = rest.rpartition("@")
    if any(character in "/?#" or character.isspace() for character in login):
        raise UserError(
            f"{name}: its user name or password has a character that must be written as a percent code: / as %2F, "
            "? as %3F, # as %23, a space as %20"
        )
    if scheme.startswith("socks") and scheme not in schemes:
        raise UserError(
            f"{name} is a SOCKS proxy, which the clients of the hub cannot use as it is; write {right}, or "
            "socks5://host:port after `pip install socksio`"
        )
    try:
        usable = scheme in schemes and bool(httpx2.URL(address).host)
    except (httpx2.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise UserError(f"{name} is not an address that the clients of the hub can use; write {right}")
