"""What may import what, what is loaded when, and what must stand nowhere in the package."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ventriloquist"
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("textual", "torch", "transformers", "peft", "google", "pydantic", "rich", "sqlite_utils", "PIL", "asyncio")


def contracts() -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


def children() -> set[str]:
    """The modules and packages directly under ventriloquist."""
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    return files | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def loaded_by(code: str) -> set[str]:
    """The top-level packages in memory after `code` in a fresh interpreter."""
    script = f"import sys\ntry:\n    exec({code!r})\nexcept SystemExit:\n    pass\n" \
             "print(); print('LOADED', *{name.partition('.')[0] for name in sys.modules})"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.rpartition("LOADED ")[2].split())


def test_the_layers_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_every_part_has_its_layer() -> None:
    (layers,) = [contract["layers"] for contract in contracts() if contract["type"] == "layers"]
    assert isinstance(layers, list)
    named = {name.strip().removeprefix("ventriloquist.") for layer in layers for name in layer.split("|")}
    assert named == children()


@pytest.mark.parametrize(
    ("argv", "never"),
    [
        (["--help"], HEAVY),
        (["--version"], HEAVY),
        (["collect", "--help"], ("torch", "transformers", "peft", "textual", "google", "sqlite_utils", "PIL")),
        (["train", "--help"], ("torch", "transformers", "peft", "textual", "google")),
        (["chat", "--help"], ("torch", "transformers", "peft", "textual", "google")),
        (["runs", "list"], ("torch", "transformers", "peft", "textual", "google")),
        (["status"], ("torch", "transformers", "peft", "textual", "google")),
        (["windows"], ("torch", "transformers", "peft", "textual", "google", "sqlite_utils", "PIL", "tokenizers")),
        (["messages"], ("torch", "transformers", "peft", "textual", "google")),
        (["stats"], ("torch", "transformers", "peft", "textual", "google", "sqlite_utils", "PIL", "asyncio")),
    ],
)
def test_commands_load_what_they_need(argv: list[str], never: tuple[str, ...], tmp_path: Path) -> None:
    os.environ["VENTRILOQUIST_WORKSPACE"] = str(tmp_path)
    try:
        loaded = loaded_by(f"sys.argv = ['ventriloquist', *{argv}]\nfrom ventriloquist.cli import main\nmain()")
    finally:
        del os.environ["VENTRILOQUIST_WORKSPACE"]
    assert "click" in loaded
    assert loaded & set(never) == set()


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("ventriloquist.tui", ("torch", "transformers", "peft", "google")),
        ("ventriloquist.tui.app", ("torch", "transformers", "peft", "google")),
        ("ventriloquist.chat.session", ("torch", "transformers", "textual", "rich", "click")),
        ("ventriloquist.pipeline.status", ("torch", "transformers", "textual", "rich")),
        ("ventriloquist.pipeline.collect", ("torch", "transformers", "textual", "rich", "google")),
        ("ventriloquist.pipeline.describe", ("torch", "transformers", "textual", "rich", "google")),
        ("ventriloquist.demo", ("torch", "transformers", "textual", "rich", "click")),
    ],
)
def test_modules_load_what_they_need(module: str, never: tuple[str, ...]) -> None:
    loaded = loaded_by(f"import {module}")
    assert "ventriloquist" in loaded
    assert loaded & set(never) == set()


# --- what stands nowhere ----------------------------------------------------------------------------------------


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path, node


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_nothing_prints_but_the_commands() -> None:
    found = [
        where(path, node)
        for path, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and path.relative_to(PACKAGE).parts[0] != "cli"
    ]
    assert found == []


def test_no_foreign_code_is_run_and_nothing_is_unpickled() -> None:
    found = []
    for path, node in nodes():
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                found.append(where(path, node.value))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.partition(".")[0] for alias in node.names} | {getattr(node, "module", None) or ""}
            if ast.unparse(node) == "from marshal import dumps":
                continue  # writes bytes for a digest, and reads none
            if names & {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}:
                found.append(where(path, node))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("torch.load", "np.load", "numpy.load", "eval", "exec", "os.system", "os.popen"):
                found.append(where(path, node))
            if any(each.arg == "shell" for each in node.keywords):
                found.append(where(path, node))
    assert found == []


def test_the_project_speaks_of_itself_alone() -> None:
    """No path of the machine that it was written on, and no address of a package index."""
    words = re.compile(r"/root/|/home/\w|index[-]url|find[-]links|/simple[/]", re.IGNORECASE)
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    files = [ROOT / name for name in tracked if name] or [*SOURCES, ROOT / "README.md"]
    found = []
    for path in files:
        if path == Path(__file__).resolve() or path.suffix in (".svg", ".png") or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if words.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []
