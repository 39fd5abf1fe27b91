"""Have the scripted server listen on an address that a test names, instead of on loopback only."""

import os
from http.server import HTTPServer
from socketserver import TCPServer


def bind(server: HTTPServer) -> None:
    """Without HTTPServer's look-up of its own name, which no resolver answers in a namespace."""
    server.server_address = (os.environ["KTJOB_LISTEN"], server.server_address[1])
    TCPServer.server_bind(server)
    server.server_name, server.server_port = server.server_address[:2]  # type: ignore[assignment]


if os.environ.get("KTJOB_LISTEN"):
    HTTPServer.server_bind = bind  # type: ignore[method-assign]
