"""What of pysyncobj's inside is relied on is there, in exactly this version."""

import inspect
import random
import re
import socket

import pysyncobj.pickle
import pytest
from pysyncobj import journal, serializer, syncobj
from pysyncobj.config import FAIL_REASON, SERIALIZER_STATE, SyncObjConf
from pysyncobj.version import VERSION

from config.sections import NODE_NAME
from p2p.consensus import core, substitutes
from p2p.consensus.codec import NODE
from p2p.consensus.core import Core
from p2p.consensus.dumps import Dumps
from p2p.consensus.store import RaftStore
from p2p.consensus.timing import LAN
from ringrift_core.errors import InvariantError

SOURCE = inspect.getsource(syncobj.SyncObj)


def test_the_version_is_the_one_that_was_read():
    assert VERSION == "0.3.17"


def test_every_private_name_that_the_seam_touches_is_one_of_the_library():
    touched = set(re.findall(r"_SyncObj__\w+", inspect.getsource(core)))
    assert len(touched) >= 14
    for name in touched:
        assert f"__{name.removeprefix('_SyncObj__')}" in SOURCE, name


@pytest.mark.parametrize(
    "name", ["pickle", "createJournal", "Serializer", "monotonicTime", "random", "PIPE_NOTIFIER_ENABLED"]
)
def test_every_name_that_is_replaced_is_looked_up_in_the_module(name):
    assert hasattr(syncobj, name)
    assert any(line.lstrip().startswith(("from", "import", name)) or name in line for line in SOURCE.splitlines())


def test_journal_and_dumps_have_all_that_the_library_calls():
    for kind, ours in ((journal.Journal, RaftStore), (serializer.Serializer, Dumps)):
        names = {
            name for name in vars(kind) if not name.startswith(f"_{kind.__name__}__") and callable(getattr(kind, name))
        }
        assert names - {"__init__"} <= set(dir(ours))


def test_constants_are_as_they_are_written_here():
    assert (syncobj._RAFT_STATE.FOLLOWER, syncobj._RAFT_STATE.CANDIDATE, syncobj._RAFT_STATE.LEADER) == (0, 1, 2)
    kinds = syncobj._COMMAND_TYPE
    assert (kinds.REGULAR, kinds.NO_OP, kinds.MEMBERSHIP) == (0, 1, 2)
    assert (FAIL_REASON.SUCCESS, FAIL_REASON.UNKNOWN_OUTCOME) == (0, 7)
    assert SERIALIZER_STATE.NOT_SERIALIZING == 0


def test_the_settings_exist():
    known = vars(SyncObjConf())
    conf = core._conf(None, None, LAN)  # type: ignore[arg-type]
    assert vars(conf).keys() == known.keys()
    text = inspect.getsource(core._conf)
    assert all(name.split("=")[0].strip() in known for name in text.splitlines() if "=" in name and "#" not in name)


def test_names_of_nodes_are_those_of_the_settings():
    assert NODE.pattern == NODE_NAME


def test_a_voter_without_the_substitutes_is_refused(monkeypatch):
    monkeypatch.setattr(syncobj, "createJournal", journal.createJournal)
    with pytest.raises(InvariantError, match="install"):
        substitutes.check_installed()


def test_the_library_has_no_pickle_left():
    substitutes.install(lambda: 0.0, random.Random(0))
    assert syncobj.pickle is not pysyncobj.pickle
    with pytest.raises(InvariantError):
        syncobj.pickle.dumps({"any": "thing"})
    assert not hasattr(syncobj.pickle, "load")
    assert Core.__mro__[1] is syncobj.SyncObj


def test_the_library_leaves_the_sockets_of_its_process_alone():
    shown = socket.inet_ntop(socket.AF_INET6, bytes(15) + b"\x01")
    assert shown == "::1"
