from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from time import sleep
from types import SimpleNamespace

import psutil
import pytest

from assay.measure import accelerators, machine
from assay.measure.accelerators import Use
from assay.measure.machine import Counters, Look, Patience, Sensors
from assay.measure.processes import Key, Process
from assay.progress import Silent
from assay.records import DeviceUser, Machine, MachineState

US = Key(os.getpid(), 1.0)
OTHER = DeviceUser(device="cpu", process=7, name="builder", share=0.4)


def seen(at: float, busy: float, own: float, stolen: float | None = 0.0, switches: int = 0) -> Look:
    """Two processors at a moment, of whose time so much was in use."""
    counters = Counters(at=at, total=2 * at, busy=busy, stolen=stolen, context_switches=switches)
    return Look(counters, {US: Process(name="us", parent=1, seconds=own, ended_children=0.0)})


def test_the_share_of_others_leaves_out_this_process() -> None:
    found = machine.state(seen(0.0, 0.0, 0.0), seen(10.0, 9.0, 7.0, stolen=1.0, switches=500), Sensors())
    assert found.seconds == 10.0
    assert found.busy_share == pytest.approx(0.1)
    assert found.steal_share == pytest.approx(0.05)
    assert found.context_switches == 50.0


def test_what_the_system_does_not_say_is_none() -> None:
    found = machine.state(seen(0.0, 0.0, 0.0, stolen=None), seen(1.0, 0.0, 0.5, stolen=None), Sensors())
    assert found.steal_share is None
    assert found.frequency_mhz is None
    assert found.temperature_celsius is None
    # Counted in ticks, our own time can be ahead of the machine's.
    assert found.busy_share == 0.0


def test_sensors_give_the_mean_frequency_and_the_hottest_part(monkeypatch: pytest.MonkeyPatch) -> None:
    frequencies = iter([2000.0, 3000.0])
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=next(frequencies)))
    parts = {"coretemp": [SimpleNamespace(current=51.0), SimpleNamespace(current=64.0)], "nvme": []}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: parts, raising=False)
    sensors = Sensors()
    sensors.look()
    sensors.look()
    found = machine.state(seen(0.0, 0.0, 0.0), seen(1.0, 0.0, 0.0), sensors)
    assert (found.frequency_mhz, found.temperature_celsius) == (2500.0, 64.0)


def test_sensors_that_fail_give_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise NotImplementedError("can't find current frequency file")

    monkeypatch.setattr(psutil, "cpu_freq", failing)
    monkeypatch.setattr(psutil, "sensors_temperatures", failing, raising=False)
    sensors = Sensors()
    sensors.look()
    assert (sensors.frequencies, sensors.temperatures) == ([], [])


def test_a_watch_sees_what_this_process_does_as_its_own() -> None:
    with machine.Watch(period=0.05) as watch:
        begin = os.times().user
        while os.times().user - begin < 0.5:
            pass
    assert watch.during.seconds >= 0.5
    assert os.getpid() not in {user.process for user in watch.users}
    assert watch.peak_memory_bytes > 1 << 20
    assert watch.device_peak_memory_bytes is None


def test_a_watch_ends_its_thread_where_the_measurement_fails() -> None:
    def failing() -> None:
        with machine.Watch():
            raise RuntimeError("a failure")

    with pytest.raises(RuntimeError, match="a failure"):
        failing()


def test_a_watch_keeps_the_most_that_is_held_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [300, 100, None]
    monkeypatch.setattr(accelerators, "use_of", lambda device: Use(own_bytes=held.pop() if held else 200))
    with machine.Watch("cuda", period=0.01) as watch:
        while held:
            sleep(0.01)
    assert watch.device_peak_memory_bytes == 300


def test_a_device_whose_tool_is_a_program_is_asked_at_the_end_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def use_of(device: str) -> Use:
        asked.append(device)
        return Use(own_bytes=5)

    monkeypatch.setattr(accelerators, "use_of", use_of)
    with machine.Watch("npu:0", period=0.01) as watch:
        sleep(0.1)
    assert asked == ["npu:0"]
    assert watch.device_peak_memory_bytes == 5


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[float]], list[float]]:
    """The machine as it will be found, look by look, on a clock of its own; the list is how long was waited."""

    def become(busy: Sequence[float]) -> list[float]:
        coming, time = iter(busy), [0.0]

        def look(device: str, seconds: float = machine.LOOK_SECONDS) -> Machine:
            time[0] += seconds
            state = MachineState(seconds=seconds, busy_share=next(coming))
            return Machine(before=state, users=(OTHER,) if state.busy_share > 0.15 else ())

        monkeypatch.setattr(machine, "look", look)
        monkeypatch.setattr(machine, "now", lambda: time[0])
        return time

    return become


