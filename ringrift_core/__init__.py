"""The game and the learner: rules, search, nets, training, evaluation. No sockets, no event loop, no cluster.

game/ holds the rules engine, commands/ what the command line offers of this floor, errors.py the exception tree.
May import config only. Open first: game/__init__.py.
"""
