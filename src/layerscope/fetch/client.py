"""The HTTP client of the hub's libraries: it gives up on answers that are too slow, or are not the hub's.

All requests of the libraries go through it: metadata, files and ranges of files. The exception is the content of files
in the hub's Xet storage, which ``hf_xet`` downloads over its own connections, with its own timeouts and retries; where
such a file is, the hub says through this client.
"""

import ssl
import time
from typing import Any

import httpcore2
import httpx2
from huggingface_hub.utils._http import default_client_factory

PATIENCE = 30  # seconds: a firewall that drops packets never answers, and the client would wait forever
# Bytes per second. A model of 500 MB would take six days: at such a speed something is broken.
SLOWEST = 1000
NOT_THE_HUB = (
    "so it is not the hub: log in to this network in a browser if it wants that, and check HF_ENDPOINT and HTTPS_PROXY"
)


class NoAnswer(Exception):
    """What answers is not the hub, or never finishes. The text says which, and what would help."""


def patient_client() -> httpx2.Client:
    """The client that the hub's libraries make for themselves, with connections of :class:`PatientStream`."""
    client = default_client_factory()
    client.event_hooks = {**client.event_hooks, "response": [_refuse_page]}
    for transport in (client._transport, *client._mounts.values()):  # of hosts with a proxy and without
        if isinstance(transport, httpx2.HTTPTransport):
            transport._pool._network_backend = PatientBackend(transport._pool._network_backend)
    return client


def _refuse_page(response: httpx2.Response) -> None:
    """The hub never answers its clients with a web page; a network that wants a login first sends nothing else."""
    if response.is_success and "html" in response.headers.get("Content-Type", ""):
        raise NoAnswer(f"{response.url.host} answers with a web page, {NOT_THE_HUB}")


class PatientBackend(httpcore2.NetworkBackend):
    """Opens connections of :class:`PatientStream`."""

    def __init__(self, backend: httpcore2.NetworkBackend) -> None:
        self.backend = backend

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore2.NetworkStream:
        return PatientStream(self.backend.connect_tcp(host, port, timeout or PATIENCE, *args, **kwargs))


class PatientStream(httpcore2.NetworkStream):
    """A connection whose answers may be long, but not slow.

    The client's own timeout is for one read, and an answer that drips never exceeds it. Here ``PATIENCE`` seconds of
    waiting must bring ``SLOWEST`` bytes per second, headers included, until the answer is whole. The time until
    its first bytes is left to the client's timeout; the time between two reads, when the reader works, does not count.
    """

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self.stream = stream
        self.answering, self.waited, self.received = False, 0.0, 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.waited > PATIENCE:
            speed = self.received / self.waited
            if speed < SLOWEST:
                raise NoAnswer(f"it answers at {speed:.0f} bytes per second; try again later, or on another network")
            self.waited, self.received = 0.0, 0
        begun = time.monotonic()
        content = self.stream.read(max_bytes, timeout or PATIENCE)
        if self.answering:
            self.waited += time.monotonic() - begun
            self.received += len(content)
        self.answering = True
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, timeout or PATIENCE)
        self.answering, self.waited, self.received = False, 0.0, 0  # what is read from now on answers this

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return PatientStream(self.stream.start_tls(ssl_context, server_hostname, timeout or PATIENCE))

    def close(self) -> None:
        self.stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)
