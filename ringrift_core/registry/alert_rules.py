"""Alerts about rollbacks, for Prometheus.

What the expressions rely on (docs/reference/metrics.md): every node exports the same counters, so nodes are collapsed
by `max`; a counter is there with 0 from the start, for every net and trigger, or its first rollback would not show.
`increase` extrapolates to the ends of its window, so two rollbacks look like 2.0003: they are rounded before they are
compared.
"""

from ringrift_core.registry.rollback_policy import ROLLBACKS_MAX, RollbackThresholds

ROLLBACKS = "ringrift_model_rollbacks_total"
PRODUCTION_ELO = "ringrift_production_model_elo"
BASELINE_ELO = "ringrift_production_model_baseline_elo"
ELO_DROP_MAX = RollbackThresholds().elo_drop_threshold

RULES = f"""\
groups:
  - name: ringrift_rollbacks
    rules:
      - alert: ModelRollbackTriggered
        expr: round(max by (model_id, trigger) (increase({ROLLBACKS}[1h]))) > 0
        labels:
          severity: warning
        annotations:
          summary: "{{{{ $labels.model_id }}}} was rolled back ({{{{ $labels.trigger }}}})"
          description: "{{{{ $value }}}} rollbacks in the last hour; data/rollback_history.json has the reasons."
      - alert: MultipleRollbacksDetected
        expr: sum by (model_id) (round(max by (model_id, trigger) (increase({ROLLBACKS}[24h])))) > {ROLLBACKS_MAX}
        labels:
          severity: critical
        annotations:
          summary: "{{{{ $labels.model_id }}}} was rolled back {{{{ $value }}}} times in 24 hours"
          description: "Automatic rollbacks have stopped: look at the training data and the gauntlets of the last nets."
      - alert: EloDegradation
        expr: max by (model_id) ({BASELINE_ELO}) - max by (model_id) ({PRODUCTION_ELO}) > {ELO_DROP_MAX:g}
        for: 15m
        labels:
          severity: warning
        annotations:
          summary: "{{{{ $labels.model_id }}}} is {{{{ $value | humanize }}}} Elo below its baseline"
          description: "The estimate alone; a rollback follows when the drop is beyond doubt."
"""


def create_rollback_alert_rules() -> str:
    """The rules file: ModelRollbackTriggered, MultipleRollbacksDetected, EloDegradation."""
    return RULES
