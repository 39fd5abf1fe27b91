"""Sessions of the page: a cookie in place of the key, which a browser would keep readable.

A session names a key and an end, and is signed with a secret of this state directory. So a restart
of the gateway ends none, and the removal of its key ends it at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict

from jobs import clock, draft
from jobs.store.http.values import ApiKey
from jobs.store.state_dir import StateDir
from ktclient.gateway.access.asgi import Scope, headers_of

COOKIE = "ktjob_session"
SECONDS = 30 * 86_400
"""How long a session lasts."""
_SECRET_BYTES = 32
_MOST_ENDED = 10_000
_SAID = re.compile(r"(key_[0-9a-f]{16})\.([0-9]{1,12})\.[0-9a-f]{16}")


class Sessions:
    """Makes and checks the cookies of one state directory."""

    def __init__(self, state: StateDir) -> None:
        """Reads the secret, if there is one."""
        self._path = state.gateway_secret
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._secret = b""
        with contextlib.suppress(OSError):
            self._secret = self._path.read_bytes()

    def begin(self, key: ApiKey) -> str:
        """A new session of a key: the value of its cookie. Makes the secret first where there is
        none, so call it in a thread."""
        if not self._secret:
            self._secret = secrets.token_bytes(_SECRET_BYTES)
            with contextlib.suppress(OSError):  # a full disk: these sessions end with the process
                draft.write(self._path, self._secret, prefix=draft.prefix_of(self._path))
        said = f"{key.id}.{int(_now()) + SECONDS}.{secrets.token_hex(8)}"
        return f"{said}.{self._signature(said)}"

    def key_id(self, cookie: str) -> str | None:
        """The id of the key whose session this is; None for one that has ended or never began."""
        said, _, signature = cookie.rpartition(".")
        if not self._secret or not (found := _SAID.fullmatch(said)) or cookie in self._ended:
            return None
        if not hmac.compare_digest(self._signature(said), signature):
            return None
        return found[1] if int(found[2]) > _now() else None

    def end(self, cookie: str) -> None:
        """End a session before its time: until a restart, by which its browser has dropped it."""
        if self.key_id(cookie) is None:
            return
        self._ended[cookie] = None
        while len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)

    def _signature(self, said: str) -> str:
        return hmac.new(self._secret, said.encode("ascii"), hashlib.sha256).hexdigest()


def cookie_of(scope: Scope) -> str | None:
    """The session cookie that a request carries, whatever it says."""
    for line in headers_of(scope, "cookie"):
        for one in line.split(";"):
            name, _, value = one.strip().partition("=")
            if name == COOKIE and value.isascii():
                return value
    return None


def set_cookie(value: str, is_secure: bool) -> str:
    """The header that gives a browser its session; with an empty value, takes it away."""
    age = SECONDS if value else 0
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _now() -> float:
    return clock.utc().timestamp()
