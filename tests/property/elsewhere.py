"""A module of the tests run in a process of its own, with other environment variables."""

import json
import os
import subprocess
import sys
from typing import Any


def run_elsewhere(module: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """The JSON object that `python -m tests.property.MODULE` prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.property.{module}", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
