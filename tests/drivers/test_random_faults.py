"""Many slips with random faults; the seed is printed, and repeats the run.

An auditor compares what was told with what the paper holds: printed means every line once and in
order; nothing is twice; every slip has an end or waits; after the faults the printer prints again.
"""

import random

import pytest

from drivers.emulated.machine import Build, Levers
from drivers.escpos.job import JobState
from drivers.escpos.profile import PrinterProfile
from tests.drivers.rig import CUT_TEXT, Rig, numbered, wanted

FAULTS = ("paper", "cover", "power", "unplug", "silent", "late", "hot", "noise", "xoff")


def a_rig(rng: random.Random) -> Rig:
    window = rng.choice([128, 512, 1024])
    profile = PrinterProfile(
        baud=115200,
        cut="partial",
        line_ms=25,
        window=window,
        confirm=rng.choice(["gs_h", "gs_h", "gs_r"]),
        status=rng.choice([("asb", "dle_eot"), ("dle_eot",), ("asb",)]),
        flow=rng.choice(["none", "rtscts"]),
    )
    build = Build(
        baud=115200,
        line_ms=rng.choice([5, 25]),
        buffer_bytes=2 * window,
        rtscts=profile.flow == "rtscts",
        busy_offline=rng.random() < 0.5,
    )
    return Rig(profile, build, kernel_bytes=rng.choice([64, 4096]))


def fault(one: Rig, rng: random.Random) -> None:
    """Something happens, and after a while it is over."""
    levers = one.machine.levers
    kind = rng.choice(
        ["paper", "cover", "power", "unplug", "silent", "late", "hot", "noise", "xoff"]
    )
    if kind == "paper":
        levers.paper_lines = rng.randrange(1, 12)
    elif kind == "power":
        levers.power_off_at = one.machine.count.received + rng.randrange(1, 400)
    elif kind == "unplug":
        one.unplug()
    elif kind == "late":
        levers.late_ms = rng.choice([200, 900])
    elif kind == "noise":
        levers.noise = rng.randbytes(4)
    else:
        setattr(levers, {"cover": "cover_open"}.get(kind, kind), True)
    one.run(rng.choice([50, 500, 5_000]))
    one.machine.levers = Levers()
    one.machine.power_on(one.now)
    if not one.plugged:
        one.plug()


def audit(one: Rig, jobs: dict[str, list[str]]) -> None:
    lines = [line for line in one.lines() if line != CUT_TEXT]
    numbered_lines = [line for line in lines if line.endswith("优惠券 voucher")]
    assert len(numbered_lines) == len(set(numbered_lines)), "a line is on paper twice"
    text = "\n".join(one.lines())
    for job_id, want in jobs.items():
        state = one.state(job_id)
        assert state in (JobState.PRINTED, JobState.UNKNOWN), f"{job_id}: {state}"
        if state is JobState.PRINTED:
            assert "\n".join(want) in text, f"{job_id} told printed, but is not whole on paper"


def run_faults(slips: int, seed: int) -> int:
    rng = random.Random(seed)
    printed = 0
    for start in range(0, slips, 10):
        one = a_rig(rng)
        one.plug()
        jobs: dict[str, list[str]] = {}
        for number in range(start, start + 10):
            job_id = f"{number:05d}"
            slip = numbered(rng.randrange(1, 12), tag=job_id)
            jobs[job_id] = wanted(slip)
            one.submit(job_id, slip)
            one.run(rng.randrange(600))
            if rng.random() < 0.5:
                fault(one, rng)
        one.run(120_000)
        audit(one, jobs)
        printed += sum(one.state(job_id) is JobState.PRINTED for job_id in jobs)
    return printed


def test_random_faults(seed: int) -> None:
    """A hundred slips: honest whatever happens, and most of them printed."""
    assert run_faults(100, seed) > 50


@pytest.mark.soak
def test_random_faults_for_long(seed: int) -> None:
    """A thousand slips and more."""
    assert run_faults(1_000, seed) > 500
