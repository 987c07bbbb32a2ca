"""How many of the newest rows training draws from."""

# KataGo's law in its settings for small runs: everything up to WINDOW_MIN rows, then growing ever more slowly
WINDOW_MIN = 250_000
WINDOW_EXPONENT = 0.65
WINDOW_SCALE = 0.4


def window_rows(total: int) -> int:
    """How many of `total` rows, the newest ones, a window holds."""
    if total <= WINDOW_MIN:
        return total
    grown = (total**WINDOW_EXPONENT - WINDOW_MIN**WINDOW_EXPONENT) / (
        WINDOW_EXPONENT * WINDOW_MIN ** (WINDOW_EXPONENT - 1)
    )
    return int(WINDOW_MIN + WINDOW_SCALE * grown)
