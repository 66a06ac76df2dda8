"""Whose turn it is: one job a group, so many in all, nobody starved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.conversation import Signal
from bot.turns import Start, Stop, Turns


def test_the_cap_holds_and_the_line_is_served_in_order() -> None:
    turns, started = Turns(2), []
    for group in "abcd":
        turns, starts = turns.on(group, Signal.ARRIVED, f"{group}1")
        started += starts
    assert started == [Start("a", "a1"), Start("b", "b1")]
    turns, starts = turns.on("b", Signal.ENDED)
    assert starts == [Start("c", "c1")]
    turns, starts = turns.on("c", Signal.FAILED)
    assert starts == [Start("d", "d1")]
    turns, starts = turns.on("c", Signal.WOKEN)
    assert starts == []
    turns, starts = turns.on("a", Signal.ENDED)
    assert starts == [Start("c", "c1")]


def test_a_group_with_many_jobs_lets_the_others_pass() -> None:
    turns = Turns(1)
    for n in range(3):
        turns, _ = turns.on("busy", Signal.ARRIVED, f"busy{n}")
    turns, _ = turns.on("quiet", Signal.ARRIVED, "quiet0")
    turns, starts = turns.on("busy", Signal.ENDED)
    assert starts == [Start("quiet", "quiet0")]
    turns, starts = turns.on("quiet", Signal.ENDED)
    assert starts == [Start("busy", "busy1")]


def left(
    arrived: dict[str, list[str]], finished: dict[str, list[str]], gone: set[str]
) -> dict[str, list[str]]:
    """The jobs of each group that have neither ended nor been called off in time."""
    found = {
        group: [job for job in jobs if job not in finished.get(group, []) and job not in gone]
        for group, jobs in arrived.items()
    }
    return {group: jobs for group, jobs in found.items() if jobs}


@given(st.integers(1, 4), st.data())
def test_in_any_order_of_things_the_promises_hold(places: int, data: st.DataObject) -> None:
    turns = Turns(places)
    running: dict[str, str] = {}
    paused: set[str] = set()
    arrived: dict[str, list[str]] = {}
    finished: dict[str, list[str]] = {}
    gone: set[str] = set()  # called off before they began
    stopping: set[str] = set()
    for n in range(data.draw(st.integers(0, 40))):
        choices = [("arrive", group) for group in "abcdef"]
        choices += [("end", group) for group in running]
        choices += [("fail", group) for group in running if group not in stopping]
        choices += [("wake", group) for group in sorted(paused)]
        choices += [("call off", group) for group in sorted(left(arrived, finished, gone))]
        what, group = data.draw(st.sampled_from(choices))
        match what:
            case "arrive":
                arrived.setdefault(group, []).append(f"{group}{n}")
                turns, starts = turns.on(group, Signal.ARRIVED, f"{group}{n}")
            case "end":
                finished.setdefault(group, []).append(running.pop(group))
                stopping.discard(group)
                turns, starts = turns.on(group, Signal.ENDED)
            case "call off":
                job = data.draw(st.sampled_from(left(arrived, finished, gone)[group]))
                is_first = turns.of(group).jobs[0] == job
                turns, starts = turns.on(group, Signal.CALLED_OFF, job)
                if running.get(group) == job:
                    assert starts == ([] if group in stopping else [Stop(group, job)])
                    stopping.add(group)
                    starts = []
                else:
                    gone.add(job)
                    paused -= {group} if is_first else set()
            case "fail":
                running.pop(group)
                paused.add(group)
                turns, starts = turns.on(group, Signal.FAILED)
            case _:
                paused.remove(group)
                turns, starts = turns.on(group, Signal.WOKEN)
        for start in starts:
            assert isinstance(start, Start)
            assert start.job not in gone, "called off, and begun"
            assert start.group not in running, "two jobs of one group at once"
            running[start.group] = start.job
        assert len(running) <= places
        waiting = {
            group
            for group, jobs in arrived.items()
            if any(job not in gone and job not in finished.get(group, []) for job in jobs)
            and group not in running
            and group not in paused
        }
        assert not waiting or len(running) == places, "a place is free and somebody waits"
    while running:
        for group in list(running):
            finished.setdefault(group, []).append(running.pop(group))
            turns, starts = turns.on(group, Signal.ENDED)
            running |= {start.group: start.job for start in starts}
        for group in sorted(paused):
            paused.remove(group)
            turns, starts = turns.on(group, Signal.WOKEN)
            running |= {start.group: start.job for start in starts}
    for group in sorted(paused):
        turns, starts = turns.on(group, Signal.WOKEN)
        running |= {start.group: start.job for start in starts}
    while running:
        group, job = next(iter(running.items()))
        del running[group]
        finished.setdefault(group, []).append(job)
        turns, starts = turns.on(group, Signal.ENDED)
        running |= {start.group: start.job for start in starts}
    remained = {
        group: kept
        for group, jobs in arrived.items()
        if (kept := [j for j in jobs if j not in gone])
    }
    assert finished == remained, "a group's jobs end all, and in the order in which they came"
    assert turns.is_idle
    assert turns.taken == 0
