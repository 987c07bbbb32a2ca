"""What this node runs, as it says it to others."""

import platform
from importlib.metadata import PackageNotFoundError, version

from managers.status_records import Versions
from ringrift_core.game.rules_digest import RULES_DIGEST

PROTOCOL = 2  # what nodes say to each other
PROTOCOL_OLDEST = 2  # that is still understood


def _installed() -> str:
    """The version of the package; a checkout that is not installed has none."""
    try:
        return version("ringrift")
    except PackageNotFoundError:
        return "unknown"


PRESENT = Versions(ringrift=_installed(), protocol=PROTOCOL, rules=RULES_DIGEST, python=platform.python_version())
