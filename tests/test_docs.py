"""The documentation is true: its Python runs, its commands exist, its tables name every file and
column.

``PATHFUSE_DOCS=all`` runs the commands of the pages too (minutes), and the blocks that read what
they write.
"""

import importlib.util
import io
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

import pathfuse
from pathfuse.cli import app
from pathfuse.workflows.demo_study import write_demo_study

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    DOCS.rglob("*.md"), key=lambda page: (page.name != "tutorial.md", page.name == "rank.md", page)
)
"""The tutorial first, and last the page that ranks what the others wrote."""
ALL = os.environ.get("PATHFUSE_DOCS") == "all"
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
AFTER = "<!-- after the commands -->"
"""Stands before a Python block that reads what a command wrote."""


class Block(NamedTuple):
    language: str
    text: str
    line: int
    after_commands: bool
    shown: str
    """The output that the page shows for it; empty if none."""


def blocks_of(page: Path) -> list[Block]:
    text, found = page.read_text(encoding="utf-8"), []
    fences = list(FENCE.finditer(text))
    for fence, following in zip_longest(fences, fences[1:]):
        near = (
            following is not None
            and following[1] == "text"
            and not text[fence.end() : following.start()].strip()
        )
        marked = text[: fence.start()].rstrip().endswith(AFTER)
        line = text[: fence.start()].count("\n") + 2
        found.append(Block(fence[1], fence[2], line, marked, following[2] if near else ""))
    return found


def commands_in(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and Path(words[0]).name == "pathfuse":
            yield words[1:]


def expect(shown: str, said: str, where: str) -> None:
    """Every line that a page shows was said, whatever the blanks."""
    flat = " ".join(said.split())
    for line in shown.splitlines():
        assert " ".join(line.split()) in flat, (
            f"{where} shows {line!r}, but what was said is:\n{said}"
        )


def test_the_python_blocks_run(tmp_path, monkeypatch, run_cli):
    monkeypatch.chdir(tmp_path)
    if not ALL:
        write_demo_study(Path("pathfuse-demo/study"))
    for page in PAGES:
        names: dict[str, object] = {}
        for block in blocks_of(page):
            where = f"{page.relative_to(ROOT)}, line {block.line}"
            if block.language == "python" and (ALL or not block.after_commands):
                said = io.StringIO()
                code = "\n" * (block.line - 1) + block.text
                with redirect_stdout(said):
                    exec(compile(code, str(page), "exec"), names)  # noqa: S102 - our own pages
                expect(block.shown, said.getvalue(), where)
            elif block.language == "bash" and ALL:
                told = ""
                for words in commands_in(block.text):
                    answer = run_cli(*words)
                    assert answer.status == 0, f"{where}: {answer.err}"
                    told += answer.out
                expect(block.shown, told, where)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page):
    for block in blocks_of(page):
        if block.language in {"bash", "sh", ""}:
            for words in commands_in(block.text):
                if words not in (["--version"], ["--help"]):
                    app.parse_args(words, exit_on_error=False, print_error=False)


def test_every_public_name_is_documented():
    said = "\n".join(
        (DOCS / f"reference/{page}.md").read_text(encoding="utf-8") for page in ("api", "methods")
    )
    shown = set(re.findall(r"^::: pathfuse\.(\w+)$", said, re.MULTILINE))
    assert shown == set(pathfuse.__all__)


def test_every_page_is_in_the_menu_and_its_images_are_there():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert f": {page.relative_to(DOCS).as_posix()}\n" in menu
        for image in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / image).is_file()


# What the commands write, against the table "command -> file -> columns".


