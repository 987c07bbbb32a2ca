"""Lines, reports, signs of work, and the queue between a job and the reader of its reports."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.launcher.reports import Line, Lines, ReportQueue, Signs, report_of


def lines_of(chunks: list[bytes], bytes_max: int = 1000) -> list[Line]:
    lines = Lines(bytes_max)
    return [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.end())


@given(st.lists(st.binary(max_size=30).filter(lambda it: b"\n" not in it and b"\r" not in it)), st.data())
def test_lines_do_not_depend_on_how_the_bytes_arrive(texts: list[bytes], data: st.DataObject):
    stream = b"".join(text + b"\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert lines_of(chunks) == [Line(text) for text in texts]


def test_a_line_is_cut_where_it_is_too_long_and_the_next_one_is_whole():
    assert lines_of([b"12345\n1234", b"56", b"7\nab\n", b"rest"], 5) == [
        Line(b"12345"),
        Line(b"12345", whole=False),
        Line(b"ab"),
        Line(b"rest"),
    ]


def test_a_line_without_an_end_holds_no_more_than_it_may():
    lines = Lines(10)
    for _ in range(1000):
        assert list(lines.feed(b"x" * 1000)) == []
    assert len(lines._begun) == 10


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"[1]",
        b'"event"',
        b"{",
        b'{"event": 1}',
        b'{"games": 1}',
        b'{"event": "\xff"}',
        b'{"event": ' * 100_000,
        b'{"event": "x", "n": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_report_is_none(text):
    assert report_of(Line(text)) is None


def test_a_report_is_a_json_object_with_an_event():
    assert report_of(Line(b'{"event": "shard", "games": 2}')) == {"event": "shard", "games": 2}
    assert report_of(Line(b'{"event": "shard", "games": 2}', whole=False)) is None


async def drained(queue: ReportQueue) -> list[Any]:
    queue.close()
    found = []
    while (report := await queue.get()) is not None:
        found.append(report)
    return found


def test_of_progress_only_the_newest_unread_one_is_kept_and_of_the_rest_all():
    async def run() -> list[Any]:
        queue = ReportQueue()
        for number in range(1000):
            await queue.put({"event": "progress", "n": number})
            await queue.put({"event": "alive", "n": number})
            if number % 500 == 0:
                await queue.put({"event": "shard", "n": number})
        return await drained(queue)

    assert [(it["event"], it["n"]) for it in asyncio.run(run())] == [
        ("shard", 0),
        ("shard", 500),
        ("progress", 999),
        ("alive", 999),
    ]


def test_a_full_queue_makes_the_writer_wait_and_loses_nothing():
    async def run() -> tuple[int, list[Any]]:
        queue, most = ReportQueue(3), 0

        async def write() -> None:
            for number in range(50):
                await queue.put({"event": "shard", "n": number})
                await queue.put({"event": "progress", "n": number})
            queue.close()

        writing, found = asyncio.create_task(write()), []
        while (report := await queue.get()) is not None:
            most = max(most, len(queue._reports))
            found.append(report)
            await asyncio.sleep(0)
        await writing
        return most, [it["n"] for it in found if it["event"] == "shard"]

    most, numbers = asyncio.run(run())
    assert most <= 3 + 1
    assert numbers == list(range(50))


def test_what_is_left_in_a_dead_jobs_pipe_comes_without_a_reader():
    async def run() -> list[Any]:
        queue = ReportQueue(1)
        await queue.put({"event": "shard", "n": 0})
        assert queue.full
        waiting = asyncio.create_task(queue.put({"event": "done", "n": 1}))
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.open_wide()
        await waiting
        await queue.put({"event": "more", "n": 2})
        return await drained(queue)

    assert [it["n"] for it in asyncio.run(run())] == [0, 1, 2]


def test_a_report_is_a_sign_of_work_and_a_beat_only_when_it_counts_on():
    signs = Signs(0.0)
    signs.saw({"event": "alive", "beats": 1}, 10.0)
    assert signs.silent_s(15.0) == 5.0
    signs.saw({"event": "alive", "beats": 1}, 20.0)
    assert signs.silent_s(25.0) == 15.0
    signs.saw({"event": "alive", "beats": 2}, 30.0)
    signs.saw({"event": "progress"}, 31.0)
    assert signs.silent_s(35.0) == 4.0


def test_a_job_that_waits_for_its_reader_is_not_silent():
    signs = Signs(0.0)
    signs.hold(held=True, now=1.0)
    assert signs.silent_s(1000.0) == 0.0
    signs.hold(held=False, now=1000.0)
    assert signs.silent_s(1003.0) == 3.0
