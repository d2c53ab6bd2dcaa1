"""A machine that somebody keeps: its agent leaves it on."""

from pathlib import Path

from tests.agent.test_supervisor import SAVES_AND_LEAVES, Attempt


def test_kept_machine_stays_on_after_the_training_and_after_a_restart(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('done')", keep_machine=True)

    attempt.supervisor().run()
    attempt.boot_id = "another boot"
    attempt.supervisor().run()

    assert [event["data"]["why"] for event in attempt.bus.of("Training Ended")] == ["exited"]
    assert not attempt.power.is_off


def test_kept_machine_without_a_controller_powers_off(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES, keep_machine=True, dead_man_s=1, heartbeat_interval_s=1)
    attempt.heartbeats.fails = True

    assert attempt.run().why == "dead_man"
