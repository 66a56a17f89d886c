"""Pages made from the sources: `{api} MODULE NAME ...`, definitions with signature and docstring; `{parameters} notebooks`
or `{parameters} specs`, every parameter with type, default and meaning. Nothing of the package that computes is imported."""

import ast
import inspect
import re

from sphinx.util.docutils import SphinxDirective

from ditune import notebooks, parameters
from ditune.store import guard


def definitions(module: str) -> dict[str, ast.AST]:
    """The functions and classes of a module."""
    path = guard.PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return {n.name: n for n in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(n, "name")}


def fenced(text: str) -> str:
    """A docstring, its examples as code."""
    return re.sub(r"(^>>> .*?)(?=\n\n|\Z)", r"```python\n\1\n```", text, flags=re.DOTALL | re.MULTILINE)


def entry(name: str, node: ast.AST, own: str = "") -> str:
    """A definition in MyST; own: text that takes the place of a class's methods."""
    text = fenced(inspect.cleandoc(ast.get_docstring(node) or ""))
    if isinstance(node, ast.ClassDef):
        methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name[0] != "_" and n.name != "check"]
        plain = [n for n in methods if not n.decorator_list]
        inside = own or "\n\n".join(entry(n.name, n) for n in plain if ast.get_docstring(n))
        return f"::::::{{py:class}} {name}\n{text}\n\n{inside}\n::::::"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^(self|cls)(, )?", "", arguments)
    return f":::::{{py:function}} {name}({arguments}){returns}\n{text}\n:::::"


def table(rows) -> str:
    """Parameters as a definition list, which a phone can show."""
    lines = []
    for row in rows:
        default = f", default `{row.default}`" if row.default not in ("''", "") else ""
        meaning = re.sub(r"([*_{}\[\]<>$|])", r"\\\1", row.meaning)
        lines.append(f"`{row.name}` *({row.type})*{default}\n: {meaning[:1].upper()}{meaning[1:]}\n")
    return "\n".join(lines)


def specs() -> dict[str, list]:
    """The specs that the notebooks' mappings hold, each once."""
    found = {}
    for stem in notebooks.stems():
        for title, rows in parameters.of_notebook(stem).items():
            if title:
                found.setdefault(title.rpartition(" ")[2], rows)
    return dict(sorted(found.items()))


def folded(title: str, text: str, name: str = "") -> str:
    label = f":name: {name}\n" if name else ""
    return f"::::{{dropdown}} {title}\n{label}\n{text}\n::::"


class Api(SphinxDirective):
    """Definitions of a module, in the order in which they are named."""

    has_content, required_arguments, final_argument_whitespace = False, 1, True

    def run(self):
        module, *names = self.arguments[0].split()
        found = definitions(module)
        self.env.note_dependency(str(guard.PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")))
        parts = [f"```{{py:currentmodule}} {module}\n```", f"Module `{module}`:", *(entry(name, found[name]) for name in names)]
        return self.parse_text_to_nodes("\n\n".join(parts))


class Parameters(SphinxDirective):
    """The parameters of all notebooks, or the fields of all specs that these name."""

    has_content, required_arguments = False, 1

    def run(self):
        if self.arguments[0] == "specs":
            parts = [folded(name, table(rows)) for name, rows in specs().items()]
        else:
            found = {stem: parameters.of_notebook(stem)[""] for stem in notebooks.stems() if stem != "index"}
            parts = [folded(stem, table(rows)) for stem, rows in found.items()]
        return self.parse_text_to_nodes("\n\n".join(parts))


def setup(app):
    app.add_directive("api", Api)
    app.add_directive("parameters", Parameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
