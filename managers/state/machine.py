"""The replicated state as a machine of bytes: all that a consensus knows of it.

machine = StateMachine()
state, result = machine.apply(machine.initial(), encode(Command(client="a", sequence=1, at=now, body=...)))
"""

from pydantic import ValidationError

from managers.state.apply import apply
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import decode
from ringrift_core.errors import StorageError


class StateMachine:
    """Commands in, states and results out; never raises for what is in a command."""

    def initial(self) -> ClusterState:
        """Nobody, nothing."""
        return ClusterState()

    def apply(self, state: ClusterState, body: bytes) -> tuple[ClusterState, Result]:
        """The state after a command; bytes that are none change nothing."""
        try:
            command = decode(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            reason = f"no command: {'.'.join(map(str, first['loc']))}: {first['msg']}"
            return state, Result(accepted=False, seq=state.seq, reason=reason)
        return apply(state, command)

    def dump(self, state: ClusterState) -> bytes:
        """The state as JSON."""
        return state.model_dump_json().encode()

    def load(self, content: bytes) -> ClusterState:
        """The state in a dump; StorageError when it is none, or one of another version."""
        try:
            state = ClusterState.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise StorageError(f"no state: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if state.form != ClusterState().form:
            raise StorageError(f"a state of the form {state.form[:40]}, which this version does not read")
        return state
