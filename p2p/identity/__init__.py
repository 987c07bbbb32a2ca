"""Who is who: a node's key, signed envelopes between nodes, tokens and sessions of people, who may use which route.

Pure but for the files of keys and tokens: clocks and chance are arguments, nothing listens or connects here; refusals
are values. p2p/http/guard.py asks in front of every request. Open first: envelope.py, principals.py.
"""
