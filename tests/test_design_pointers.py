"""What docstrings point at exists, and the pages that explain the code name files and tests that
exist."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/pathfuse"
DESIGN = sorted((ROOT / "docs/design").glob("*.md"))
PAGES = [*DESIGN, ROOT / "CONTRIBUTING.md"]
FAULTS = ("logitprod", "meta-encoder", "fusecpath", "densebench")
"""Pages with a table of what is wrong in published code."""
CODE = [
    file
    for place in ("src", "benchmarks", "tests", "dev")
    for file in sorted((ROOT / place).rglob("*.py"))
]

POINTER = re.compile(
    r"docs/design/(?P<page>[\w-]+)\.md, section (?P<section>\d+(?:\.\d+)?)(?:, defects? (?P<defects>\d+(?: and \d+)*))?"
)
"""The one form of a pointer to a page of the design."""
ANY_PAGE = re.compile(r"[\w./-]+\.md\b")
CONTRACT = re.compile(r"\bcontract, sections? \d")
"""A document that is not in the repository; its tables are docs/reference/tables.md and
docs/reference/commands.md."""


@cache
def sections_of(page: str) -> dict[str, str]:
    """Number of each section of a page of the design to its text, that of its subsections included."""
    text = (ROOT / f"docs/design/{page}.md").read_text(encoding="utf-8")
    heads = list(re.finditer(r"^(#{2,3}) (\d+(?:\.\d+)?)\.? .+$", text, re.MULTILINE))
    found = {}
    for head in heads:
        rest = text[head.end() :]
        end = re.search(rf"^#{{2,{len(head[1])}}} ", rest, re.MULTILINE)
        found[head[2]] = rest[: end.start()] if end else rest
    return found


def faults_in(text: str) -> list[str]:
    """The rows of tables whose first cell is a number, perhaps with a letter."""
    return [line for line in text.splitlines() if re.match(r"\| \d+[a-z]? \|", line)]


def complaints(text: str) -> list[str]:
    """What is wrong with the pointers of a docstring or a comment, one sentence each."""
    flat = re.sub(r"\s*\n[\s#]*", " ", text)
    found = [
        f"'{one[0]}' is not a pointer: name a page of docs/reference"
        for one in CONTRACT.finditer(flat)
    ]
    good = {one.start(): one for one in POINTER.finditer(flat)}
    for mention in ANY_PAGE.finditer(flat):
        name, pointer = mention[0], good.get(mention.start())
        if not (ROOT / name).is_file():
            found.append(f"'{name}' does not exist; point as 'docs/design/fusion.md, section 4'")
        elif name.startswith("docs/design/") and pointer is None:
            found.append(f"'{name}' is named without ', section N'")
        elif pointer is not None:
            found += _of_section(pointer)
    return found


def _of_section(pointer: re.Match[str]) -> list[str]:
    sections = sections_of(pointer["page"])
    if pointer["section"] not in sections:
        return [f"'{pointer[0]}': the page has the sections {', '.join(sections)}"]
    rows = "\n".join(faults_in(sections[pointer["section"]]))
    numbers = re.findall(r"\d+", pointer["defects"] or "")
    return [
        f"'{pointer[0]}': the section has no defect {number}"
        for number in numbers
        if not re.search(rf"^\| {number}[a-z]? \|", rows, re.MULTILINE)
    ]


@cache
def words_in(file: Path) -> tuple[tuple[int, str], ...]:
    return tuple(_words_in(file))


def _words_in(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring (of attributes, too) and of every block of comments."""
    source = file.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, node.value.value
    block: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != block[-1].start[0] + 1:
                yield block[0].start[0], "\n".join(one.string for one in block)
                block = []
            block.append(token)
    if block:
        yield block[0].start[0], "\n".join(one.string for one in block)


@pytest.mark.slow
def test_every_pointer_leads_to_a_numbered_section():
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {complaint}"
        for file in CODE
        for line, text in words_in(file)
        for complaint in complaints(text)
    ]
    assert not wrong, "\n".join(wrong)


def test_there_are_pointers_to_every_page_of_the_design():
    """Else the test above would pass because it found nothing."""
    said = [text for file in CODE for _, text in words_in(file)]
    seen = {
        one["page"] for text in said for one in POINTER.finditer(re.sub(r"\s*\n[\s#]*", " ", text))
    }
    assert seen == {page.stem for page in DESIGN}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("See docs/design/fusion.md, section 4.", None),
        ("See docs/design/fusion.md,\n    section 6.2.", None),
        (
            "See docs/design/logitprod.md, section 3.1, defects 4\n# and 5, and docs/concepts/judging.md.",
            None,
        ),
        ("See docs/design/densebench.md, section 7, defect 3.", None),
        ("See fusion.md, section 4.", "'fusion.md' does not exist"),
        ("See docs/design/fusion.md, section 99.", "has the sections 1, 2, 2.1"),
        ("See docs/design/fusion.md, section 4.7.", "has the sections"),
        ("See docs/design/fusion.md.", "without ', section N'"),
        ("See docs/design/fusion.md, sections 2 and 5.", "without ', section N'"),
        ("See docs/design/poetry.md, section 1.", "does not exist"),
        ("See docs/design/logitprod.md, section 3.1, defect 20.", "no defect 20"),
        ("See docs/design/logitprod.md, section 3, defects 4 and 99.", "no defect 99"),
        ("As the contract, section 4, has it.", "is not a pointer"),
    ],
)
def test_a_wrong_pointer_is_found(text, said):
    assert bool(complaints(text)) == (said is not None)
    assert said is None or said in complaints(text)[0]


