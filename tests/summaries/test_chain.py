"""A chain is a list of stages: the engine alone runs another one, continues it and reports how far it is."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.pipeline.engine import Pipeline, Stage, State, names, packages, split, states


@dataclass
class Words:
    """The context of a chain that has nothing to do with images."""

    out: Path
    text: str
    killed_after: int = 99


def write_words(context, tick):
    words = context.text.split()
    for number, word in enumerate(words):
        if number == context.killed_after:
            raise KeyboardInterrupt
        (context.out / f"{number}.txt").write_text(word)
        tick(number + 1, len(words))
    (context.out / "count.txt").write_text(str(len(words)))
    return {"words": len(words)}


def join_words(context, tick):
    count = int((context.out / "count.txt").read_text())
    joined = "-".join((context.out / f"{number}.txt").read_text() for number in range(count))
    (context.out / "joined.txt").write_text(joined)
    return {"letters": len(joined)}


CHAIN = (
    Stage(
        name="words",
        unit="words",
        version=1,
        packages=("numpy",),
        inputs=lambda context: {"text": context.text},
        files=lambda out: [out / name for name in ("count.txt", "0.txt", "1.txt", "2.txt")],
        work=write_words,
    ),
    Stage(
        name="joined",
        unit="letters",
        version=1,
        packages=("numpy", "pillow"),
        inputs=lambda context: {"words": sorted(path.read_text() for path in context.out.glob("?.txt"))},
        files=lambda out: [out / "joined.txt"],
        work=join_words,
    ),
)


@pytest.fixture
def out(tmp_path):
    with claimed(tmp_path / "run", "run"):
        yield tmp_path / "run"


def test_a_chain_of_other_stages_runs_continues_and_tells_its_state(out, caplog):
    caplog.set_level("INFO")
    with pytest.raises(KeyboardInterrupt):
        Pipeline(out).run(CHAIN, Words(out, "one two three", killed_after=2))
    assert states(out, CHAIN) == [State("words", "started", found=2, expected=4), State("joined", "left")]
    Pipeline(out).run(CHAIN, Words(out, "one two three"))
    first, second = states(out, CHAIN)
    assert (first.status, first.counts) == ("done", {"words": 3})
    assert (second.status, second.counts) == ("done", {"letters": 13})
    caplog.clear()
    Pipeline(out).run(CHAIN, Words(out, "one two three"))
    assert caplog.messages == ["words: unchanged, kept", "joined: unchanged, kept"]


def test_what_depends_on_a_changed_input_is_done_again(out):
    for text in ("one two three", "three two one", "one two four"):
        Pipeline(out).run(CHAIN, Words(out, text))
    assert (out / "joined.txt").read_text() == "one-two-four"
    Pipeline(out).run(CHAIN, Words(out, "four two one"))
    assert (out / "joined.txt").read_text() == "one-two-four"  # the words are the same, in its inputs
    Pipeline(out, force=["joined"]).run(CHAIN[1:], Words(out, "four two one"))
    assert (out / "joined.txt").read_text() == "four-two-one"


def test_parts_of_a_chain_and_its_libraries():
    assert names(CHAIN) == ("words", "joined")
    assert split(CHAIN, "joined") == (CHAIN[:1], CHAIN[1:])
    assert packages(CHAIN) == ("visual-summaries", "numpy", "pillow")
    with pytest.raises(ValueError, match="not in tuple"):
        split(CHAIN, "pictures")
