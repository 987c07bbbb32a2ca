"""The replicated state once more, as plain dicts and lists, written from docs/design/state.md: slow, dumb, obvious.

It shares the records of commands with the real one and nothing else. Tables are dicts in the order in which their
entries came; texts for people are left out.
"""

import json
from typing import Any

from managers.state import commands as asked
from managers.state.cluster_state import ClusterState
from managers.state.tasks import CanaryOutcome, CanaryTask, GateForm, GauntletOutcome, TrainingOutcome

Plain = dict[str, Any]
GAMES = {"hex8_2p": 2, "square8_3p": 3}  # and their players
LEAST = {"queued": 9, "finished": 12, "losses": 1, "clients": 4, "members": 2, "roles": 2}
LEAST |= {
    "nets": 6,
    "reigns": 4,
    "blocks": 4,
    "rollbacks": 2,
    "blocked": 2,
    "counted": 2,
}  # how much is remembered, here
WITHOUT = {"reason", "seed", "by"}


class No(Exception):  # noqa: N818 - an answer
    """The state does not allow it."""


def need(condition: object) -> None:
    if not condition:
        raise No


class PlainCluster:
    """Commands in, answers out: accepted, seq, the job that it queued."""

    def __init__(self) -> None:
        self.seq = 0
        self.now = 0.0
        self.cluster_id = ""
        self.active: dict[str, Plain] = {}
        self.finished: dict[str, Plain] = {}
        self.learners: dict[str, Plain] = {game: blank(game) for game in GAMES}
        self.members: dict[str, Plain] = {}
        self.roles: dict[str, Plain] = {}
        self.voters: list[str] = []
        self.halted: Plain | None = None
        self.answers: dict[str, tuple[int, tuple[bool, int, str | None]]] = {}

    def ask(self, command: asked.Command | None) -> tuple[bool, int, str | None]:
        if command is None or command.version != 1:
            return False, self.seq, None
        last, answer = self.answers.get(command.client, (0, (False, 0, None)))
        if command.sequence == last:
            return answer
        if command.sequence < last:
            return False, self.seq, None
        before = json.dumps({name: value for name, value in self.__dict__.items() if name != "answers"})
        self.seq += 1
        self.now = max(self.now, command.at)
        try:
            office = self.roles.get("LEADER", {"seq": 0})
            need(command.epoch in {None, office["seq"]})
            queued = getattr(self, command.body.kind)(command.body)
            answer = True, self.seq, queued
        except No:
            self.__dict__.update(json.loads(before))
            answer = False, self.seq, None
        self.answers.pop(command.client, None)
        self.answers[command.client] = (command.sequence, answer)
        forget(self.answers, LEAST["clients"])
        return answer

    # ---- jobs ----

    def enqueue(self, body: asked.Enqueue) -> str:
        need(body.task.kind != "gauntlet")
        if isinstance(body.task, CanaryTask):
            learner = self.learners[body.task.game]
            need(body.task.model == champion(learner))
            learner["canaries"] += 1
            learner["canary_at"] = self.now
        return self.queue(plain(body.task), body.priority, body.cores, body.attempts_max)

    def queue(self, task: Plain, priority: int, cores: int, attempts_max: int) -> str:
        need(len(self.active) < LEAST["queued"])
        for other in self.active.values():
            if task["kind"] != "selfplay" and (other["task"]["kind"], other["task"]["game"]) == (
                task["kind"],
                task["game"],
            ):
                need(task["kind"] == "gauntlet" and other["task"]["candidate"] != task["candidate"])
        name = f"{task['kind']}-{task['game']}-{self.seq}"
        self.active[name] = {
            "id": name, "task": task, "priority": priority, "cores": cores, "attempts_max": attempts_max,
            "status": "queued", "queued_at": self.now, "not_before": 0.0, "attempts": 0, "losses": 0, "fence": 0,
            "node": None, "session": 0, "started_at": None, "ended_at": None, "outcome": None,
        }  # fmt: skip
        return name

    def assign(self, body: asked.Assign) -> None:
        need(self.halted is None)
        need(not self.member(body.node, body.session)["draining"])
        need(body.job in self.active)
        job = self.active[body.job]
        need(job["status"] == "queued" and job["not_before"] <= self.now)
        job.update(status="leased", node=body.node, session=body.session, fence=self.seq)

    def held(self, name: str, fence: int) -> Plain:
        need(name in self.active)
        job = self.active[name]
        need(job["status"] in {"leased", "running"} and job["fence"] == fence)
        return job

    def start(self, body: asked.Start) -> None:
        job = self.held(body.job, body.fence)
        need(job["status"] == "leased")
        job.update(status="running", started_at=self.now)

    def end(self, job: Plain, status: str) -> None:
        job.update(status=status, ended_at=self.now)
        task, outcome = job["task"], job["outcome"]
        learner = self.learners[task["game"]]
        tally(learner, f"training.{status}" if task["kind"] == "training" else None)
        tally(learner, f"verdict.{outcome['verdict']}" if task["kind"] == "gauntlet" and outcome else None)
        self.finished[job["id"]] = self.active.pop(job["id"])
        forget(self.finished, LEAST["finished"])
        if job["task"]["kind"] == "gauntlet" and status != "succeeded":
            candidate = task["candidate"]
            if candidate in learner["nets"] and learner["nets"][candidate]["status"] == "candidate":
                self.net(learner, candidate, status="unjudged")

    def back(self, job: Plain) -> None:
        job.update(status="queued", node=None, session=0, started_at=None)

    def fail(self, body: asked.Fail) -> None:
        job = self.held(body.job, body.fence)
        self.count_canary(self.learners[job["task"]["game"]], job["task"], failed=True)
        job["attempts"] += 1
        if body.retry_after_s is None or job["attempts"] == job["attempts_max"]:
            self.end(job, "failed")
        else:
            self.back(job)
            job["not_before"] = self.now + body.retry_after_s

    def release(self, body: asked.Release) -> None:
        self.back(self.held(body.job, body.fence))

    def cancel(self, body: asked.Cancel) -> None:
        need(body.job in self.active)
        self.end(self.active[body.job], "cancelled")

    def complete(self, body: asked.Complete) -> str | None:
        job = self.held(body.job, body.fence)
        task, outcome = job["task"], body.outcome
        need(outcome.kind == task["kind"])
        job["outcome"] = plain(outcome)
        self.end(job, "succeeded")
        learner = self.learners[task["game"]]
        if isinstance(outcome, TrainingOutcome):
            return self.trained(learner, job, outcome, body)
        if isinstance(outcome, GauntletOutcome):
            need(task["candidate"] in learner["nets"])
            status = learner["nets"][task["candidate"]]["status"]
            if status not in {"promoted", "rolled back"}:
                status = "passed" if outcome.verdict == "passed" else "not passed"
            self.net(learner, task["candidate"], status=status, gauntlet=outcome.result, against=task["champion"])
        self.count_canary(learner, task, failed=False)
        if isinstance(outcome, CanaryOutcome) and task["model"] == champion(learner):
            learner["seen"] += [{**plain(it), "at": self.now} for it in outcome.blocks]
            learner["seen"] = learner["seen"][-LEAST["blocks"] :]
        if isinstance(outcome, GauntletOutcome | CanaryOutcome) and outcome.ratings:
            learner.update(ratings=[plain(it) for it in outcome.ratings], rated_at=self.now)
        return None

    def trained(self, learner: Plain, job: Plain, made: TrainingOutcome, body: asked.Complete) -> str | None:
        task = job["task"]
        need(made.candidate not in learner["nets"])
        facts = {name: getattr(made, name) for name in ("size_bytes", "version", "samples_total", "evaluations")}
        self.new_net(learner, {"sha256": made.candidate, "job": body.job, "parent": task["parent"], **facts})
        if champion(learner) is None or task["gate"] is None:
            learner["current"] = made.candidate
        learner.update(trained_rows=task["rows_made"], trained_games=task["games_made"], trained_at=self.now)
        return None if task["gate"] is None else self.next_gauntlet(learner, made.candidate, task["gate"])

    # ---- members, roles, halt ----

    def member(self, node: str, session: int | None = None) -> Plain:
        need(node in self.members)
        need(session in {None, self.members[node]["session"]})
        return self.members[node]

    def lose(self, node: str, *, before: float) -> None:
        for job in list(self.active.values()):
            if job["node"] == node and job["session"] < before:
                job["losses"] += 1
                if job["losses"] > LEAST["losses"]:
                    self.end(job, "lost")
                else:
                    self.back(job)

    def found(self, body: asked.Found) -> None:
        need(self.cluster_id == "")
        self.cluster_id = body.cluster_id

    def join(self, body: asked.Join) -> None:
        known = self.members.get(body.node)
        need(known is not None or len(self.members) < LEAST["members"])
        need(known is None or body.session > known["session"])
        need(known is None or known["public_key"] in {"", body.public_key})
        draining = known is not None and known["draining"]
        self.members[body.node] = {**plain(body), "joined_at": self.now, "draining": draining}
        del self.members[body.node]["kind"]
        self.lose(body.node, before=body.session)

    def expire(self, body: asked.Expire) -> None:
        self.member(body.node, body.session)
        self.lose(body.node, before=float("inf"))

    def drain(self, body: asked.Drain) -> None:
        self.member(body.node)["draining"] = body.draining

    def leave(self, body: asked.Leave) -> None:
        self.member(body.node)
        need(body.node not in self.voters)
        del self.members[body.node]
        self.lose(body.node, before=float("inf"))

    def take_role(self, body: asked.TakeRole) -> None:
        self.member(body.node, body.session)
        until = self.now + body.lease_s
        taken = {
            "name": body.role, "node": body.node, "session": body.session, "seq": self.seq, "until": until,
            "term": body.term,
        }  # fmt: skip
        held = self.roles.get(body.role)
        if held is None:
            need(len(self.roles) < LEAST["roles"])
        elif held["term"] != body.term:
            need(held["term"] < body.term)
        elif (held["node"], held["session"]) == (body.node, body.session):
            taken.update(seq=held["seq"], until=max(until, held["until"]))
        else:
            need(held["node"] == body.node or held["until"] <= self.now)
        self.roles[body.role] = taken

    def yield_role(self, body: asked.YieldRole) -> None:
        held = self.roles.get(body.role)
        need(held is not None and (held["node"], held["session"]) == (body.node, body.session))
        del self.roles[body.role]

    def set_voters(self, body: asked.SetVoters) -> None:
        for node in body.voters:
            need(self.member(node)["raft_address"] != "")
        wanted = sorted(set(body.voters))
        need(wanted != self.voters)
        self.voters = wanted

    def halt(self, _body: asked.HaltAll) -> None:
        need(self.halted is None)
        self.halted = {"at": self.now}

    def resume(self, _body: asked.ResumeAll) -> None:
        need(self.halted is not None)
        self.halted = None

    # ---- learners ----

    def new_net(self, learner: Plain, net: Plain) -> None:
        learner["nets"][net["sha256"]] = {**net, "at": self.now, "gauntlet": None, "against": None}
        self.net(learner, net["sha256"], status="unjudged")

    def net(self, learner: Plain, sha256: str, **changes: Any) -> None:
        """A net changes; of too many the oldest go that are not it, current, in a reign, or waiting for a gauntlet."""
        nets = learner["nets"]
        nets[sha256].update(changes)
        needed = {learner["current"], sha256, *(reign["sha256"] for reign in learner["reigns"])}
        for name in [it for it in nets if it not in needed and nets[it]["status"] != "candidate"]:
            if len(nets) > LEAST["nets"]:
                del nets[name]

    def next_gauntlet(self, learner: Plain, candidate: str, form: Plain) -> str:
        need(candidate in learner["nets"] and candidate != champion(learner))
        learner["judged"] += 1
        self.net(learner, candidate, status="candidate")
        task = {
            "kind": "gauntlet", "game": learner["game"], "candidate": candidate, "champion": champion(learner),
            "anchors": anchors(learner)[: form["anchors_max"]], "candidate_number": learner["judged"], "form": form,
        }  # fmt: skip
        return self.queue(task, form["priority"], 1, form["attempts_max"])

    def judge(self, body: asked.Judge) -> str:
        form = plain(body.form)
        assert set(form) == set(GateForm.model_fields)
        return self.next_gauntlet(self.learners[body.game], body.candidate, form)

    def count_data(self, body: asked.CountData) -> None:
        known = self.learners[body.game]["data"]
        need(body.node in self.members and (body.node in known or len(known) < LEAST["counted"]))
        blank_count = {"games": 0, "rows": 0, "evaluations": 0, "newest_at": 0.0}
        old = known.get(body.node, blank_count)
        new = {name: max(value, getattr(body.count, name)) for name, value in old.items()}
        need(new != old)
        known[body.node] = new

    def count_canary(self, learner: Plain, task: Plain, *, failed: bool) -> None:
        if task["kind"] == "canary" and task["model"] == champion(learner):
            played = task["games"] * len(task["opponents"])
            row = {"at": self.now, "games": played, "failed": played if failed else 0}
            learner["job_games"] = [*learner["job_games"], row][-LEAST["blocks"] :]

    def qualify(self, body: asked.Qualify) -> None:
        task = self.held(body.job, body.fence)["task"]
        need(task["kind"] == "gauntlet")
        learner = self.learners[task["game"]]
        need(task["champion"] is not None and task["champion"] == champion(learner))
        need(task["candidate"] not in learner["blocked"])
        need(not task["form"]["asked"] and task["form"]["qualify_games"] <= body.games >= body.wins)
        odds = 10 ** (-150 / 400)  # a disaster is 150 Elo weaker, or more
        need(body.wins / body.games > odds / (odds + GAMES[task["game"]] - 1))
        nets = learner["nets"]
        need(task["candidate"] in nets)
        need(learner["current"] is None or nets[learner["current"]]["at"] <= nets[task["candidate"]]["at"])
        learner["current"] = task["candidate"]

    def add_net(self, body: asked.AddNet) -> None:
        learner = self.learners[body.game]
        need(body.sha256 not in learner["nets"])
        net = plain(body)
        del net["kind"], net["game"]
        self.new_net(learner, {**net, "job": None})

    def promote(self, body: asked.Promote) -> None:
        learner = self.learners[body.game]
        old = champion(learner)
        need(old == body.expected and old != body.candidate and body.candidate in learner["nets"])
        net = learner["nets"][body.candidate]
        if body.how == "gate":
            need(body.candidate not in learner["blocked"])
            need(net["status"] == "passed" and net["gauntlet"] == body.evidence and net["against"] == old)
        learner["blocked"].pop(body.candidate, None)
        if learner["current"] is None:
            learner["current"] = body.candidate
        self.net(learner, body.candidate, status="promoted")
        self.crown(learner, body.candidate, kind=body.how, evidence=body.evidence)
        judged = [job for job in self.finished.values() if job["task"]["kind"] == "gauntlet" and job["outcome"]]
        for task, outcome in ((job["task"], job["outcome"]) for job in judged):
            found = task["game"], task["candidate"], outcome["result"]
            if found == (body.game, body.candidate, body.evidence):
                rows = [row for row in outcome["rows"] if row["opponent"] == "heuristic" and any(row["blocks"])]
                learner["baselines"] = [{"opponent": row["sha256"], "blocks": row["blocks"]} for row in rows]

    def crown(self, learner: Plain, net: str, *, kind: str, evidence: str | None) -> None:
        elo = next((it["elo"] for it in learner["ratings"] if it["sha256"] == net), None)
        reign = {"sha256": net, "seq": self.seq, "at": self.now, "kind": kind, "evidence": evidence, "elo": elo}
        tally(learner, f"promotion.{kind}" if kind != "rollback" else None)
        learner["reigns"] = [*learner["reigns"], {**reign, "replaced": champion(learner)}][-LEAST["reigns"] :]
        for name in ("judged", "canaries", "canary_at", "seen", "job_games", "held", "baselines"):
            learner[name] = blank("")[name]

    def roll_back(self, body: asked.RollBack) -> None:
        learner = self.learners[body.game]
        need(champion(learner) == body.expected != body.to)
        need(body.to in {reign["sha256"] for reign in learner["reigns"]})
        self.net(learner, body.expected, status="rolled back")
        self.net(learner, body.to, status="promoted")
        block(learner, body.expected, unblock=body.to)
        if learner["current"] == body.expected:
            learner["current"] = body.to
        row = {"from_sha256": body.expected, "to_sha256": body.to, "seq": self.seq, "at": self.now}
        row |= {"trigger": body.trigger, "metrics": plain(body)["metrics"]}
        learner["rollbacks"] = [*learner["rollbacks"], row][-LEAST["rollbacks"] :]
        self.crown(learner, body.to, kind="rollback", evidence=None)
        tally(learner, f"rollback.{body.trigger}")

    def hold_rollbacks(self, body: asked.HoldRollbacks) -> None:
        learner = self.learners[body.game]
        need(learner["held"] != body.reason)
        learner["held"] = body.reason


