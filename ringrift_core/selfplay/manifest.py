"""The manifest of a shard: what its games are and where they come from, as JSON (docs/formats/shard.md).

Everything read here is hostile: `Manifest.parse` refuses with a StorageError whatever is not a manifest.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ringrift_core.blob import BlobRef
from ringrift_core.errors import InvariantError, StorageError
from ringrift_core.game.config_key import CONFIG_KEYS, ConfigKey

SCHEMA = "ringrift.shard"
VERSION = 1
MANIFEST_BYTES_MAX = 1 << 20
SHARD_BYTES_MAX = 1 << 30
GAMES_MAX = 1 << 16
DECISIONS_MAX = 1 << 23
SAMPLES_MAX = 1 << 20
EVALUATIONS_MAX = 1 << 50
PLAYERS_MAX = 1 << 12  # players in the table of one shard
STEM_DIGITS = 16  # hex digits of the digests that name shards and games
STEM = re.compile(f"[0-9a-f]{{{STEM_DIGITS}}}")  # how shards are named
ARRAYS = ".npz"
MANIFEST = ".json"
QUARANTINE = "quarantine"  # folder of shards that were found to be damaged
DIGEST = re.compile("[0-9a-f]{64}")
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"
KEYS = frozenset(
    [
        *("schema", "version", "blob", "config_key", "swap", "rules_digest"),
        *("players", "search", "seed", "host", "created_at", "evaluations", "counts"),
    ]
)


@dataclass(frozen=True, slots=True)
class ShardPlayer:
    """Somebody who played: a name, and the digest (hex) of the net or of the frozen rules of thumb behind it."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ShardHead:
    """What the writer of a shard says about its games; the rest of the manifest is found by counting."""

    config_key: ConfigKey
    swap: bool  # the swap option was on
    players: tuple[ShardPlayer, ...]  # the table that PlayedGame.players points into
    search: Mapping[str, object]  # settings of the search, a JSON object
    seed: int  # of the run
    host: str
    created_at: datetime  # with a time zone
    evaluations: int = 0  # positions that the judges judged since the shard before, of the same process


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is in a shard."""

    games: int
    plies: int
    decisions: int  # choices; forced decisions are not counted
    samples: int  # choices with a policy target


@dataclass(frozen=True, slots=True)
class Manifest:
    """The head of a shard, its content by digest, the rules it was played by, its counts."""

    blob: BlobRef
    head: ShardHead
    rules_digest: str
    counts: Counts

    @property
    def stem(self) -> str:
        """The name of the shard without its ending."""
        return self.blob.sha256[:STEM_DIGITS]

    def dump(self) -> bytes:
        """The JSON form; InvariantError when it is not one that `parse` would take."""
        head = self.head
        if head.created_at.tzinfo is None:
            raise InvariantError("created_at needs a time zone")
        form = {
            "schema": SCHEMA,
            "version": VERSION,
            "blob": asdict(self.blob),
            "config_key": str(head.config_key),
            "swap": head.swap,
            "rules_digest": self.rules_digest,
            "players": [asdict(player) for player in head.players],
            "search": dict(head.search),
            "seed": head.seed,
            "host": head.host,
            "created_at": head.created_at.astimezone(UTC).strftime(TIME_FORM),
            "evaluations": head.evaluations,
            "counts": asdict(self.counts),
        }
        try:
            text = json.dumps(form, indent=1, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvariantError(f"the search settings are no JSON object: {error}") from error
        content = (text + "\n").encode()
        try:
            Manifest.parse(content)
        except StorageError as error:
            raise InvariantError(f"not written: {error}") from error
        return content

    @staticmethod
    def parse(content: bytes) -> "Manifest":
        """Read the JSON form; StorageError names what is wrong with it."""
        try:
            form = json.loads(content, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise StorageError(f"manifest: not JSON: {error}") from None
        if not isinstance(form, dict) or form.get("schema") != SCHEMA:
            raise StorageError(f"manifest: not one of a shard: its schema is not {SCHEMA!r}")
        if type(form.get("version")) is not int or form["version"] != VERSION:
            raise StorageError(f"manifest: version {form.get('version')!r}; this program reads version {VERSION}")
        if set(form) != KEYS:
            raise StorageError(f"manifest: missing or unknown keys: {', '.join(sorted(set(form) ^ KEYS))}")
        reader = _Reader(form)
        return Manifest(
            blob=BlobRef(
                reader.digest("blob", "sha256"),
                reader.number(SHARD_BYTES_MAX, "blob", "size_bytes"),
                reader.digest("blob", "chunks"),
            ),
            head=reader.head(),
            rules_digest=reader.digest("rules_digest"),
            counts=Counts(
                games=reader.number(GAMES_MAX, "counts", "games"),
                plies=reader.number(GAMES_MAX << 15, "counts", "plies"),
                decisions=reader.number(DECISIONS_MAX, "counts", "decisions"),
                samples=reader.number(SAMPLES_MAX, "counts", "samples"),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Typed access to a JSON object; a refusal names the key."""

    form: dict[str, Any] = field(repr=False)

    def head(self) -> ShardHead:
        text = self.text("config_key")
        if text not in map(str, CONFIG_KEYS):
            raise StorageError(f"manifest: config_key: there is no game {text[:40]!r}")
        key = ConfigKey.parse(text)
        swap = self.form["swap"]
        if type(swap) is not bool or (swap and key.players != 2):
            raise StorageError("manifest: swap: must be true or false, and true only with two players")
        search = self.form["search"]
        if not isinstance(search, dict):
            raise StorageError("manifest: search: must be an object")
        try:
            created = datetime.strptime(self.text("created_at"), TIME_FORM).replace(tzinfo=UTC)
        except ValueError:
            raise StorageError("manifest: created_at: must be a time such as 2026-01-31T12:00:00Z") from None
        return ShardHead(
            config_key=key,
            swap=swap,
            players=self.players(),
            search=search,
            seed=self.number((1 << 64) - 1, "seed"),
            host=self.text("host"),
            created_at=created,
            evaluations=self.number(EVALUATIONS_MAX, "evaluations"),
        )

    def players(self) -> tuple[ShardPlayer, ...]:
        table = self.form["players"]
        if not isinstance(table, list) or not 0 < len(table) <= PLAYERS_MAX:
            raise StorageError(f"manifest: players: must be a list of 1 to {PLAYERS_MAX}")
        readers = [_Reader({"players": entry}) for entry in table]
        return tuple(
            ShardPlayer(reader.text("players", "name"), reader.digest("players", "sha256")) for reader in readers
        )

    def value(self, *path: str) -> object:
        value: object = self.form
        for key in path:
            if not isinstance(value, dict) or key not in value:
                raise StorageError(f"manifest: {'.'.join(path)}: missing")
            value = value[key]
        return value

    def text(self, *path: str) -> str:
        value = self.value(*path)
        if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
            raise StorageError(f"manifest: {'.'.join(path)}: must be a printable text")
        return value

    def digest(self, *path: str) -> str:
        value = self.value(*path)
        if not isinstance(value, str) or not DIGEST.fullmatch(value):
            raise StorageError(f"manifest: {'.'.join(path)}: must be 64 hex digits")
        return value

    def number(self, most: int, *path: str) -> int:
        value = self.value(*path)
        if type(value) is not int or not 0 <= value <= most:
            raise StorageError(f"manifest: {'.'.join(path)}: must be an integer 0..{most}")
        return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
