"""ventriloquist demo: the sample history through every stage, a short table, and a conversation."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ventriloquist import demo, runs
from ventriloquist.chat import events
from ventriloquist.chat.session import Session
from ventriloquist.cli.chat import open_session
from ventriloquist.cli.paint import duration, painting
from ventriloquist.cli.stages import run_stage
from ventriloquist.faults import Fault, UsageFault
from ventriloquist.files import write_whole
from ventriloquist.settings import PIPELINE, ChatSettings
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

FOLDER = "ventriloquist-demo"
SAMPLE = "sample"
SEED = 7
TEMPERATURE = 0.4
WINDOWS = {"size": 32, "stride": 31}
"""Shorter than the default: twice the steps for the same tokens, which is what so small a model needs; and with one
line of overlap it also learns to answer when little was said before, as at the start of a chat."""


def command(name: str) -> click.Command:
    """The demo command."""
    return demo_command


@click.command("demo", help="The sample history through every stage, in a workspace of its own, and a conversation.")
@click.option("--messages", default=8000, show_default=True, type=click.IntRange(200, 200_000), help="Sample messages.")
@click.option("--max-steps", default=None, type=click.IntRange(1), help="Stop training after this many steps.")
@click.option("--json", "as_json", is_flag=True, help="Print all events and the result as JSON lines.")
@click.pass_context
def demo_command(ctx: click.Context, messages: int, max_steps: int | None, as_json: bool) -> None:
    workspace: Workspace = ctx.obj if ctx.meta["workspace_given"] else Workspace.at(Path.cwd() / FOLDER)
    started = time.monotonic()
    workspace.prepare()
    sample = _sample(workspace, messages, as_json=as_json)
    given: dict[str, dict[str, Any]] = {"preprocess": WINDOWS, "train": {"max_steps": max_steps}}
    makes = {stage: run_stage(workspace, stage, given.get(stage, {}), as_json=as_json) for stage in PIPELINE}
    exchange = _exchange(workspace, sample["talk_with"])
    if as_json:
        click.echo(json.dumps({"makes": makes, "exchange": exchange}))
        return
    _show(workspace, makes, exchange, time.monotonic() - started)


def _sample(workspace: Workspace, messages: int, *, as_json: bool) -> Mapping[str, Any]:
    """Write the sample history once; a half-written one is never seen, and another size replaces it."""
    folder = workspace.root / SAMPLE
    described = folder / "sample.json"
    wanted = {"messages": messages, "seed": SEED}
    if not described.is_file() and (workspace.messages_db.exists() or workspace.settings_file.exists()):
        raise UsageFault(
            f"{workspace.root} holds a history of its own, which the sample would replace. "
            "Run the demo in another workspace: ventriloquist --workspace DIR demo"
        )

    def write(settings: Any, workspace: Workspace, run: runs.Run) -> Mapping[str, Any]:
        if described.is_file() and (known := json.loads(described.read_text()))["made_with"] == wanted:
            run.note("The sample history stands.")
            _write_settings(workspace, folder)
            return dict(known)
        run.phase("write the sample history")
        partial = workspace.root / f".{SAMPLE}.partial"
        for leftover in (partial, folder):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir(mode=0o700)
        sample = demo.write(partial, seed=SEED, messages=messages)
        facts = {
            "made_with": wanted,
            "rows": sample.message_rows,
            "me": sample.my_name,
            "talk_with": list(sample.names[:2]),
        }
        (partial / described.name).write_text(json.dumps(facts))
        partial.rename(folder)
        _write_settings(workspace, folder)
        return facts

    with painting("demo", as_json=as_json) as paint:
        return runs.perform("demo", write, None, workspace, ["demo", "--messages", str(messages)], paint)


def _write_settings(workspace: Workspace, sample: Path) -> None:
    """So that stages started later in this workspace, from the app too, mean the same sample and windows."""
    tables: dict[str, Mapping[str, Any]] = {
        "collect": {"db": str(sample / "chat.db")},
        "preprocess": WINDOWS,
        "chat": {"temperature": TEMPERATURE},
    }
    lines = []
    for table, values in tables.items():
        lines += [
            f"[{table}]",
            *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()),
            "",
        ]
    write_whole(workspace.settings_file, "\n".join(lines))


def _exchange(workspace: Workspace, people: list[str]) -> list[dict[str, str]]:
    """A word with each of two people; the same words and seed each time."""
    said: list[dict[str, str]] = []
    for person, words in zip(people, ("hey, what are you up to tonight?", "pizza or tacos?"), strict=False):
        settings = ChatSettings.load(workspace, target=person, temperature=TEMPERATURE, seed=SEED, max_messages=2)
        session = open_session(workspace, settings)
        try:
            said += _word(session, words)
        finally:
            session.close()
    return said


def _word(session: Session, words: str) -> list[dict[str, str]]:
    said = []
    for event in session.submit(words):
        match event:
            case events.Failed(sentence=sentence):
                raise Fault(sentence)
            case events.Said(utterance=utterance) | events.Wrote(utterance=utterance):
                entry = utterance.entry
                said.append({"name": entry.name, "text": entry.text, "content_type": entry.content_type})
    return said


def _show(
    workspace: Workspace, makes: Mapping[str, Mapping[str, Any]], exchange: list[dict[str, str]], seconds: float
) -> None:
    collected, cut, result = makes["collect"], makes["preprocess"], makes["evaluate"]
    rows = (
        ("rows read", f"{collected['source_rows']:,}"),
        ("messages kept", f"{collected['messages']:,} by {collected['people']} people"),
        ("windows", f"{sum(cut['windows'].values()):,} ({cut['targets']:,} messages to learn from)"),
        ("training", f"{makes['train']['steps']:,} steps"),
        ("held-out text loss", f"{result['untrained']['text']:.2f} before, {result['trained']['text']:.2f} after"),
        ("  with the right name", f"{result['right_name']:.2f}"),
        ("  with another's name", f"{result['wrong_name']:.2f}"),
        ("time, memory", f"{duration(seconds)}, {_peak_memory():.1f} GB"),
    )
    click.echo()
    for left, right in rows:
        click.echo(f"{left:<24}{right}")
    click.echo("\nA word with two of them (their lines are generated):\n")
    for line in exchange:
        mark = "" if line["content_type"] == "text" else f"[{line['content_type']}] "
        click.echo(f"  {one_line(line['name'], 20)}: {mark}{one_line(line['text'], 200)}")
    program = Path(sys.argv[0])
    shown = os.path.relpath(program) if program.name == "ventriloquist" else "ventriloquist"
    click.echo(f"\nOpen the app on it:  {shown} --workspace {os.path.relpath(workspace.root)}")


def _peak_memory() -> float:
    """Gigabytes of the largest process so far, this one or a child."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) * unit / 1e9
