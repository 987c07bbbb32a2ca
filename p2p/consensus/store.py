"""What one voter must not forget, in one durable log: entries, term, vote, commit index, base.

To pysyncobj it is the journal: a list in memory. `sync` writes what has come of all the calls since the last one, by
one append: what was removed and put back again is not written at all. A new base goes to the disk together with the
entries that it leaves, as one snapshot of the log: there is no moment between the dump and the trimming of the entries.

A change that is larger than a frame of the log goes into several, and counts when the last of them is there.
"""

import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import astuple, dataclass, replace
from typing import overload

from managers.state.durable_log import DurableLog
from managers.state.log_files import LogFiles
from managers.state.log_format import FRAME_BYTES_MAX, LENGTH, RECORD_BYTES_MAX
from managers.state.log_recovery import read_back
from p2p.consensus.base import Base, base_of
from p2p.consensus.codec import (
    Change,
    Entry,
    change_of,
    changed,
    entries,
    flag,
    integer,
    listed,
    node_id,
    pack,
    unpack,
)
from ringrift_core.errors import RulesError, StorageError

FORMAT = 1
FIRST, LAST = 1, 2  # bits in front of a record: it begins a change, it ends one
LOG_BYTES = 128 << 20  # from so many on the log is compacted though there is no new base


@dataclass(frozen=True, slots=True)
class Meta:
    """What else is durable."""

    term: int = 0
    vote: str | None = None  # for whom in this term
    commit_index: int = 1
    mute: bool = False  # the node knows less than it may have acknowledged in a life whose disk is lost


