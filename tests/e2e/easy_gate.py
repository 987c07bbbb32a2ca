"""A gate that most tiny candidates pass, in whichever process is told so: in a node and in its jobs.

What is patched is the table alone: H0 and H1 of the rows that need a proof, the error rate, the games of the
qualification, the simulations of those who are judged; against heuristic-v1, whom they hardly ever beat, they need not
prove anything. Tests, records and decisions are the shipped ones.
"""

from dataclasses import replace

from config.schema import Settings
from managers import feedback_loop_controller, training_coordinator
from managers.state.tasks import GateForm
from managers.training_coordinator import gate_form
from ringrift_core.evaluation import thresholds
from ringrift_core.evaluation.thresholds import GateRow, Needs, Role
from ringrift_core.jobs.spec import CanarySpec, GauntletSpec
from ringrift_core.registry import promotion_policy

H0 = 0.001  # what the settings of such a node say, too
H1 = 0.2
ALPHA = 0.7  # over all candidates of a reign; one win in four games passes the first ones
QUALIFY_GAMES = 2
SIMS = 8


def ease() -> None:
    """Let this process have such a gate."""
    rows = tuple(easy(row) if row.needs is Needs.PROOF else row for row in thresholds.TABLE)
    setattr(thresholds, "TABLE", rows)  # noqa: B010 - mypy refuses to assign to a Final
    setattr(thresholds.alpha_of, "__defaults__", (ALPHA,))  # noqa: B010
    setattr(promotion_policy, "NET_SIMS", SIMS)  # noqa: B010
    for spec in (GauntletSpec, CanarySpec):
        spec.model_fields["sims"].default = SIMS
        spec.model_rebuild(force=True)
    for module in (training_coordinator, feedback_loop_controller):
        setattr(module, "gate_form", short_gate)  # noqa: B010


def easy(row: GateRow) -> GateRow:
    """A row that asks for next to nothing."""
    needs = Needs.NO_DISPROOF if row.opponent is Role.HEURISTIC else row.needs
    return replace(row, h0=H0, h1=H1, needs=needs)


def short_gate(settings: Settings) -> GateForm:
    """The gate with a short qualification."""
    return gate_form(settings).model_copy(update={"qualify_games": QUALIFY_GAMES})
