"""How far a job has come, in a few words, from what it last reported."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from managers.line import one_line
from managers.state.record import Record

NUMBER_MAX = 1e15  # whoever reports more, or no number, reports nothing
WORDS_MAX = 200  # characters
QUIET_SHARE = 0.25  # of the silence after which a job is ended: from here on people are told of it
SILENT_S_MAX = 1e9


class JobWord(Record):
    """How a job goes on, as its node says it to others."""

    progress: Annotated[str, Field(max_length=WORDS_MAX)] = ""
    silent_s: Annotated[float, Field(ge=0, le=SILENT_S_MAX)] | None = None  # since its last sign of work


def word_of(kind: str, report: Mapping[str, object], silent_s: float | None, hang_s: float) -> JobWord:
    """The word on a job that was last silent for so long and is ended after `hang_s` of silence."""
    parts = [progress_text(kind, report)]
    if silent_s is not None and silent_s > QUIET_SHARE * hang_s:
        parts.append(f"no sign of work for {silent_s:.0f} s, ended after {hang_s:.0f} s of it")
    text = one_line("; ".join(part for part in parts if part), WORDS_MAX)
    return JobWord(progress=text, silent_s=None if silent_s is None else min(max(0.0, silent_s), SILENT_S_MAX))


def progress_text(kind: str, report: Mapping[str, object]) -> str:
    """A few words; "" where nothing was reported yet, or nothing that is known here."""
    match kind:
        case "selfplay":
            games = number(report, "games")
            return "" if games is None else f"{games:.0f} games"
        case "training":
            return _training(report)
        case "gauntlet":
            return _gauntlet(report)
        case _:
            met, opponents = number(report, "met"), number(report, "opponents")
            return "" if met is None or opponents is None else f"{met:.0f} of {opponents:.0f} opponents met"


def training_left_s(report: Mapping[str, object], batch: int) -> float | None:
    """Seconds until the last step, as the latest rate says; None where nothing was reported yet."""
    step, steps, rate = (number(report, name) for name in ("step", "steps", "samples_per_s"))
    if step is None or steps is None or rate is None or rate <= 0:
        return None
    return max(0.0, steps - step) * batch / rate


def number(report: Mapping[str, object], name: str) -> float | None:
    """A number of a report; jobs are not trusted to report one."""
    value = report.get(name)
    sound = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= NUMBER_MAX
    return float(value) if sound and isinstance(value, int | float) else None


def _training(report: Mapping[str, object]) -> str:
    step, steps, loss = number(report, "step"), number(report, "steps"), number(report, "total")
    if step is None or steps is None:
        return ""
    return f"step {step:.0f} of {steps:.0f}" + ("" if loss is None else f", loss {loss:.3f}")


def _gauntlet(report: Mapping[str, object]) -> str:
    games, wins, cap = (number(report, name) for name in ("games", "wins", "cap"))
    opponent = report.get("opponent")
    if games is None or wins is None or cap is None or not isinstance(opponent, str):
        return ""
    parts = number(report, "parts")
    helped = f"; {parts:.0f} chunks by other nodes" if parts else ""
    return f"{opponent[:40]}: won {wins:.0f} of {games:.0f} games, at most {cap:.0f}{helped}"
