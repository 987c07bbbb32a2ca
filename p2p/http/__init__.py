"""HTTP of a node: what a loop says of itself and what it may be told, on a Unix socket and on loopback.

Decides nothing: handlers serve what managers have made and hand on what people want. Open first: loop_api.py.
"""