def test_without_patience_one_look_is_all(looks: Callable[[Sequence[float]], list[float]]) -> None:
    looks([0.9])
    heard = Heard()
    assert machine.AT_ONCE.look("cpu", heard).busiest == 0.9
    assert heard.notes == []


def test_an_idle_machine_is_not_waited_for(looks: Callable[[Sequence[float]], list[float]]) -> None:
    looks([0.1])
    heard = Heard()
    assert Patience(60).look("cpu", heard).busiest == 0.1
    assert heard.notes == []


def test_patience_waits_until_the_machine_is_idle(looks: Callable[[Sequence[float]], list[float]]) -> None:
    looks([0.9, 0.8, 0.05])
    heard = Heard()
    assert Patience(60).look("cpu", heard).busiest == 0.05
    assert heard.notes == ["the machine is busy (90 %: builder (7) 40 %); waiting for it, 60.0 s at most"]


def test_patience_has_an_end_over_all_measurements_and_names_who_is_there(
    looks: Callable[[Sequence[float]], list[float]],
) -> None:
    time = looks([0.9] * 100)
    heard, patience = Heard(), Patience(10)
    assert patience.look("cpu", heard).busiest == 0.9
    assert 10.0 <= time[0] <= 11.5
    assert heard.notes[-1] == (
        "the machine was not idle in 10.0 s (90 %: builder (7) 40 %); it is measured all the same, and marked"
    )
    patience.look("cpu", heard)
    assert time[0] <= 12.5


def test_a_device_that_others_use_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    user = DeviceUser(device="GPU 0 (X)", process=9, name="trainer", memory_bytes=3 << 30)
    monkeypatch.setattr(accelerators, "use_of", lambda device: Use(users=(user,), others_share=0.97))
    found = machine.look("cuda", 0.01)
    assert found.before.device_busy_share == 0.97
    assert found.busiest >= 0.97
    assert not machine.is_idle(found)
    assert user in found.users
    assert machine.named((user,)) == "trainer (9) on GPU 0 (X) 3.0 GiB"


TRAINER = DeviceUser(device="GPU 0 (X)", process=9, name="trainer", memory_bytes=3 << 30)


def test_a_device_that_others_use_during_a_measurement_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    coming = [Use(others_share=0.0), Use(users=(TRAINER,), others_share=0.6), Use(others_share=0.3)]
    monkeypatch.setattr(accelerators, "use_of", lambda device: coming.pop() if coming else Use())
    with machine.Watch("cuda", period=0.01) as watch:
        while coming:
            sleep(0.01)
    assert watch.during.device_busy_share == pytest.approx(0.3)
    assert TRAINER in watch.users


def test_a_device_that_knows_the_use_of_all_together_says_nothing_of_others_while_it_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        accelerators, "use_of", lambda device: Use(users=(TRAINER,), others_share=0.99, told_apart=False)
    )
    with machine.Watch("npu:0") as watch:
        pass
    assert watch.during.device_busy_share is None
    assert TRAINER in watch.users
    assert machine.look("npu:0", 0.01).before.device_busy_share == 0.99


def test_a_device_is_looked_at_before_during_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def use_of(device: str) -> Use:
        asked.append(device)
        return Use(users=(TRAINER,) if len(asked) == 3 else (), others_share=0.1 * len(asked))

    monkeypatch.setattr(accelerators, "use_of", use_of)
    monkeypatch.setattr(machine, "FADING_SECONDS", 0.01)
    before = machine.look("cuda:1", 0.01)
    with machine.Watch("cuda:1") as watch:
        pass
    found = machine.after(before, watch.during, watch.users, "cuda:1")
    assert asked == ["cuda:1"] * 3
    states = [state for state in (found.before, found.during, found.after) if state is not None]
    assert [state.device_busy_share for state in states] == pytest.approx([0.1, 0.2, 0.3])
    assert TRAINER in found.users
    assert found.busiest >= 0.3
