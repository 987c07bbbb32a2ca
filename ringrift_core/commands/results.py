"""`ringrift results`: stored matches and gauntlets checked, every game replayed."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ringrift_core.commands.paths import files_below
from ringrift_core.errors import StorageError
from ringrift_core.evaluation.check import check_gauntlet, check_match
from ringrift_core.evaluation.gauntlet_result import FOLDER, read_gauntlet
from ringrift_core.evaluation.record import STEM_DIGITS, printable
from ringrift_core.evaluation.stored_match import read_match

STEM = re.compile(f"[0-9a-f]{{{STEM_DIGITS}}}")


def check_results(paths: list[Path], echo: Callable[[str], None], *, as_json: bool) -> int:
    """Check files, and all that are named by a digest below folders; returns the exit code, 1 when one is wrong."""
    files = [path for path in files_below(paths, (".json",)) if path in paths or STEM.fullmatch(path.stem)]
    if not files:
        raise StorageError(f"no matches or gauntlets below {', '.join(map(str, paths))}")
    reports: list[dict[str, object]] = []
    for path in files:
        fault = None
        try:
            said = _gauntlet(path) if path.parent.name == FOLDER else _match(path)
        except StorageError as error:
            fault = said = str(error)
        reports.append({"path": str(path), "fault": fault})
        if not as_json:
            echo(f"{'WRONG ' + said if fault else f'ok    {path}: {said}'}")
    wrong = sum(report["fault"] is not None for report in reports)
    echo(json.dumps({"results": reports, "wrong": wrong}) if as_json else f"files={len(files)} wrong={wrong}")
    return 1 if wrong else 0


def _match(path: Path) -> str:
    match = read_match(path)
    with _naming(path):
        check_match(match)
    names = " v ".join(dict.fromkeys(agent.name for agent in match.agents))
    return printable(f"{match.config_key} {match.purpose}, {names}, {len(match.games)} games")


def _gauntlet(path: Path) -> str:
    result = read_gauntlet(path)
    with _naming(path):
        check_gauntlet(result, path.parent.parent)
    return printable(f"{result.config_key} gauntlet of {result.candidate.name}: {result.verdict}")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What is wrong with what a file says, with its name."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{path}: {error}") from None