def blank(game: str) -> Plain:
    """A configuration of which nothing is known."""
    return {
        "game": game, "nets": {}, "current": None, "reigns": [], "judged": 0, "blocked": {}, "data": {},
        "trained_rows": 0, "trained_games": 0, "trained_at": None, "baselines": [], "seen": [], "job_games": [],
        "canaries": 0, "canary_at": None, "rollbacks": [], "held": "", "ratings": [], "rated_at": None,
        "tally": {},
    }  # fmt: skip


def tally(learner: Plain, name: str | None) -> None:
    if name is not None:
        learner["tally"][name] = learner["tally"].get(name, 0) + 1


def champion(learner: Plain) -> str | None:
    return learner["reigns"][-1]["sha256"] if learner["reigns"] else None


def anchors(learner: Plain) -> list[str]:
    """Former champions, the latest first, without the blocked ones."""
    names = dict.fromkeys(reign["sha256"] for reign in reversed(learner["reigns"]))
    return [name for name in names if name != champion(learner) and name not in learner["blocked"]]


def block(learner: Plain, net: str, *, unblock: str) -> None:
    learner["blocked"].pop(unblock, None)
    learner["blocked"].setdefault(net, None)
    forget(learner["blocked"], LEAST["blocked"])


def forget(table: dict[str, Any], most: int) -> None:
    """The oldest entries go."""
    for name in list(table)[: max(0, len(table) - most)]:
        del table[name]


