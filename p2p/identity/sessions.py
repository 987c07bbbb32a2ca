"""Sessions of browsers: a token swapped for a cookie. Pure: time and chance are arguments.

Only the hash of a session's name is kept, in memory, so that whoever reads the memory of a stopped node, or its status,
can use none. A restart ends them all.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from p2p.identity.node_key import base64_text, bytes_of
from p2p.identity.principals import Principal

SESSIONS_MAX = 64  # of one principal: those who may only read push no admin out
TTL_S = 12 * 3600.0
NAME_BYTES = 32
COOKIE = "ringrift_session"


@dataclass(frozen=True, slots=True)
class _Session:
    principal: Principal
    end_s: float


class Sessions:
    """The sessions that last; `now` is monotonic time in seconds."""

    def __init__(self, sessions_max: int = SESSIONS_MAX, ttl_s: float = TTL_S) -> None:
        self._sessions_max = sessions_max
        self._ttl_s = ttl_s
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()  # the oldest first

    def begin(self, principal: Principal, chance: bytes, now: float) -> str:
        """Begin one with 32 random bytes; gives what the cookie holds. The oldest of a principal with too many ends."""
        if len(chance) != NAME_BYTES:
            raise ValueError(f"a session takes {NAME_BYTES} random bytes, not {len(chance)}")
        same = [key for key, session in self._sessions.items() if session.principal is principal]
        if len(same) >= self._sessions_max:
            del self._sessions[same[0]]
        self._sessions[_hash(chance)] = _Session(principal, now + self._ttl_s)
        return base64_text(chance)

    def principal_of(self, name: str, now: float) -> Principal | None:
        """Whose session it is; None where it has ended or never was."""
        key = _key(name)
        session = None if key is None else self._sessions.get(key)
        if session is None or key is None:
            return None
        if now >= session.end_s:
            del self._sessions[key]
            return None
        return session.principal

    def end(self, name: str) -> bool:
        """End a session; False where there is none."""
        key = _key(name)
        return key is not None and self._sessions.pop(key, None) is not None

    def __len__(self) -> int:
        return len(self._sessions)


def cookie_name(port: int) -> str:
    """The cookie of the node on a port: browsers do not tell the ports of a host apart."""
    return f"{COOKIE}_{port}"


def _key(name: str) -> bytes | None:
    if len(name) > 2 * NAME_BYTES:
        return None
    try:
        return _hash(bytes_of(name))
    except ValueError:
        return None


def _hash(chance: bytes) -> bytes:
    return hashlib.sha256(chance).digest()
