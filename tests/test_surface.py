"""The public surface: what is in it, that the command line shares it, and what it costs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

import foveal
from foveal.cli import app

VERBS = {
    *("look", "plan", "train", "evaluate", "compare", "audit", "predict"),
    *("enroll", "identify", "labels", "demo"),
}
PYTHON_ONLY = {"fit", "load", "resume"}  # the command line resumes with `train --resume`
NOUNS = {"Axis", "Grid", "Sample", "Card", "Plan", "Report", "Score", "Model"}
ERRORS = {"FovealError", "DataError", "PlanError", "RunError"}


def test_all_is_the_whole_surface():
    assert set(foveal.__all__) == VERBS | PYTHON_ONLY | NOUNS | ERRORS
    assert foveal.__all__ == sorted(foveal.__all__)


def test_the_command_line_has_the_same_verbs():
    assert set(get_command(app).commands) == VERBS


@pytest.mark.parametrize("name", sorted(VERBS | PYTHON_ONLY))
def test_every_verb_is_a_function_with_words(name):
    verb = getattr(foveal, name)
    assert callable(verb)
    assert verb.__name__ == name
    assert verb.__doc__.strip()


@pytest.mark.parametrize("name", sorted(NOUNS | ERRORS))
def test_every_noun_is_a_class_with_words(name):
    assert isinstance(getattr(foveal, name), type)
    assert getattr(foveal, name).__doc__.strip()


def test_dir_shows_the_surface():
    assert set(foveal.__all__) <= set(dir(foveal))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'foveal' has no attribute 'trian'"):
        foveal.trian  # noqa: B018


def test_the_version_is_that_of_the_package():
    facts = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert foveal.__version__ == facts["project"]["version"]


def test_types_are_shipped():
    assert (Path(foveal.__file__).parent / "py.typed").exists()


def loads(code: str) -> set[str]:
    """Modules that are loaded after ``code`` in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(found.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import foveal",
        "import foveal.cli",
        "from foveal import Card, Plan, FovealError",
        "import foveal; foveal.look, foveal.plan, foveal.train, foveal.fit, foveal.predict",
    ],
)
def test_nothing_heavy_is_loaded_until_it_is_used(code):
    assert not loads(code) & {"torch", "sklearn", "PIL", "rich", "scipy"}


def test_importing_the_package_loads_no_numpy():
    assert "numpy" not in loads("import foveal, foveal.cli")


def test_the_verb_plan_and_the_file_of_the_noun_share_a_name():
    """`foveal.plan` is the verb, however and whenever the noun's file was imported."""
    code = (
        "import foveal.plan\nfrom foveal.plan import Plan\nimport foveal, foveal.verbs.plan\n"
        "assert foveal.plan is foveal.verbs.plan.plan, foveal.plan\nassert foveal.Plan is Plan"
    )
    assert "foveal.plan" in loads(code)
