"""The two published tables: small copies of their shape. The real ones are in
``test_published_rankings``."""

import pytest

from pathfuse.errors import InputError
from pathfuse.files.tables import read_table
from pathfuse.study.importers import densebench, task_table

DENSE = (
    "dataset,category,strategy,model,rank_mdice,Mean_Dice,Mean_Dice_lo,Mean_Dice_hi,mIoU,mIoU_lo,mIoU_hi\n"
    "BCSS,tissue,frozen,uni,1,0.5,0.4,0.6,0.3,0.2,0.4\nBCSS,tissue,lora,uni,1,0.6,0.5,0.7,0.4,0.3,0.5\n"
)
TASKS = (
    '"ModelName_short","Task_short","Cancer","AUROC","AUPRC","AUROC_lower","AUROC_upper","Slides_in_million"\n'
    '"UNI","IDH","GBM+LGG",0.9,0.8,0.85,0.95,NA\n"UNI","MGMT","GBM+LGG",0.7,0.6,0.65,0.75,NA\n'
)


def read(folder, module, text):
    (folder / "table.csv").write_text(text)
    return module.read(read_table(folder / "table.csv"))


def test_densebench_strategies_share_the_cohort_of_their_data_set(tmp_path):
    board = read(tmp_path, densebench, DENSE)
    assert board.scores.filter(metric="Mean_Dice").rows() == [
        ("BCSS/frozen", "BCSS", "uni", "Mean_Dice", 0.5, 0.4, 0.6),
        ("BCSS/lora", "BCSS", "uni", "Mean_Dice", 0.6, 0.5, 0.7),
    ]
    assert board.default_metric == "Mean_Dice"
    assert board.scores["metric"].unique().sort().to_list() == ["Mean_Dice", "mIoU"]


def test_tasks_share_the_cohort_of_their_cancer(tmp_path):
    board = read(tmp_path, task_table, TASKS)
    assert board.scores.rows() == [
        ("IDH", "GBM+LGG", "UNI", "AUROC", 0.9, 0.85, 0.95),
        ("MGMT", "GBM+LGG", "UNI", "AUROC", 0.7, 0.65, 0.75),
    ]  # AUPRC has no limits here and is not a metric
    assert board.default_metric == "AUROC"


def test_each_knows_its_own():
    dense, tasks = DENSE.split("\n")[0].split(","), TASKS.split("\n")[0].replace('"', "").split(",")
    assert (densebench.recognises(dense), densebench.recognises(tasks)) == (True, False)
    assert (task_table.recognises(dense), task_table.recognises(tasks)) == (False, True)


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        (
            densebench,
            DENSE.replace("0.6,0.5,0.7", "x,0.5,0.7"),
            "'Mean_Dice', study 'BCSS/lora', method 'uni': 'x' is",
        ),
        (
            densebench,
            DENSE.replace("lora", "frozen"),
            "study 'BCSS/frozen' has the method 'uni' twice",
        ),
        (task_table, TASKS.replace("MGMT", "IDH"), "study 'IDH' has the method 'UNI' twice"),
        (
            task_table,
            TASKS.replace('"MGMT","GBM+LGG"', '"MGMT",""'),
            "column 'Cancer': row 2 is empty",
        ),
    ],
)
def test_damage_is_named(tmp_path, module, text, complaint):
    with pytest.raises(InputError) as error:
        read(tmp_path, module, text)
    assert complaint in str(error.value)
