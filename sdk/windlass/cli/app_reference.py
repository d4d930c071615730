"""Owns how `module:app` is read, looked up and imported. Never starts anything."""

from __future__ import annotations

import sys
import tomllib
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from windlass.exceptions import InvalidConfig, WindlassError

if TYPE_CHECKING:
    from types import ModuleType

    from windlass import Windlass

#: Where an app is looked for when nothing names it.
USUAL_MODULES: Final = ("worker", "app", "main", "tasks")


@dataclass(frozen=True, slots=True)
class AppReference:
    """A module, and the name in it that holds the app; an empty name: find it."""

    module: str
    attribute: str = ""

    @override
    def __str__(self) -> str:
        """Write it as it is typed."""
        return f"{self.module}:{self.attribute}" if self.attribute else self.module


def parse(text: str) -> AppReference:
    """Read `module` or `module:attribute`; raises InvalidConfig."""
    module, colon, attribute = text.partition(":")
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        raise InvalidConfig(f"{text!r} is a file; name the module as it is imported: {dotted}")
    words = [*module.split("."), *([attribute] if colon else [])]
    if not all(word.isidentifier() for word in words):
        raise InvalidConfig(f"{text!r} names no app: expected module or module:app, as in shop.tasks:app")
    return AppReference(module, attribute)


def default_reference(folder: Path) -> AppReference | None:
    """Find the app of the project in `folder`, or None.

    That is `app` of `[tool.windlass]` in its pyproject.toml, else the first of the usual modules.
    """
    project_file = folder / "pyproject.toml"
    if project_file.is_file():
        try:
            project = tomllib.loads(project_file.read_text("utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise InvalidConfig(f"{project_file.name} is no valid TOML: {error}") from None
        named = project.get("tool", {}).get("windlass", {}).get("app")
        if named is not None:
            if not isinstance(named, str):
                raise InvalidConfig('[tool.windlass] app in pyproject.toml must be text, as in "shop.tasks:app"')
            return parse(named)
    for module in USUAL_MODULES:
        if (folder / f"{module}.py").is_file() or (folder / module / "__init__.py").is_file():
            return AppReference(module)
    return None


def require_reference(text: str, folder: Path) -> AppReference:
    """Read `text`, or find the project's default where it is empty; raises InvalidConfig."""
    found = parse(text) if text else default_reference(folder)
    if found is None:
        files = ", ".join(f"{module}.py" for module in USUAL_MODULES)
        raise InvalidConfig(
            f"no app named, and none found here: neither [tool.windlass] app in pyproject.toml nor {files}"
        )
    return found


def load_app(reference: AppReference) -> Windlass:
    """Import the module and return its app; raises InvalidConfig, or WindlassError for its faults."""
    from windlass import Windlass

    module = _import(reference)
    if reference.attribute:
        found = getattr(module, reference.attribute, None)
        if isinstance(found, Windlass):
            return found
        what = "is missing" if found is None else f"is {type(found).__name__}, not Windlass"
        raise InvalidConfig(f"{reference}: {reference.attribute} {what}")
    apps = {name: value for name, value in vars(module).items() if isinstance(value, Windlass)}
    distinct = {id(value): name for name, value in apps.items()}
    if "app" in apps or len(distinct) == 1:
        return apps.get("app") or next(iter(apps.values()))
    if not apps:
        raise InvalidConfig(f"{reference.module} holds no app: expected app = Windlass() in it")
    choices = ", ".join(f"{reference.module}:{name}" for name in distinct.values())
    raise InvalidConfig(f"{reference.module} holds several apps; name one of {choices}")


def _import(reference: AppReference) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(reference.module)
    except ModuleNotFoundError as error:
        if error.name and (reference.module + ".").startswith(error.name + "."):
            raise InvalidConfig(f"there is no module {error.name} in {here}") from None
        raise WindlassError(f"importing {reference.module} failed: {_where(error)}") from error
    except WindlassError:
        raise
    except Exception as error:  # the user's module may raise anything
        raise WindlassError(f"importing {reference.module} failed: {_where(error)}") from error


def _where(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):  # says where by itself
        return said
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{said} ({last.filename}, line {last.lineno})"
