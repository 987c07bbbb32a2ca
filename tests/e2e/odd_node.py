"""A node that is not as it should be: `python -m tests.e2e.odd_node` with its options.

ODD_RULES and ODD_PROTOCOL: it plays by other rules, speaks another protocol. ODD_PATIENCE_S: how long it waits for a
voter that is silent. ODD_JOB: a module that runs in the place of jobs. ODD_RAFT: one in the place of the raft process.
The rest is the shipped node.
"""

import os
import sys

from managers import pipeline, sightings, versions, voter_policy
from managers.launcher.local_launcher import LocalLauncher
from p2p import mesh, orchestrator
from p2p.cli.node import main
from p2p.consensus import raft_child

if __name__ == "__main__":
    changes = {"rules": os.environ.get("ODD_RULES"), "protocol": int(os.environ.get("ODD_PROTOCOL", versions.PROTOCOL))}
    odd = versions.PRESENT.model_copy(update={name: value for name, value in changes.items() if value is not None})
    for module in (versions, orchestrator, mesh, sightings):
        module.PRESENT = odd  # type: ignore[attr-defined]
    if patience := os.environ.get("ODD_PATIENCE_S"):
        setattr(voter_policy, "PATIENCE_S", float(patience))  # noqa: B010 - mypy refuses to assign to a Final
        setattr(pipeline, "HEARD_S", float(patience))  # noqa: B010
    if job := os.environ.get("ODD_JOB"):
        defaults = LocalLauncher.__init__.__kwdefaults__ or {}
        command = (sys.executable, "-m", job)
        setattr(LocalLauncher.__init__, "__kwdefaults__", {**defaults, "command": command})  # noqa: B010
    if raft := os.environ.get("ODD_RAFT"):
        setattr(raft_child, "COMMAND", (sys.executable, "-m", raft))  # noqa: B010
    main()
