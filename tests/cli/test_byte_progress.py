"""Progress with bytes, where somebody looks."""

import io

from runctl_cli.byte_progress import ByteProgress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_sees_how_much_was_sent_and_the_line_is_cleared_at_the_end() -> None:
    terminal, times = _Terminal(), iter([0.0, 0.0, 2.0])
    progress = ByteProgress("Sending", terminal, now=lambda: next(times))

    progress.add(1_000_000, 4_000_000)
    progress.add(3_000_000, 4_000_000)
    progress.end()

    first, second, rest = terminal.getvalue().split("\r\x1b[K")[1:]
    assert (first, second, rest) == ("Sending: 1.0 MB of 4.0 MB", "Sending: 4.0 MB of 4.0 MB, 2.0 MB/s", "")


def test_terminal_is_not_written_to_more_often_than_can_be_read() -> None:
    terminal = _Terminal()
    progress = ByteProgress("Sending", terminal, now=lambda: 0.0)

    for _ in range(100):
        progress.add(1, 100)

    assert terminal.getvalue().count("Sending") == 1


def test_file_gets_a_line_now_and_then_and_none_of_a_short_transfer() -> None:
    file, times = io.StringIO(), iter([0.0, 1.0, 6.0, 11.0, 12.0])
    progress = ByteProgress("Sending", file, now=lambda: next(times))

    for _ in range(4):
        progress.add(1_000_000, 4_000_000)
    progress.end()

    assert file.getvalue() == "Sending: 3.0 MB of 4.0 MB, 300 kB/s\n"
