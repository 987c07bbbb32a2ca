"""How a node comes into a cluster, and how the leader knows that it is there.

A node that is in no cluster waits in the lobby, until a cluster is found or founded. bootstrap.py decides, without I/O;
lobby.py listens and asks. Open first: bootstrap.py, admission.py.
"""