@pytest.fixture(scope="module")
def table() -> list[tuple[set[str], list[str], list[str]]]:
    """Commands, files and columns of each row of the first table of the reference, and the keys of
    the manifest."""
    text = (DOCS / "reference/commands.md").read_text(encoding="utf-8")
    rows = []
    for line in text.split("## What the columns mean")[0].splitlines():
        cells = line.strip().strip("|").split(" | ")
        if len(cells) == 3 and "`" in cells[0]:
            commands, files, names = (re.findall(r"`([^`]+)`", cell) for cell in cells)
            rows.append(
                (set(commands), files, [name for name in names if not name.startswith("--")])
            )
    keys = text.split("### manifest.json")[1].split("###")[0].split("`suite`")[0]
    listed = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`[^|]+)\|", keys, re.MULTILINE)))
    return [(c, f, listed if f == ["manifest.json"] and "fuse" in c else n) for c, f, n in rows]


def pattern(name: str) -> str:
    return "".join(
        ".+" if part.startswith("<") else re.escape(part) for part in re.split(r"(<\w+>)", name)
    )


def check(table, command: str, folder: Path) -> None:
    """Every file is listed for the command, with every column or key."""
    own = [row for row in table if command in row[0]]
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = file.relative_to(folder).as_posix()
        listed = [
            columns for _, files, columns in own for f in files if re.fullmatch(pattern(f), name)
        ]
        assert listed, f"{name}, which {command} writes, is not in the table"
        there: list[str] = []
        if file.suffix == ".csv":
            there = pl.read_csv(file, infer_schema=False).columns
        elif file.suffix == ".parquet":
            there = pl.read_parquet_schema(file)
        elif file.suffix == ".json" and "model" not in name:
            there = list(pl.read_json(file, infer_schema_length=None).columns)
        unsaid = [
            column
            for column in there
            if not any(re.fullmatch(pattern(c), column) for c in listed[0])
        ]
        assert not unsaid, f"{name}, which {command} writes, has {unsaid}, which the table lacks"


@pytest.fixture(scope="module")
def small(tmp_path_factory, make_study):
    """Two small studies with sites."""
    folder = tmp_path_factory.mktemp("reference") / "studies"
    for seed, name in enumerate(("one", "two")):
        samples, _ = make_study(folder / name, 16, 24, 2, ("normal", "tumor"), seed)
        frame = pl.read_csv(samples, infer_schema=False).with_row_index()
        frame.with_columns(
            site=pl.when(pl.col("index") % 2 == 0).then(pl.lit("A")).otherwise(pl.lit("B"))
        ).drop("index").write_csv(samples)
    return folder


@pytest.mark.usefixtures("quick_inner_folds")
@pytest.mark.slow
def test_the_table_names_what_fuse_and_evaluate_write(table, small, tmp_path, run_cli):
    inputs = [
        "--samples",
        small / "one/samples.csv",
        "--predictions",
        small / "one/predictions",
        "--resamples",
        20,
    ]
    options = ["--method", "static_product", "--ablation", "--coverage", 0.6]
    assert run_cli("fuse", *inputs, *options, "--out", tmp_path / "fused").status == 0
    check(table, "fuse", tmp_path / "fused")
    assert run_cli("evaluate", *inputs, "--out", tmp_path / "judged").status == 0
    check(table, "evaluate", tmp_path / "judged")
    model = ["--model", tmp_path / "fused", "--predictions", small / "one/predictions"]
    assert run_cli("predict", *model, "--out", tmp_path / "x.csv").status == 0
    (columns,) = [c for commands, _, c in table if "fuse" in commands and "prediction" in c]
    for column in pl.read_csv(tmp_path / "x.csv").columns:
        assert any(re.fullmatch(pattern(c), column) for c in columns)
    assert run_cli("adapt", *model, *inputs[:2], "--out", tmp_path / "adapted").status == 0
    check(table, "adapt", tmp_path / "adapted")


@pytest.mark.usefixtures("quick_inner_folds")
@pytest.mark.slow
def test_the_table_names_what_suite_and_rank_write(table, small, tmp_path, run_cli):
    options = ["--resamples", 20, "--method", "static_product"]
    pl.DataFrame({"study": ["one", "two"], "cohort": ["A", "A"]}).write_csv(
        tmp_path / "cohorts.csv"
    )
    said = run_cli(
        "suite",
        "run",
        small,
        "--out",
        tmp_path / "out",
        "--cohorts",
        tmp_path / "cohorts.csv",
        *options,
    )
    assert said.status == 0, said.err
    check(table, "rank", tmp_path / "out/ranking")
    fused = [
        (c | {"suite fuse"}, f, [*n, "suite"] if f == ["manifest.json"] else n)
        for c, f, n in table
        if "fuse" in c
    ]
    check(fused, "suite fuse", tmp_path / "out/one")
    for part in ("one", "two", "ranking"):
        for file in (tmp_path / "out" / part).rglob("*"):
            if file.is_file():
                file.unlink()
    check(table, "suite run", tmp_path / "out")
    assert run_cli("suite", "list", "--out", tmp_path / "cards/cards.csv").status == 0
    (columns,) = [c for commands, _, c in table if "suite list" in commands]
    assert pl.read_csv(tmp_path / "cards/cards.csv").columns == columns


def test_the_tables_of_columns_are_complete(table):
    """What the first table names, the second explains."""
    text = (
        (DOCS / "reference/commands.md")
        .read_text(encoding="utf-8")
        .split("## What the columns mean")[1]
    )
    parts = {
        part.split("\n")[0].strip(): part for part in text.split("## Options")[0].split("### ")[1:]
    }
    for _, files, columns in table:
        explained = parts.get(files[0] if files else "")
        if explained is None or files == ["manifest.json"]:
            continue
        said = set(re.findall(r"`([^`]+)`", explained))
        assert set(columns) <= said, f"{files[0]}: {sorted(set(columns) - said)}"
        parts.pop(files[0])
    assert set(parts) == {"manifest.json"}


def test_the_options_of_every_command_are_listed(run_cli):
    text = (
        (DOCS / "reference/commands.md")
        .read_text(encoding="utf-8")
        .split("## Options")[1]
        .split("## Exit")[0]
    )
    listed: dict[str, set[str]] = {}
    for line in text.splitlines():
        cells = line.strip().strip("|").split(" | ")
        if len(cells) == 3 and "--" in cells[0]:
            for command in re.findall(r"`([^`]+)`", cells[1]) or ["all"]:
                listed.setdefault(command, set()).update(re.findall(r"--[a-z-]+", cells[0]))
    for command in (
        "demo",
        "fuse",
        "predict",
        "serve",
        "adapt",
        "drift",
        "evaluate",
        "check",
        "rank",
        "bins",
        "import",
        "inspect",
        "experts train",
        "experts predict",
        "experts tune",
        "init",
        "run",
        "suite list",
        "suite run",
        "suite script",
        "dense convert",
        "dense train",
        "dense predict",
        "dense fuse",
        "dense run",
        "dense init",
        "dense script",
    ):
        names = re.findall(
            r"^│[ *]*((?:--[a-z-]+ ?)+)", run_cli(*command.split(), "--help").out, re.MULTILINE
        )
        there = {name for line in names for name in line.split() if not name.startswith("--empty-")}
        words = {"--help", "--version"} | listed["all"] | listed.get(command, set())
        assert there <= words, f"{command}: {sorted(there - words)} are not listed"
        stale = listed.get(command, set()) - there
        assert not stale, f"{command}: {sorted(stale)} do not exist"


def test_the_lists_of_methods_are_current():
    """``dev/list_methods.py`` writes them from the registry."""
    place = importlib.util.spec_from_file_location("list_methods", ROOT / "dev" / "list_methods.py")
    lists = importlib.util.module_from_spec(place)
    place.loader.exec_module(lists)
    assert lists.README.read_text(encoding="utf-8") == lists.readme(), (
        "run python dev/list_methods.py"
    )
    assert lists.PAGE.read_text(encoding="utf-8") == lists.page(), "run python dev/list_methods.py"
    for name in lists.where():
        assert f"| `{name}` |" in lists.table()
