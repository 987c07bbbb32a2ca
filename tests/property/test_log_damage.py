"""A log whose files were changed by somebody else gives back what was acknowledged, or says that it cannot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from managers.state.durable_log import DurableLog
from managers.state.log_format import (
    FRAME_MAGIC,
    HEAD_BYTES,
    LOG_MAGIC,
    decode_log,
    decode_snapshot,
    encode_frame,
    encode_snapshot,
    head,
)
from ringrift_core.errors import StorageError
from tests.property import SCALE
from tests.sim.faulty_files import Disk, FaultyFiles
from tests.sim.log_runs import dump, load

SALT = bytes(range(16))
BODIES = st.lists(
    st.lists(st.binary(max_size=40) | st.just(FRAME_MAGIC * 3), min_size=1, max_size=4), min_size=1, max_size=6
)
SPOT = st.floats(0, 1, exclude_max=True)
FLIP = st.tuples(st.just("flip"), SPOT, st.integers(1, 255))
CUT = st.tuples(st.just("cut"), SPOT, st.just(0))
JUNK = st.tuples(st.just("junk"), SPOT, st.binary(min_size=1, max_size=60))


def damage(content: bytearray, kind: str, spot: float, given: int | bytes) -> int:
    """Change a file; where the first changed byte is."""
    at = int(spot * len(content))
    if isinstance(given, bytes):
        at = len(content)
        content += given
    elif kind == "flip":
        content[at] ^= given
    else:
        del content[at:]
    return at


@settings(max_examples=200 * SCALE, deadline=None)
@given(BODIES, st.integers(0, 6), st.integers(0, 6), FLIP | CUT | JUNK, st.integers(0, 20))
def test_a_closed_log_loses_nothing_to_damage_in_any_one_file(groups, first, second, change, which):
    """The newest file of a closed log holds no record, those before it must be whole."""
    disk = Disk()
    history = written(disk, groups, {first, second}, close=True)
    names = sorted(disk.cached)
    damage(disk.cached[names[which % len(names)]].cached, *change)
    assert recovered(disk) in {None, tuple(history)}


@settings(max_examples=200 * SCALE, deadline=None)
@given(BODIES, st.integers(0, 6), FLIP | CUT | JUNK)
def test_a_killed_log_loses_nothing_but_what_the_damage_reaches(groups, compacted, change):
    """What stands before the damage is given back, or it is refused; a flip with a frame behind it always is."""
    disk = Disk()
    history = written(disk, groups, {compacted}, close=False)
    newest = max(name for name in disk.cached if name.startswith("log-"))
    content = disk.cached[newest].cached
    frames = decode_log(bytes(content), int(newest[4:]), "").frames
    at = damage(content, *change)
    before = [frame.last for frame in frames if frame.end <= at]
    found = recovered(disk)
    safe = before[-1] if before else int(newest[4:]) - 1
    assert found is None or (found == tuple(history[: len(found)]) and len(found) >= safe)
    if change[0] == "flip" and len(before) < len(frames) - 1:
        assert found is None


def written(disk: Disk, groups: list[list[bytes]], compacted: set[int], *, close: bool) -> list[bytes]:
    """A log of these records with snapshots after some of the groups; all its records."""
    log = DurableLog(FaultyFiles(disk))
    log.recover()
    history: list[bytes] = []
    for i, bodies in enumerate(groups):
        log.append(bodies)
        history += bodies
        if i in compacted:
            log.compact(dump(history))
    if close:
        log.close()
    return history


def recovered(disk: Disk) -> tuple[bytes, ...] | None:
    """All records of a log, None when it is refused."""
    try:
        found = DurableLog(FaultyFiles(disk)).recover()
    except StorageError:
        return None
    return (*load(found.snapshot or b""), *found.records)


@settings(max_examples=200 * SCALE, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_behind_a_head_are_frames_or_refused_quietly(junk):
    sound = head(LOG_MAGIC, SALT, 1) + encode_frame(SALT, HEAD_BYTES, 1, [b"a", b""])
    log = decode_log(sound + junk, 1, "log")
    assert [frame.bodies for frame in log.frames] == [(b"a", b"")]
    assert log.end == len(sound)


@settings(max_examples=200 * SCALE, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2**64 - 1))
def test_any_bytes_as_a_file_are_refused(junk, number):
    for decode in (decode_log, decode_snapshot):
        with pytest.raises(StorageError, match="damaged"):
            decode(junk, number, "file")


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.integers(1, 2**63))
def test_frames_and_snapshots_come_back_as_they_went(bodies, number):
    (frame,) = decode_log(
        head(LOG_MAGIC, SALT, number) + encode_frame(SALT, HEAD_BYTES, number, bodies), number, "log"
    ).frames
    assert (frame.first, list(frame.bodies)) == (number, bodies)
    assert decode_snapshot(encode_snapshot(SALT, number, bodies[0]), number, "snapshot") == bodies[0]
