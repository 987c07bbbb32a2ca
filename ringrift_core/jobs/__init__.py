"""Jobs: what runs in child processes, one JSON spec each: `python -m ringrift_core.jobs SPEC`.

A job reports on standard output, one JSON object per line; it uses one thread. Open first: spec.py.
"""
