"""A finding: what one check has found, and what to do about it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from managers.line import Line


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"  # it works, and a person should look
    FAIL = "fail"  # a node does not work so, or not safely


class Finding(BaseModel):
    """One line of the report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    level: Level
    text: Line  # what there is
    advice: Line = ""  # what to do


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, level=Level.OK, text=text)


def warn(check: str, text: str, advice: str) -> Finding:
    """Something to look at."""
    return Finding(check=check, level=Level.WARN, text=text, advice=advice)


def fail(check: str, text: str, advice: str) -> Finding:
    """Something to mend."""
    return Finding(check=check, level=Level.FAIL, text=text, advice=advice)
