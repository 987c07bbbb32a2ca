"""`python -m tests.e2e.beating_job SPEC`: a job that shows that it works, and does nothing."""

import json
import time
from itertools import count

BEAT_S = 0.2

if __name__ == "__main__":
    for number in count():
        print(json.dumps({"event": "alive", "beats": number}), flush=True)
        time.sleep(BEAT_S)
