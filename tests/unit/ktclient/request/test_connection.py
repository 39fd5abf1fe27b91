"""The HTTP clients against real servers: keepalive, proxies, certificates and timers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from support.served import served

from ktclient import urls
from ktclient.errors import TlsFailed
from ktclient.request import connection, stream
from ktclient.request.stream import LongRequest

pytestmark = pytest.mark.each_python

TLS = Path(__file__).resolve().parents[3] / "data" / "tls"
"""A self-signed certificate for localhost, 127.0.0.1 and ktjob.test, until 2126, and its key."""
KEEPALIVE = {
    "SO_KEEPALIVE": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "TCP_KEEPIDLE": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    "TCP_KEEPINTVL": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    "TCP_KEEPCNT": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 40),
    "TCP_USER_TIMEOUT": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 600_000),
}
"""What is set on the socket of a long request, and to what (seconds; the last in milliseconds)."""


class Listening(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1 that notes what it was asked."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.body = b""
        self.forward_to = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses our certificate is no news."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    """Answers everything; as a forward proxy too, in the place of the server that was meant."""

    server: Listening

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.server.body = self.rfile.read(int(self.headers["content-length"]))
        self._answer()

    def _answer(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append({name.lower(): text for name, text in self.headers.items()})
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_CONNECT(self) -> None:
        """A tunnel to our own TLS server, whatever host was meant."""
        self.server.asked.append(self.path)
        with socket.create_connection(("127.0.0.1", self.server.forward_to)) as inner:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pump, args=(inner, self.connection))
            back.start()
            pump(self.connection, inner)
            back.join()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def pump(source: socket.socket, target: socket.socket) -> None:
    """Bytes from one side of a tunnel to the other, to the end."""
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def listening(tls: bool = False) -> Iterator[Listening]:
    """A server that serves until the end of the block."""
    server = Listening(Answering)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with served(server):
        yield server


@pytest.fixture
def server() -> Iterator[Listening]:
    with listening() as server:
        yield server


@pytest.fixture
def tls_server() -> Iterator[Listening]:
    with listening(tls=True) as server:
        yield server


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    """A forward proxy that the environment names for http and https."""
    with listening() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        yield proxy


class Watching:
    """Keeps the steps, and what was set on the socket by the time the request had gone out."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.found: dict[str, int] = {}
        self._socket: socket.socket | None = None

    def __call__(self, step: str, sock: socket.socket | None) -> None:
        self.steps.append(step)
        self._socket = sock or self._socket
        if step.endswith(".send_request_body.complete") and self._socket is not None:
            self.found = {
                name: self._socket.getsockopt(level, option)
                for name, (level, option, _) in KEEPALIVE.items()
            }


WANTED = {name: value for name, (_, _, value) in KEEPALIVE.items()}


def long_post(url: str, watch: Watching) -> httpx2.Response:
    with connection.long_client(url, watch, 8) as requests:
        return requests.post(url, content=b"x" * 100_000)


def test_a_long_request_keeps_its_connection_alive(server: Listening) -> None:
    """Every option, on the very socket that a real request went over."""
    watch = Watching()
    assert long_post(f"http://{server.address}/v1/x", watch).text == "ok"
    assert watch.found == WANTED


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_001])
def test_a_long_body_arrives_whole(server: Listening, size: int) -> None:
    """With its length, in order, whatever the blocks it goes out in."""
    body = bytes(i * i % 251 for i in range(size))
    url = f"http://{server.address}/"
    with connection.long_client(url, Watching(), 8) as requests:
        assert requests.post(url, content=body).text == "ok"
    assert server.headers[0]["content-length"] == str(size)
    assert server.body == body


