"""What is answered, as records; those of managers are used as they are."""

from pydantic import BaseModel, ConfigDict

from managers.event_journal import EventRow
from managers.health import Health
from managers.job_view import JobDetail
from managers.model_rows import EloRow, ModelRow
from managers.promotion_desk import Ticket
from managers.promotion_result import GatePlan, PromotionResult
from managers.state.record import Record
from managers.status_records import DaemonRow, Distribution, JobStatusRow, NodeRow


class HealthAnswer(Health):
    """How the node is."""

    node_id: str
    uptime_s: float


class OrderAnswer(Record):
    """What became of an order; one that changes nothing is no error."""

    changed: bool
    seq: int
    reason: str


class EventsAnswer(Record):
    """Events in order. `next` is the `since` of the next question; `gap`: some before the first are not kept."""

    events: tuple[EventRow, ...]
    next: str
    gap: bool


class PublishedAnswer(Record):
    """An event was taken."""

    type: str
    event_id: str


class JobsAnswer(Record):
    """Jobs; `total` counts those that are left out too."""

    jobs: tuple[JobStatusRow, ...]
    total: int


class JobAnswer(JobDetail):
    """One job."""


class ModelsAnswer(Record):
    """Nets of all configurations, the latest first."""

    models: tuple[ModelRow, ...]


class NodesAnswer(Record):
    """The members of the cluster."""

    nodes: tuple[NodeRow, ...]


class EloAnswer(Record):
    """Ratings by configuration, best first."""

    games: dict[str, tuple[EloRow, ...]]


class ConfigAnswer(Record):
    """The settings, and who said each."""

    settings: dict[str, object]
    provenance: dict[str, str]


class SessionAnswer(Record):
    """As whom the session's holder is taken."""

    principal: str


class SessionEndAnswer(Record):
    """Whether there was a session."""

    ended: bool


class DaemonsAnswer(Record):
    """The services of the node."""

    daemons: dict[str, DaemonRow]


class DaemonAnswer(DaemonRow):
    """A service after an order."""

    name: str


class PlanAnswer(Record):
    """The gauntlet that a net would play."""

    dry_run: bool
    plan: GatePlan


class PromotionsAnswer(Record):
    """Requests to promote, the latest first."""

    requests: tuple[Ticket, ...]
    last_evaluation: PromotionResult | None


class RollbacksAnswer(Record):
    """Rollbacks, newest first."""

    rollbacks: tuple[dict[str, object], ...]


class ShouldAnswer(Record):
    """Whether the games say that the champion is to be taken back."""

    should_rollback: bool
    reason: str


class BaselineAnswer(Record):
    """What was written down."""

    model_id: str
    metrics: dict[str, object]


class DistributionAnswer(Distribution):
    """Where the champion's net is."""

    game: str
    sha256: str


class SyncAnswer(Record):
    """What came; `done` is false while it goes on."""

    done: bool
    files: int
    nodes: tuple[str, ...]  # that can be asked
    problems: tuple[str, ...]


class OpenApiAnswer(BaseModel):
    """This description, OpenAPI 3.1."""

    model_config = ConfigDict(extra="allow")
