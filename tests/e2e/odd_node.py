"""A node that plays by other rules, or speaks another protocol: `python -m tests.e2e.odd_node` with its options.

ODD_RULES and ODD_PROTOCOL say which; the rest is the shipped node.
"""

import os

from managers import sightings, versions
from p2p import mesh, orchestrator
from p2p.cli.node import main

if __name__ == "__main__":
    changes = {"rules": os.environ.get("ODD_RULES"), "protocol": int(os.environ.get("ODD_PROTOCOL", versions.PROTOCOL))}
    odd = versions.PRESENT.model_copy(update={name: value for name, value in changes.items() if value is not None})
    for module in (versions, orchestrator, mesh, sightings):
        module.PRESENT = odd  # type: ignore[attr-defined]
    main()
