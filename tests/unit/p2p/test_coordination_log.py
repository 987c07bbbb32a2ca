"""The log of the control process: one line per event, bounded, never a reason to wait."""

import logging
import queue
import re
from pathlib import Path

import pytest

from p2p import coordination_log
from p2p.coordination_log import BoundedHandler, FileHandler, logging_to
from ringrift_core.errors import StorageError

logger = logging.getLogger("tests.coordination")


def lines(folder: Path) -> list[str]:
    return (folder / "coordination.log").read_text().splitlines()


def test_every_event_is_a_line_with_its_time_and_level(tmp_path: Path):
    with logging_to(tmp_path, debug=False):
        logger.info("gauntlet of %s: passed", "abc")
        logger.error("two\nlines")
        logger.debug("not asked for")
    assert [line.split(" ", 1)[1] for line in lines(tmp_path)] == [
        "info tests.coordination gauntlet of abc: passed",
        "error tests.coordination two\\nlines",
    ]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in lines(tmp_path))


def test_a_traceback_is_one_line_too(tmp_path: Path):
    with logging_to(tmp_path, debug=False):
        try:
            int("inside")
        except ValueError:
            logger.exception("it failed")
    (line,) = lines(tmp_path)
    assert "it failed\\nTraceback" in line
    assert "ValueError: invalid literal" in line


def test_debug_writes_down_more(tmp_path: Path):
    with logging_to(tmp_path, debug=True):
        logger.debug("a detail")
    assert lines(tmp_path)[0].endswith("debug tests.coordination a detail")


def test_a_log_that_cannot_be_opened_is_said_with_its_name(tmp_path: Path):
    (tmp_path / "coordination.log").mkdir()
    message = r"coordination.log: cannot be written \(Is a directory\); move it away"
    with pytest.raises(StorageError, match=message), logging_to(tmp_path, debug=False):
        pass


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coordination_log, "BYTES_MAX", 2000)
    with logging_to(tmp_path, debug=False):
        for number in range(500):
            logger.info("line %d of many that do not fit into so small a file", number)
    files = list(tmp_path.iterdir())
    assert len(files) == coordination_log.FILES_MAX + 1
    assert all(path.stat().st_size <= 2000 for path in files)


def test_lines_that_find_no_room_are_counted_and_nobody_waits():
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(2)
    handler = BoundedHandler(waiting)
    for _ in range(5):
        handler.handle(logger.makeRecord("x", logging.INFO, "f", 1, "text", (), None))
    assert handler.lost == 3
    waiting.get()
    handler.handle(logger.makeRecord("x", logging.INFO, "f", 1, "text", (), None))
    waiting.get()
    assert waiting.get().getMessage() == "text [3 lines before this one are lost]"


def test_a_disk_that_refuses_costs_lines_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    handler = FileHandler(tmp_path / "coordination.log")
    assert handler.stream is not None
    handler.stream.close()
    handler.emit(logger.makeRecord("x", logging.INFO, "f", 1, "text", (), None))
    assert handler.lost == 1
    assert capsys.readouterr().err == ""
