"""Metrics as Prometheus reads them back."""

from prometheus_client.parser import text_string_to_metric_families

from config.schema import Settings
from config.sections import NodeSettings
from managers.state.commands import Promote
from managers.status import Sight, status_of
from p2p.http.metrics import ENDS, GAMES, TRIGGERS, metrics_text
from p2p.http.request_metrics import RequestCounts
from tests.loop_states import GAME, NODE, Loop, digest

COUNTS = RequestCounts({("/health", "GET", "200"): 3}, {"wrong_token": 1}, 0.25)
SETTINGS = Settings(node=NodeSettings(node_id=NODE))
Labels = frozenset[tuple[str, str]]
DOCUMENTED = {
    "ringrift_games_synced": ("counter", {"host"}),
    "ringrift_training_runs": ("counter", {"config", "status"}),
    "ringrift_elo_rating": ("gauge", {"model", "config"}),
    "ringrift_best_elo": ("gauge", {"config"}),
    "ringrift_promotion": ("counter", {"config"}),
    "ringrift_promotion_decisions": ("counter", {"outcome"}),
    "ringrift_model_rollbacks": ("counter", {"model_id", "trigger"}),
    "ringrift_production_model_elo": ("gauge", {"model_id"}),
    "ringrift_production_model_baseline_elo": ("gauge", {"model_id"}),
    "ringrift_data_freshness_hours": ("gauge", {"config"}),
    "ringrift_selfplay_games_per_hour": ("gauge", {"config"}),
    "ringrift_selfplay_jobs_running": ("gauge", set()),
    "ringrift_training_jobs_running": ("gauge", set()),
    "ringrift_training_loss": ("gauge", {"config"}),
    "ringrift_work_queue_pending": ("gauge", set()),
    "ringrift_uptime_seconds": ("gauge", set()),
    "ringrift_http_requests": ("counter", {"route", "method", "status"}),
    "ringrift_http_refusals": ("counter", {"code"}),
    "ringrift_event_loop_lag_seconds": ("gauge", set()),
    "ringrift_tasks": ("gauge", set()),
}


def scraped(loop: Loop) -> dict[tuple[str, Labels], float]:
    sight = Sight(loop.state, SETTINGS, loop.now, (GAME,), games_per_h={GAME: 900.0}, uptime_s=12.0)
    text = metrics_text(status_of(sight), loop.state).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: dict[tuple[str, Labels], float], name: str, **labels: str) -> float | None:
    return found.get((f"ringrift_{name}", frozenset(labels.items())))


def test_every_documented_name_is_there_with_its_type_and_labels():
    loop = Loop()
    loop.count(100, 1000)
    loop.crown(1)
    status = status_of(Sight(loop.state, SETTINGS, loop.now, (GAME,), games_per_h={GAME: 1.0}))
    families = list(text_string_to_metric_families(metrics_text(status, loop.state, COUNTS).decode()))
    assert {it.name: (it.type, set(it.samples[0].labels)) for it in families} == DOCUMENTED
    assert all(family.documentation for family in families)


def test_counters_are_there_with_0_before_anything_has_happened():
    found = scraped(Loop())
    for game in GAMES:
        assert all(value(found, "model_rollbacks_total", model_id=game, trigger=it) == 0 for it in TRIGGERS)
        assert all(value(found, "training_runs_total", config=game, status=it) == 0 for it in ENDS)
        assert value(found, "promotion_total", config=game) == 0
    assert len(GAMES) == 12
    assert value(found, "games_synced_total", host=NODE) == 0


def test_gauges_of_what_is_not_known_are_not_there():
    found = scraped(Loop())
    assert value(found, "production_model_elo", model_id=GAME) is None
    assert value(found, "training_loss", config=GAME) is None
    assert value(found, "data_freshness_hours", config=GAME) is None


def test_what_happened_is_counted():
    loop = Loop()
    loop.count(70, 700)
    loop.crown(1, elo=1410.0)
    loop.crown(2, elo=1450.0)
    loop.judge(loop.train(3), 3, "failed")
    loop.roll_back(2, to=1)
    loop.do(Promote(game=GAME, candidate=digest(3), expected=digest(1), how="manual", reason="a person"))
    found = scraped(loop)
    assert value(found, "games_synced_total", host=NODE) == 70
    assert value(found, "training_runs_total", config=GAME, status="succeeded") == 3
    assert value(found, "promotion_total", config=GAME) == 3
    assert value(found, "model_rollbacks_total", model_id=GAME, trigger="auto_elo") == 1
    assert value(found, "model_rollbacks_total", model_id=GAME, trigger="manual") == 0
    assert value(found, "promotion_decisions_total", outcome="promoted") == 3
    assert value(found, "promotion_decisions_total", outcome="rejected") == 1
    assert value(found, "training_loss", config=GAME) == 2.5


def test_the_elo_of_the_champion_stands_beside_the_one_it_began_with():
    loop = Loop()
    loop.crown(1, elo=1410.0)
    loop.state = loop.state.model_copy(
        update={
            "learners": {
                GAME: loop.state.learner(GAME).model_copy(
                    update={"ratings": tuple(it.model_copy(update={"elo": 1370.0}) for it in ratings(loop))}
                )
            }
        }
    )
    found = scraped(loop)
    assert value(found, "production_model_elo", model_id=GAME) == 1370.0
    assert value(found, "production_model_baseline_elo", model_id=GAME) == 1410.0
    assert value(found, "elo_rating", model=digest(1)[:16], config=GAME) == 1370.0
    assert value(found, "best_elo", config=GAME) == 1370.0


def ratings(loop: Loop):
    return loop.state.learner(GAME).ratings


def test_jobs_are_counted_by_what_they_do_now():
    loop = Loop()
    loop.selfplay()
    loop.queue_training()
    found = scraped(loop)
    assert value(found, "selfplay_jobs_running") == 1
    assert value(found, "training_jobs_running") == 0
    assert value(found, "work_queue_pending") == 1
    assert value(found, "uptime_seconds") == 12.0
    assert value(found, "selfplay_games_per_hour", config=GAME) == 900.0
