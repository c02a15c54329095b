"""Times left come from the pace of the last steps, whatever the first one took."""

import io

import pytest

from visual_summaries.summaries.cli import terminal
from visual_summaries.summaries.pace import MARKS, Pace
from visual_summaries.summaries.progress import Step, progress, say, told_to


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def monotonic(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def after(clock, seconds):
    """The pace after steps of so many seconds each."""
    pace = Pace(clock)
    for done, step in enumerate(seconds, 1):
        clock.now += step
        pace.mark(done)
    return pace


def test_the_first_step_does_not_count(clock):
    assert after(clock, [60] + [1] * 9).left(100) == pytest.approx(90)


def test_nothing_is_told_from_the_first_step_alone(clock):
    assert after(clock, []).left(100) is None
    assert after(clock, [60]).left(100) is None


@pytest.mark.parametrize("steps", [2, 3, 7, 40, 300])
@pytest.mark.parametrize("total", [300, 1000])
def test_an_even_pace_is_told_exactly(clock, steps, total):
    assert after(clock, [2.5] * steps).left(total) == pytest.approx(2.5 * (total - steps))


@pytest.mark.parametrize("place", range(1, 40))
def test_one_step_that_the_machine_slept_through_does_not_count(clock, place):
    seconds = [1.0] * 40
    seconds[place] = 3600
    assert after(clock, seconds).left(140) == pytest.approx(100)


def test_only_the_last_steps_count(clock):
    assert after(clock, [1] * 500 + [3] * MARKS).left(1000) == pytest.approx(3 * (500 - MARKS))


@pytest.mark.parametrize("batch", [2, 8, 64])
def test_batches_that_end_at_once_are_one_step(clock, batch):
    """Sixteen images of two seconds each, told of when all are done, are not sixteen of none."""
    seconds = ([batch * 2.0] + [0.001] * (batch - 1)) * 12
    assert after(clock, seconds).left(13 * batch) == pytest.approx(2 * batch, rel=0.01)


def test_a_slow_step_after_several_quick_ones_counts(clock):
    """Images are read in 0.1 s each, and every sixteenth time the network takes 4 s for all of them."""
    assert after(clock, ([0.1] * 15 + [4.1]) * 6).left(192) == pytest.approx(96 * 5.6 / 16, rel=0.01)


def test_steps_done_before_cost_no_time(clock):
    """A stage that goes on has 400 of 500 behind it at once."""
    pace = Pace(clock)
    pace.mark(400)
    for done in (410, 420, 430):
        clock.now += 20
        pace.mark(done)
    assert pace.left(500) == pytest.approx(140)


def test_a_mark_without_progress_changes_nothing(clock):
    pace = after(clock, [1] * 8)
    clock.now += 100
    pace.mark(8)
    assert pace.left(108) == pytest.approx(100)


@pytest.fixture
def shown(clock, monkeypatch):
    """What is on standard error while the first of 25 images takes 61 seconds, each other one 20, and 13 are done."""

    def show(is_terminal):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(terminal, "time", clock)
        monkeypatch.setattr("tqdm.std.time", clock)
        with terminal.told(str.upper), progress("masks", "images") as tick:
            for done in range(14):
                clock.now += 61 if done == 1 else 20
                tick(done, 25)
            return stream.getvalue()

    return show


def test_lines_where_there_is_no_terminal(shown):
    lines = shown(False).splitlines()
    assert lines[0] == "  MASKS: 1 OF 25 IMAGES"  # as rewritten
    assert lines[-1] == "  MASKS: 13 OF 25 IMAGES, 04:00 LEFT"


def test_a_bar_on_a_terminal(shown):
    states = shown(True).split("\r")
    assert "1/25 images [" in states[3]
    assert "left" not in states[3]
    assert "13/25 images [" in states[-1]
    assert ", 04:00 left]" in states[-1]


def run_a_task():
    say("a line")
    with progress("masks", "images") as tick:
        tick(1, 2)


def test_the_library_prints_nothing(capfd, caplog):
    with caplog.at_level("INFO"):
        run_a_task()
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == ["a line"]


def test_a_listener_gets_the_steps_of_its_block(capfd):
    steps = []
    with told_to(steps.append):
        run_a_task()
        with told_to(None):  # whoever asks for nothing changes nothing
            run_a_task()
    run_a_task()
    assert steps == [Step("masks", "images", 1, 2)] * 2
    assert capfd.readouterr() == ("", "")


def test_lines_are_shown_by_the_command_line_alone(capsys):
    with terminal.told(str.title):
        say("a line")
    say("another")
    assert capsys.readouterr().err == "A Line\n"


def test_the_display_is_put_back_after_an_error():
    steps = []
    with pytest.raises(ValueError, match="stop"), told_to(steps.append):
        raise ValueError("stop")
    run_a_task()
    assert steps == []


def test_nobody_reads_the_lines(monkeypatch):
    """A pipe that was closed ends the command, as it does for what is printed."""

    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed())
    with pytest.raises(BrokenPipeError), terminal.told(str):
        say("a line")
