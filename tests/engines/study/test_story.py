from pathlib import Path

from engines.study import story


def test_the_note_of_the_tested_model_is_the_one_that_engines_write() -> None:
    source = (Path(story.__file__).parents[1] / "training" / "course.py").read_text()
    assert '"kept: the model of step {at.best_step}' in source and story.KEPT.match("kept: the model of step 5, x")
