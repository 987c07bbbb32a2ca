"""Refusals in the log, one line each, and never more than a disk can take.

Each peer has a bucket of lines that refills slowly, all together have another. What is not written is counted, and told
in a later line. Peers beyond PEERS_MAX push out the one that was heard least lately; its count is kept.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from p2p.http.peer import site_of
from p2p.identity.refusal import Refusal

PEER_BURST = 20.0  # lines at once
PEER_PER_S = 0.1
ALL_BURST = 200.0
ALL_PER_S = 1.0  # some 20 MB in a day, which coordination.log's files bound
PEERS_MAX = 1024
PATH_CHARS_MAX = 100
METHOD_CHARS_MAX = 16

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Bucket:
    """Lines that may be written at once; refills with time."""

    burst: float
    per_s: float
    left: float
    at_s: float

    def take(self, now: float) -> bool:
        """Whether one more line may be written."""
        self.left = min(self.burst, self.left + max(0.0, now - self.at_s) * self.per_s)
        self.at_s = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class _Heard:
    bucket: Bucket
    unwritten: int = 0


class RefusalLog:
    """Where refusals are told; `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float], *, peers_max: int = PEERS_MAX) -> None:
        self._monotonic = monotonic
        self._peers_max = peers_max
        self._all = Bucket(ALL_BURST, ALL_PER_S, ALL_BURST, monotonic())
        self._heard: OrderedDict[str, _Heard] = OrderedDict()  # the last one at the end
        self._unwritten = 0  # of peers that are forgotten
        self.counts: Counter[str] = Counter()  # of all refusals, by code

    def tell(self, refusal: Refusal, method: str, target: str, address: str) -> None:
        """Write a refusal, or count it."""
        self.counts[refusal.code] += 1
        now, site = self._monotonic(), site_of(address)
        heard = self._place(site, now)
        if not (heard.bucket.take(now) and self._all.take(now)):
            heard.unwritten += 1
            return
        shown, cut = ascii(target[:PATH_CHARS_MAX]), "..." if len(target) > PATH_CHARS_MAX else ""
        asked = f"{ascii(method[:METHOD_CHARS_MAX])[1:-1]} {shown}{cut}"
        logger.warning("refused %d %s: %s from %s%s", refusal.status, refusal.code, asked, site, _more(heard.unwritten))
        heard.unwritten = 0

    def flush(self) -> None:
        """Tell what was not written; for a periodic loop and for the end."""
        count = self.unwritten
        if count:
            self._unwritten = 0
            for heard in self._heard.values():
                heard.unwritten = 0
            logger.warning("refused %d more requests without a line each", count)

    @property
    def unwritten(self) -> int:
        """Refusals that have not been told yet."""
        return self._unwritten + sum(heard.unwritten for heard in self._heard.values())

    def _place(self, site: str, now: float) -> _Heard:
        heard = self._heard.get(site)
        if heard is None:
            while len(self._heard) >= self._peers_max:
                _, oldest = self._heard.popitem(last=False)
                self._unwritten += oldest.unwritten
            heard = self._heard[site] = _Heard(Bucket(PEER_BURST, PEER_PER_S, PEER_BURST, now))
        self._heard.move_to_end(site)
        return heard


def _more(count: int) -> str:
    return f" ({count} before it not written)" if count else ""
