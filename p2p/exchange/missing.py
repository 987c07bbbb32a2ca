"""Which shards no living node holds, as far as this node has seen what the others held. Pure."""

from collections.abc import Collection, Mapping

from managers.status_records import MissingShards
from p2p.exchange.refs import Ref

ROWS_MAX = 50


def missing_of(gone: Mapping[str, Collection[Ref]], held: Collection[str]) -> tuple[MissingShards, ...]:
    """What silent nodes held last and nobody else holds: `held` are the digests that are here or on living nodes."""
    makers: dict[str, list[str]] = {}
    refs: dict[str, Ref] = {}
    for node, holds in gone.items():
        for ref in holds:
            if ref.kind == "shard" and ref.sha256 not in held:
                makers.setdefault(ref.sha256, []).append(node)
                refs[ref.sha256] = ref
    found: dict[tuple[str, tuple[str, ...]], list[Ref]] = {}
    for sha256, nodes in makers.items():
        found.setdefault((refs[sha256].game, tuple(sorted(nodes))), []).append(refs[sha256])
    rows = (
        MissingShards(
            game=game,
            nodes=nodes,
            shards=len(of_them),
            games=sum(it.games for it in of_them),
            rows=sum(it.rows for it in of_them),
        )
        for (game, nodes), of_them in sorted(found.items())
    )
    return tuple(rows)[:ROWS_MAX]
