"""The plan of the house, checked: imports go down only; only layers/ knows 1d, 2d, 3d."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "src" / "foveal"
STOREYS = """errors clock memory progress; find duration; forms grid net target; record;
    card plan report; metrics drawing; layers; networks; readers; datasets; baselines; tasks;
    planner; training; evaluation wrappers; verbs; bars; tables answers doors; options;
    commands; sklearn cli;
    __main__"""
LEVEL = {unit: i for i, row in enumerate(STOREYS.split(";")) for unit in row.split()}
FILES = sorted(p.relative_to(HOUSE) for p in HOUSE.rglob("*.py"))
FRONT_DOOR = Path("__init__.py")  # may import every storey

LINES, FUNCTION_LINES = 300, 60
# What can run code hidden in data, or reach the network.
BANNED_MODULES = """pickle cPickle _pickle dill joblib shelve marshal urllib requests socket http
    httpx aiohttp ftplib smtplib telnetlib xmlrpc torchvision huggingface_hub"""
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}
BANNED_CALLS |= {"torch.load", "torch.save", "os.system", "os.popen"}
MAY_PRINT = {"bars", "answers", "doors", "cli", "__main__"}


def unit(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def parse(text: str) -> ast.Module:
    return ast.parse(text)


def imported_units(path: Path, text: str) -> Iterator[str]:
    """Units of this package that ``path`` imports, at any depth of the file."""
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parts[: len(path.parts) - node.level]
            base = [*folder, *(node.module or "").split(".")]
            base = [part for part in base if part]
            names = [base[0]] if base else [alias.name for alias in node.names]
            yield from [name for name in names if name != "__version__"]


def reaches_up(path: Path, text: str) -> list[str]:
    if path == FRONT_DOOR:
        return []
    own = unit(path)
    faults = [f"{own} has no storey"] if own not in LEVEL else []
    for other in imported_units(path, text):
        if other not in LEVEL:
            faults += [f"{other} has no storey"]
        elif other != own and LEVEL[other] >= LEVEL.get(own, 0):
            faults += [
                f"{own} reaches {'across' if LEVEL[other] == LEVEL[own] else 'up'} to {other}"
            ]
    return faults


def imports_absolutely(path: Path, text: str) -> list[str]:
    """Relative imports make the storeys visible."""
    return [name for name in modules(text) if name.split(".")[0] == "foveal"]


def modules(text: str) -> Iterator[str]:
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def knows_a_rank(path: Path, text: str) -> list[str]:
    """1d, 2d, 3d in any word, and questions such as `rank == 2`, `x.ndim in (4, 5)`."""
    if unit(path) == "layers":
        return []
    faults = re.findall(r"\b[A-Za-z_]*[123][dD]\b", text)
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Compare) and _asks(node):
            faults.append(ast.unparse(node))
        elif isinstance(node, ast.Match) and _names_rank(node.subject, {"rank"}):
            faults.append(f"match {ast.unparse(node.subject)}")
        elif isinstance(node, ast.Subscript) and _names_rank(node.slice, {"rank"}):
            faults += [ast.unparse(node)] * isinstance(node.value, ast.Dict)
    return faults


def _asks(node: ast.Compare) -> bool:
    sides = [node.left, *node.comparators]
    numbers = {c.value for s in sides for c in ast.walk(s) if isinstance(c, ast.Constant)}
    whole = {n for n in numbers if type(n) is int}
    if any(_names_rank(side, {"rank"}) for side in sides):
        return bool(whole - {0})
    return any(_names_rank(side, {"ndim", "dim"}) for side in sides) and bool(whole & {3, 4, 5})


def _names_rank(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
    return name in names


def is_too_long(path: Path, text: str) -> list[str]:
    faults = [f"{n} lines"] if (n := len(text.splitlines())) > LINES else []
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            faults += [f"{node.name} has {length} lines"] if length > FUNCTION_LINES else []
    return faults


def is_unsafe(path: Path, text: str) -> list[str]:
    """Nothing that runs code from data, nothing that reaches the network."""
    faults = [name for name in modules(text) if name.split(".")[0] in BANNED_MODULES.split()]
    for node in ast.walk(parse(text)):
        if not isinstance(node, ast.Call):
            continue
        call = node.func
        if ast.unparse(call) in BANNED_CALLS:
            faults.append(f"{ast.unparse(call)}()")
        for key in node.keywords:
            risky = key.arg in {"allow_pickle", "shell"}
            if risky and not (isinstance(key.value, ast.Constant) and key.value.value is False):
                faults.append(f"{key.arg}=")
    return faults


def prints(path: Path, text: str) -> list[str]:
    """Only the outside speaks; library code reports through `Progress`."""
    if unit(path) in MAY_PRINT:
        return []
    calls = [n.func for n in ast.walk(parse(text)) if isinstance(n, ast.Call)]
    return ["print()" for call in calls if isinstance(call, ast.Name) and call.id == "print"]


RULES = [reaches_up, imports_absolutely, knows_a_rank, is_too_long, is_unsafe, prints]
Rule = Callable[[Path, str], list[str]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_house_keeps_its_rules(path: Path, rule: Rule) -> None:
    faults = rule(path, (HOUSE / path).read_text(encoding="utf-8"))
    assert not faults, f"{path} {rule.__name__}: {'; '.join(faults)}"


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (reaches_up, "layers/norm.py", "from ..networks.block import ConvBlock"),
        (reaches_up, "layers/norm.py", "from .. import cli"),
        (reaches_up, "card.py", "from .plan import Plan"),
        (reaches_up, "errors.py", "def f():\n    from .find import nearest"),
        (reaches_up, "verbs/train.py", "from ..attic import thing"),
        (reaches_up, "attic.py", ""),
        (imports_absolutely, "cli.py", "from foveal.errors import FovealError"),
        (imports_absolutely, "cli.py", "import foveal.errors"),
        (knows_a_rank, "planner/rules.py", "conv = nn.Conv2d"),
        (knows_a_rank, "planner/rules.py", "# a 3d net"),
        (knows_a_rank, "planner/rules.py", "wide = plan.rank == 2"),
        (knows_a_rank, "planner/rules.py", "wide = rank in (1, 3)"),
        (knows_a_rank, "datasets/batches.py", "if x.dim() > 4: pass"),
        (knows_a_rank, "datasets/batches.py", "f = {1: a, 2: b}[rank]"),
        (is_too_long, "find.py", "x = 1\n" * 301),
        (is_too_long, "find.py", "def f():\n" + "    x = 1\n" * 60),
        (is_unsafe, "record.py", "import pickle"),
        (is_unsafe, "record.py", "from urllib.request import urlopen"),
        (is_unsafe, "record.py", "eval(text)"),
        (is_unsafe, "record.py", "torch.load(path, weights_only=True)"),
        (is_unsafe, "record.py", "np.load(path, allow_pickle=True)"),
        (is_unsafe, "record.py", "np.load(path, allow_pickle=trust)"),
        (prints, "training/loop.py", "print(loss)"),
    ],
)
def test_a_planted_fault_is_found(rule: Rule, path: str, text: str) -> None:
    assert rule(Path(path), text)


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (reaches_up, "layers/norm.py", "from ..errors import PlanError\nfrom .gate import Gate"),
        (reaches_up, "cli.py", "from .verbs.train import train"),
        (knows_a_rank, "layers/convolution.py", "conv = nn.Conv2d if rank == 2 else None"),
        (knows_a_rank, "planner/rules.py", "if len(kernel) != rank or y.ndim != 1: pass"),
        (is_unsafe, "readers/array.py", "np.load(path, allow_pickle=False); re.compile('a')"),
        (is_unsafe, "find.py", "spec.loader.exec_module(module)"),
        (prints, "bars.py", "print(line, file=stream)"),
    ],
)
def test_what_is_allowed_stays_allowed(rule: Rule, path: str, text: str) -> None:
    assert not rule(Path(path), text)


def test_every_storey_has_files() -> None:
    """A name in STOREYS without a file is a leftover; this also proves that FILES is not empty."""
    assert set(LEVEL) <= {unit(path) for path in FILES}
