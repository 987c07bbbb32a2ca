"""PeerManifests: what the other nodes say that they hold, kept up to date with small questions.

A node that holds what it held answers with its root alone. Where the first page, put to what is known, gives the root
that the node tells, nothing more is asked; otherwise its whole list is, page by page. Nothing here is believed but as a
hint where to ask.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from p2p.exchange.refs import PAGE_MAX, Kind, ManifestPage, Ref, root_of
from p2p.http.node_calls import CallError, NodeCalls

ASK_S = 10.0  # for a page
PAGE_BYTES_MAX = 1000 * PAGE_MAX
PAGES_MAX = 400  # of one node: 200,000 files
ASKED_MAX = 8  # nodes at once
GONE_MAX = 64  # nodes that are not alive and whose last manifest is remembered
TRUSTED_LOOKS = 6  # a root that was heard spares so many questions in a row; champions come with the answers only

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeerManifest:
    """What one node says; pure."""

    root: str = ""
    refs: Mapping[str, Ref] = field(default_factory=dict)  # by digest
    champions: Mapping[str, str] = field(default_factory=dict)

    def learned(self, page: ManifestPage) -> "PeerManifest | None":
        """The same after a first page; None where more must be asked."""
        refs = {**self.refs, **{ref.sha256: ref for ref in page.refs}}
        if page.root != self.root and root_of(refs.values()) != page.root:
            return None
        return PeerManifest(page.root, refs if page.refs else self.refs, page.champions)


class PeerManifests:
    """What the others hold, as of the last look."""

    def __init__(self, calls: NodeCalls, others: Callable[[], Collection[str]]) -> None:
        """`others` gives the nodes that are alive, without this one."""
        self._calls = calls
        self._others = others
        self._known: dict[str, PeerManifest] = {}
        self._gone: dict[str, PeerManifest] = {}  # the last of nodes that are not alive
        self._heard: dict[str, str] = {}
        self._spared: dict[str, int] = {}
        self._places = asyncio.Semaphore(ASKED_MAX)

    def heard(self, node: str, root: str) -> None:
        """A node has told its root in passing."""
        self._heard[node] = root

    async def look(self) -> None:
        """Ask all others what is new. Who does not answer keeps what is known of it."""
        others = frozenset(self._others())
        for gone in self._known.keys() - others:
            self._gone[gone] = self._known.pop(gone)
        self._gone = {node: it for node, it in self._gone.items() if node not in others}
        while len(self._gone) > GONE_MAX:
            del self._gone[next(iter(self._gone))]
        for forgotten in self._heard.keys() - others:
            del self._heard[forgotten]
        async with asyncio.TaskGroup() as group:
            for node in others:
                group.create_task(self._ask(node))

    @property
    def champions(self) -> Mapping[str, Mapping[str, str]]:
        """What each node has installed as champion and verified, by node and configuration."""
        return {node: known.champions for node, known in self._known.items()}

    def gone(self, members: Collection[str]) -> dict[str, Collection[Ref]]:
        """What those of some nodes held last that are not alive now."""
        return {node: it.refs.values() for node, it in self._gone.items() if node in members}

    def holders(self, sha256: str) -> tuple[str, ...]:
        """The nodes that say that they hold a file."""
        return tuple(node for node, known in self._known.items() if sha256 in known.refs)

    def places(self, kind: Kind, game: str | None = None) -> dict[str, list[tuple[str, Ref]]]:
        """Who holds what of a kind, by digest."""
        found: dict[str, list[tuple[str, Ref]]] = {}
        for node, ref in self._refs():
            if ref.kind == kind and game in {None, ref.game}:
                found.setdefault(ref.sha256, []).append((node, ref))
        return found

    def named(self, kind: Kind, game: str, stem: str) -> tuple[Ref, tuple[str, ...]] | None:
        """A file by the first digits of its digest, and who holds it."""
        for node, ref in self._refs():
            if (ref.kind, ref.game) == (kind, game) and ref.sha256.startswith(stem):
                return ref, (node, *(other for other in self.holders(ref.sha256) if other != node))
        return None

    def _refs(self) -> Iterator[tuple[str, Ref]]:
        for node, known in self._known.items():
            for ref in known.refs.values():
                yield node, ref

    async def _ask(self, node: str) -> None:
        known = self._known.get(node, PeerManifest())
        if known.root and self._heard.get(node) == known.root and self._spared.get(node, 0) < TRUSTED_LOOKS:
            self._spared[node] = self._spared.get(node, 0) + 1
            return
        self._spared[node] = 0
        async with self._places:
            try:
                first = await self._page(node, f"/manifest?unless={known.root}" if known.root else "/manifest")
                self._known[node] = known.learned(first) or await self._all(node)
            except CallError as error:
                logger.info("what %s holds is not known now: %s", node, error)
            except ValidationError:
                logger.warning("what %s says that it holds cannot be understood", node)

    async def _all(self, node: str) -> PeerManifest:
        refs: dict[str, Ref] = {}
        cursor, page = "", None
        for _ in range(PAGES_MAX):
            page = await self._page(node, f"/manifest?cursor={cursor}" if cursor else "/manifest")
            refs |= {ref.sha256: ref for ref in page.refs}
            if page.next is None or page.next == cursor:
                break
            cursor = page.next
        assert page is not None, "there is a first page"
        complete = root_of(refs.values()) == page.root  # nothing has changed between two pages
        return PeerManifest(page.root if complete else "", refs, page.champions)

    async def _page(self, node: str, path: str) -> ManifestPage:
        content = await self._calls.ask(node, "GET", path, timeout_s=ASK_S, bytes_max=PAGE_BYTES_MAX)
        return await asyncio.to_thread(ManifestPage.model_validate_json, content)
