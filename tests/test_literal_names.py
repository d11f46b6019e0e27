"""Names of experts, classes, studies and folders are taken and shown as they stand, wherever the
source does either."""

import ast
from functools import cache
from pathlib import Path

import pathfuse

ROOT = Path(pathfuse.__file__).parent
READERS = tuple(
    ROOT / "files" / name for name in ("tables.py", "csv_text.py", "bodies.py", "table_sizes.py")
)
"""Hand bytes to polars, never a path, which polars would read as a pattern."""
SCREEN = ROOT / "cli/console.py"
"""The only file that talks to rich."""


@cache
def trees() -> tuple[tuple[Path, ast.Module], ...]:
    paths = sorted(ROOT.rglob("*.py"))
    return tuple((path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


def called(node: ast.AST) -> str:
    """``pl.read_csv`` of ``pl.read_csv(...)``; empty for anything else."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def options(node: ast.Call) -> dict[str, str]:
    return {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}


def test_polars_is_given_no_path():
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if (name := called(node)).startswith(("pl.read_", "pl.scan_")) and path not in READERS
    ]
    assert not found, "read through pathfuse.files.tables"
    given = [
        ast.unparse(node.args[0])
        for path in READERS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if called(node).startswith(("pl.read_", "pl.scan_")) and node.args
    ]
    assert given
    assert set(given) <= {
        "raw",
        "file",
        "text.encode()",
        "io.BytesIO(raw)",
        "io.BytesIO(path.read_bytes())",
    }


def test_patterns_of_files_hold_no_names():
    found = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if called(node).rpartition(".")[2] in ("glob", "rglob", "iglob")
        and not isinstance(node.args[0], ast.Constant)
    ]
    assert not found


def test_rich_is_used_in_one_file_that_reads_no_markup():
    users = {
        path
        for path, tree in trees()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich")
        or (
            isinstance(node, ast.Import)
            and any(alias.name.split(".")[0] == "rich" for alias in node.names)
        )
    }
    assert users == {SCREEN}
    calls = [
        node
        for node in ast.walk(ast.parse(SCREEN.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert "Console" not in map(called, calls)  # a class of our own, which shows names as text
    consoles = [options(node) for node in calls if called(node) == "_AsText"]
    assert len(consoles) == 2
    assert all((one["markup"], one["emoji"]) == ("False", "False") for one in consoles)
    assert [options(node)["markup"] for node in calls if called(node) == "TextColumn"] == ["False"]


def test_nothing_on_the_terminal_is_escaped_for_markup():
    found = [
        f"{path.relative_to(ROOT)}: {node.value!r}"
        for path, tree in trees()
        if path.parent.name == "cli"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\\[" in node.value
    ]
    assert not found, "the console takes brackets as they stand"


def test_pages_escape_what_they_show():
    found = [
        options(node)
        for _, tree in trees()
        for node in ast.walk(tree)
        if called(node) == "Environment"
    ]
    assert len(found) == 1  # ``report/template.py`` has the only one
    assert all(one["autoescape"] == "True" for one in found)


def test_weights_are_written_with_the_usual_mode():
    """safetensors makes files that only their owner may read."""
    calls, inside = [], []
    for path, tree in trees():
        where = path.relative_to(ROOT)
        calls += [
            where for node in ast.walk(tree) if called(node).rpartition(".")[2] == "save_file"
        ]
        for block in ast.walk(tree):
            if isinstance(block, ast.With) and any(
                called(i.context_expr) == "usual_mode" for i in block.items
            ):
                inside += [
                    where
                    for node in ast.walk(block)
                    if called(node).rpartition(".")[2] == "save_file"
                ]
    assert calls
    assert calls == inside
