"""The messages between voters as typed msgpack."""

from ringrift_core.errors import RingriftError


class WireError(RingriftError):
    """A peer sent what is no message; the connection should end."""
