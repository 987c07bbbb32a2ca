"""docs/reference/cli.md, generated from the commands: `python -m tests.tidy.cli_reference` writes it."""

from collections.abc import Iterator
from textwrap import fill
from typing import Any

import typer

from p2p.cli.main import app
from p2p.cli.node import app as node_app
from tests.tidy import ROOT

NOTES = {
    "ringrift play": (
        "At the prompt, `?` explains the phase and the legal plies; `undo`, `svg FILE`, `save FILE` and "
        "`quit` do what they say. Forced plies are played by themselves and shown."
    ),
    "ringrift show": (
        "PLY counts from 0, the start; without it the last position is shown, without GAME the first game. "
        "FILE is a recorded game of the reference, a record written by `ringrift play` "
        "([form](../formats/game-record.md)), or a stored match ([form](../formats/match.md)), whose games are "
        "numbered from 0: `ringrift show results/0123456789abcdef.json:3:40`."
    ),
    "ringrift verify-traces": (
        "One line per file, the first mismatch in full, last line `games=N plies=M mismatches=K`. Exit code 1 "
        "when K > 0, 2 when nothing could be verified. Files with `-raw` in their name are skipped with a "
        "note."
    ),
    "ringrift verify-vectors": (
        "Last line `vectors=N passed=P skipped=S mismatches=K`; exit code 1 when K > 0. A `ts-status.json` "
        "beside the vectors says which of them the reference itself refuses; these are skipped."
    ),
    "ringrift bench engine": (
        "JSON keys: `game` (config key), `plies_per_s_per_core`, `plies_per_s_all_cores`, "
        "`games_per_s_per_core` (numbers), `cores`, `plies`, `games` (integers), `final_state_checksum` (16 "
        "hex digits, a function of game, games and seed on every machine), `cpu` (text). Figures are medians "
        "over the runs."
    ),
    "ringrift selfplay": (
        "One single-threaded process per core ([job](../formats/job.md)). With `--json`: `game`, `model`, `sims`, "
        "`seed`, `out`, the sums of the workers' `games`, `decisions`, `samples`, `simulations`, `judged`, `cached`, "
        "`forced`, `shards`, `written_games`, `written_samples`, `written_bytes`, the smallest `batch_fill`, "
        "`distinct_per_decision`, `seconds`, `games_per_hour`, `judged_per_s`. Exit code 130 after Ctrl-C; what was "
        "finished is written."
    ),
    "ringrift train": (
        "What a run folder holds, how rows are chosen: [training](../formats/training.md). Say `--parent` or "
        "`--size`; there is no default, so that no run begins from random weights unasked. With `--json`: `game`, "
        "`seed`, `out`, `window` (what the run reads, what was left out), `step`, `steps`, `candidate`, `sha256`, "
        "`validation` (losses on games that are never trained on). Exit code 130 after Ctrl-C; the same command "
        "goes on from there."
    ),
    "ringrift bench train": (
        "JSON keys: `game`, `steps`, `runs`, `cpu`, `results`: per net `arch`, `batch`, `trainer_per_s` and "
        "`bare_per_s` (samples), `share` (median of each run against the bare runs around it)."
    ),
    "ringrift match": (
        "AGENTS are separated by commas; the last one fills the seats that are left. With `--json`: `game`, `games`, "
        "`players`, each with `agent`, `player`, `wins`, `mean_rank`, `share`, `low`, `high` (95 %, over blocks). "
        "Games begin with different openings of the book; where it has too few, with random ones."
    ),
    "ringrift gauntlet": (
        "Exit code 0 when the candidate passed, 1 when it did not (failed or undecided), 130 after Ctrl-C. Every row's "
        "match is kept in the folder, the result in `gauntlets` below it ([forms](../formats/match.md)); `--json` "
        "prints that result. The thresholds are those of the [gate](../design/evaluation.md#gauntlet); "
        "[environment variables](configuration.md) move them. A net without a number of simulations has `--sims`."
    ),
    "ringrift gate": (
        "Exit code 1 when a blocking match fails; the report is written either way. Without `--model` the frozen "
        "players are checked: `ci` on square8_2p and hex8_2p, `nightly` on six games of the small boards and two of "
        "the large ones, or on the game named. With `--model` that net meets random and heuristic-v1 at the rates of "
        "the gate, as observed in `ci`, with the lower bound above them in `nightly`. JSON keys: `form`, `mode`, "
        "`seed`, `rules_digest`, `model_sha256`, `passes`, `matches`, each with `name`, `game`, `agent`, `opponent`, "
        "`games`, `wins`, `losses`, `draws` (0: a game has a winner), `decisive_games`, `win_rate`, `win_rate_ci_low`, "
        "`win_rate_ci_high` (95 %, over blocks), `min_win_rate`, `require_significance`, `blocking`, `passes`."
    ),
    "ringrift promote": (
        "Works through the loop of the data folder, or without one as a node that starts only gauntlets "
        "([runbook](../runbooks/promotion.md)). Exit code 0 when the net is champion, or with `--dry-run` would be, 1 "
        "when not, 130 after Ctrl-C. With `--json`: `game`, `promoted`, `passed`, `dry_run`, `how` (gate or manual), "
        "`sha256`, `replaces`, `canonical_path` or null, `failure_reason` or null, `remark`, `win_rates` (by "
        "opponent), `met` (`opponent`, `sha256`, `games`, `wins`, `share`, `low`, `high`, `outcome`), `gauntlet` (its "
        "name), `elo`, `elo_margin` (95 %); with `--rollback`: `model_id`, `success`, `from_version`, `from_sha256`, "
        "`to_version`, `to_sha256`, `reason`, `failure_reason`, `canonical_path`."
    ),
    "ringrift results check": (
        "PATHS are files, or folders that are searched for names of 16 hex digits ([forms](../formats/match.md)). Exit "
        "code 1 when one is wrong, 2 when there is none. With `--json`: `results` (path, fault or null), `wrong`."
    ),
    "ringrift tournament": (
        "With two players every pair meets, with more each agent plays copies of each other one, both ways round, "
        "from the [opening book](../design/evaluation.md). Only openings that the folder has not got from the same "
        "seed are played. With `--json`: `game`, `games`, `matches`, `anchored` (else the mean is 1200), `agents` "
        "(`rank`, `id`, `name`, `sha256`, `sims`, `version`, `elo`, `se`, `margin` (95 %), `games`, `wins`, `link`: "
        "measured, one-sided or unconnected), `seats` (`elo`, `se`), `consistency` (`chi_square`, `freedom`, "
        "`p_value` or null, `worst`, `triads`, `sure_triads`; [meaning](../design/evaluation.md))."
    ),
    "ringrift curve": (
        "Nets are the agents with a version; each is shown as it plays with 64 simulations, else as it played most "
        "games. With `--json`: `game`, `games`, `axis` (evaluations or version), `anchored`, `baselines` (`name`, "
        "`elo`), `thresholds` (by yardstick), `points` (`id`, `name`, `sha256`, `version`, `sims`, `evaluations` or "
        "null, `x`, `placed_by_version`, `elo`, `margin` (95 %), `games`, `link`, `against`: by yardstick `won`, "
        "`games`, `share`, `low`, `high`)."
    ),
    "ringrift net show": (
        "What is refused and how a checkpoint is read elsewhere: [format](../formats/checkpoint.md). JSON keys: "
        "`config_key`, `arch`, `weights`, `sha256`, `version`, `trained_at`, `elo`, `parent`, `data`, `train`, "
        "`gauntlet`."
    ),
    "ringrift bench search": (
        "JSON keys: `game`, `judge`, `slots`, `cpu`, `results`: per number of simulations `sims`, `decisions_per_s`, "
        "`simulations_per_s`, `judged_per_decision`, `distinct_per_decision`, `cached_share`, `ended_share` (those "
        "that ended in the end of a game), `batch_fill`, `forced_judged` (0), `judge_share` (of the time)."
    ),
    "ringrift bench selfplay": (
        "JSON keys: `game`, `sims`, `seconds`, `runs`, `cpu`, `results`: per net `arch`, `precision`, `slots`, "
        "`judged_per_s` (by selfplay), `forward_per_s` (the bare net with the legal gather on batches encoded before), "
        "`evaluate_per_s` (encoding and reading back included), `share_of_forward`, `share_of_evaluate` (medians of "
        "each run against the bare runs around it), `batch_fill`, `cached_share`, `forced_judged`, "
        "`distinct_per_decision`, `decisions_per_s`, `legal_per_position`, "
        "`to_device_bytes_per_position`, `from_device_bytes_per_position`. All on one core."
    ),
    "ringrift loop": (
        "How to run, watch and halt it: [the loop](../how-to/loop.md). Settings: "
        "[configuration](configuration.md). One loop works in a folder; `--status`, `--watch`, `--halt` and "
        "`--resume` talk to it, and `--status`, `--halt` and `--resume` read and write the folder where none "
        "runs. With `--json`: the loop prints what happens, one object per line (`at`, `event`, `game`, `job`, "
        "`node`, `weight`, `text`); `--status` and `--watch` print the [status](../formats/status.md); `--halt` "
        "and `--resume` print `changed` and `reason`. Exit codes: 0 after SIGTERM, `--minutes` or `--champions`, "
        "130 after Ctrl-C, 1 when a part that it cannot do without was given up, 3 when `--watch` finds no loop."
    ),
    "ringrift shards ls": (
        "Only manifests are read ([form](../formats/shard.md)). With `--json`: `shards` (name, game, games, samples, "
        "players, bytes, created; or name and error) and `leftovers`, files of killed writers."
    ),
    "ringrift shards check": (
        "PATHS are folders or shards. Exit code 1 when a shard is wrong, 2 when there is none. Duplicates are found "
        "among the shards of one folder. With `--json`: `shards` (path, fault, reason, games, samples, known_games, "
        "quarantined), `leftovers`, `wrong`."
    ),
    "ringrift shards show": (
        "A line of a game: number of the choice, seat, id, the plies it leads to with the forced ones after it, its "
        "flags, and the largest entries of its policy target as id:probability."
    ),
    "ringrift daemons": (
        "Asks a node as the commands of `ringrift-p2p` do: over HTTP with `RINGRIFT_ADMIN_TOKEN`, through the socket "
        "of a data folder without a token."
    ),
    "ringrift-p2p": (
        "How to run, ask and end a node: [the node](../how-to/node.md). Of a setting the first that says it counts: "
        "command line, environment, `--node-conf`, `--config`, `--profile`; `--port` is short for `--set "
        "node.port=...`, and so on. `--json` as in `ringrift loop`. Exit codes: 0 after SIGTERM, 130 after Ctrl-C, 1 "
        "when a part that it cannot do without was given up, 2 when it cannot start. These options stand before no "
        "command: those below have their own."
    ),
    "ringrift-p2p up": (
        "What it makes, how it ends: [a cluster on one machine](../how-to/cluster.md). Exit code 0 when what it was to "
        "run until is there, after `--minutes` alone, or SIGTERM; 1 when `--until-champion` was not reached in time or "
        "every node was given up; 130 after Ctrl-C; 2 when it cannot start. With `--json` each line is an outcome as "
        "in `ringrift loop` (`event`: `said` for what is only said), or has the `event` `cluster`: `at`, `uptime_s`, "
        "`leader_id`, `epoch`, `cluster_ids` (one, once the nodes have found each other), `games_per_s`, `champions` "
        "(digest by game), `missing` (texts), `nodes` (`node_id`, `address`, `data_dir`, `process`: running, starting, "
        "starts again, given up or ended, `pid`, `alive`: yes, halted, failing, or why it does not answer, `role`, "
        "`cores`, `jobs`, `games_per_h`, `installed` (digest by game), `restarts`), printed when something of it has "
        "changed and every 5 s. The last line has the `event` `ended`: `code`, `reached`, `seconds`, `cpu_s` (of all "
        "processes that were started), `files` (canonical nets by game)."
    ),
    "ringrift-p2p status": (
        "Which node is asked, here and below: `--url`, else the socket of `--data-dir`, else `RINGRIFT_P2P_URL`, "
        "`P2P_ORCHESTRATOR_URL` or `RINGRIFT_COORDINATOR_URL`, else the node of this folder, else "
        "`http://localhost:8770`. Over HTTP `RINGRIFT_ADMIN_TOKEN` is shown where it is set. With `--json`: the "
        "[status](../formats/status.md). Exit code 3 when no node answers, or what answers is none, 2 when it refuses."
    ),
    "ringrift-p2p events": (
        "Columns: number, time, type ([events](events.md)), source, payload. `--follow` asks every second, goes on "
        "where it was when the node is restarted, and gives up after a minute without one. What is not kept any more "
        "is said on standard error."
    ),
    "ringrift-p2p doctor": (
        "What each line means: [the doctor](../how-to/doctor.md). Exit code 1 when a check fails; a warning is none. "
        "With `--json`: `form` (`ringrift.doctor/1`), `ok`, `findings` (`check`, `level`: ok, warn or fail, `text`, "
        "`advice`)."
    ),
    "ringrift warmup": (
        "With `--first` two processes compile what games of the heuristic need, about half of all. "
        "The compiled rules are kept in a folder named after the rules' source, the numba version and the "
        "CPU; the four newest versions stay on disk."
    ),
}
HEAD = """\
# Commands

Generated from the commands themselves by `python -m tests.tidy.cli_reference`.

Exit codes: 0 done; 1 a check found mismatches; 2 bad input, or a refusal, said on standard error; 3 no node answers.
"""


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command below a group, with the words that call it, and the group itself where it is one too."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    if command.invoke_without_command:
        yield name, command
    for child_name, child in command.commands.items():
        yield from commands(f"{name} {child_name}", child)


