"""Messages as PySyncObj has them, dicts, and as we have them (wire.py)."""

from typing import Any, cast

from pysyncobj.config import FAIL_REASON

from p2p.consensus.wire import (
    AppendEntries,
    Command,
    CommandAnswer,
    DumpPart,
    LeadNow,
    Message,
    NextIndex,
    RequestVote,
    Vote,
)
from ringrift_core.errors import InvariantError

LibraryMessage = dict[str, object]


def to_library(message: Message) -> LibraryMessage:
    """The dict that the library takes."""
    match message:
        case AppendEntries(term, commit, index, before, entries):
            return _said("append_entries", term=term, commit_index=commit, prevLogIdx=index, prevLogTerm=before,
                         entries=entries)  # fmt: skip
        case DumpPart(term, offset, last, content):
            # With a commit index the library would take its own entries up to there for agreed on, whatever they are.
            return _said("append_entries", term=term, commit_index=0, serialized=(content, offset, last))
        case NextIndex(_, following, reset, success):
            return _said("next_node_idx", next_node_idx=following, reset=reset, success=success)
        case RequestVote(term, index, last_term):
            return _said("request_vote", term=term, last_log_index=index, last_log_term=last_term)
        case Vote(term):
            return _said("response_vote", term=term)
        case Command(number, command):
            return _said("apply_command", command=command, request_id=number)
        case CommandAnswer(number, FAIL_REASON.SUCCESS, index, term):
            return _said("apply_command_response", request_id=number, log_idx=index, log_term=term)
        case CommandAnswer(number, error):
            return _said("apply_command_response", request_id=number, error=error)
        case LeadNow(term):
            return _said("timeout_now", term=term)
    raise InvariantError(f"{type(message).__name__} is not for the library")


def from_library(message: LibraryMessage, term: int, next_index: int) -> Message:
    """What a dict of the library says; `term` is the sender's, `next_index` what it is to ask for."""
    fields = cast("dict[str, Any]", message)
    match message:
        case {"type": "append_entries", "serialized": _}:
            content, offset, last = fields["serialized"]
            return DumpPart(fields["term"], offset, last, content)
        case {"type": "append_entries", "entries": _}:
            return AppendEntries(fields["term"], fields["commit_index"], fields["prevLogIdx"], fields["prevLogTerm"],
                                 tuple(fields["entries"]))  # fmt: skip
        case {"type": "next_node_idx"}:
            return NextIndex(term, next_index, fields["reset"], fields["success"])
        case {"type": "request_vote"}:
            return RequestVote(fields["term"], fields["last_log_index"], fields["last_log_term"])
        case {"type": "response_vote"}:
            return Vote(fields["term"])
        case {"type": "apply_command"}:
            return Command(fields["request_id"], fields["command"])
        case {"type": "apply_command_response", "error": _}:
            return CommandAnswer(fields["request_id"], fields["error"], 0, 0)
        case {"type": "apply_command_response"}:
            return CommandAnswer(fields["request_id"], FAIL_REASON.SUCCESS, fields["log_idx"], fields["log_term"])
        case {"type": "timeout_now"}:
            return LeadNow(fields["term"])
    raise InvariantError(f"pysyncobj sends a {message.get('type')} that is not understood")


def _said(kind: str, **fields: object) -> LibraryMessage:
    return {"type": kind, **fields}
