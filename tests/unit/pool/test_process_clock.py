"""What counts as a file's own time, and what is the machine's."""

import pytest

from worker.pool.process_clock import Activity, Excess, ProcessClock, Sample, make_probe

LIMIT = 8.0


class Machine:
    """A process that spends its time as the test says."""

    def __init__(self, activity: Activity, share: float = 0.0) -> None:
        self.now = 100.0
        self.cpu_seconds: float | None = 5.0
        self.activity = activity
        self._share = share
        self.clock = ProcessClock(lambda: Sample(self.cpu_seconds, self.activity))

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        if self.cpu_seconds is not None:
            self.cpu_seconds += seconds * self._share

    def run(self, limit: float = 10_000.0) -> tuple[float, Excess | None]:
        """Look whenever it is due; return after how long what is exceeded."""
        start = self.now
        while self.now < start + limit:
            self.pass_seconds(self.clock.next_check - self.now)
            if excess := self.clock.check(self.now):
                return self.now - start, excess
        return self.now - start, None


def start(machine: Machine, *, at_work: bool = True) -> Machine:
    machine.clock.start(machine.now, LIMIT, is_file_at_work=at_work)
    return machine


@pytest.mark.parametrize(
    "machine",
    [
        Machine(Activity.RUNNING, share=1.0),
        Machine(Activity.ASLEEP),
        Machine(Activity.ASLEEP, share=0.5),
    ],
    ids=["spinning", "sleeping", "both"],
)
def test_a_decoder_that_spins_or_sleeps_is_ended_by_its_limit(machine: Machine) -> None:
    seconds, excess = start(machine).run()
    assert excess is Excess.FILE
    assert LIMIT <= seconds <= 2 * LIMIT + 1


def test_a_decoder_with_many_threads_uses_up_its_limit_sooner() -> None:
    assert start(Machine(Activity.RUNNING, share=4.0)).run() == (2.0, Excess.FILE)


def test_where_the_system_does_not_tell_all_time_counts() -> None:
    machine = Machine(Activity.ASLEEP)
    machine.cpu_seconds = None
    assert start(machine).run() == (LIMIT, Excess.FILE)


def test_waiting_for_a_disk_or_a_core_is_never_the_files_fault() -> None:
    seconds, excess = start(Machine(Activity.RUNNING, share=0.01)).run()
    assert excess is Excess.MACHINE
    assert seconds >= 10 * LIMIT


def test_what_happens_while_no_file_is_decoded_is_never_the_files_fault() -> None:
    assert start(Machine(Activity.RUNNING, share=1.0), at_work=False).run()[1] is Excess.MACHINE


def test_a_process_that_is_stopped_is_not_waited_for_and_its_file_is_not_to_blame() -> None:
    assert start(Machine(Activity.STOPPED)).run() == (LIMIT, Excess.STOP)


def test_a_machine_that_was_frozen_costs_a_file_no_more_than_two_checks() -> None:
    machine = start(Machine(Activity.ASLEEP))
    for _ in range(3):
        machine.pass_seconds(3600.0)
        assert machine.clock.check(machine.now) is None
    assert machine.run() == (2.0, Excess.FILE)


def test_a_process_that_has_nothing_to_do_is_not_looked_at() -> None:
    machine = start(Machine(Activity.ASLEEP))
    machine.clock.rest()
    machine.now += 1e6
    assert machine.clock.check(machine.now) is None


def test_a_process_that_does_not_load_its_task_is_replaced_after_a_minute() -> None:
    machine = Machine(Activity.ASLEEP)
    machine.clock.start_loading(machine.now)
    assert machine.run() == (60.0, Excess.MACHINE)


def test_a_process_that_has_ended_has_no_times_of_its_own() -> None:
    assert make_probe(2**22 + 1)() == Sample(None, Activity.ASLEEP)
