"""Lines: texts that people read in tables and logs, whoever wrote them: one line, printable, not too long."""

from typing import Annotated

from pydantic import AfterValidator

LINE_MAX = 300  # characters


def one_line(text: str, chars_max: int = LINE_MAX) -> str:
    """A text as one line that a terminal shows as it is."""
    line = " ".join(text.split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= chars_max else f"{line[: chars_max - 1]}…"


Line = Annotated[str, AfterValidator(one_line)]
