"""The log of the control process: one line per event, bounded, never a reason to wait."""

import logging
import queue
import re
from pathlib import Path

import pytest

from managers.outcomes import Outcome
from p2p import coordination_log
from p2p.coordination_log import BoundedHandler, FileHandler, SecretsFilter, logging_to
from p2p.node import log
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
        "logger=tests.coordination gauntlet of abc: passed level=info",
        "logger=tests.coordination two\\nlines level=error",
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
    assert lines(tmp_path)[0].endswith("logger=tests.coordination a detail level=debug")


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


def test_the_greps_of_the_documents_find_their_lines(tmp_path: Path):
    with logging_to(tmp_path, debug=False):
        log(Outcome(at=1, event="job_started", game="hex8_2p", job="gauntlet-7", weight="outcome", text="begins"))
        log(Outcome(at=1, event="job_failed", game="hex8_2p", job="gauntlet-7", weight="trouble", text="no memory"))
        try:
            int("x")
        except ValueError:
            logger.exception("gauntlet-7 broke")
        logger.error("distribution: canonical net of hex8_2p: damaged")
        logger.info("distribution: canonical net of hex8_2p: installed")
    found = lines(tmp_path)

    def grep(*patterns: str) -> list[int]:
        return [at for at, line in enumerate(found) if all(re.search(it, line, re.IGNORECASE) for it in patterns)]

    assert grep("gauntlet") == [0, 1, 2]
    assert grep("run_gauntlet") == [0, 1]
    assert grep("distribution", "error|fail") == [3]
    assert grep("gauntlet.*exception|gauntlet.*error") == [1, 2]


def test_fields_stand_behind_the_text_in_quotes_where_they_need_them(tmp_path: Path):
    fields = {"game": "hex8_2p", "why": 'no "room" left', "empty": "", "equal": "a=b", "n": 3, "text": "a\nb"}
    with logging_to(tmp_path, debug=False):
        logger.info("text", extra={"fields": fields})
        logger.info("none", extra={"fields": "no mapping"})
    assert [line.split(" ", 2)[2] for line in lines(tmp_path)] == [
        'text game=hex8_2p why="no \\"room\\" left" empty="" equal="a=b" n=3 text=a\\nb level=info',
        "none level=info",
    ]


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\x00", "\x85", "\u2028", "\u202e", "\x7f", "\ud800", "\v"])
def test_whoever_writes_a_text_begins_no_line_and_moves_no_cursor(tmp_path: Path, letter: str):
    with logging_to(tmp_path, debug=False):
        logger.info("a%sb", letter, extra={"fields": {"x": f"c{letter}d"}})
    content = (tmp_path / "coordination.log").read_bytes()
    assert content.count(b"\n") == 1
    assert content.decode("ascii").rstrip("\n").isprintable()


def test_a_backslash_that_was_written_is_told_from_one_of_ours(tmp_path: Path):
    with logging_to(tmp_path, debug=False):
        logger.info("a\\nb")
        logger.info("a\nb")
    first, second = (line.split(" ", 2)[2] for line in lines(tmp_path))
    assert (first, second) == ("a\\\\nb level=info", "a\\nb level=info")


def test_a_long_text_is_cut_and_keeps_its_fields_and_level(tmp_path: Path):
    with logging_to(tmp_path, debug=False):
        logger.info("x" * 100_000, extra={"fields": {"game": "hex8_2p"}})
    (line,) = lines(tmp_path)
    assert line.endswith("xxx game=hex8_2p level=info")
    assert len(line) < 2 * coordination_log.LINE_CHARS_MAX + 200


def test_secrets_are_shown_by_no_line(tmp_path: Path):
    secrets = ["correct horse battery", "correct horse", "a.b*c\\d", ""]
    with logging_to(tmp_path, debug=False, secrets=secrets):
        logger.info("token correct horse battery", extra={"fields": {"t": "a.b*c\\d", "n": 5}})
        logger.info("%s, %r, ?token=correct%%20horse", "correct horse", {"k": "a.b*c\\d"})
        try:
            int("correct horse")
        except ValueError:
            logger.exception("it failed")
        logger.info("aXbbc\\d")
    text = (tmp_path / "coordination.log").read_text()
    assert all(word not in text for word in ("correct", "battery", "a.b"))
    assert "token *** t=*** n=5 level=info" in text
    assert "***, {'k': '***'}, ?token=*** level=info" in text
    assert "with base 10: '***' level=error" in text
    assert "aXbbc" in text


def test_without_secrets_a_record_is_left_as_it_is():
    record = logger.makeRecord("x", logging.INFO, "f", 1, "a %s", ("b",), None)
    assert SecretsFilter([]).filter(record)
    assert (record.msg, record.args) == ("a %s", ("b",))


def test_lines_that_could_not_be_written_are_told_by_the_next_one(tmp_path: Path):
    handler = FileHandler(tmp_path / "coordination.log")
    assert handler.stream is not None
    stream, full = handler.stream, [True]

    class Disk:
        """Refuses while it is full."""

        def write(self, text: str) -> int:
            if full[0]:
                raise OSError(28, "No space left on device")
            return stream.write(text)

        def __getattr__(self, name: str) -> object:
            return getattr(stream, name)

    handler.stream = Disk()  # type: ignore[assignment]
    for _ in range(3):
        handler.emit(logger.makeRecord("x", logging.INFO, "f", 1, "text", (), None))
    full[0] = False
    for _ in range(2):
        handler.emit(logger.makeRecord("x", logging.INFO, "f", 1, "text", (), None))
    handler.close()
    assert lines(tmp_path) == ["text [3 lines before this one could not be written]", "text"]
