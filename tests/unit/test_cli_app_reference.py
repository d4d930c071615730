"""How `module:app` is read, looked up and imported."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import pytest

from windlass.cli.app_reference import AppReference, default_reference, load_app, parse, require_reference
from windlass.exceptions import InvalidConfig, WindlassError

if TYPE_CHECKING:
    from pathlib import Path

_counter = itertools.count()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return tmp_path


def module(folder: Path, code: str) -> str:
    """Write a module of a name never used before."""
    name = f"shop_{next(_counter)}"
    (folder / f"{name}.py").write_text(code)
    return name


def test_module_and_app_are_told_apart() -> None:
    """`a.b:c` is module a.b and the name c in it."""
    assert parse("shop.tasks:app") == AppReference("shop.tasks", "app")
    assert parse("shop") == AppReference("shop")
    assert str(parse("shop:app")) == "shop:app"


@pytest.mark.parametrize("text", ["shop.tasks:", ":app", "", "two words", "shop:a.b", "1shop"])
def test_what_names_no_app_is_refused(text: str) -> None:
    """The error shows how it is written."""
    with pytest.raises(InvalidConfig, match=r"shop\.tasks:app"):
        parse(text)


def test_a_file_is_answered_with_its_module() -> None:
    """Whoever types a path is told the module's name."""
    with pytest.raises(InvalidConfig, match=r"shop\.tasks$"):
        parse("./shop/tasks.py")


def test_pyproject_comes_before_the_usual_modules(project: Path) -> None:
    """`[tool.windlass] app` wins over a tasks.py."""
    (project / "tasks.py").touch()
    assert default_reference(project) == AppReference("tasks")
    (project / "pyproject.toml").write_text('[tool.windlass]\napp = "shop.tasks:queue"\n')
    assert default_reference(project) == AppReference("shop.tasks", "queue")


@pytest.mark.parametrize("text", ["not toml", "[tool.windlass]\napp = 3\n"])
def test_a_wrong_pyproject_is_named(project: Path, text: str) -> None:
    """Neither bad TOML nor a bad value passes for "no app"."""
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(InvalidConfig, match=r"pyproject\.toml"):
        default_reference(project)


def test_no_app_anywhere_says_where_it_looked(project: Path) -> None:
    """The error names the setting and the files."""
    with pytest.raises(InvalidConfig, match=r"pyproject\.toml.*tasks\.py"):
        require_reference("", project)


def test_the_only_app_of_a_module_is_found(project: Path) -> None:
    """It need not be called app."""
    name = module(project, "from windlass import Windlass\nqueue = Windlass()\nsame = queue\n")
    assert load_app(AppReference(name)) is load_app(AppReference(name, "queue"))


def test_of_several_apps_the_one_called_app_is_taken(project: Path) -> None:
    """Without one of that name, all are offered."""
    both = "from windlass import Windlass\none = Windlass()\n{} = Windlass()\n"
    name = module(project, both.format("app"))
    assert load_app(AppReference(name)) is sys.modules[name].app
    name = module(project, both.format("two"))
    with pytest.raises(InvalidConfig, match=f"{name}:one, {name}:two"):
        load_app(AppReference(name))


@pytest.mark.parametrize(
    ("code", "attribute", "said"),
    [
        ("", "", r"app = Windlass\(\)"),
        ("", "app", "app is missing"),
        ("app = 3", "app", "app is int, not Windlass"),
    ],
)
def test_a_module_without_the_app_is_refused(project: Path, code: str, attribute: str, said: str) -> None:
    """The error says what was found in its place."""
    with pytest.raises(InvalidConfig, match=said):
        load_app(AppReference(module(project, code), attribute))


def test_a_module_that_is_not_there_is_not_taken_for_a_broken_one(project: Path) -> None:
    """A missing import inside the module is another error, and says where it stands."""
    with pytest.raises(InvalidConfig, match="there is no module shop_missing"):
        load_app(AppReference("shop_missing"))
    name = module(project, "import not_installed_anywhere\n")
    with pytest.raises(WindlassError, match=f"not_installed_anywhere.*{name}.py, line 1"):
        load_app(AppReference(name))


@pytest.mark.parametrize("code", ["1 / 0\n", "def broken(:\n"])
def test_a_module_that_fails_says_where(project: Path, code: str) -> None:
    """Whatever it raises becomes one line with its place."""
    name = module(project, code)
    with pytest.raises(WindlassError, match=rf"importing {name} failed: .*{name}\.py, line 1"):
        load_app(AppReference(name))
