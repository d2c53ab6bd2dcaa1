"""A machine that somebody keeps: its agent leaves it on."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from runctl.agent import start
from runctl.agent.course import Course
from runctl.agent.note import Note
from runctl.agent.unit import unit_name
from tests.agent.test_supervisor import SAVES_AND_LEAVES, Attempt


def test_kept_machine_stays_on_after_the_training_and_after_a_restart(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('done')", keep_machine=True)

    attempt.supervisor().run()
    attempt.boot_id = "another boot"
    attempt.supervisor().run()

    assert [event["data"]["why"] for event in attempt.bus.of("Training Ended")] == ["exited"]
    assert not attempt.power.is_off


def test_machine_that_was_given_stays_on_after_a_failure(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "raise SystemExit(3)", keep_machine=True)

    attempt.supervisor().run()

    assert not attempt.power.is_off


def test_machine_that_is_kept_on_success_powers_off_after_a_failure(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "raise SystemExit(3)", keep_machine_on_success=True)

    assert attempt.run().why == "exited"


def test_machine_that_is_kept_on_success_stays_on_after_one(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('done')", keep_machine_on_success=True)

    attempt.supervisor().run()

    assert not attempt.power.is_off


def test_machine_that_was_given_and_restarted_while_it_trained_tells_so_and_stays_on(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('done')", keep_machine=True)
    Note(attempt.folder.note("course"), print).write(asdict(Course("an earlier boot")))

    attempt.supervisor().run()

    assert [event["data"]["why"] for event in attempt.bus.of("Training Ended")] == ["dead_man"]
    assert not attempt.power.is_off


def test_supervisor_of_a_kept_machine_is_not_started_with_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>"{tmp_path}/asked"\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(start, "UNITS", tmp_path)
    unit = tmp_path / unit_name("r-1hqz5yk7abcd", 1)
    unit.write_text("[Unit]\n")

    for _ in range(2):
        start.forget("r-1hqz5yk7abcd", 1)

    assert (tmp_path / "asked").read_text() == f"--quiet disable {unit.name}\n"
    assert not unit.exists()


def test_kept_machine_without_a_controller_powers_off(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES, keep_machine=True, dead_man_s=1, heartbeat_interval_s=1)
    attempt.heartbeats.fails = True

    assert attempt.run().why == "dead_man"
