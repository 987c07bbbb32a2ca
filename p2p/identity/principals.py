"""As whom a request is taken; the table of who may what is p2p/http/routes.py."""

from enum import StrEnum


class Principal(StrEnum):
    """As whom a request is taken; fixed when it is let in."""

    ADMIN = "admin"  # people with the admin token
    VOTER = "voter"  # nodes that agree on the state
    WORKER = "worker"  # nodes that do jobs
    OBSERVER = "observer"  # may read
    ANYBODY = "anybody"  # has shown nothing


NODES = frozenset({Principal.WORKER, Principal.VOTER})
ADMINS = frozenset({Principal.ADMIN})
READERS = frozenset({Principal.OBSERVER, Principal.WORKER, Principal.VOTER, Principal.ADMIN})
FETCHERS = frozenset({Principal.WORKER, Principal.VOTER, Principal.ADMIN})  # of files
WATCHERS = frozenset({Principal.OBSERVER, Principal.ADMIN})
EVERYBODY = frozenset(Principal)
