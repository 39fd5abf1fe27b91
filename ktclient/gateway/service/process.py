"""The process of a gateway: its address, its lock, and then its server.

The address is taken and checked before anything large is imported: clients that come while the
rest loads are answered as soon as it has.
"""

from __future__ import annotations

from collections.abc import Callable

from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.service import instance, listener
from ktclient.gateway.service.instance import Claim, Files
from ktclient.gateway.service.options import Place, Wanted


def run(settings: Settings, wanted: Wanted, on_answering: Callable[[Place], None]) -> None:
    """Serve until SIGTERM or SIGINT. `on_answering` is called once requests are answered.

    Raises `BadInput` if the address cannot be used, or a gateway of this state directory uses its
    port; `StoreUnusable`.
    """
    state = settings.state.create()
    try:
        bound = listener.listen(wanted.host, wanted.port)
    except BadInput:
        if instance.of_port(state, wanted.port) is None:
            raise
        raise instance.taken(Files(state, wanted.port)) from None
    with bound:
        files = Files(state, listener.port_of(bound))
        url = listener.url_of(bound)
        claim = Claim(files, url)
        try:
            from ktclient.gateway.service import server

            def answering(remark: str | None) -> None:
                on_answering(Place(url, files.port, remark))

            server.serve(settings, wanted, bound, claim, answering)
        finally:
            claim.release()
