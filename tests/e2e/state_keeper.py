"""A program that keeps facts until it is killed; its output names each that was acknowledged.

`python -m tests.e2e.state_keeper FILE FIRST`
"""

import asyncio
import os
import sys
from pathlib import Path

from managers.state_manager import StateManager


async def keep_for_ever(path: Path, number: int) -> None:
    """Keep one fact after the other, of which 20 are there at a time, and count refusals beside."""
    async with StateManager(path, lambda: 1.9e9) as state:
        while True:
            await asyncio.gather(state.save_state({f"f{number % 20}": number}), state.count_refusal("a"))
            os.write(sys.stdout.fileno(), f"{number}\n".encode())
            number += 1


if __name__ == "__main__":
    asyncio.run(keep_for_ever(Path(sys.argv[1]), int(sys.argv[2])))
