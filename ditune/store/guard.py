"""What a result depends on: the closure of definitions that a function reaches, as a hash.

A record holds the hash of the code that computed it. While the hash of the code as it stands is the same, the record is
fresh. The closure starts at the functions that compute a run, and follows every name of this package: functions,
classes (whole), constants, imports in modules and in functions. It is read from the sources, so nothing is imported.

Left out is what cannot change a result: comments, docstrings, annotations, what an error says, the methods of a class
that only refuse, and where a definition stands: moving it to another module changes no hash, renaming it does.

    a.py                      b.py
    from .b import LEAST      LEAST = 3
    def run(spec):            def help(): ...
        return spec.n > LEAST

    the closure of a.run: run, LEAST; not help

Where names cannot be followed (a star import, a module used as a value, `import_module`, `eval`), `Unfollowed` says
where.
"""

import ast
import functools
import hashlib
import inspect
import json
import symtable
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
DYNAMIC = ("eval", "exec", "globals", "__import__", "import_module", "importlib.import_module", "sys.modules")
"""Names that read other names at run time, where no reader of sources can follow."""
FOREIGN = ("ditune.sandbox.calls",)
"""Modules that execute programs which are no part of the package."""
KEEPERS = tuple(f"ditune.store.{name}" for name in ("records", "backends", "kinds", "guard", "checks"))
"""They keep results and find them again, and change none: followed only from themselves."""
REFUSALS = ("check", "require")
"""Methods of a class that only refuse."""


class Unfollowed(RuntimeError):
    """The code reaches names in a way that cannot be read from the sources."""


@functools.cache
def code_hash(*functions) -> str:
    """16 hexadecimal digits that change with the code that these functions (or classes) of the package reach, as it was
    when this process first asked: a later edit does not change the code that it runs. Of a function of another package
    its own source alone is read."""
    inside = [(f.__module__, f.__qualname__) for f in functions if f.__module__.partition(".")[0] == "ditune"]
    outside = [inspect.getsource(f) for f in functions if f.__module__.partition(".")[0] != "ditune"]
    return short_hash(closure_hash(*inside) + "".join(outside)) if outside else closure_hash(*inside)


def closure_hash(*roots: tuple[str, str]) -> str:
    """The same for roots that are named by module and name, ("ditune.rewriting.train", "train_run")."""
    return short_hash(json.dumps(sorted(_entry(place) for place in closure(*roots))))


def _entry(place: tuple[str, str]) -> list:
    """A definition, with the hashes of those that it names: two of one name are told apart, wherever they stand."""
    text, reached = _definition(*place)
    return [text, sorted([name, short_hash(_definition(module, name)[0])] for module, name in reached)]


