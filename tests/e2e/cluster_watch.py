"""Who listens to every node of a cluster from outside, and enters what is told into a ledger.

One thread per node follows its stream of events; after each break it begins with all that the node remembers, so that
every life of a node is compared with what was told before.
"""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from time import monotonic
from typing import Any

from tests.e2e.cluster_ledger import TYPES, Ledger
from tests.mesh_cluster import Cluster

PATH = f"/events?since=0&types={','.join(TYPES)}"
SILENT_S = 20.0  # a stream shows that it lives each 15 s
PAUSE_S = 0.2


class Watch:
    """Listens while the block runs; everything of the ledger is to be asked under `lock`."""

    def __init__(self, cluster: Cluster, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lock = threading.Condition()
        self._cluster = cluster
        self._ended = threading.Event()
        self._news: list[tuple[float, str, dict[str, Any]]] = []  # since the last look: when, type, event
        self._threads = [threading.Thread(target=self._follow, args=(name,), daemon=True) for name in cluster.ports]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def forget(self) -> None:
        """What was told until now is no news."""
        with self.lock:
            self._news.clear()

    def until(self, what: Callable[[Ledger, list[dict[str, Any]]], bool], timeout_s: float) -> bool:
        """Wait for something in the ledger or in the news since `forget`; whether it came."""
        with self.lock:
            return self.lock.wait_for(lambda: what(self.ledger, [it for _, _, it in self._news]), timeout_s)

    def _follow(self, name: str) -> None:
        while not self._ended.is_set():
            try:
                for row in self._rows(name):
                    self._note(name, row)
            except (OSError, http.client.HTTPException, ValueError):
                self._ended.wait(PAUSE_S)

    def _note(self, name: str, row: dict[str, Any]) -> None:
        with self.lock:
            if told := self.ledger.note(name, row):
                self._news.append((monotonic(), told, row))
                self.lock.notify_all()

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        """What a node tells, until it breaks off."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._cluster.ports[name], timeout=SILENT_S)) as asked:
            asked.request("GET", PATH, headers={"Accept": "text/event-stream"})
            answer = asked.getresponse()
            if answer.status != 200:
                raise ValueError(answer.status)
            while line := answer.readline():
                if line.startswith(b'data: {"seq'):
                    yield json.loads(line[len("data: ") :])
                if self._ended.is_set():
                    return
