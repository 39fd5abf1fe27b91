"""Why a connection did not come about, or ended: httpx2's errors as leaves of our tree.

What decides is whether the whole request had gone out: before, nothing was computed.
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
from ktclient.urls import is_local
from ktclient.wording import after_time, quote

_CURE = "Start it, or name another with --server URL."
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
"""What h11 makes of an answer that begins with a control character: a TLS alert does, which is
what an https port says to plain http (h11 _receivebuffer.py, is_next_line_obviously_invalid...).
"""
_BYTES = re.compile(r"bytearray\(b?['\"](.*)['\"]\)")
_CLOSED = ("peer closed connection", "Server disconnected")
"""httpcore's words for an orderly end too early, with and without a beginning of an answer."""
_IN_BODY = "illegal chunk"
"""h11's words for a body whose frame is broken; the head was HTTP."""
_MANGLED = (httpx2.RemoteProtocolError, httpx2.DecodingError)
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAME = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
_TIMEOUTS = (httpx2.ReadTimeout, httpx2.WriteTimeout)


def explain(error: BaseException, url: str, *, sent: bool, seconds: float = 0.0) -> KtjobError:
    """Our error for a connection to `url` that failed. `sent`: the whole request had gone out,
    `seconds` ago."""
    causes = list(chain(error))
    system = next((one for one in causes if isinstance(one, OSError)), None)
    reason = _reason(causes, system)
    if isinstance(system, ssl.SSLError) and not sent:
        return _tls(system, url, reason)
    if any(isinstance(one, httpx2.RemoteProtocolError) for one in causes):
        if _TLS_ALERT in reason:
            return TlsFailed(f"{url} speaks TLS: write https:// instead of http://")
        if "illegal" in reason and _IN_BODY not in reason:
            return WrongAddress(
                f"what answers at {url} does not speak HTTP ({_said(reason)}): it is another "
                "service's port. Correct the port in --server URL."
            )
    if any(isinstance(one, _MANGLED) for one in causes) and not _is_end(causes):
        return ProtocolError(
            f"the answer of {url} came mangled ({_said(reason)}): whatever is between, a proxy "
            "most likely, breaks it. Go to the server directly."
        )
    return _cut(system, url, reason, seconds) if sent else _unsent(causes, system, url, reason)


def _unsent(
    causes: list[BaseException], system: OSError | None, url: str, reason: str
) -> KtjobError:
    """Nothing was asked."""
    host = urlsplit(url).hostname
    if any(isinstance(one, httpx2.ProxyError) for one in causes):
        return ProxyRefused(
            f"no server answers at {url}: the proxy that the environment names does not lead there "
            f"({reason}). Set NO_PROXY={host}, or mend HTTPS_PROXY."
        )
    late = any(isinstance(one, httpx2.ConnectTimeout) for one in causes)
    proxy = _proxy_for(url)
    if proxy and (late or isinstance(system, (socket.gaierror, ConnectionRefusedError))):
        return ProxyRefused(
            f"no server answers at {url}: the proxy that the environment names for it, {proxy}, "
            f"is not there ({reason}). Start it, mend HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or set "
            f"NO_PROXY={host} to go direct."
        )
    if isinstance(system, socket.gaierror):
        return HostUnknown(
            f"there is no host {host}: the name could not be looked up ({reason}). Correct it in "
            "--server URL, or mend the network, VPN or DNS."
        )
    if isinstance(system, ConnectionRefusedError):
        return ConnectionRefused(f"no server answers at {url}: nothing listens there. {_CURE}")
    if any(isinstance(one, _TIMEOUTS) for one in causes):
        return ServerSilent(
            f"{url} takes connections but neither reads nor answers ({reason}): it is loading, "
            "overloaded or hung. Its log says which."
        )
    if late or (system is not None and system.errno in _NO_WAY):
        return HostUnreachable(
            f"{url} cannot be reached ({reason}); nothing was sent. Is the machine up, its "
            "firewall open for the port, the VPN connected?"
        )
    return ConnectionBroke(
        f"{url} closed the connection before the request was whole ({reason}); nothing was "
        "computed. It is restarting, or a proxy in between takes no body so large, or it wants "
        "https://."
    )


def _proxy_for(url: str) -> str | None:
    """Host and port of the proxy that goes before a server; never its user and password."""
    parts = urlsplit(url)
    named = urllib.request.getproxies_environment()
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy or is_local(url) or urllib.request.proxy_bypass(parts.netloc):
        return None
    return quote(proxy.rpartition("@")[2].rpartition("//")[2].rstrip("/")) or None


def _cut(system: OSError | None, url: str, reason: str, seconds: float) -> KtjobError:
    after = f"{after_time(seconds)}before the answer was whole ({reason})"
    if system is not None and system.errno in _NO_WAY:
        return LinkLost(
            f"the network to {url} was lost {after}. Mend the link; the server drops the request "
            "as soon as it notices."
        )
    return StreamCut(
        f"the connection to {url} ended {after}. The server died or was restarted, or something "
        "between cut the line; the server's log says which."
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
        return TlsFailed(f"{about} is for another name: use the name in it ({said})")
    return TlsFailed(
        f"{about} is signed by nobody whom this machine trusts ({quote(error.verify_message)}): "
        "name the file of its CA in SSL_CERT_FILE"
    )


def _reason(causes: list[BaseException], system: OSError | None) -> str:
    """The most telling words: the system's, else the library's, else its error's name."""
    if system is not None and system.strerror:
        return quote(system.strerror)
    said = (quote(str(one)) for one in reversed(causes))
    if _is_end(causes):
        return "closed from the other side"
    return next((words for words in said if words), type(causes[-1]).__name__)


def _is_end(causes: list[BaseException]) -> bool:
    return any(words.startswith(_CLOSED) for words in map(str, causes))


def _said(reason: str) -> str:
    """h11 shows what it did not understand as Python."""
    found = _BYTES.search(reason)
    return found[1] if found else reason


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, from the outside in; httpcore hides the system's own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