def word_of(argument: Any) -> str:
    """An argument in a usage line."""
    if argument.metavar:
        return str(argument.metavar if argument.required else f"[{argument.metavar}]")
    return str(argument.name.upper() + ("..." if argument.nargs != 1 else ""))


def section(name: str, command: Any) -> str:
    """One command: help, usage, notes, options."""
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = "".join(f" {word_of(argument)}" for argument in arguments)
    lines = [f"## {name}", "", command.help, "", f"`{name}{' [OPTIONS]' if options else ''}{usage}`", ""]
    if name in NOTES:
        lines += [fill(NOTES[name], 118, break_on_hyphens=False), ""]
    if options:
        lines += ["| option | default | meaning |", "|---|---|---|"]
        for option in options:
            flags = " / ".join([*option.opts, *option.secondary_opts])
            default = "" if option.default in {None, ""} else f"`{option.default}`"
            lines.append(f"| `{flags}` | {default} | {option.help} |")
        lines.append("")
    return "\n".join(lines)


def cli_reference() -> str:
    """The whole page."""
    lines = (("ringrift", app), ("ringrift-p2p", node_app))
    found = [pair for name, line in lines for pair in commands(name, typer.main.get_command(line))]
    return "\n".join([HEAD, *(section(name, command) for name, command in found)])


if __name__ == "__main__":
    (ROOT / "docs" / "reference" / "cli.md").write_text(cli_reference())
