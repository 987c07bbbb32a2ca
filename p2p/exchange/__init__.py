"""How files travel between nodes: by digest, in chunks, each verified, from whoever holds them.

What a node holds stands in `catalogue.py`, how one file comes here in `fetcher.py`, which ones should in
`shard_keeper.py`, `model_keeper.py` and `job_inputs.py`. What is agreed on (nets, jobs, champions) is the replicated
state's and not decided here. docs/design/exchange.md has the why.

Open first: `exchange.py`, which puts the parts together.
"""
