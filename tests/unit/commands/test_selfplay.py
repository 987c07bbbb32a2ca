"""`ringrift selfplay` in this process: what it makes of the reports of its workers."""

from typing import Any

from ringrift_core.commands.selfplay import SUMS, Totals


def test_signs_of_life_and_shards_do_not_take_the_place_of_counts():
    totals = Totals()
    progress: dict[str, Any] = {"event": "progress", "batch_fill": 1.0, **dict.fromkeys(SUMS, 3)}
    for report in (progress, {"event": "alive", "beats": 9}, {"event": "shard", "name": "0.npz", "games": 256}):
        totals.take(0, report)
    assert totals.sums()["games"] == 3
