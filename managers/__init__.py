"""What a cluster of learners decides and does: one manager per file, on top of ringrift_core. Nothing is here yet.

May import ringrift_core and config, never p2p: a manager gets the mesh through small Protocols that it defines itself.
"""
