"""What the pages say about the server is so."""

import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import pathfuse
from pathfuse.serving.app import create_app
from pathfuse.serving.settings import Settings
from pathfuse.workflows.demo_study import write_demo_study

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/serve.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def demo(tmp_path, all_inner_folds):
    """The model of the demo, as the page has it."""
    samples, predictions = write_demo_study(tmp_path / "study")
    study = pathfuse.read_study(samples, predictions)
    model = pathfuse.fuse(study, n_resamples=0).model
    return TestClient(create_app(model, Settings("pathfuse-demo", "1")))


def near(found, shown):
    """The same, as far as the page rounds."""
    if isinstance(shown, float):
        return abs(found - shown) < 0.02
    return found == shown


@pytest.mark.slow
def test_the_bodies_on_the_page_are_answered_as_it_says(demo):
    asked, answers = 0, []
    for block in BLOCKS:
        found = re.search(r"8000(/\S+) .*-d '(\{.*\})'", block, re.DOTALL)
        if found:
            answer = demo.post(found[1], json=json.loads(found[2]))
            assert answer.status_code == 200, answer.text
            answers.append(answer.json())
            asked += 1
    assert asked == 2
    (shown,) = [json.loads(block) for block in BLOCKS if block.startswith('{"model"')]
    (row,), (told,) = answers[0]["samples"], shown["samples"]
    assert list(row) == list(told)
    assert all(near(row[name], told[name]) for name in told)
    assert answers[0]["model"]["name"] == shown["model"]["name"]


def test_the_page_names_every_address_status_and_metric(served):
    client = served().client
    api = client.get("/openapi.json").json()
    for path, operations in api["paths"].items():
        for method in operations:
            assert path.replace("{name}", "<name>") in PAGE
            assert method.upper() in PAGE
    for status in api["paths"]["/predict"]["post"]["responses"]:
        assert status == "200" or re.search(rf"^\|.*\b{status}\b.*\|.*\|$", PAGE, re.MULTILINE)
    client.post("/predict", json={})
    for name in re.findall(r"# TYPE (\w+)", client.get("/metrics").text):
        assert f"`{name}" in PAGE


def test_the_recipes_start_the_server_with_options_that_it_has(run_cli):
    known = set(re.findall(r"--[a-z-]+", run_cli("serve", "--help").out))
    docker = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    (command,) = [line for line in docker.splitlines() if line.startswith("CMD [")]
    words = json.loads(command.removeprefix("CMD "))
    assert words[0] == "serve"
    assert {word for word in words if word.startswith("--")} <= known
    lines = docker.splitlines()
    user, entry = (n for n, line in enumerate(lines) if line.startswith(("USER", "ENTRYPOINT")))
    assert user < entry
    assert not lines[user].split()[1].startswith("0:")
    recipe = (ROOT / "deploy/pathfuse.def").read_text(encoding="utf-8")
    listed = recipe.split("%files")[1].split("%post")[0].split()[::2]
    copied = " ".join(re.findall(r"^COPY ([^-\n]+) \./", docker, re.MULTILINE)).split()
    assert set(listed) == {*copied, "src"}
    assert all((ROOT / name).exists() for name in listed)
    for file, extra in ((docker, '".[${EXTRA}]"'), (recipe, '".[{{ EXTRA }}]"')):
        assert "EXTRA=serve\n" in file  # what is installed unless another is asked for
        assert extra in file
        assert "-c constraints.txt" in file


def test_the_app_description_is_of_the_answer(served):
    about = json.loads((ROOT / "deploy/ead.json").read_text(encoding="utf-8"))
    mode, one = about["modes"]["standalone"], served()
    assert {*mode["inputs"], *mode["outputs"]} == set(about["io"])
    (row,) = one.client.post("/predict", json=one.body()).json()["samples"][:1]
    alike = {"probabilities": "prob_", "weights": "weight_"}
    for name in mode["outputs"]:
        assert any(column.startswith(alike.get(name, name)) for column in row)
