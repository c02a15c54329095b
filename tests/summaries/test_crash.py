"""A run that is killed at any moment is continued by the same command and gives the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SUICIDE = '''
"""Started with the interpreter: kills it when a stage of the run in OUT is about to rename its n-th file."""

import json
import os
import signal
from pathlib import Path

stage, count, done = os.environ["KILL_STAGE"], int(os.environ["KILL_FILES"]), 0
run, fsync = Path(os.environ["KILL_RUN"]), os.fsync


def counted(descriptor):
    global done
    fsync(descriptor)
    record = run / "run.json"
    stages = json.loads(record.read_text())["stages"] if record.exists() else {}
    if stages.get(stage, {}).get("status") == "started":
        done += 1
        if done == count:
            os.kill(os.getpid(), signal.SIGKILL)


os.fsync = counted
'''

KILLS = {"images": 3, "masks": 7, "proposals": 3, "matching": 3, "clusters": 2, "importance": 3, "gallery": 4}
"""Files of each stage after which it is killed; the first batch of masks and its record are five."""


def command(arguments, **environment):
    """The program in a process of its own, on one core."""
    paths = [path for path in (environment.get("PYTHONPATH", ""), str(ROOT)) if path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment, "PYTHONPATH": os.pathsep.join(paths)}
    given = [sys.executable, "-m", "visual_summaries", *arguments]
    return subprocess.Popen(given, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def undisturbed(make_folder, promised):
    folder = make_folder()
    process = command(folder.arguments())
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    return folder, promised(folder.out)


@pytest.fixture(scope="module")
def killed(undisturbed):
    """A run killed in every stage, one after the other, and what was on disk and on standard error each time."""
    folder, _ = undisturbed
    out = folder.home / "killed"
    hook = folder.home / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(SUICIDE)
    seen = {}
    for stage, files in KILLS.items():
        process = command(
            folder.arguments(out=out),
            PYTHONPATH=str(hook),
            KILL_STAGE=stage,
            KILL_FILES=str(files),
            KILL_RUN=str(out),
        )
        _, messages = process.communicate(timeout=120)
        stages = json.loads((out / "run.json").read_text())["stages"]
        records = len(list((out / "work" / "masks").glob("*.csv")))
        left = [path for path in out.rglob("*.tmp") if path.is_file()]
        seen[stage] = (process.returncode, stages, records, left, messages)
    process = command(folder.arguments(out=out))
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    return out, seen, messages


@pytest.mark.parametrize("stage", KILLS)
def test_the_kill_hits_its_stage_in_the_middle(killed, stage):
    _, seen, _ = killed
    status, stages, records, left, messages = seen[stage]
    assert status == -signal.SIGKILL
    assert left  # the file that it was writing
    before = list(KILLS)[: list(KILLS).index(stage)]
    assert {name: entry["status"] for name, entry in stages.items()} == dict.fromkeys(before, "done") | {
        stage: "started"
    }
    assert records == {"images": 0, "masks": 1}.get(stage, 3)
    assert "Traceback" not in messages
    for name in before[:-1]:
        assert f"{name}: unchanged, kept" in messages
    if before:
        assert f"{before[-1]}: continued" in messages


def test_the_batch_that_was_done_is_not_done_again(killed):
    _, seen, _ = killed
    assert "batches 3, batches kept 1" in seen["proposals"][4]


def test_the_same_command_gives_the_same_bytes(killed, undisturbed, promised):
    out, _, messages = killed
    folder, expected = undisturbed
    assert "gallery: continued" in messages
    found = promised(out)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert not list((out / "masks").glob(".*"))
    for path in (folder.out / "gallery").rglob("*.*"):
        assert (out / path.relative_to(folder.out)).is_file()


def test_a_run_in_use_turns_others_away_and_a_kill_gives_it_free(undisturbed, promised):
    folder, expected = undisturbed
    out = folder.home / "contested"
    first = command(folder.arguments(out=out))
    end = time.monotonic() + 60
    while not list((out / "work" / "masks").glob("*.csv")) and time.monotonic() < end:
        time.sleep(0.002)
    first.send_signal(signal.SIGSTOP)  # it holds the run until the second has come
    try:
        second = command(folder.arguments(out=out))
        _, messages = second.communicate(timeout=60)
    finally:
        first.kill()
        first.communicate(timeout=60)
    assert second.returncode == 2
    assert "in use" in messages
    assert len(messages.strip().splitlines()) == 1
    assert first.returncode == -signal.SIGKILL
    third = command(folder.arguments(out=out))
    _, messages = third.communicate(timeout=120)
    assert third.returncode == 0, messages
    assert promised(out) == expected


def test_a_killed_matching_goes_on_with_the_pairs_that_are_left(undisturbed, promised):
    folder, expected = undisturbed
    out = folder.home / "killed in matching"
    hook = folder.home / "matching hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(SUICIDE)
    environment = {"PYTHONPATH": str(hook), "KILL_STAGE": "matching", "KILL_RUN": str(out)}
    process = command(folder.arguments(out=out), KILL_FILES="7", **environment)  # five of features, one of pairs
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "work" / "similarity.npz").exists()
    process = command(folder.arguments(out=out))
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    assert "matching: continued" in messages
    assert "pairs 10, pairs kept 10" in messages
    assert promised(out) == expected
    assert not (out / "work" / "matching").exists()