class RaftStore:
    """The store of one voter; the constructor touches nothing, `open` reads, `close` closes."""

    def __init__(self, files: LogFiles, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._where = files.where
        self._files = files
        self._log = DurableLog(files, random_bytes)
        self._base: Base | None = None
        self._entries: list[Entry] = []
        self._changes: list[tuple[int, Change]] = []  # of the membership, by index, as the entries bring them
        self._bytes = 0  # of all commands
        self._meta = self._durable_meta = Meta()
        self._kept = 0  # so many entries are as they are on the disk
        self._removed: deque[Entry] = deque()  # what the disk has behind them
        self._whole = False  # the next sync writes everything
        self._commit_due = False

    def open(self) -> None:
        """Lock the folder and read it back; StorageError when it is damaged, InUseError when somebody has it."""
        found = self._log.recover()
        try:
            self._read_back(found.snapshot, found.records, lost=bool(found.damaged))
        except StorageError:
            self._log.close()
            raise

    def read(self) -> None:
        """The same for who only looks: nothing is locked or written, and `sync` must not be called."""
        found = read_back(self._files)
        if found is not None:
            self._read_back(found.snapshot, found.records, lost=bool(found.damaged))

    def _read_back(self, snapshot: bytes | None, records: Collection[bytes], *, lost: bool) -> None:
        try:
            if snapshot is not None:
                self._read_image(unpack(snapshot))
            for content in _joined(records):
                self._read_change(unpack(content), lost=lost)
        except ValueError as error:
            raise StorageError(f"{self._where}: holds no log of a voter ({error}); move it away") from error
        self._durable_meta = self._meta
        self._kept = len(self._entries)
        self._bytes = sum(len(command) for command, _, _ in self._entries)
        self._note_changes(self._entries)

    def close(self) -> None:
        """Close the log; what was not synced is lost. Idempotent."""
        self._log.close()

    @property
    def blank(self) -> bool:
        """Whether there is no base: the node knows nothing of its group."""
        return self._base is None

    @property
    def mute(self) -> bool:
        """Whether the node must not vote nor lead.

        It began without a base and has not had all of a leader's log yet. If it is a voter that lost its disk, it has
        acknowledged entries and given votes that it does not know of.
        """
        return self.blank or self._meta.mute

    @property
    def base(self) -> Base | None:
        """Where the log begins."""
        return self._base

    @property
    def size_bytes(self) -> int:
        """Of all commands in the log."""
        return self._bytes

    @property
    def voters(self) -> tuple[str, ...] | None:
        """Who votes by the latest entry in the log, committed or not, sorted; None while blank."""
        return None if self._base is None else self.voters_at(self._entries[-1][1])

    def voters_at(self, index: int) -> tuple[str, ...]:
        """Who votes after an entry."""
        assert self._base is not None
        voters: Collection[str] = self._base.voters
        for at, change in self._changes:
            if self._base.last[1] < at <= index:
                voters = changed(voters, change)
        return tuple(sorted(voters))

    def change_after(self, index: int) -> bool:
        """Whether an entry behind an index changes the membership."""
        return any(at > index for at, _ in self._changes)

    def found(self, version: int, dump: bytes, voters: Collection[str]) -> None:
        """Begin a group from a base, durably; RulesError where there is one already, StorageError as `sync`."""
        if not self.blank:
            raise RulesError(f"{self._where}: belongs to a group already")
        if len(self._entries) > 1:
            raise RulesError(f"{self._where}: has entries of a group")
        base = Base.founding(version, dump, tuple(sorted(voters)))
        self.clear()
        self.add(*base.before)
        self.add(*base.last)
        self.replace_base(base)
        self.sync()

    def replace_base(self, base: Base) -> None:
        """Take another base; the entries must begin with its two by the next `sync`."""
        self._base = base
        self._whole = True
        self.setRaftCommitIndex(max(self._meta.commit_index, base.last[1]))

    def set_mute(self, *, mute: bool) -> None:
        """Remember whether the node may not vote yet."""
        self._meta = replace(self._meta, mute=mute)

    def sync(self) -> None:
        """Make everything since the last call durable. StorageError: it is not, and may be there or not.

        A commit index alone is not worth a write more often than once a second: the leader tells it again.
        """
        if self._whole:
            self._write_all()
        elif self._removed or self._kept < len(self._entries) or self._meta_due():
            cut = self._entries[self._kept][1] if self._kept < len(self._entries) else self._entries[-1][1] + 1
            change = [FORMAT, cut, self._entries[self._kept :], *astuple(self._meta)]
            for records in _frames(pack(change)):
                self._log.append(records)
            if self._log.wants_compaction(1 << 62, LOG_BYTES):  # or too many files, one for each start
                self._log.compact(self._image())
        else:
            return
        self._removed.clear()
        self._kept = len(self._entries)
        self._durable_meta, self._commit_due = self._meta, False

    def _write_all(self) -> None:
        """A snapshot of everything. The log wants a record in front of it, which says what the snapshot is about."""
        assert self._base is None or self._entries[:2] == [self._base.before, self._base.last]
        start = self._entries[0][1] if self._entries else 1
        self._log.append([bytes([FIRST | LAST]) + pack([FORMAT, start])])
        self._log.compact(self._image())
        self._whole = False

    def _meta_due(self) -> bool:
        durable = self._durable_meta
        must = self._meta != replace(durable, commit_index=self._meta.commit_index)
        return must or (self._commit_due and self._meta != durable)

    def _image(self) -> bytes:
        base = None if self._base is None else self._base.as_values()
        return pack([FORMAT, base, self._entries, *astuple(self._meta)])

    def _read_image(self, values: object) -> None:
        form, base, items, *meta = listed(values, 7)
        _known(form)
        self._base = None if base is None else base_of(base)
        self._entries = list(entries(items, _index_before(items), 0))
        if self._base is not None and self._entries[:2] != [self._base.before, self._base.last]:
            raise ValueError("the entries do not begin where the dump ends")
        self._meta = _meta(meta)

    def _read_change(self, values: object, *, lost: bool) -> None:
        """Apply a change; `lost` says that a snapshot which there was cannot be read."""
        form, cut, *rest = listed(values)
        _known(form)
        start = integer(cut)
        if (
            not rest
        ):  # a snapshot of entries from here on: written or not, the entries before it lead to it, or it is lost
            if lost and (not self._entries or self._entries[-1][1] < start):
                raise ValueError(f"the snapshot that begins with entry {start} cannot be read")
            return
        items, *meta = listed(rest, 5)
        kept = [it for it in self._entries if it[1] < start]
        last, term = (kept[-1][1], kept[-1][2]) if kept else (0, 0)
        if last != start - 1:
            raise ValueError(f"there is no entry {start - 1}")
        self._entries = [*kept, *entries(items, start - 1, term)]
        self._meta = _meta(meta)

    def _note_changes(self, added: Collection[Entry]) -> None:
        self._changes += [(it[1], change) for it in added if (change := change_of(it[0])) is not None]

    # What follows is the interface that pysyncobj expects of a journal, in its names.

    @overload
    def __getitem__(self, item: int) -> Entry: ...
    @overload
    def __getitem__(self, item: slice) -> list[Entry]: ...
    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        """Entries by their place in the list."""
        return self._entries[item]

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, command: bytes, idx: int, term: int) -> None:
        """Put an entry behind the others."""
        added = (command, idx, term)
        if self._removed and self._kept == len(self._entries) and self._removed[0] == added:
            self._kept += 1
            self._removed.popleft()
        self._entries.append(added)
        self._bytes += len(command)
        self._note_changes((added,))

    def clear(self) -> None:
        """Remove all entries."""
        self.deleteEntriesFrom(0)
        self._whole = True

    def deleteEntriesFrom(self, entryFrom: int) -> None:  # noqa: N802, N803
        """Remove the entries from a place on."""
        removed = self._entries[entryFrom:]
        if not removed:
            return
        if entryFrom < self._kept:
            self._removed.extendleft(reversed(self._entries[entryFrom : self._kept]))
            self._kept = entryFrom
        del self._entries[entryFrom:]
        self._bytes -= sum(len(command) for command, _, _ in removed)
        self._changes = [it for it in self._changes if it[0] < removed[0][1]]

    def deleteEntriesTo(self, entryTo: int) -> None:  # noqa: N802, N803
        """Remove the entries before a place."""
        self._bytes -= sum(len(command) for command, _, _ in self._entries[:entryTo])
        self._entries = self._entries[entryTo:]
        self._changes = [it for it in self._changes if it[0] >= self._entries[0][1]]
        self._whole = True

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:  # noqa: N802, N803
        """Remember up to where entries are agreed on."""
        self._meta = replace(self._meta, commit_index=raftCommitIndex)

    def getRaftCommitIndex(self) -> int:  # noqa: N802
        """Up to where entries are agreed on, at least."""
        return self._meta.commit_index

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:  # noqa: N802, N803
        """Remember the term, and who got the vote in it."""
        self._meta = replace(self._meta, term=term, vote=votedForNodeId)

    def getCurrentTerm(self) -> int:  # noqa: N802
        """The term."""
        return self._meta.term

    def getVotedForNodeId(self) -> str | None:  # noqa: N802
        """Who got the vote in it."""
        return self._meta.vote

    def onOneSecondTimer(self) -> None:  # noqa: N802
        """The commit index may be written."""
        self._commit_due = True

    def _destroy(self) -> None:
        """Called by pysyncobj at its end; whoever opened the store closes it."""


