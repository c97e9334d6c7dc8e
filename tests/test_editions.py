"""The tools, on a small chapter of the tests' own."""

import copy
from pathlib import Path

import jupytext
import nbformat
import pytest

from tests.answers import inside, preparation, verdict, wrong_answers
from tools import execute, notebooks
from tools.editions import (
    SourceError,
    course_edition,
    exercises,
    read_source,
    solved_edition,
    student_edition,
    tags,
)
from tools.project import RELEASE_TAG, REPOSITORY_URL
from tools.seal import WIDGET_VIEW, clean, faults, inputs_sha256, outputs_sha256

SAMPLE = Path(__file__).parent / "sample" / "01_sample.py"
SOURCE = read_source(SAMPLE)


def one(notebook, tag):
    """Return the text of the only cell with a tag."""
    (text,) = [cell.source for cell in notebook.cells if tag in tags(cell)]
    return text


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The sample, executed and read back from its file."""
    folder = tmp_path_factory.mktemp("chapters")
    target = folder / "01_sample.ipynb"
    execute.execute(course_edition(SOURCE, "01_sample"), target, folder, "smoke")
    return nbformat.read(target, 4)


def test_the_course_edition_folds_hints_solutions_and_answers():
    notebook = course_edition(SOURCE, "01_sample")
    assert one(notebook, "hint").startswith("<details>\n<summary>Hint</summary>\n\n`sum` adds")
    assert "```python\ndef mean(values):\n    total = sum(values)" in one(notebook, "solution")
    assert one(notebook, "predict").startswith("> **Predict first.** What is the mean")
    assert all(line.startswith(">") for line in one(notebook, "predict").splitlines())
    quiz = one(notebook, "quiz")
    assert quiz.count("   <details>\n   <summary>Answer</summary>\n\n") == quiz.count("\n\n   </details>") == 2
    assert "   No. A sum does not depend on the order\n   of what is added.\n\n   </details>" in quiz


def test_the_title_is_followed_by_the_link_of_this_release():
    title = course_edition(SOURCE, "01_sample").cells[0].source
    heading, _, link, *_ = title.splitlines()
    assert heading == "# A sample chapter"
    assert link.startswith("[▶ Open in Colab](https://colab.research.google.com/github/")
    assert link.endswith(f"/blob/{RELEASE_TAG}/notebooks/01_sample.ipynb)")


def test_the_setup_cell_knows_the_repository_and_the_release():
    setup = one(course_edition(SOURCE, "01_sample"), "setup")
    assert f'"{REPOSITORY_URL}", "{RELEASE_TAG}"' in setup


def test_the_student_edition_holds_no_solution():
    assert "total" not in nbformat.writes(student_edition(SOURCE, "01_sample"))
    assert "total" in nbformat.writes(course_edition(SOURCE, "01_sample"))


def test_the_solved_edition_has_the_solution_in_place_of_the_stub():
    stub = one(solved_edition(SOURCE, "01_sample"), "exercise")
    assert "total / len(values)" in stub and "..." not in stub
    assert "..." in one(course_edition(SOURCE, "01_sample"), "exercise"), "the source itself was changed"


def test_an_edition_is_the_same_every_time_and_an_edit_changes_only_its_own_cell():
    first, second = course_edition(SOURCE, "01_sample"), course_edition(SOURCE, "01_sample")
    assert nbformat.writes(first) == nbformat.writes(second)
    edited = copy.deepcopy(SOURCE)
    edited.cells[3].source += "\n\nOne more sentence."
    ids = [[cell.id for cell in notebook.cells] for notebook in (first, course_edition(edited, "01_sample"))]
    assert [left == right for left, right in zip(*ids, strict=True)].count(False) == 1


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("# # A sample chapter", "# A sample chapter", "begins with `# Title`"),
        ('"exercise", "ex-1.1"', '"exercise"', "ex-N.N"),
        ('"check", "ex-1.1"', '"check", "ex-1.2"', "needs one stub, a check and a solution"),
        ('"solution", "ex-1.1"', '"exercise", "ex-1.1"', "needs one stub"),
        ('# %% tags=["check", "ex-1.1"]', '# %% [markdown] tags=["check", "ex-1.1"]', "the type code"),
    ],
)
def test_a_source_that_breaks_a_rule_is_told_so(tmp_path, old, new, sentence):
    text = SAMPLE.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "01_sample.py").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SourceError, match=sentence):
        read_source(tmp_path / "01_sample.py")


def test_an_executed_chapter_is_sealed_and_has_no_fault(executed):
    assert executed.metadata.course == {
        "inputs_sha256": inputs_sha256(course_edition(SOURCE, "01_sample")),
        "outputs_sha256": outputs_sha256(executed),
        "scale": "smoke",
    }
    assert faults(executed) == []
    assert "○ not attempted yet" in next(c for c in executed.cells if "check" in tags(c)).outputs[0].data["text/plain"]
    assert next(c for c in executed.cells if "widget" in tags(c)).outputs == []


def test_the_seals_catch_a_changed_input_and_a_changed_output(executed):
    changed = copy.deepcopy(executed)
    changed.cells[0].source += "!"
    assert inputs_sha256(changed) != executed.metadata.course.inputs_sha256
    assert outputs_sha256(changed) == executed.metadata.course.outputs_sha256
    changed = copy.deepcopy(executed)
    next(cell for cell in changed.cells if cell.get("outputs")).outputs[0].data["text/plain"] += "0"
    assert inputs_sha256(changed) == executed.metadata.course.inputs_sha256
    assert outputs_sha256(changed) != executed.metadata.course.outputs_sha256


def code_cell(output, count=1):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output], execution_count=count)])


def shown(data, metadata=None):
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata or {})


FAULTY = {
    "wrote to stderr": code_cell(nbformat.v4.new_output("stream", name="stderr", text="a warning")),
    "raised NameError": code_cell(nbformat.v4.new_output("error", ename="NameError", evalue="x", traceback=[])),
    "no alt text": code_cell(shown({"image/png": "iVBO"})),
    "a path of this machine": code_cell(shown({"text/plain": f"'{SAMPLE.parent.parent.parent}/data'"})),
    "'/home/ada_l'": code_cell(shown({"text/html": "<p>/home/ada_l/course</p>"})),
    "execution counts": code_cell(shown({"text/plain": "1"}), count=2),
    "more than 1.5 MB": code_cell(shown({"text/plain": "x" * 1_600_000})),
}


@pytest.mark.parametrize("sentence", FAULTY)
def test_a_fault_is_found_and_named(sentence):
    (fault,) = faults(FAULTY[sentence])
    assert sentence in fault


def test_what_only_a_live_kernel_can_show_is_taken_out():
    view = {WIDGET_VIEW: {"model_id": "1"}, "text/plain": "interactive()"}
    notebook = code_cell(shown(view))
    notebook.cells[0].outputs.append(shown({**view, "text/html": "<p>fallback</p>"}))
    notebook.metadata["widgets"] = {"state": 1}
    clean(notebook)
    assert "widgets" not in notebook.metadata
    assert [dict(output.data) for output in notebook.cells[0].outputs] == [
        {"text/plain": "interactive()", "text/html": "<p>fallback</p>"}
    ]


def test_a_chapter_that_fails_leaves_its_notebook_as_it_was(tmp_path):
    target = tmp_path / "01_sample.ipynb"
    target.write_text("as it was")
    source = copy.deepcopy(SOURCE)
    source.cells.append(nbformat.v4.new_code_cell("undefined_name"))
    with pytest.raises(execute.ChapterError, match="undefined_name"):
        execute.execute(course_edition(source, "01_sample"), target, tmp_path, "smoke")
    assert target.read_text() == "as it was" and list(tmp_path.iterdir()) == [target]


def test_a_cell_that_never_ends_is_ended(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(execute.LONGEST, "smoke", 1)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import threading\nthreading.Event().wait()")])
    with pytest.raises(execute.ChapterError, match="a cell took more than 1 seconds, twice"):
        execute.execute(notebook, tmp_path / "chapter.ipynb", tmp_path, "smoke")
    assert not list(tmp_path.iterdir()) and capsys.readouterr().out.count("runs once more") == 1


def test_a_kernel_and_a_client_that_waited_for_each_other_once_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(execute.LONGEST, "smoke", 3)
    code = (
        "import pathlib, threading\n"
        "if not pathlib.Path('seen').exists():\n    pathlib.Path('seen').touch()\n    threading.Event().wait()\n1 + 1"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("0"), nbformat.v4.new_code_cell(code)])
    execute.run(notebook, tmp_path, "smoke")
    assert [cell.outputs[0]["data"]["text/plain"] for cell in notebook.cells] == ["0", "2"]
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert "A cell took more than 3 seconds: the chapter runs once more." in capsys.readouterr().out


def test_a_timing_replaces_the_older_one_of_its_kind(tmp_path):
    table = tmp_path / "timings.csv"
    old = execute.Timing("02_b", "laptop", "warm", 9.0, "a laptop")
    new = execute.Timing("02_b", "laptop", "warm", 8.0, "a laptop")
    other = execute.Timing("01_a", "laptop", "cold", 30.0, "a laptop")
    execute.record([old], table)
    execute.record([new, other], table)
    assert execute.read_timings(table) == [other, new]


def test_building_again_keeps_the_outputs_until_the_source_changes(tmp_path, monkeypatch, capsys):
    sources = tmp_path / "source"
    sources.mkdir()
    path = sources / SAMPLE.name
    path.write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(notebooks, "SOURCES", sources)
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    notebooks.main(["build"])
    target = tmp_path / "01_sample.ipynb"
    notebook = nbformat.read(target, 4)
    next(cell for cell in notebook.cells if cell.cell_type == "code").outputs.append(shown({"text/plain": "kept"}))
    nbformat.write(notebook, target)
    notebooks.main(["build"])
    assert "kept" in target.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("`sum` adds", "`sum` sums"), encoding="utf-8")
    notebooks.main(["build"])
    assert "kept" not in target.read_text(encoding="utf-8")


def test_a_scale_in_the_environment_is_not_passed_over_in_silence(monkeypatch):
    asked = []
    monkeypatch.setattr(notebooks, "run_chapters", lambda scale, names: asked.append(scale))
    monkeypatch.setenv("COURSE_SCALE", "full")
    with pytest.raises(SystemExit, match="COURSE_SCALE is full.* add --scale full, or unset it"):
        notebooks.main(["execute"])
    notebooks.main(["execute", "--scale", "laptop"])
    monkeypatch.setenv("COURSE_SCALE", "laptop")
    notebooks.main(["execute"])
    monkeypatch.delenv("COURSE_SCALE")
    notebooks.main(["execute"])
    assert asked == ["laptop"] * 3


@pytest.mark.parametrize("command", ["build", "execute"])
def test_the_answers_of_a_learner_are_kept_before_a_notebook_is_written_anew(tmp_path, monkeypatch, executed, command):
    monkeypatch.setattr(notebooks, "SOURCES", SAMPLE.parent)
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(notebooks, "ANSWERS", tmp_path / "my_answers")
    monkeypatch.setattr(notebooks, "TIMINGS", tmp_path / "timings.csv")
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    monkeypatch.setattr(notebooks, "execute", lambda *_: execute.Timing("01_sample", "laptop", "warm", 1.0, "a laptop"))
    target = tmp_path / "01_sample.ipynb"
    nbformat.write(executed, target)
    notebooks.main([command])
    assert not (tmp_path / "my_answers").exists(), "nobody has worked in it"
    worked = copy.deepcopy(executed)
    next(cell for cell in worked.cells if "exercise" in tags(cell)).source = "mean = 'my answer'"
    nbformat.write(worked, target)
    notebooks.main([command])
    (kept,) = (tmp_path / "my_answers").iterdir()
    assert kept.name.startswith("01_sample-") and "my answer" in kept.read_text(encoding="utf-8")


def test_an_unknown_chapter_is_answered_with_the_nearest(monkeypatch):
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    monkeypatch.setattr(notebooks, "SOURCES", SAMPLE.parent)
    with pytest.raises(SystemExit, match="no chapter '01_simple'.*Did you mean 01_sample?"):
        notebooks.main(["execute", "01_simple"])


@pytest.fixture
def exercise(tmp_path):
    with inside(tmp_path, "smoke"):
        yield exercises(SOURCE)["ex-1.1"]


def test_the_check_tells_a_solution_a_stub_and_wrong_answers_apart(exercise):
    prepared = preparation(SOURCE, "01_sample")
    assert verdict(prepared, exercise, exercise.solution) == "passed"
    assert verdict(prepared, exercise, exercise.stub) == "not attempted"
    wrong = wrong_answers(SAMPLE.parent / "wrong_answers.py")["ex-1.1"]
    assert [verdict(prepared, exercise, answer) for answer in wrong] == ["failed", "failed"]


def test_the_sample_reads_the_same_after_a_round_trip():
    again = jupytext.reads(jupytext.writes(SOURCE, fmt="py:percent"), fmt="py:percent")
    assert [cell.source for cell in again.cells] == [cell.source for cell in SOURCE.cells]
