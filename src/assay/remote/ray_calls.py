"""Calls to Ray, with its failures as lines of ours: the one place that knows what it raises."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from assay.errors import AssayError, BackendError, MissingExtraError, Option, Remedy
from assay.measure.clock import now
from assay.remote.hand_out import WorkerLostError

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, which ends with the run."""

_QUESTIONS = 5
CONNECT_SECONDS = 5.0
"""For which something that listens may take to answer."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""By which a client of gRPC, as Ray's is, begins: HTTP/2's preface, and settings that are none."""
_SETTINGS = 4
"""The type of the frame that answers it."""
_START_SECONDS = 300.0


def require_ray() -> None:
    """Raises `MissingExtraError` where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("a cluster", "ray")


def connect(address: str) -> bool:
    """Connects to a cluster, or starts one; says whether that is ours to end.

    In a process that is connected already, the cluster is that one, whatever the address.
    """
    # Ray sends usage figures away otherwise.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # A worker sees all devices of its machine and is told which one is its own.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return False
    try:
        _require_answer(address)
        ray.init(
            address=address,
            include_dashboard=False if address == LOCAL else None,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:  # Ray raises what it likes here, a bare RuntimeError or ConnectionError among it
        what = " ".join(str(error).split())[:200]
        raise BackendError(
            f"cannot connect to the cluster {address} ({what})",
            remedy=Remedy("start it with ray start --head, or give {}", Option("cluster", LOCAL)),
        ) from error
    return True


def _require_answer(address: str) -> None:
    """Raises `OSError` where nothing, or what is no Ray, listens at `host:port`: Ray would ask again for minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and "/" not in host and port.isdecimal()):
        return
    with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as connection:
        # Of what is encrypted, only Ray itself can tell.
        if os.environ.get("RAY_USE_TLS", "0") == "0" and not _greets(connection):
            raise OSError("what listens there is no Ray")


def _greets(connection: socket.socket) -> bool:
    """Whether the other side speaks HTTP/2: a frame's header is three bytes of length, and then its type."""
    answer = b""
    try:
        connection.sendall(_GREETING)
        while len(answer) < len("LLLT"):
            if not (part := connection.recv(4096)):
                return False
            answer += part
    except OSError:
        return False
    return answer[3] == _SETTINGS


def on(node: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an actor or a task for one node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(str(node["NodeID"]), soft=False)}


def ready(ticket: Any, who: str, timeout: float | None = _START_SECONDS) -> Any:
    """What a worker or a node says before there is anything to hand out; its death then is an error."""
    from ray import exceptions

    try:
        return got(ticket, timeout)
    except exceptions.GetTimeoutError as error:
        raise BackendError(
            f"{who} was not ready within {timeout:g} s; see with ray status whether the cluster has room"
        ) from error
    except WorkerLostError as error:
        raise BackendError(
            f"{who} was lost before it was ready ({error}); see Ray's logs there, and run it again"
        ) from error


def sent(content: object) -> Any:
    """A reference to what was put into the object store."""
    import ray

    with translated():
        return ray.put(content)


@contextmanager
def translated() -> Iterator[None]:
    """Makes one line of what Ray raises where no worker is asked: a full object store, a cluster that is gone."""
    from ray import exceptions

    try:
        yield
    except (exceptions.RayError, ConnectionError) as error:
        what = " ".join(str(error).split())[:300]
        raise BackendError(f"the Ray cluster failed: {what}; see with ray status, and run it again") from error


def got(ticket: Any, timeout: float | None = None) -> Any:
    """A result; what a worker raised of ours as itself, its death as `WorkerLostError`, all else as a line."""
    import ray
    from ray import exceptions

    try:
        return ray.get(ticket, timeout=timeout)
    except exceptions.GetTimeoutError:  # a RayError too, and no death
        raise
    except exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, AssayError):
            raise cause from error
        raise BackendError(f"a worker failed: {' '.join(str(cause).split())[:300]}; see Ray's logs there") from error
    except exceptions.RayError as error:
        raise WorkerLostError(type(error).__name__) from error


def offset(actor: Any, who: str) -> float:
    """What is to be added to an actor's clock to have ours."""
    offsets = []
    for _ in range(_QUESTIONS):
        asked = now()
        theirs: float = ready(actor.clock.remote(), who)
        answered = now()
        offsets.append((answered - asked, (asked + answered) / 2 - theirs))
    return min(offsets)[1]
