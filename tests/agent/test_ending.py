"""When the training is told what, and why it is said to have ended."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent.ending import (
    NOTHING,
    Act,
    Alarm,
    Leaving,
    Notice,
    Order,
    Situation,
    Why,
    decide,
    kill_at,
    reserve_s,
    why_it_ended,
)
from runctl.agent.training_process import Exit

CALM = Situation(
    now=1_000.0,
    deadline_at=10_000.0,
    silent_since=990.0,
    dead_man_s=1_800.0,
    save_limit_s=300.0,
    upload_s=0.0,
    hears_usr1=True,
)
NOTICE = Notice(seen_at=1_000.0, ends_at=1_120.0)


def _at(second: float, **changes: object) -> Situation:
    return replace(CALM, now=second, silent_since=second, **changes)


def test_training_is_left_alone_while_nothing_happens() -> None:
    assert decide(CALM) == NOTHING


@pytest.mark.parametrize(
    ("situation", "why"),
    [
        (replace(CALM, stop=True), Why.STOP),
        (replace(CALM, now=10_000.0, silent_since=10_000.0), Why.DEADLINE),
        (replace(CALM, silent_since=1_000.0 - 1_800.0), Why.DEAD_MAN),
        (replace(CALM, machine_is_ending=True), Why.DEAD_MAN),
        (replace(CALM, machine_is_ending=True, notice=NOTICE), Why.NOTICE),
        (replace(CALM, notice=NOTICE, hears_usr1=False), Why.NOTICE),
        (replace(CALM, notice=NOTICE, is_replacement_ready=True), Why.NOTICE),
        (replace(CALM, notice=NOTICE, stop=True), Why.STOP),
    ],
)
def test_training_is_asked_to_save_and_leave(situation: Situation, why: Why) -> None:
    assert decide(situation) == Order(Act.LEAVE, why)


def test_notice_is_first_an_order_to_save_for_a_training_that_hears_it() -> None:
    warned = replace(CALM, notice=NOTICE)

    assert decide(warned) == Order(Act.SAVE, alarm=Alarm.NOTICE)
    assert decide(replace(warned, asked=frozenset({Alarm.NOTICE}))) == NOTHING


def test_training_goes_on_until_only_the_reserve_is_left() -> None:
    warned = {"notice": NOTICE, "asked": frozenset({Alarm.NOTICE})}

    assert decide(_at(1_074.9, **warned)) == NOTHING
    assert decide(_at(1_075.0, **warned)) == Order(Act.LEAVE, Why.NOTICE)


def test_slow_uploads_bring_the_end_forward() -> None:
    warned = {"notice": NOTICE, "asked": frozenset({Alarm.NOTICE}), "upload_s": 40.0}

    assert decide(_at(1_044.9, **warned)) == NOTHING
    assert decide(_at(1_045.0, **warned)) == Order(Act.LEAVE, Why.NOTICE)


@given(length=st.floats(0, 600), longest=st.floats(0, 3_600))
def test_reserve_fits_into_the_notice_and_leaves_a_share_of_it_when_uploads_are_quick(
    length: float, longest: float
) -> None:
    notice = Notice(0.0, length)

    assert 0 <= reserve_s(notice, save_s=0.0, upload_s=longest) <= length
    assert reserve_s(notice, save_s=0.0, upload_s=0.0) <= max(45.0, 0.4 * length)
    if length > 0:
        assert reserve_s(notice, save_s=0.0, upload_s=0.0) < length


def test_rebalance_recommendation_asks_once_to_save_and_never_to_leave() -> None:
    advised = replace(CALM, rebalance=True)

    assert decide(advised) == Order(Act.SAVE, alarm=Alarm.REBALANCE)
    assert decide(replace(advised, asked=frozenset({Alarm.REBALANCE}))) == NOTHING
    assert decide(replace(advised, hears_usr1=False)) == NOTHING


def test_notice_after_a_rebalance_recommendation_asks_again() -> None:
    both = replace(CALM, rebalance=True, notice=NOTICE, asked=frozenset({Alarm.REBALANCE}))

    assert decide(both) == Order(Act.SAVE, alarm=Alarm.NOTICE)


def test_training_that_does_not_leave_is_killed_when_the_time_to_save_is_over() -> None:
    leaving = Leaving(Why.DEADLINE, 1_000.0)

    assert decide(_at(1_299.9, leaving=leaving)) == NOTHING
    assert decide(_at(1_300.0, leaving=leaving)) == Order(Act.KILL, Why.DEADLINE)


def test_time_to_save_includes_the_upload() -> None:
    leaving = Leaving(Why.STOP, 1_000.0)

    assert kill_at(replace(CALM, upload_s=20.0), leaving) == 1_270.0
    assert kill_at(replace(CALM, upload_s=9_999.0), leaving) == 1_150.0


def test_warned_training_is_killed_just_before_the_machine_goes() -> None:
    leaving = Leaving(Why.NOTICE, 1_075.0)

    assert kill_at(replace(CALM, notice=NOTICE), leaving) == 1_115.0
    short = replace(CALM, notice=Notice(1_000.0, 1_004.0))
    assert kill_at(short, Leaving(Why.NOTICE, 1_000.0)) == pytest.approx(1_003.6)


def test_training_that_does_not_leave_is_killed_in_time_for_the_upload() -> None:
    leaving = Leaving(Why.NOTICE, 1_000.0)

    assert kill_at(replace(CALM, notice=NOTICE, upload_s=20.0), leaving) == 1_085.0
    assert kill_at(replace(CALM, notice=NOTICE, upload_s=60.0), leaving) == 1_057.5


@given(
    usual=st.floats(1, 300),
    upload=st.floats(0, 600),
    save=st.floats(0, 600),
    hears=st.booleans(),
    at_once=st.booleans(),
)
def test_whole_notice_is_used_and_never_more(
    usual: float, upload: float, save: float, hears: bool, at_once: bool
) -> None:
    """Time passes by tenths of a second; the training only leaves when it is killed."""
    notice = Notice(1_000.0, 1_000.0 + usual)
    facts = {"notice": notice, "upload_s": upload, "save_s": save, "hears_usr1": hears, "leaves_at_once": at_once}
    asked: frozenset[Alarm] = frozenset()
    leaving: Leaving | None = None
    told: list[tuple[float, Act]] = []
    for tenth in range(int(usual * 10) + 60):
        now = 1_000.0 + tenth / 10
        order = decide(_at(now, asked=asked, leaving=leaving, **facts))
        if order.act is Act.NOTHING:
            continue
        told.append((now - 1_000.0, order.act))
        if order.alarm is not None:
            asked |= {order.alarm}
        if order.act is Act.LEAVE:
            leaving = Leaving(Why.NOTICE, now)
        if order.act is Act.KILL:
            break

    acts = [act for _, act in told]
    first_at, leave_at, kill_at_s = told[0][0], {act: at for at, act in told}[Act.LEAVE], told[-1][0]
    assert first_at == 0.0
    assert acts[-2:] == [Act.LEAVE, Act.KILL]
    assert kill_at_s <= max(usual, leave_at + 2.0) + 0.2
    if not hears or at_once:
        assert leave_at == 0.0
    elif 15.0 + 1.5 * upload <= 45.0 and save <= 10.0 and usual >= 112.5:
        assert leave_at == pytest.approx(usual - 45.0, abs=0.2)


def test_training_that_asked_for_it_is_told_to_leave_at_once_and_saves_on_a_rebalance_recommendation() -> None:
    at_once = replace(CALM, leaves_at_once=True)

    assert decide(replace(at_once, notice=NOTICE)) == Order(Act.LEAVE, Why.NOTICE)
    assert decide(replace(at_once, rebalance=True)) == Order(Act.SAVE, alarm=Alarm.REBALANCE)


def test_slow_saves_bring_the_end_forward() -> None:
    assert reserve_s(NOTICE, save_s=40.0, upload_s=10.0) == 75.0
    assert reserve_s(NOTICE, save_s=2.0, upload_s=10.0) == 45.0


def test_training_that_is_warned_too_late_still_gets_a_moment() -> None:
    leaving = Leaving(Why.NOTICE, 1_000.0)

    assert kill_at(replace(CALM, notice=Notice(1_000.0, 1_000.0)), leaving) == 1_002.0


def test_stop_now_kills_at_once() -> None:
    assert decide(replace(CALM, stop=True, stop_now=True)) == Order(Act.KILL, Why.STOP)


@pytest.mark.parametrize(
    ("ended", "facts", "why"),
    [
        (Exit(code=0), {}, Why.EXITED),
        (Exit(code=0), {"leaving": Leaving(Why.NOTICE, 0.0)}, Why.EXITED),
        (Exit(code=0), {"lacks_checkpoint": True}, Why.CHECKPOINT_MISSING),
        (Exit(code=3), {}, Why.EXITED),
        (Exit(code=3), {"is_warned": True}, Why.EXITED),
        (Exit(code=3), {"leaving": Leaving(Why.NOTICE, 0.0)}, Why.NOTICE),
        (Exit(code=75), {}, Why.EXITED),
        (Exit(code=75), {"is_warned": True}, Why.NOTICE),
        (Exit(code=75), {"is_stopped": True, "is_warned": True}, Why.STOP),
        (Exit(code=75), {"leaving": Leaving(Why.DEADLINE, 0.0)}, Why.DEADLINE),
        (Exit(signal=15), {"is_machine_ending": True}, Why.DEAD_MAN),
        (Exit(code=75), {"is_machine_ending": True}, Why.DEAD_MAN),
        (Exit(code=75), {"is_machine_ending": True, "is_warned": True}, Why.NOTICE),
        (Exit(signal=9), {"out_of_memory": True}, Why.OUT_OF_MEMORY),
        (Exit(code=137), {"out_of_memory": True}, Why.OUT_OF_MEMORY),
        (Exit(code=1), {"out_of_memory": True}, Why.EXITED),
        (Exit(signal=9), {}, Why.EXITED),
        (Exit(signal=9), {"leaving": Leaving(Why.STOP, 0.0), "out_of_memory": True}, Why.STOP),
    ],
)
def test_reason_of_the_end(ended: Exit, facts: dict[str, object], why: Why) -> None:
    nothing = {
        "leaving": None,
        "is_warned": False,
        "is_stopped": False,
        "is_machine_ending": False,
        "out_of_memory": False,
        "lacks_checkpoint": False,
    }

    assert why_it_ended(ended, **(nothing | facts)) is why  # type: ignore[arg-type]
