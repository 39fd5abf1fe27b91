"""Map httpx2's connection errors to leaves of the error tree.

The deciding question is whether the whole request was sent: before that, nothing was computed.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from jobs.errors import KtjobError
from ktclient.errors import (
    ConnectionBroke,
    ConnectionRefused,
    HostUnknown,
    HostUnreachable,
    LinkLost,
    ProtocolError,
    ProxyRefused,
    ServerSilent,
    StreamCut,
    TlsFailed,
    WrongAddress,
)
from ktclient.request import bounds
from ktclient.urls import is_local
from ktclient.wording import after_time, quote

_CURE = "Start it, or choose another with --server URL."
_NO_WAY = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ETIMEDOUT}
)
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)
"""OpenSSL's names for a peer that answers TLS with something else, by version."""
_TLS_ALERT = "illegal request line"
"""h11's message for a response that begins with a control character. A TLS alert does: it is what
an https port answers to plain http (h11 _receivebuffer.py, is_next_line_obviously_invalid...).
"""
_BYTES = re.compile(r"bytearray\(b?['\"](.*)['\"]\)")
_CLOSED = ("peer closed connection", "Server disconnected")
"""httpcore's messages for a connection closed too early, with and without the start of an
answer."""
_IN_BODY = "illegal chunk"
"""h11's message for a body with broken chunks; the head was HTTP."""
_MANGLED = (httpx2.RemoteProtocolError, httpx2.DecodingError)
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAME = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
_TIMEOUTS = (httpx2.ReadTimeout, httpx2.WriteTimeout)


def explain(error: BaseException, url: str, *, sent: bool, seconds: float = 0.0) -> KtjobError:
    """The `KtjobError` for a connection to `url` that failed. `sent`: the whole request was sent,
    `seconds` ago."""
    causes = list(chain(error))
    for one in causes:
        if isinstance(one, (bounds.TooLarge, bounds.TooSlow)):
            return one.told
    system = next((one for one in causes if isinstance(one, OSError)), None)
    reason = _reason(causes, system)
    if isinstance(system, ssl.SSLError) and not sent:
        return _tls(system, url, reason)
    if any(isinstance(one, httpx2.RemoteProtocolError) for one in causes):
        if _TLS_ALERT in reason:
            return TlsFailed(f"{url} speaks TLS: write https:// instead of http://")
        if "illegal" in reason and _IN_BODY not in reason:
            return WrongAddress(
                f"the service at {url} does not speak HTTP ({_message(reason)}): this port belongs "
                "to another service. Correct the port in --server URL."
            )
    if any(isinstance(one, _MANGLED) for one in causes) and not _is_end(causes):
        return ProtocolError(
            f"the response of {url} is corrupted ({_message(reason)}), most likely by a proxy in "
            "between. Connect to the server directly."
        )
    return _cut(system, url, reason, seconds) if sent else _unsent(causes, system, url, reason)


def _unsent(
    causes: list[BaseException], system: OSError | None, url: str, reason: str
) -> KtjobError:
    """The request was not sent."""
    host = urlsplit(url).hostname
    if any(isinstance(one, httpx2.ProxyError) for one in causes):
        return ProxyRefused(
            f"no server answers at {url}: the proxy set in the environment does not reach it "
            f"({reason}). Set NO_PROXY={host}, or fix HTTPS_PROXY."
        )
    late = any(isinstance(one, httpx2.ConnectTimeout) for one in causes)
    proxy = _proxy_for(url)
    if proxy and (late or isinstance(system, (socket.gaierror, ConnectionRefusedError))):
        return ProxyRefused(
            f"no server answers at {url}: the proxy set in the environment for it, {proxy}, "
            f"does not respond ({reason}). Start it, fix HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or "
            f"set NO_PROXY={host} to connect directly."
        )
    if isinstance(system, socket.gaierror):
        return HostUnknown(
            f"host {host} not found: the name does not resolve ({reason}). Correct it in "
            "--server URL, or fix the network, VPN or DNS."
        )
    if isinstance(system, ConnectionRefusedError):
        return ConnectionRefused(f"no server answers at {url}: nothing listens there. {_CURE}")
    if any(isinstance(one, _TIMEOUTS) for one in causes):
        return ServerSilent(
            f"{url} accepts connections but neither reads nor answers ({reason}): it is loading, "
            "overloaded or hung. See its log."
        )
    if late or (system is not None and system.errno in _NO_WAY):
        return HostUnreachable(
            f"{url} cannot be reached ({reason}); nothing was sent. Check that the machine is up, "
            "that its firewall allows the port, and that the VPN is connected."
        )
    return ConnectionBroke(
        f"{url} closed the connection before the whole request was sent ({reason}); nothing was "
        "computed. It is restarting, or a proxy in between rejects a body this large, or it needs "
        "https://."
    )


def _proxy_for(url: str) -> str | None:
    """Host and port of the proxy used for a server; never its user and password."""
    parts = urlsplit(url)
    named = urllib.request.getproxies_environment()
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy or is_local(url) or urllib.request.proxy_bypass(parts.netloc):
        return None
    return quote(proxy.rpartition("@")[2].rpartition("//")[2].rstrip("/")) or None


def _cut(system: OSError | None, url: str, reason: str, seconds: float) -> KtjobError:
    after = f"{after_time(seconds)}before the answer was complete ({reason})"
    if system is not None and system.errno in _NO_WAY:
        return LinkLost(
            f"the network connection to {url} was lost {after}. Fix the network; the server drops "
            "the request as soon as it notices."
        )
    return StreamCut(
        f"the connection to {url} broke {after}. The server died or was restarted, or a proxy "
        "or network device closed the connection; see the server's log."
    )


def _tls(error: ssl.SSLError, url: str, reason: str) -> TlsFailed:
    if any(name in str(error) for name in _NOT_TLS):
        return TlsFailed(f"{url} does not speak TLS: write http:// instead of https://")
    if not isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(f"no TLS connection to {url} ({reason})")
    about = f"the certificate of {url}"
    if error.verify_code == _EXPIRED:
        return TlsFailed(f"{about} has expired: renew it on the server")
    if error.verify_code == _NOT_YET_VALID:
        return TlsFailed(f"{about} is not valid yet: is this machine's clock right?")
    if error.verify_code in _OTHER_NAME:
        said = quote(error.verify_message)
        return TlsFailed(
            f"{about} is for another host name: use the name in the certificate ({said})"
        )
    return TlsFailed(
        f"{about} is not signed by a CA that this machine trusts ({quote(error.verify_message)}): "
        "set SSL_CERT_FILE to the file of its CA"
    )


def _reason(causes: list[BaseException], system: OSError | None) -> str:
    """The most useful message: the system's, else the library's, else the error's class name."""
    if system is not None and system.strerror:
        return quote(system.strerror)
    said = (quote(str(one)) for one in reversed(causes))
    if _is_end(causes):
        return "closed by the other side"
    return next((words for words in said if words), type(causes[-1]).__name__)


def _is_end(causes: list[BaseException]) -> bool:
    return any(words.startswith(_CLOSED) for words in map(str, causes))


def _message(reason: str) -> str:
    """The bytes from h11's message, which shows them as a Python literal."""
    found = _BYTES.search(reason)
    return found[1] if found else reason


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes, outermost first; httpcore hides the system's own error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
