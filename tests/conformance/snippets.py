"""The fenced commands and Python of Markdown pages."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A whole Python block, or one command of a bash block."""

    page: str
    language: str
    text: str

    @property
    def head(self) -> str:
        """Where it is and how it begins, for people."""
        return f"{self.page}: {self.text.splitlines()[0][:70]}"


def snippets(page: Path) -> Iterator[Snippet]:
    """Those of one page, in its order."""
    for language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        for text in commands(body) if language == "bash" else [body]:
            yield Snippet(page.stem, language, text.strip("\n"))


def commands(block: str) -> Iterator[str]:
    """The commands of a bash block; lines of comments between them are none."""
    lines: list[str] = []
    for line in block.splitlines():
        if not lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        lines.append(line)
        if not line.endswith("\\") and is_whole("\n".join(lines)):
            yield "\n".join(lines)
            lines = []
    assert not lines, f"a command that bash does not understand: {lines}"


def is_whole(text: str) -> bool:
    """Whether bash takes a text as it stands. `<names>` in it are those that a reader fills in."""
    filled = re.sub(r"<([a-z_-]+)>", r"\1", text)
    return subprocess.run(["bash", "-n", "-c", filled], capture_output=True, check=False).returncode == 0
