"""`ringrift-p2p`: the node. It is not built yet; the command says so instead of failing strangely."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Say that there is no node yet; exit code 3."""
    print("ringrift-p2p: this version has the game and no node yet; try: ringrift play", file=sys.stderr)
    sys.exit(3)
