"""How much may be learned from what there is: each row is passed over a few times, then the trainer waits for new ones.

Counted along a net's ancestors, so a chain of short runs cannot wear out the same rows (KataGo's train bucket).
"""

from ringrift_core.errors import RulesError

PASSES_MAX = 4.0
PASSES_OF_A_RUN = 2.0  # over the window, where no number of steps is given


def steps_of_run(*, rows_total: int, window: int, samples_before: int, batch: int, passes: float, wanted: int) -> int:
    """How many steps a run makes; RulesError when that is none, or more are wanted (0: no wish) than the rows allow.

    `rows_total` rows have ever been made, `window` of them are in the window, `samples_before` were drawn by ancestors.
    """
    allowed = int((passes * rows_total - samples_before) // batch)
    if allowed < max(1, wanted):
        raise RulesError(
            f"{rows_total} rows allow {max(0, allowed)} steps of {batch} after the {samples_before} samples that this "
            f"net and its ancestors have seen ({passes:g} passes per row): make new games first, or raise --passes"
        )
    return wanted or min(allowed, max(1, int(PASSES_OF_A_RUN * window // batch)))
