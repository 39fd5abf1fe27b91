"""Which server a request goes to, and which model it asks for there, by the name in its body."""

from __future__ import annotations

from ktclient.config.servers import ANY, DEFAULT
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.gateway.models import Models


def route(models: Models, settings: Settings, asked: str | None) -> tuple[str | None, str | None]:
    """The server as `--server` takes it (None: the default one) and the model (None: the one that
    it serves). In this order, a name is: none at all or "default"; "any", or a configured server's;
    a model that a server lists; SERVER/MODEL. Any other is left to the default server, which
    refuses it. Where the default is any server, a model goes to any that lists it. Blocks while
    servers are asked."""
    default = ANY if settings.is_any else None
    if not asked or asked == DEFAULT:
        return default, None
    if asked in settings.servers or asked in (EMBEDDED, ANY):
        return asked, None
    server = models.server_of(settings, asked)
    head, _, rest = asked.partition("/")
    if server is None and rest and head in (*settings.servers, EMBEDDED, DEFAULT, ANY):
        return (default if head == DEFAULT else head), rest
    return default or server, asked
