"""Records of earlier schema versions, turned into those of today before they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

SCHEMA = 3
"""Raised when a record's fields or its file change their meaning, so that older files can be told apart."""

Json = dict[str, object]


def migrated(body: object, schema: int) -> object:
    """A record's body, as JSON, from one schema version to today's, one version after the other."""
    for version in range(schema, SCHEMA):
        step = STEPS[version]
        body = body if step is None else _everywhere(step, body)
    return body


def _machine_and_warm_up(fields: Json) -> Json:
    """A performance of version 1 knew of the machine before it alone, and not whether its warm-up ended steady."""
    if not {"warm_up_calls", "warm_up_seconds", "machine_busy_share"} <= fields.keys():
        return fields
    changed = dict(fields)
    calls, seconds = changed.pop("warm_up_calls"), changed.pop("warm_up_seconds")
    busy = changed.pop("machine_busy_share")
    # What was not noted counts against the measurement: unsteady, and on a machine that was not idle.
    changed["warm_up"] = {"calls": calls, "seconds": seconds, "steady": False}
    changed["machine"] = {"before": {"seconds": 0.0, "busy_share": 1.0 if busy is None else busy}}
    return changed


STEPS: Mapping[int, Callable[[Json], Json] | None] = {
    1: _machine_and_warm_up,
    2: None,  # version 3 differs in the file alone: it carries a hash of what it holds
}
"""From each earlier version to the next: a change of one JSON object, at whatever depth; None where none changed."""


def _everywhere(step: Callable[[Json], Json], value: object) -> object:
    if isinstance(value, dict):
        return step({key: _everywhere(step, part) for key, part in value.items()})
    if isinstance(value, list):
        return [_everywhere(step, part) for part in value]
    return value
