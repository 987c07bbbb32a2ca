"""The constant RULES_DIGEST is what the rules do today."""

import hashlib
from pathlib import Path

import numpy as np

from ringrift_core.game import Game, GameBatch
from ringrift_core.game.config_key import CONFIG_KEYS
from ringrift_core.game.record import plies_of, read_records

PARITY = Path(__file__).parent / "parity"
SEEDED_GAMES = 64


def packed(hashes: list[int]) -> bytes:
    return np.array(hashes, "<i8").tobytes()


def test_the_rules_digest_is_up_to_date():
    digest = hashlib.sha256()
    for path in sorted(PARITY.glob("*-scn.jsonl.gz")):
        for _, record in read_records(path):
            game = Game.from_json(record, plies=0)
            for ply in plies_of(record):
                game.play(ply)
                digest.update(packed([game.hash()]))
    for key in CONFIG_KEYS:
        batch = GameBatch.start(key, SEEDED_GAMES)
        values = np.arange(1, SEEDED_GAMES + 1)
        plies = 0
        while not batch.over.all():
            plies += 1
            values = batch.play_random(values, plies)
            digest.update(packed(batch.hashes().tolist()))
    assert digest.hexdigest() == Game.RULES_DIGEST, "the rules changed: is that meant? then update RULES_DIGEST"
