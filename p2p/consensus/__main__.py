"""`python -m p2p.consensus FD`: the raft process of a node, which speaks with its control process over an open socket.

It ends with that socket: whoever holds the other end decides, so signals that people send to a node's processes are not
for this one. What it needs to know comes over the socket, secrets too (the path of the key): nothing stands in its
arguments or its environment.
"""

import asyncio
import signal
import socket
import sys

from p2p.consensus.process import run


def main() -> int:
    """Run until the socket ends; 0 in good order, 1 when the process could not go on."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return asyncio.run(run(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    sys.exit(main())