def test_a_long_request_over_tls_keeps_its_connection_alive(
    proxy: Listening, tls_server: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket handed out after the handshake is the one that can still be shut down."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "cert.pem"))
    proxy.forward_to = tls_server.server_port
    watch = Watching()
    assert long_post("https://ktjob.test/v1/x", watch).text == "ok"
    assert watch.found == WANTED
    assert (proxy.asked, tls_server.asked) == (["ktjob.test:443"], ["/v1/x"])


def test_a_proxy_of_the_environment_is_used_and_kept_alive(proxy: Listening) -> None:
    """No name is looked up here: the proxy answers for a host that does not exist."""
    watch = Watching()
    assert long_post("http://ktjob.test/v1/x", watch).text == "ok"
    assert proxy.asked == ["http://ktjob.test/v1/x"]
    assert watch.found == WANTED


def test_a_short_question_uses_the_proxy_too(proxy: Listening) -> None:
    """Else a probe would fail where the request would not."""
    with connection.short_client(None, "http://ktjob.test") as requests:
        assert requests.get("http://ktjob.test/v1/models").text == "ok"
    assert proxy.asked == ["http://ktjob.test/v1/models"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_no_proxy_is_asked_for_this_machine(proxy: Listening, server: Listening, host: str) -> None:
    """A proxy cannot reach our loopback: its own is another."""
    url = f"http://{host}:{server.server_port}"
    watch = Watching()
    assert long_post(f"{url}/long", watch).text == "ok"
    with connection.short_client(None, url) as requests:
        assert requests.get(f"{url}/short").text == "ok"
    assert (proxy.asked, server.asked) == ([], ["/long", "/short"])
    assert watch.found == WANTED


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:40001", True),
        ("http://127.8.9.10", True),
        ("http://[::1]:40001", True),
        ("https://localhost/v1", True),
        ("http://LocalHost:1", True),
        ("http://0.0.0.0:40001", True),
        ("http://[::]:40001", True),
        ("http://10.0.0.1:40001", False),
        ("http://[2001:db8::1]", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://gpu-box:40001", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(url: str, expected: bool) -> None:
    """Loopback by name and number, and the wildcard that servers print when they start."""
    assert urls.is_local(url) is expected


def test_an_unknown_certificate_is_refused(tls_server: Listening) -> None:
    """Verification stays on, for long requests and for short ones, also on this machine."""
    url = f"https://localhost:{tls_server.server_port}"
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        long_post(url, Watching())
    with (
        connection.short_client("key", url) as requests,
        pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        requests.get(url)
    assert tls_server.asked == []


def test_a_certificate_for_another_name_is_refused(
    proxy: Listening, tls_server: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Being known is not enough."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "cert.pem"))
    proxy.forward_to = tls_server.server_port
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        long_post("https://other.test/", Watching())
    assert tls_server.asked == []


def test_a_certificate_that_the_environment_trusts_is_accepted(
    proxy: Listening, tls_server: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE, as for every other program."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "cert.pem"))
    proxy.forward_to = tls_server.server_port
    with connection.short_client(None, "https://ktjob.test") as requests:
        assert requests.get("https://ktjob.test/v1/models").text == "ok"
    assert long_post("https://ktjob.test/long", Watching()).text == "ok"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_that_the_environment_trusts_is_accepted_on_this_machine(
    proxy: Listening, tls_server: Listening, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The end of an SSH tunnel to a server with a company's certificate; still no proxy."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "cert.pem"))
    url = f"https://{host}:{tls_server.server_port}"
    with connection.short_client(None, url) as requests:
        assert requests.get(f"{url}/short").text == "ok"
    assert long_post(f"{url}/long", Watching()).text == "ok"
    assert (proxy.asked, tls_server.asked) == ([], ["/short", "/long"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://ktjob.test"])
def test_silence_is_no_timeout(url: str) -> None:
    """No read timeout; connecting and each write have one."""
    with connection.long_client(url, Watching(), 8) as requests:
        timeout = requests.timeout
    assert timeout.read is None
    assert timeout.connect is not None and timeout.write is not None
    with connection.short_client(None, url) as requests:
        assert requests.timeout.read is not None


def limits_of(client: httpx2.Client) -> list[object]:
    pool = client._transport._pool  # type: ignore[attr-defined]
    names = ("_max_connections", "_max_keepalive_connections", "_keepalive_expiry", "_http2")
    return [getattr(pool, name) for name in names]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://ktjob.test"])
def test_the_limits_of_a_long_client_are_the_librarys(url: str) -> None:
    """Keepalive options did not cost them (openai-python #3269)."""
    with connection.long_client(url, Watching(), 8) as ours, httpx2.Client() as theirs:
        assert limits_of(ours) == limits_of(theirs)


def test_the_watcher_sees_the_body_go_out_before_the_answer_comes(server: Listening) -> None:
    """What tells a free retry from one that may cost half an hour."""
    watch = Watching()
    long_post(f"http://{server.address}/", watch)
    connected = watch.steps.index("connection.connect_tcp.complete")
    sent = watch.steps.index("http11.send_request_body.complete")
    answered = watch.steps.index("http11.receive_response_headers.complete")
    assert connected < sent < answered


def test_a_tunnel_is_not_yet_the_request(proxy: Listening, tls_server: Listening) -> None:
    """CONNECT carries no document: a handshake that fails behind it has asked nothing."""
    proxy.forward_to = tls_server.server_port
    request = LongRequest("https://ktjob.test", "m", "text", 8, "rid")
    with pytest.raises(TlsFailed, match="SSL_CERT_FILE"):
        list(stream.stream(request, 60.0))
    assert proxy.asked == ["ktjob.test:443"]


def test_a_connection_that_is_refused_hands_out_no_socket() -> None:
    """And nothing is called sent."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else's
        watch = Watching()
        with pytest.raises(httpx2.ConnectError):
            long_post(f"http://127.0.0.1:{taken.getsockname()[1]}/", watch)
    assert watch.found == {}
    assert not any(step.endswith("send_request_body.complete") for step in watch.steps)


def test_the_key_goes_into_a_header_when_there_is_one(server: Listening) -> None:
    """Bearer, and no empty header without a key."""
    url = f"http://{server.address}"
    for key in ("sk-1", None, ""):
        with connection.short_client(key, url) as requests:
            requests.get(url)
    assert [headers.get("authorization") for headers in server.headers] == [
        "Bearer sk-1",
        None,
        None,
    ]
