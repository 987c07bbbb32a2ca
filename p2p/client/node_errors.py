"""What asking a node comes to when it gives no answer: RingriftError -> NodeUnreachable, NodeRefusal.

Quick to load: the command lines sort their exit codes by these.
"""

import os
import ssl

from ringrift_core.errors import RingriftError

OTHER_NAME = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class NodeUnreachable(RingriftError):  # noqa: N818 - a state of affairs, for callers to act on
    """No node answers where one was asked: nobody does, or somebody else; the message names the place."""


class NodeRefusal(RingriftError):  # noqa: N818
    """The node answers that it will not; the message has its words."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def reason_of(error: BaseException) -> str:
    """Why there is no connection, in one phrase; what libraries say of it names their own calls."""
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = (
            "say the name that it is for" if error.verify_code in OTHER_NAME else "SSL_CERT_FILE may name its issuer"
        )
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}; {advice}"
    if isinstance(error, ssl.SSLError):  # its errno is none of the system
        return f"no TLS there: {(error.reason or 'unknown').lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return str(error) or "no answer in time"
    if isinstance(error, OSError):
        number = error.errno or 0
        return os.strerror(number) if number > 0 else error.strerror or type(error).__name__
    return str(error) or type(error).__name__
