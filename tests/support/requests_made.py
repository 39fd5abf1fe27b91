"""Every place in the code from which a request leaves, found in the source, and what it asks for.

A new place is not in `PLACES`: then a test fails until it is listed here, with the path by which
`tests/integration/test_keys_of_requests.py` sees it, or with the reason why no key is involved.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKERS = {
    *("OpenAI", "AsyncOpenAI", "HTTPConnection", "HTTPSConnection", "build_opener", "urlopen"),
    *("_Api", "make_api", "urlretrieve", "create_connection", "open_connection", "notify"),
}
"""Calls that make a client, or send something, whatever they are called on; and so are all whose
name ends with "client"."""
CLIENTS = {"client", "http", "api", "session", "http_probe", "httpx2", "requests"}
VERBS = {
    "get",
    "request",
    "post",
    "put",
    "patch",
    "delete",
    "head",
    "stream",
    "send",
    "open",
    "create",
}
"""Calls that send something if they are called on one of `CLIENTS`."""
LIBRARIES = {
    *("httpx2", "httpx", "openai", "urllib.request", "http.client", "requests", "aiohttp"),
    *("apprise", "socket", "asyncio", "ssl", "ftplib", "smtplib", "urllib3", "httpcore"),
}
"""Modules that can open a connection."""

NONE = "no key: "
PLACES: dict[str, dict[str, str]] = {
    "ktclient.request.stream": {
        "connection.long_client": "/v1/chat/completions",
        "make_api": "/v1/chat/completions",
        "_Api": "/v1/chat/completions",
        "api.chat.completions.create": "/v1/chat/completions",
    },
    "ktclient.request.connection": {
        "short_client": "/model_info",
        "_client": "/v1/models",
        "httpx2.Client": "/v1/models",
    },
    "ktclient.servers.probe": {
        "connection.short_client": "/v1/models",
        "client.get(f'{url}/v1/models')": "/v1/models",
    },
    "ktclient.servers.dialects.live_load": {
        "connection.short_client": "/metrics",
        "client.get(f'{url}/metrics')": "/metrics",
        "client.get(f'{url}/v1/models')": "/v1/models",
    },
    "ktclient.servers.queries": {
        "connection.short_client": "/tokenize",
        "connection.probe_client": "/model_info",
        "client.get": "/model_info",
        "client.get(f'{facts.url}/model_info')": "/model_info",
        "client.get(f'{facts.url}{path}')": "/props",
        "client.post(f'{facts.url}/tokenize')": "/tokenize",
    },
    "ktclient.servers.gauges": {
        "connection.short_client": "/metrics",
        "client.get(f'{self._facts.url}/metrics')": "/metrics",
        "client.get": "/v1/loads",
    },
    "ktclient.servers.dialects.sglang": {
        "http.post(f'{url}/tokenize')": "/tokenize",
        "http.get(f'{facts.url}/server_info')": "/server_info",
        "http.get(f'{url}/server_info')": "/server_info",
        "http.get(f'{url}/v1/loads?include=core')": "/v1/loads",
        "http.get(f'{known.url}/v1/loads?include=core')": "/v1/loads",
        "http.post(f'{url}/abort_request')": "/abort_request",
        "http.get(f'{url}/metrics')": "/metrics",
        "http.get(f'{url}/health')": "/health",
    },
    "ktclient.servers.dialects.vllm": {
        "http.post(f'{url}/tokenize')": "/tokenize",
        "http.get(f'{facts.url}/metrics')": "/metrics",
        "http.get(f'{url}/metrics')": "/metrics",
    },
    "ktclient.servers.dialects.llamacpp": {
        "http.post(f'{url}/apply-template')": "/apply-template",
        "http.post(f'{url}/tokenize')": "/tokenize",
        "http.get(f'{facts.url}/props')": "/props",
        "http.get(f'{url}/props')": "/props",
        "http.get(f'{url}/slots')": "/slots",
    },
    "ktclient.servers.selection": {"socket.create_connection": NONE + "it sends nothing"},
    "ktclient.records.server_load": {
        "http_probe.get(f'{url}/v1/loads?include=core')": "/v1/loads",
        "http_probe.get(f'{url}/metrics')": "/metrics",
    },
    "ktclient.worker.preload": {
        "connection.long_client": NONE + "never used",
        "connection.answering_client": NONE + "answers from memory",
        "stream.make_api": NONE + "answers from memory",
        "client.get(f'{_URL}/v1/models')": NONE + "answers from memory",
        "api.chat.completions.create": NONE + "answers from memory",
    },
    "ktclient.cli.gateway.running": {
        "http_probe.get(f'{url}/healthz')": NONE + "asks a gateway of this state directory",
    },
    "ktclient.cli.setup.notify": {"channels.notify": NONE + "an address of [notify]"},
    "ktclient.notify.delivery": {"channels.notify": NONE + "an address of [notify]"},
    "ktclient.notify.channels": {"service.notify": NONE + "an address of [notify]"},
    "server_bundle.install.http": {
        "urllib.request.build_opener": NONE + "asks the user's package index",
    },
    "server_bundle.launch.http_probe": {
        "urllib.request.build_opener": "/model_info",
        "urllib.request.build_opener(*handlers).open": "/model_info",
    },
    "server_bundle.launch.readiness": {
        "http_probe.get(url + path)": "/model_info",
        "http_probe.get(f'{url}/v1/chat/completions')": "/v1/chat/completions",
    },
}
"""Module -> call -> the path that it asks for, or `NONE` and the reason."""
MAY_CONNECT = {
    *PLACES,
    "ktclient.request.bounds",
    "ktclient.request.response_body",
    "ktclient.request.short_client",
    "server_bundle.launch.start",  # tries whether a port is free
    "jobs.system.listening_sockets",  # asks the kernel, which is no other machine
    "jobs.runner.loop",  # names the socket of a forked child
    "jobs.runner.shared_workers",  # makes it: a pair of this process and its child
    "jobs.worker.shared",  # reads the other end
    "server_bundle.weights.hubs.huggingface",  # names the errors of huggingface_hub's client
    "ktclient.request.connection_errors",  # names errors
    "ktclient.request.error_mapping",  # names errors
    "ktclient.request.liveness",  # watches a socket
    "ktclient.servers.dialects.dialect",  # names types
    "ktclient.servers.dialects.openai_compatible",  # asks for nothing
    "ktclient.api.async_wait",  # starts a process
    "ktclient.api.remote_job",  # starts processes
    "server_bundle.addresses",  # parses addresses
    "ktclient.gateway.service.server",  # listens
}
"""Modules that import one of `LIBRARIES`."""
ANSWERS = "ktclient.gateway."
"""The room that answers connections and makes none: its modules may import asyncio, and
`LISTENS` the rest."""
LISTENS = {
    "ktclient.gateway.access.connection",  # resets one
    "ktclient.gateway.access.hosts",  # asks for this machine's name
    "ktclient.gateway.service.listener",
    "ktclient.gateway.service.server",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Our modules by name."""
    for package in ("jobs", "server_bundle", "ktclient"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> set[str]:
    """What is called, and the first argument where that says which path is asked for."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _asks(node.func):
            name, first = ast.unparse(node.func), node.args[0] if node.args else None
            has_path = isinstance(first, (ast.JoinedStr, ast.BinOp))
            found.add(f"{name}({ast.unparse(first)})" if first and has_path else name)
    return found


def _asks(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return _makes(function.id)
    if not isinstance(function, ast.Attribute):
        return False
    owner = ast.unparse(function.value)
    is_client = owner.split(".")[0] in CLIENTS or "build_opener" in owner
    return _makes(function.attr) or (is_client and function.attr in VERBS)


def _makes(name: str) -> bool:
    return name in MAKERS or name.lower().endswith("client")


def libraries(tree: ast.Module) -> set[str]:
    """Which of `LIBRARIES` a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found & LIBRARIES
