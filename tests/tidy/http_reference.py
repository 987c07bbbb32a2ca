"""docs/reference/http.md, generated from the table of routes: `python -m tests.tidy.http_reference` writes it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from managers.event_journal import EventRow
from managers.model_rows import EloRow
from managers.status_records import DaemonRow, JobStatusRow, NodeRow
from p2p.http.answers import OpenApiAnswer
from p2p.http.routes import ROUTES, Route
from p2p.identity.principals import Principal
from tests.tidy import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"
HEAD = """\
# HTTP

Generated from the table of routes (`p2p/http/routes.py`) by `python -m tests.tidy.http_reference`; a node answers the
same as OpenAPI at `/openapi.json`.

A node answers on `node.port` (8770), on the Unix socket of its data folder (whoever reaches it is admin), and on
`node.metrics_port` (9090) and `node.health_port` (8780) what is marked with *. How it is asked:
[the loop](../how-to/loop.md#ask-it). Who is who, and what is asked of a request before it is let in:
[identity](../design/identity.md).

Every error is `{"error": {"code", "message", "details"}}`. 400: the message says what to write; 401, 403: who may is in
the table; 404, 409; 413, 415, 408: the body; 421: the `Host` is no name of this node; 500: a fault of ours, in
`logs/coordination.log`; 503: what is needed is not there now, or does not answer in time.

| route | who | answer | meaning |
|---|---|---|---|
"""
WHO = {  # shortest words for a set of principals
    frozenset(Principal): "everybody",
    frozenset({Principal.ADMIN}): "admin",
    frozenset({Principal.ADMIN, Principal.OBSERVER}): "observer, admin",
}
EVENTS = """\
## Events

`since` and `next` are cursors: `SEQ.NUMBER`, or `SEQ` alone, which stands behind all events of that transition. `seq`
of an event is the transition that it stems from, or after which this node told it. Events of transitions are derived
again when a node reads its log at the start, so a cursor outlives a restart, for the last 2,000 records behind the last
snapshot of the log; what only the node told (its services, progress of its jobs) is not kept over a restart. `gap` is
true when events behind `since` are not kept any more, when the cursor is ahead of this node, or within what it was not
told of because it took over a whole state: `EVENTS_MISSED` says from where to where, whatever `types` are wanted.

With `Accept: text/event-stream` the same events come as server-sent events: `id:` is the cursor, `data:` the event; it
goes on from `Last-Event-ID`, else from `since`, else from now. A comment comes every 15 s; `event: gap` says that
events are missing. A client that falls behind what is kept is cut off with a comment. At most 32 streams are open.
"""
ROWS = (EventRow, JobStatusRow, NodeRow, EloRow, DaemonRow)  # of lists in answers


def http_reference() -> str:
    """The whole page."""
    lines = [_line(route) for route in ROUTES]
    bodies = [line for route in ROUTES if route.body is not None or route.queries for line in _asked(route)]
    answers = ["## Answers", "", *_answers()]
    return HEAD + "\n".join([*lines, "", "## What is sent", "", *bodies, "", EVENTS, *answers]) + "\n"


def _line(route: Route) -> str:
    who = WHO.get(route.principals, "observer, worker, voter, admin")
    mark = "*" if route.aliased else ""
    answer = "text" if route.answer is None else f"{route.status} {_name(route.answer)}"
    answer = "; ".join([answer, *(f"{status} {_name(model)}" for status, model in route.others)])
    return f"| `{route.method} {route.pattern}`{mark} | {who} | {answer} | {route.summary} |"


def _name(model: type[BaseModel]) -> str:
    return "object" if model is OpenApiAnswer else f"`{model.__name__}`"


def _asked(route: Route) -> Iterator[str]:
    yield f"* `{route.method} {route.pattern}`: " + "; ".join(_parts(route))


def _parts(route: Route) -> Iterator[str]:
    for query in route.queries:
        yield f"`{query.name}`: {query.meaning}"
    if route.body is not None:
        fields = [
            f"`{name}`{'' if field.is_required() else '?'} {_kind(_schema(route.body)['properties'][name])}"
            for name, field in route.body.model_fields.items()
        ]
        yield ", ".join(fields) if fields else "nothing"


def _answers() -> Iterator[str]:
    told = [model for route in ROUTES for model in (route.answer, *(it for _, it in route.others))]
    for model in dict.fromkeys([*told, *ROWS]):
        if model is None or model is OpenApiAnswer:
            continue
        if model.__name__ == "Status":
            yield "* `Status`: [its page](../formats/status.md)"
            continue
        parts = (f"`{name}` {_kind(schema)}" for name, schema in _schema(model)["properties"].items())
        yield f"* `{model.__name__}`: {', '.join(parts)}"


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(mode="validation")


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(part) for part in schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    match schema.get("type"):
        case "array":
            return f"[{_kind(schema.get('items', {}))}]" if schema.get("items") else "list"
        case "object":
            more = schema.get("additionalProperties")
            return f"{{name: {_kind(more)}}}" if isinstance(more, dict) and more else "object"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "string":
            return "text"
        case None:
            return "any"
        case kind:
            return str(kind)


if __name__ == "__main__":
    PAGE.write_text(http_reference())
