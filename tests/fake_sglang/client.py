"""The socket of one HTTP exchange: answers, chunked streams, and every way to break it off."""

from __future__ import annotations

import select
import socket
import struct
from http.server import BaseHTTPRequestHandler

from fake_sglang.faults import Answer
from fake_sglang.serverlog import ServerLog


class Client:
    """Writes to the client of one request, and notices when it has gone."""

    def __init__(self, handler: BaseHTTPRequestHandler, log: ServerLog) -> None:
        self._handler = handler
        self._log = log

    def answer(self, answer: Answer) -> None:
        """A whole answer. Without a body there is no content type (recorded: /health)."""
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        if answer.body:
            headers["content-type"] = answer.content_type
        self._head(answer.status, headers)
        self._handler.wfile.write(answer.body)

    def cut_answer(self, answer: Answer) -> None:
        """The headers of the whole, and half of the body."""
        headers = {"content-length": str(len(answer.body)), "content-type": answer.content_type}
        self._head(answer.status, headers)
        self._handler.wfile.write(answer.body[: len(answer.body) // 2])
        self.cut()

    def start_stream(self, content_type: str, name: str = "content-type") -> None:
        """Status 200 and the headers; the body comes in chunks."""
        self._head(200, {name: content_type, "Transfer-Encoding": "chunked"})

    def write(self, text: str) -> None:
        """One chunk."""
        body = text.encode("utf-8", "surrogatepass")
        self._handler.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))

    def end_stream(self) -> None:
        """The empty chunk that ends a stream."""
        self._handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close the connection after this request, whatever was promised."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Close the connection with a RST instead of a FIN."""
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True
        # A plain close() would wait for the two files that http.server has made of the socket.
        socket.close(connection.detach())

    def is_gone(self) -> bool:
        """Whether the client has closed its end, which a silent server sees only by looking."""
        connection = self._handler.connection
        try:
            readable, _, _ = select.select([connection], [], [], 0)
            return bool(readable) and not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _head(self, status: int, headers: dict[str, str]) -> None:
        """In the order and case of uvicorn, as recorded."""
        handler = self._handler
        self._log.access(handler.client_address, handler.requestline, status)
        handler.send_response_only(status)
        handler.send_header("date", handler.date_time_string())
        handler.send_header("server", "uvicorn")
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