def test_words_are_docstrings_of_all_kinds_and_comments(tmp_path):
    file = tmp_path / "one.py"
    file.write_text(
        '"""Top."""\nX = 1\n"""Of X."""\n# first\n# second\nY = "no words"  # beside\n',
        encoding="utf-8",
    )
    assert list(words_in(file)) == [(1, "Top."), (3, "Of X."), (4, "# first\n# second\n# beside")]


# The pages themselves.


@cache
def known_tests() -> set[str]:
    """Names of all tests and of all their files."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    named = {
        name
        for file in files
        for name in re.findall(r"^ *def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    return named | {file.name for file in files}


def quoted(page: Path) -> list[str]:
    return re.findall(
        r"`([^`\n]+)`",
        re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE),
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_name_files_and_folders_that_exist(page):
    for name in quoted(page):
        if re.fullmatch(r"[\w./-]+(\.(py|json|md|html|yml|toml)|/)", name) and (
            "/" in name.rstrip("/")
        ):
            assert (ROOT / name).exists() or (SOURCE / name).exists() or name in PLACES_OF_USERS, (
                name
            )


PLACES_OF_USERS = {"benchmarks/results/"}
"""Made by a command."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_name_tests_that_exist(page):
    named = {
        name
        for text in quoted(page)
        for name in re.findall(r"(?<![\w/.])test_\w+(?:\.py\b|(?![\w.]))", text)
    }
    assert named <= known_tests(), sorted(named - known_tests())


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_names_a_test(name):
    rows = faults_in((ROOT / f"docs/design/{name}.md").read_text(encoding="utf-8"))
    assert len(rows) > 10
    numbers = [int(re.sub(r"\D", "", row.split("|")[1])) for row in rows]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, max(numbers) + 1))
    for row in rows:
        assert re.findall(r"`(test_[\w.]+)`", row.rsplit("|", 2)[1]), row


@pytest.mark.parametrize("page", DESIGN, ids=lambda page: page.stem)
def test_sections_are_numbered_without_gaps(page):
    numbers = [number for number in sections_of(page.stem) if "." not in number]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert len(re.findall(r"^## ", page.read_text(encoding="utf-8"), re.MULTILINE)) == len(numbers)


# Facts that these pages repeat.


def test_the_lists_to_register_in_are_where_they_are_said_to_be():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = re.findall(r"((?:`\w+`(?:, | and ))*`\w+`) (?:in|of) `([\w/]+\.py)`", text)
    assert len(told) > 15
    for names, place in told:
        file = SOURCE / place if (SOURCE / place).is_file() else ROOT / place
        source = file.read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"\b{name}\b", source), f"{place} has no {name}"


@pytest.mark.parametrize(
    ("row", "file", "constant"),
    [
        ("`model/model.json`", "workflows/model.py", "SCHEMA"),
        ("`expert.json`", "experts/assemble.py", "FORMAT"),
        ("`model/dense.json`", "dense/fusion/fused_model.py", "SCHEMA"),
    ],
)
def test_the_changelog_says_which_model_files_are_read(row, file, constant):
    number = re.search(
        rf"^{constant} = (\d+)$", (SOURCE / file).read_text(encoding="utf-8"), re.MULTILINE
    )
    (line,) = [
        one
        for one in (ROOT / "CHANGELOG.md").read_text().splitlines()
        if one.startswith(f"| {row}")
    ]
    written, read = line.strip("| ").split(" | ")[2:]
    assert re.findall(r"\d+", written) == [number[1]]
    assert re.findall(r"\d+", read)[-1] == number[1]


def test_the_rooms_stand_in_the_order_of_imports():
    """The table of the architecture page, from the ground up, against ``LAYERS``."""
    page = (ROOT / "docs/design/architecture.md").read_text(encoding="utf-8")
    table = page[page.index("| room |") : page.index("`dense/` has an order")]
    cells = [row.split("|")[1] for row in table.splitlines()[2:] if row]
    rooms = [
        name.rstrip("/").removesuffix(".py")
        for cell in cells
        for name in re.findall(r"`([\w./]+)`", cell)
    ]
    layers = (ROOT / "tests/test_layers.py").read_text(encoding="utf-8")
    listed = re.search(r"LAYERS = \[(.*?)\]", layers, re.DOTALL)
    assert rooms == re.findall(r'"(\w+)"', listed[1])
