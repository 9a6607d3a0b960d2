"""LoadGen's four scenarios: how each sends its queries, and what is set for it beyond MLPerf's own configuration.

LoadGen carries that configuration (`mlperf.conf`) within itself, and goes by it in every test: seeds, percentiles and
bounds are always those. A short test alters the durations and counts alone, and is not official for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.errors import Option, Remedy, UnknownNameError, UsageError
from assay.loadgen.records import ScenarioMode
from assay.records import Setting

BENCHMARK = "resnet50"
"""MLPerf's name of its image classification, by which LoadGen finds the settings that are of that task alone."""
OFFICIAL_SECONDS = 600.0
OFFICIAL_LATENCY_BOUND = 0.015
OFFICIAL_SAMPLES = 1024
"""How many images are held in memory, from which queries are drawn."""
SHORT_SECONDS = 5.0
"""Of a test whose length nobody gives."""
_SLACK, _STREAM_SLACK = 1.1, 3.0
"""LoadGen's queries are made up before it starts, by what is expected: with too few of them it ends too soon.

A stream that has more than it needs ends with its time; offline sends them all, so more would make it longer.
"""


@dataclass(frozen=True)
class Scenario:
    """How LoadGen sends its queries."""

    name: str
    loadgen: str
    """What LoadGen calls it."""
    images_per_query: int | None
    """None where one query holds them all."""
    usual_batch: int
    most_images: int | None
    """Of one inference call; None where as many as there are can wait for each other."""
    gathers: bool = False
    """Whether queries that wait already are answered by one inference call."""


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("single-stream", "SingleStream", 1, usual_batch=1, most_images=1),
        Scenario("multi-stream", "MultiStream", 8, usual_batch=8, most_images=8),
        Scenario("server", "Server", 1, usual_batch=1, most_images=None, gathers=True),
        Scenario("offline", "Offline", None, usual_batch=16, most_images=None),
    )
}


def named(name: str) -> Scenario:
    """A scenario by its name; raises `UnknownNameError`."""
    if name not in SCENARIOS:
        raise UnknownNameError("scenario", name, SCENARIOS)
    return SCENARIOS[name]


@dataclass(frozen=True)
class Load:
    """What LoadGen is asked to send, and for how long."""

    scenario: Scenario
    seconds: float | None = None
    """At least; None for the official ten minutes."""
    official_counts: bool = False
    """Whether as many queries are sent, and as many images held in memory, as MLPerf asks for at least."""
    target_qps: float | None = None
    """Queries a second: what the server scenario sends; of offline, None for what a short probe reaches."""
    latency_bound: float | None = None
    """Seconds; None for the official one."""

    @property
    def bound(self) -> float | None:
        """Seconds that the 99th percentile may take, in the one scenario that has a bound."""
        return (self.latency_bound or OFFICIAL_LATENCY_BOUND) if self.scenario.gathers else None

    def check(self) -> None:
        """Raises `UsageError` where this cannot be asked of the scenario."""
        name = self.scenario.name
        if name == "server" and self.target_qps is None:
            raise UsageError(
                "the server scenario needs the rate of its queries",
                remedy=Remedy("give {}, the queries a second", Option("target_qps")),
            )
        if name not in ("server", "offline") and self.target_qps is not None:
            raise UsageError(
                f"the {name} scenario takes no rate of queries: it sends a query when the last one is answered",
                remedy=Remedy("leave out {}", Option("target_qps")),
            )
        if name != "server" and self.latency_bound is not None:
            raise UsageError(
                f"the {name} scenario has no bound on the latency",
                remedy=Remedy(
                    "leave out {}, or give it with {}", Option("latency_bound"), Option("scenario", "server")
                ),
            )

    def check_batch(self, batch: int) -> None:
        """Raises `UsageError` where an artifact of this batch size cannot be filled by a query."""
        most = self.scenario.most_images
        if most is not None and batch > most:
            images = f"{most} image{'s' if most > 1 else ''}"
            raise UsageError(
                f"a query of the {self.scenario.name} scenario is {images}, and the artifact takes {batch}",
                remedy=Remedy("compile one with {}", Option("batch", most)),
            )

    def departures(self, images: int | None) -> tuple[str, ...]:
        """What differs from MLPerf's own settings; `images` is None of made-up pixels."""
        departures = []
        if self.seconds is not None and self.seconds < OFFICIAL_SECONDS:
            departures.append(f"it ran for {self.seconds:g} s at least, and MLPerf asks for {OFFICIAL_SECONDS:g} s")
        if not self.official_counts:
            departures.append("it sent no least number of queries")
        if self.latency_bound not in (None, OFFICIAL_LATENCY_BOUND):
            asked, bound = (1000 * (value or 0) for value in (self.latency_bound, OFFICIAL_LATENCY_BOUND))
            departures.append(f"the bound was {asked:g} ms, and MLPerf's is {bound:g} ms")
        if images is None:
            departures.append("its pixels are made up")
        elif images < OFFICIAL_SAMPLES:
            departures.append(f"it drew from {images} images, and MLPerf from {OFFICIAL_SAMPLES:,}")
        return tuple(departures)

    def configuration(self, rate: float) -> str:
        """LoadGen's `user.conf` for a system that a short probe saw reach so many images a second."""
        held = self.target_qps or self.expected_qps(rate)
        name = self.scenario.loadgen
        if self.scenario.name in ("server", "offline"):
            return f"*.{name}.target_qps = {held!r}\n"
        return f"*.{name}.target_latency = {1000 / held!r}\n"

    def expected_qps(self, rate: float) -> float:
        """Queries a second that LoadGen makes up beforehand: in its offline scenario a query is an image."""
        if self.scenario.images_per_query is None:
            return _SLACK * rate
        return _STREAM_SLACK * rate / self.scenario.images_per_query

    def overrides(self, mode: ScenarioMode) -> dict[str, Setting]:
        """Which of LoadGen's settings are altered after it has read its configuration, by its own names."""
        settings: dict[str, Setting] = {}
        if self.latency_bound is not None:
            # Its file knows whole milliseconds alone.
            settings["server_target_latency_ns"] = round(1e9 * self.latency_bound)
        if mode == "performance" and self.seconds is not None:
            settings["min_duration_ms"] = round(1000 * self.seconds)
        if not self.official_counts:
            settings |= {"min_query_count": 1, "performance_sample_count_override": 0}
        return settings
