"""Imports flow one way, from types to cli, in the order of ``LAYERS``."""

import ast
from pathlib import Path

import pathfuse
from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.experts.targets.registry import TARGET_KINDS

LAYERS = [
    "types", "unseen", "errors", "references", "progress", "costs", "workers", "shard", "files", "distributions",
    "fusion", "online", "calibration", "evaluation", "drift", "endpoints", "study", "report", "features", "training",
    "experts", "dense", "scale", "workflows", "serving", "cli", "testing", "__main__",
]  # fmt: skip
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "peft",
    "transformers",
    "skimage",
    "h5py",
    "pandas",
    "dask",
    "distributed",
    "fastapi",
    "starlette",
    "uvicorn",
    "prometheus_client",
}
TORCH_ROOMS = {"training", "experts", "dense", "serving"}
"""Rooms behind an extra: nothing in the core imports them at the top."""
BORDER = {"workflows/study_file", "workflows/score", "workflows/steps/licences", "cli", "testing"}
"""Who may use the rooms behind extras; licences are facts that stand there in a JSON file."""
ROOT = Path(pathfuse.__file__).parent
DENSE = {
    "memory": 0, "data": 0, "evaluation": 1, "encoders": 1, "strategies": 2, "recipe": 2, "network": 2, "training": 3,
    "predict": 4, "fusion": 4, "analysis": 4, "benchmark": 5,
}  # fmt: skip
"""The largest room has an order of its own; rooms of one number may use each other."""


def imports_of(path: Path, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_file_has_a_room():
    rooms = {layer_of(p) for p in ROOT.rglob("*.py")} - {"__init__"}
    assert rooms <= set(LAYERS)


def test_imports_flow_one_way():
    broken = []
    for path in ROOT.rglob("*.py"):
        layer = layer_of(path)
        if layer == "__init__":  # the public names, imported on first use
            continue
        for name in imports_of(path):
            parts = name.split(".")
            if (
                parts[0] == "pathfuse"
                and len(parts) > 1
                and LAYERS.index(parts[1]) > LAYERS.index(layer)
            ):
                broken.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not broken


def test_imports_flow_one_way_inside_dense():
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "dense").rglob("*.py")
        for name in imports_of(path)
        if name.startswith("pathfuse.dense.") and DENSE[name.split(".")[2]] > DENSE[room_of(path)]
    ]
    assert not broken


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "dense").parts[0].removesuffix(".py")


def test_the_core_imports_nothing_heavy_at_the_top():
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in ROOT.rglob("*.py")
        if layer_of(path) not in TORCH_ROOMS
        for name in imports_of(path, top_only=True)
        if name.split(".")[0] in HEAVY
    ]
    assert not broken


def test_only_the_border_knows_the_rooms_behind_extras():
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in ROOT.rglob("*.py")
        if layer_of(path) not in TORCH_ROOMS
        and not path.relative_to(ROOT).as_posix().startswith(tuple(BORDER))
        for name in imports_of(path)
        if name.startswith(tuple(f"pathfuse.{room}" for room in TORCH_ROOMS))
    ]
    assert not broken


def test_no_pickle_no_print_no_bare_except():
    broken = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"print", "exit"}
            ):
                broken.append(f"{path}:{node.lineno} calls {node.func.id}")
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                broken.append(f"{path}:{node.lineno} catches everything")
        if imports_of(path) & {"pickle", "dill", "shelve", "marshal"}:
            broken.append(f"{path} imports a pickle")
    assert not broken


KIND_NAMES = {*ENDPOINTS, *TARGET_KINDS}
COMPARED_BY_NAME: dict[str, int] = {}
"""Comparisons with the name of an endpoint or of a way of being trained, by file."""


def compares_with(path: Path, names: set[str]) -> int:
    """How many comparisons and cases of a file have one of these names on a side."""
    found = 0
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        constants = (
            leaf for side in sides for leaf in ast.walk(side) if isinstance(leaf, ast.Constant)
        )
        found += any(leaf.value in names for leaf in constants if isinstance(leaf.value, str))
    return found


def test_endpoints_are_asked_not_compared_by_name():
    counts = {
        path.relative_to(ROOT).as_posix(): compares_with(path, KIND_NAMES)
        for path in ROOT.rglob("*.py")
        if not path.relative_to(ROOT).as_posix().startswith(("endpoints/", "experts/targets/"))
    }
    assert {file: n for file, n in counts.items() if n} == COMPARED_BY_NAME


def test_callbacks_that_show_progress_are_declared_once():
    shapes = (
        "Callable[[str, float], None]",
        "Callable[[dict[str, Any]], None]",
        "Callable[[str], None]",
    )
    others = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if path != ROOT / "progress.py" and any(shape in path.read_text() for shape in shapes)
    ]
    assert others == []
