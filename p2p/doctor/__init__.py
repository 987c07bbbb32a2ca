"""The doctor: whether a node can work on this machine and in its folder; one finding per check, with what to do.

Probes find facts and decide nothing; checks turn facts into findings and touch nothing. Nothing here mends anything.
Open first: examination.py.
"""
