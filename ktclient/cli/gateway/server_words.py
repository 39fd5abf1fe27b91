"""The server behind a gateway, in words."""

from __future__ import annotations

from jobs.errors import KtjobError
from ktclient.config.settings import Settings


def of(settings: Settings) -> str:
    """Which server gets the requests that name none, and whether it answers. May wait for it."""
    from ktclient.servers import selection

    if settings.is_any:
        return "any: the best of all servers for each request (ktjob servers)"
    try:
        target = selection.choose(settings, None, None)
    except KtjobError as error:
        return f"not usable now; requests get status 503 until it is. {error}"
    if target.facts is None:
        return f"the embedded server, which starts with the first request ({target.why})"
    return f"{target.facts.url} answers with {target.facts.model} ({target.why})"
