"""Looks: how often a keeper has looked, what came, and what went wrong; so that whoever asks for a look can wait."""

import asyncio
from dataclasses import dataclass, field

PROBLEMS_MAX = 20


@dataclass(slots=True)
class Looks:
    """The looks of one keeper."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)  # asks for one
    begun: int = 0
    ended: int = 0  # the latest that has ended
    came: int = 0  # files, ever
    problems: tuple[str, ...] = ()  # of the latest look
    _over: asyncio.Event = field(default_factory=asyncio.Event)  # the look that runs, or the next one

    def begin(self) -> None:
        """A look begins."""
        self.begun += 1
        self.problems = ()

    def note(self, problem: str) -> None:
        """Something went wrong in it."""
        self.problems = (*self.problems, problem)[-PROBLEMS_MAX:]

    def end(self, came: int) -> int:
        """It has ended; so many files came."""
        self.ended = self.begun  # those that were cut off are over too
        self.came += came
        self._over.set()
        self._over = asyncio.Event()
        return came

    async def asked(self, timeout_s: float) -> bool:
        """Ask for a look and wait for the end of one that began after this call; False when it takes longer."""
        wanted = self.begun + 1
        self.wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                while self.ended < wanted:
                    await self._over.wait()
        except TimeoutError:
            return False
        return True