def _frames(content: bytes) -> Iterator[list[bytes]]:
    """A change as records, in groups that fit a frame of the log."""
    step = RECORD_BYTES_MAX - 1
    starts = range(0, len(content), step)
    group: list[bytes] = []
    room = FRAME_BYTES_MAX
    for start in starts:
        bits = FIRST * (start == 0) | LAST * (start == starts[-1])
        record = bytes([bits]) + content[start : start + step]
        if len(record) + LENGTH.size > room:
            yield group
            group, room = [], FRAME_BYTES_MAX
        group.append(record)
        room -= len(record) + LENGTH.size
    yield group


def _joined(records: Collection[bytes]) -> Iterator[bytes]:
    """The changes that are there completely."""
    parts: list[bytes] = []
    for record in records:
        if not record or not (parts or record[0] & FIRST):
            raise ValueError("a record of another program")
        if record[0] & FIRST:
            parts = []
        parts.append(record[1:])
        if record[0] & LAST:
            yield b"".join(parts)
            parts = []


def _known(form: object) -> None:
    if form != FORMAT:
        raise ValueError("written by another version of this program")


def _index_before(items: object) -> int:
    """Of the first of some entries."""
    first = next(iter(listed(items)), None)
    return 0 if first is None else integer(listed(first, 3)[1]) - 1


def _meta(values: list[object]) -> Meta:
    term, vote, commit_index, mute = values
    return Meta(integer(term), None if vote is None else node_id(vote), integer(commit_index), flag(mute))
