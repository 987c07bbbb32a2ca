"""HTTP of a node: what it says of itself and what it may be told, on a Unix socket and on its ports.

Decides nothing: handlers serve what managers have made and hand on what people want. Open first: routes.py.
"""
