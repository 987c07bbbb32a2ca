"""Properties over many random games; RINGRIFT_TEST_SCALE multiplies how many."""

import os

SCALE = int(os.environ.get("RINGRIFT_TEST_SCALE", "1"))