def short_hash(text: str) -> str:
    """16 hexadecimal digits that identify a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def closure(*roots: tuple[str, str]) -> set[tuple[str, str]]:
    """All definitions, (module, name), that the roots reach, themselves among them."""
    found, todo = set(), [_place(module, name) for module, name in roots]
    while todo:
        place = todo.pop()
        if place not in found:
            found.add(place)
            todo += _definition(*place)[1]
    return found


# ---- modules ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """The syntax of a module of the package."""

    name: str
    definitions: dict[str, list[ast.AST]]
    """The statements that define each name."""
    imports: dict[str, tuple[str, str | None]]
    """Where each imported name of the package is from: (module, name), of a module itself (module, None)."""
    scopes: dict[str, symtable.SymbolTable]
    """The scope of each function and class."""
    loose: tuple[int, ...]
    """The lines of statements that change something without defining a name."""


def _path(module: str) -> Path | None:
    """The file of a module of the package; None of what is no module."""
    first, *rest = module.split(".")
    path = PACKAGE.joinpath(*rest)
    files = [path / "__init__.py", path.with_suffix(".py")] if rest else [PACKAGE / "__init__.py"]
    return next((file for file in files if first == "ditune" and file.is_file()), None)


def _module(name: str) -> Module:
    path = _path(name)
    return _parsed(name, path, path.stat().st_mtime_ns)


@functools.lru_cache(None)
def _parsed(name: str, path: Path, modified: int) -> Module:
    text = path.read_text(encoding="utf-8")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    definitions, imports, loose = {}, {}, []
    for statement in _statements(ast.parse(text)):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            imports |= _imported(statement, package, name)
        elif isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            definitions.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [n for target in targets for n in ([target] if not isinstance(target, ast.Tuple) else target.elts)]
            loose += [statement.lineno for n in names if not isinstance(n, ast.Name)]
            for n in names:
                definitions.setdefault(getattr(n, "id", ""), []).append(statement)
        elif not _is_harmless(statement):
            loose.append(statement.lineno)
    scopes = {table.get_name(): table for table in symtable.symtable(text, str(path), "exec").get_children()}
    return Module(name, definitions, imports, scopes, tuple(loose))


def _statements(tree: ast.AST) -> Iterable[ast.stmt]:
    """The statements of a module, those under `if`, `try` and `with` in place of these."""
    for statement in getattr(tree, "body", ()):
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'":
            continue
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            handlers = [inner for handler in getattr(statement, "handlers", ()) for inner in _statements(handler)]
            others = ast.Module([*getattr(statement, "orelse", ()), *getattr(statement, "finalbody", ())], [])
            yield from (*_statements(statement), *handlers, *_statements(others))
        else:
            yield statement


def _is_harmless(statement: ast.stmt) -> bool:
    """Docstrings, `pass`, and the entry of kinds of runs, which says what computes them and does not."""
    call = getattr(statement, "value", None)
    entered = isinstance(call, ast.Call) and getattr(call.func, "id", "") == "register"
    return isinstance(statement, (ast.Pass, ast.Raise)) or _is_left_out(statement) or entered


def _imported(statement, package: str, where: str) -> dict[str, tuple[str, str | None]]:
    """The names of the package that an import binds."""
    if isinstance(statement, ast.Import):
        if any(alias.name.partition(".")[0] == "ditune" for alias in statement.names):
            raise Unfollowed(f"{where}, line {statement.lineno}: import with from")
        return {}
    up = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
    source = ".".join([*up, *([statement.module] if statement.module else [])])
    if source.partition(".")[0] != "ditune":
        return {}
    found = {}
    for alias in statement.names:
        if alias.name == "*":
            raise Unfollowed(f"{where}, line {statement.lineno}: a star import")
        inside = f"{source}.{alias.name}"
        found[alias.asname or alias.name] = (inside, None) if _path(inside) else (source, alias.name)
    return found


def _place(module: str, name: str) -> tuple[str, str]:
    """Where a name of a module is defined; imports are followed."""
    read = _module(module)
    if name in read.definitions:
        return module, name
    if name in read.imports and read.imports[name][1]:
        return _place(*read.imports[name])
    raise Unfollowed(f"{module} has no definition of {name!r}")


# ---- definitions -----------------------------------------------------------------------------------------------------


def _definition(module: str, name: str) -> tuple[str, list[tuple[str, str]]]:
    """The normalised syntax of a definition, and the definitions that it names."""
    path = _path(module)
    return _read(module, name, path.stat().st_mtime_ns)


@functools.lru_cache(None)
def _read(module: str, name: str, modified: int) -> tuple[str, list[tuple[str, str]]]:
    reader = _Reader(_module(module), name)
    trees = [reader.tree(statement) for statement in _module(module).definitions[name]]
    return json.dumps([name, *trees]), sorted(reader.reached)


class _Reader:
    """Reads one definition: its syntax as nested lists, and what it reaches."""

    def __init__(self, module: Module, name: str):
        if module.loose:
            raise Unfollowed(f"{module.name}, line {module.loose[0]}: a statement that changes what was defined")
        self.module, self.reached = module, set()
        nodes, scope = module.definitions[name], module.scopes.get(name)
        inside = [s for node in nodes for s in ast.walk(node) if isinstance(s, (ast.Import, ast.ImportFrom))]
        package = module.name if _path(module.name).name == "__init__.py" else module.name.rpartition(".")[0]
        of_its_own = {name: place for s in inside for name, place in _imported(s, package, module.name).items()}
        self.imports = {n: place for n, place in module.imports.items() if n not in module.definitions} | of_its_own
        self.local = _bound(scope) - of_its_own.keys() if scope else set()
        self.depth = 0

    def tree(self, node):
        """A syntax tree without docstrings and empty fields; `ast.dump` differs between versions of Python."""
        if isinstance(node, list):
            return [self.tree(item) for item in node if not _is_left_out(item)]
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, ast.Raise):
            return ["Raise", *_raised(node.exc)]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and self.is_module(node.value.id):
            return self.of_module(node)
        if isinstance(node, ast.Name):
            return ["Name", self.name(node)]
        dynamic = isinstance(node, ast.Attribute) and ast.unparse(node) in DYNAMIC
        if dynamic and self.module.name not in FOREIGN:
            raise Unfollowed(f"{self.module.name}, line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Path(__file__).with_name":
            self.whole(f"{self.module.name.rpartition('.')[0]}.{node.args[0].value.removesuffix('.py')}")
            return ["File", node.args[0].value]
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            return self.function(node)
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return [type(node).__name__, *([name, self.tree(value)] for name, value in fields)]

    def function(self, node):
        """A function: its defaults, decorators and annotations mean what their names mean around it. Annotations are
        followed, as they tell of what class an argument is, and change nothing themselves."""
        args, local = node.args, self.local
        self.local = self.local if self.depth else set()
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        for annotation in [a.annotation for a in every] + [getattr(node, "returns", None)]:
            if annotation:
                self.tree(annotation)
        around = self.tree([*args.defaults, *(d for d in args.kw_defaults if d), *getattr(node, "decorator_list", ())])
        self.local, self.depth = local, self.depth + 1
        body = self.tree(node.body)
        self.depth -= 1
        kinds = [[a.arg for a in group] for group in (args.posonlyargs, args.args, args.kwonlyargs)]
        rest = [a.arg if a else "" for a in (args.vararg, args.kwarg)]
        return [type(node).__name__, getattr(node, "name", ""), repr(kinds), repr(rest), around, body]

    def is_module(self, name: str) -> bool:
        return name in self.imports and self.imports[name][1] is None and name not in self.local

    def of_module(self, node: ast.Attribute):
        """module.name: the name alone, wherever it is defined."""
        module = self.imports[node.value.id][0]
        if node.attr == "__file__":
            self.whole(module)
            return ["Name", "__file__"]
        if _path(f"{module}.{node.attr}"):
            raise Unfollowed(f"{self.module.name}, line {node.lineno}: import {node.attr!r} from {module}")
        return ["Name", self.reach(module, node.attr)]

    def name(self, node: ast.Name) -> str:
        """The name under which what it stands for is defined."""
        name = node.id
        if name in self.local:
            return name
        if (name in DYNAMIC and self.module.name not in FOREIGN) or name == "__file__":
            raise Unfollowed(f"{self.module.name}, line {node.lineno}: {name}")
        if self.is_module(name):
            raise Unfollowed(f"{self.module.name}, line {node.lineno}: the module {name!r} used as a value")
        if name in self.imports:
            return self.reach(*self.imports[name])
        return self.reach(self.module.name, name) if name in self.module.definitions else name

    def reach(self, module: str, name: str) -> str:
        place = _place(module, name)
        if place[0] not in KEEPERS or self.module.name in KEEPERS:
            self.reached.add(place)
        return place[1]

    def whole(self, module: str):
        """Everything that a module defines: its file is run as a program."""
        self.reached |= {(module, name) for name in _module(module).definitions}


def _raised(node) -> list[str]:
    """The names of what may be raised, without what it says: an `except` goes by them."""
    if isinstance(node, (ast.BoolOp, ast.IfExp)):
        return [name for value in getattr(node, "values", [getattr(node, "body", 0)]) for name in _raised(value)]
    return [ast.unparse(node.func)] if isinstance(node, ast.Call) else [node.id] if isinstance(node, ast.Name) else []


def _bound(scope: symtable.SymbolTable) -> set[str]:
    """Names that mean something local in every scope of a definition in which they occur."""
    scopes, todo = [], [scope]
    while todo:
        scopes.append(table := todo.pop())
        todo += table.get_children()
    outside = {s.get_name() for table in scopes for s in table.get_symbols() if s.is_global()}
    return {s.get_name() for table in scopes for s in table.get_symbols() if not s.is_global()} - outside


def _is_left_out(node) -> bool:
    """Docstrings, imports (what they bind is followed), and the method that only refuses."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.FunctionDef):
        return node.name in REFUSALS and bool(node.args.args) and node.args.args[0].arg == "self"
    return isinstance(node, (ast.Import, ast.ImportFrom))
