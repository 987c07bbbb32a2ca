"""A cluster of real nodes on this machine: `ringrift-p2p up`. Open first: `plan.py`, then `nodes.py`.

No consensus and no state live here: the nodes are processes as any other, this starts and watches them.
"""
