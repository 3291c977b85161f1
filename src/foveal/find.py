"""Find a task or a reader by name. The folder is the list; nothing registers itself."""

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from .errors import FovealError


def names(package: ModuleType) -> list[str]:
    """Names of the files in ``package``; those that start with "_" are private."""
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_")


def load(package: ModuleType, name: str) -> ModuleType:
    """Import ``package.<name>``, or the user's own file when ``name`` ends in ".py".

    Raises: FovealError naming the nearest file when there is none of that name.
    """
    if name.endswith(".py"):
        return _own_file(name)
    known = names(package)
    if name not in known:
        kind = package.__name__.rpartition(".")[2].removesuffix("s")
        raise FovealError(
            f"there is no {kind} called {name!r}",
            where=f"known: {', '.join(known)}",
            mend=nearest(name, known) or "pass the path of a .py file of yours",
        )
    return importlib.import_module(f"{package.__name__}.{name}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A question that helps a misspelt name ("did you mean 'classify'?"), or ""."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _own_file(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, name)
    if not Path(name).is_file() or spec is None or spec.loader is None:
        raise FovealError(
            f"there is no file {name!r}", where="the name given", mend="check the path"
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
