"""Progress of a command: one line on standard error, rewritten while something runs and gone when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

REWRITES_PER_S = 2.0


class Progress:
    """The line, and remarks that stay."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, line: str) -> None:
        """Show another line in place of the last."""
        self._live.update(Text(line))

    def remark(self, text: str) -> None:
        """Say something that stays."""
        self._live.console.print(Text(text, style="yellow"))


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress within the block."""
    with Live(console=Console(stderr=True), refresh_per_second=REWRITES_PER_S, transient=True) as live:
        yield Progress(live)
