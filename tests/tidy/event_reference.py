"""docs/reference/events.md, generated from the events: `python -m tests.tidy.event_reference` writes it."""

from typing import Any

from managers.runtime.event import DataEventType, Event
from managers.runtime.events import EVENTS
from tests.tidy import ROOT

HEAD = """\
# Events

Generated from the events themselves by `python -m tests.tidy.event_reference`. How they are delivered:
[runtime](../design/runtime.md).

Every event has `at` (unix s; also `timestamp`), `source` (who says it), `seq` (the replicated transition that it stems
from, or null), `index` (its place among the events of that transition), `event_id` (`seq.index`, the same on every
node; else `node/life/number`) and its `type`. As JSON: `type`, `timestamp`, `source`, `event_id`, `seq`, `payload`; the
payload leaves out what is not known. A name may be written as a dotted topic: `training.completed`.

| event | when | payload (`?`: need not be given) |
|---|---|---|
"""
FIELDS = {
    "attempt": "counts from 1",
    "attempts_left": "how often the job will still be tried",
    "available_bytes": "memory that can be had",
    "baseline_elo": "what the net was rated when it was promoted",
    "board_type": "follows from `config_key`",
    "by": "who asked for it",
    "config_key": "the configuration, such as `hex8_2p`; `config` is taken too",
    "consecutive_regressions": "looks in a row that found one",
    "current_elo": "what it is rated now",
    "daemon": "name of the service, such as `JOB_REAPER`",
    "duration_seconds": "how long it took",
    "early_stopped": "whether the run ended before its budget",
    "elo": "rating of the candidate",
    "elo_delta": "new minus previous",
    "elo_drop": "Elo points lost",
    "epoch": "pass over the window",
    "epochs": "passes over the window",
    "expected_sha256": "the champion's digest",
    "fence": "seq of the assignment",
    "first_seq": "the first transition that is not known",
    "final_loss": "at the last step",
    "forced": "whether a person insisted",
    "found_sha256": "digest of the file that is there; missing: no file",
    "free_bytes": "free on that disk",
    "from_sha256": "the net taken back",
    "games_completed": "games of this shard",
    "games_per_second": "of this shard",
    "games_played": "games so far, or in all",
    "job_id": "the job's id",
    "last_seq": "the last one",
    "loss": "sum of the losses",
    "model_id": "name or digest of a net",
    "model_path": "file name below `models/`",
    "model_sha256": "digest of the net",
    "new_elo": "rating now",
    "node_id": "the node it is about",
    "num_players": "follows from `config_key`",
    "opponent": "who is played against",
    "opponent_results": "share of first places by opponent",
    "parent_sha256": "the net that training began from",
    "passed": "whether it may become champion",
    "path": "file or folder",
    "previous_elo": "rating before",
    "previous_sha256": "the net before",
    "previous_weights": "shares before",
    "promoted_at": "unix s",
    "quality_score": "share of the samples that are fit",
    "reason": "for people",
    "recommendation": "for people",
    "restarts": "since the node began",
    "sample_count": "new samples",
    "samples": "samples of the shard, or of the window",
    "samples_trained": "rows that were learned from, repetitions included",
    "severity": "`minor` (20 Elo), `moderate` (35), `severe` (50) or `critical` (75)",
    "shard_sha256": "digest of the shard",
    "stalled": "running without progress",
    "status": "where the service stands ([states](../design/runtime.md#states-of-a-service))",
    "step": "steps so far",
    "steps": "steps of the run",
    "supersedes": "digest of the champion before",
    "threshold": "samples that are needed",
    "threshold_bytes": "what is to be kept free",
    "thresholds": "least share by opponent",
    "to_sha256": "the net that plays again",
    "total_games": "games of this configuration so far",
    "trained_by": "the node that trained it",
    "trigger": "what called for it; of a rollback `manual`, `auto_elo` or `auto_error`",
    "version": "number in the registry",
    "vs_heuristic_rate": "share of first places against heuristic-v1",
    "vs_previous_rate": "the same against the champion",
    "vs_random_rate": "the same against random",
    "weights": "share of selfplay by configuration",
    "win_rate": "share of first places",
    "work_id": "the job's id",
    "work_type": "kind of job, such as `selfplay`",
}
KINDS = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "object": "object"}


def fields_of(kind: type[Event]) -> dict[str, dict[str, Any]]:
    """The payload's fields of an event with their JSON schemas."""
    properties = kind.model_json_schema()["properties"]
    return {name: schema for name, schema in properties.items() if name not in Event.model_fields}


def type_of(schema: dict[str, Any]) -> str:
    """What a field holds, in a word."""
    known = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    return KINDS[known[0]["type"]]


def event_reference() -> str:
    """The whole page."""
    lines = []
    used: dict[str, str] = {}
    for name, kind in EVENTS.items():
        fields = fields_of(kind)
        used |= {field: type_of(schema) for field, schema in fields.items()}
        payload = ", ".join(f"`{field}`{'' if kind.model_fields[field].is_required() else '?'}" for field in fields)
        lines.append(f"| `{name}` | {' '.join((kind.__doc__ or '').split())} | {payload} |")
    lines += ["", "## Aliases", "", "| alias | event |", "|---|---|"]
    lines += [f"| `{name}` | `{of}` |" for name, of in DataEventType.__members__.items() if name != of.value]
    lines += ["", "## Fields", "", "| field | type | meaning |", "|---|---|---|"]
    lines += [f"| `{field}` | {used[field]} | {FIELDS[field]} |" for field in sorted(used)]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "reference" / "events.md").write_text(event_reference())
