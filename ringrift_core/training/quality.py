"""What makes a sound shard unfit for training: signs that whatever made it is broken.

Replay and digests are checked elsewhere; these are properties of the games as a set, each seen when a selfplay of the
field had a fault that nothing else noticed.
"""

import numpy as np

from ringrift_core.selfplay.columns import offsets_of
from ringrift_core.selfplay.shard import Shard

GAMES_MIN = 50  # fewer games show no pattern
WIN_SHARE_MAX = 0.9  # of one seat
CHOICES_MIN = 10  # median of a game
ROWS_MIN = 200  # with fewer policy targets nothing is said of them
SOFT_SHARE_MIN = 0.05  # of policy targets with more than one decision in them


def quality_problem(shard: Shard) -> str:
    """Why a shard is not trained on; "" when nothing speaks against it."""
    columns = shard.columns
    if len(shard) >= GAMES_MIN:
        wins = np.bincount(columns.winners, minlength=2)
        if wins.max() > WIN_SHARE_MAX * len(shard):
            return f"agent {wins.argmax()} wins {wins.max()} of {len(shard)} games"
        if np.median(columns.counts) < CHOICES_MIN:
            return f"its games have {np.median(columns.counts):.0f} choices in the median"
    rows = len(columns.policy_counts)
    if rows >= ROWS_MIN:
        offsets = offsets_of(columns.policy_counts)
        soft = np.add.reduceat((columns.policy > 0).astype(np.int64), offsets[:-1]) > 1
        if soft.mean() < SOFT_SHARE_MIN:
            return f"only {soft.mean():.1%} of its policy targets name more than one decision"
    return ""