def plain(record: Any) -> Plain:
    """A record as dicts and lists, without the texts for people and without seeds."""
    found: Plain = bare(record.model_dump(mode="json"))
    return found


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: bare(item) for name, item in value.items() if name not in WITHOUT}
    return [bare(item) for item in value] if isinstance(value, list) else value


def view_of_plain(cluster: PlainCluster) -> Plain:
    """Everything that the plain cluster knows; tables as lists, because their order decides what is forgotten."""
    learners = {
        game: {**it, "nets": list(it["nets"].items()), "blocked": list(it["blocked"])}
        for game, it in cluster.learners.items()
    }
    return {
        "seq": cluster.seq, "now": cluster.now, "halt": cluster.halted, "learners": learners,
        "cluster": cluster.cluster_id,
        "active": list(cluster.active.items()), "finished": list(cluster.finished.items()),
        "members": cluster.members, "roles": cluster.roles, "voters": cluster.voters,
        "answers": [(client, number, *answer) for client, (number, answer) in cluster.answers.items()],
    }  # fmt: skip


def view_of(state: ClusterState) -> Plain:
    """The same of the real state."""
    learners = {}
    for game in GAMES:
        learner = plain(state.learner(game))
        learners[game] = {**learner, "nets": list(learner["nets"].items()), "blocked": list(learner["blocked"])}
    jobs, answered = plain(state.jobs), state.answered.items()
    return {
        "seq": state.seq, "now": state.now, "halt": state.halt and plain(state.halt), "learners": learners,
        "cluster": state.cluster_id,
        "active": list(jobs["active"].items()), "finished": list(jobs["finished"].items()),
        "members": {name: plain(it) for name, it in state.members.items()},
        "roles": {name: plain(it) for name, it in state.roles.items()}, "voters": list(state.voters),
        "answers": [(it, at.sequence, at.result.accepted, at.result.seq, at.result.job) for it, at in answered],
    }  # fmt: skip
