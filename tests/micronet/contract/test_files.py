"""Files that settings name are found wherever they are."""

from pydantic import Field

from micronet.contract import Distillation, FineTuning, SparsifySettings, TrainSettings, Value, files_named

FIRST, SECOND = "1" * 64, "2" * 64


class Recipe(Value):
    """Settings as a pipeline has them: stages in a row, or by name."""

    stages: tuple[Value, ...] = ()
    named: dict[str, Value] = Field(default_factory=dict)


def test_settings_without_a_teacher_name_nothing() -> None:
    assert files_named(TrainSettings()) == files_named(SparsifySettings()) == ()


def test_teachers_are_found_at_any_depth_each_once() -> None:
    train = TrainSettings(distillation=Distillation(teacher=FIRST))
    sparsify = SparsifySettings(fine_tuning=FineTuning(distillation=Distillation(teacher=SECOND)))
    assert files_named(train) == (FIRST,)
    assert files_named(sparsify) == (SECOND,)
    assert files_named(Recipe(stages=(sparsify, train, train), named={"again": sparsify})) == (SECOND, FIRST)
