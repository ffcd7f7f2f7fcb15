"""Where the code can be changed, and to what.

A change replaces one piece of a file: a bound, a condition, an operator, a number, a statement. What no test of
behaviour can notice is left out by rule: texts, docstrings, annotations, ``__repr__``, log lines, assertions,
decorators, options of a class, and sizes that are said to be about right (``memory_bytes``).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "detectors/state",
    "detectors/intake",
    "detectors/intake/rules",
    "detectors/cases",
    "detectors/verdict",
    "detectors/scoring",
    "streams/ingest",
    "streams/ingest/mapping",
    "streams/ingest/rules",
    "streams/codecs",
    "streams/targets",
    "streams/state",
)
"""Folders whose files are changed."""

COMPARISONS: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
}
OPERATORS: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(),
    ast.Mod: ast.FloorDiv(),
    ast.Pow: ast.Mult(),
    ast.LShift: ast.RShift(),
    ast.RShift: ast.LShift(),
    ast.BitAnd: ast.BitOr(),
    ast.BitOr: ast.BitAnd(),
    ast.BitXor: ast.BitAnd(),
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}

UNNOTICED_FUNCTIONS = ("__repr__", "__str__", "memory_bytes", "_options")
"""What is shown, how much memory is held about, and how a library is tuned."""
UNNOTICED_ARGUMENTS = ("strict",)
"""Of ``zip``: that columns are equally long is asserted, as by an ``assert``."""
LOGS = ("log", "_log", "logger", "_logger")


@dataclass(frozen=True, slots=True)
class Site:
    """One change: what stands at bytes ``start`` to ``end`` of a file is replaced."""

    path: str
    line: int
    start: int
    end: int
    replacement: str
    what: str
    """kind of change, in a word or two"""
    name: str | None = None
    """constant that it changes, or function whose default: it takes effect where the name is used, not on its line"""
    body: bool = True
    """whether it is in a function, and not run at import alone"""

    @property
    def package(self) -> str:
        """The folder of the file."""
        return self.path.rpartition("/")[0]

    def applied(self, source: bytes) -> bytes:
        """The file with the change."""
        return source[: self.start] + self.replacement.encode() + source[self.end :]


def sites_of(root: Path) -> list[Site]:
    """All changes of all files of PACKAGES, in order."""
    paths = sorted(path for package in PACKAGES for path in (root / package).glob("*.py"))
    return [site for path in paths for site in changes(path.relative_to(root).as_posix(), path.read_bytes())]


def changes(path: str, source: bytes) -> list[Site]:
    """All changes of one file.

    >>> [(site.what, site.applied(b"def f(a): return a < 3")) for site in changes("f.py", b"def f(a): return a < 3")]
    [('bound', b'def f(a): return a <= 3'), ('number', b'def f(a): return a < 4')]
    """
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda site: (site.start, site.end, site.replacement))


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes) -> None:
        self.found: list[Site] = []
        self._path = path
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._depth = 0
        self._name: str | None = None

    # ---------------------------------------------------------------- what is left out

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:  # ast's own name
        if node.name in UNNOTICED_FUNCTIONS:
            return
        self._depth += 1
        before, self._name = self._name, node.name
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self._name = before
        for statement in node.body:
            self.visit(statement)
        self._depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # ast's own name

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # ast's own name
        protocol = any("Protocol" in ast.unparse(base) for base in node.bases)
        for statement in () if protocol else node.body:
            self.visit(statement)

    def visit_Assert(self, node: ast.Assert) -> None:  # ast's own name
        """An assertion states what cannot be otherwise."""

    def visit_Raise(self, node: ast.Raise) -> None:  # ast's own name
        """What an exception says is text."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:  # ast's own name
        """Text."""

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in UNNOTICED_ARGUMENTS:
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:  # ast's own name
        self._assigned(node, [node.target], node.value)

    def visit_Assign(self, node: ast.Assign) -> None:  # ast's own name
        self._assigned(node, node.targets, node.value)

    def _assigned(self, node: ast.stmt, targets: list[ast.expr], value: ast.expr | None) -> None:
        if value is None:
            return
        if self._depth and all(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
            self._replace(node, "pass", "assignment removed")
        if not self._depth:
            if _is_type(value):
                return
            self._name = targets[0].id if isinstance(targets[0], ast.Name) else None
        self.visit(value)
        if not self._depth:
            self._name = None

    # ---------------------------------------------------------------- what is changed

    def visit_Compare(self, node: ast.Compare) -> None:  # ast's own name
        self.generic_visit(node)
        for place, operator in enumerate(node.ops):
            ops = [*node.ops[:place], COMPARISONS[type(operator)], *node.ops[place + 1 :]]
            what = "bound" if isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE) else "comparison"
            self._replace(node, ast.Compare(node.left, ops, node.comparators), what)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:  # ast's own name
        self.generic_visit(node)
        self._replace(node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values), "and/or")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:  # ast's own name
        self.generic_visit(node)
        what = "not" if isinstance(node.op, ast.Not) else "sign"
        self._replace(node, node.operand, what)

    def visit_BinOp(self, node: ast.BinOp) -> None:  # ast's own name
        self.generic_visit(node)
        if type(node.op) in OPERATORS:
            self._replace(node, ast.BinOp(node.left, OPERATORS[type(node.op)], node.right), "operator")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:  # ast's own name
        self.visit(node.value)
        if type(node.op) in OPERATORS:
            self._replace(node, ast.AugAssign(node.target, OPERATORS[type(node.op)], node.value), "operator")
        self._replace(node, "pass", "assignment removed")

    def visit_Constant(self, node: ast.Constant) -> None:  # ast's own name
        if isinstance(node.value, bool):
            self._replace(node, repr(not node.value), "true/false")
        elif isinstance(node.value, int | float):
            # A number in a formula is another by one; a tuned constant is another if it is twice as large.
            tuned = not self._depth and node.value
            self._replace(node, repr(2 * node.value if tuned else node.value + 1), "number")

    def visit_IfExp(self, node: ast.IfExp) -> None:  # ast's own name
        self.generic_visit(node)
        for arm in (node.body, node.orelse):
            self._replace(node, arm, "condition forced")

    def visit_If(self, node: ast.If | ast.While) -> None:  # ast's own name
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        self.generic_visit(node)
        if isinstance(node.test, ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.NamedExpr):
            self._replace(node.test, ast.UnaryOp(ast.Not(), node.test), "condition negated")

    visit_While = visit_If  # noqa: N815  # ast's own name

    def visit_For(self, node: ast.For) -> None:  # ast's own name
        self.generic_visit(node)
        self._replace(node.iter, "()", "loop over nothing")

    def visit_Break(self, node: ast.Break) -> None:  # ast's own name
        self._replace(node, "continue", "break")

    def visit_Continue(self, node: ast.Continue) -> None:  # ast's own name
        self._replace(node, "break", "continue")

    def visit_Call(self, node: ast.Call) -> None:  # ast's own name
        if isinstance(node.func, ast.Name):
            if node.func.id == "cast":
                self.visit(node.args[1])
                return
            if node.func.id in NAMES:
                self._replace(node.func, NAMES[node.func.id], "min/max")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:  # ast's own name
        if isinstance(node.value, ast.Constant) or _logs(node.value):
            return
        self.generic_visit(node)
        if isinstance(node.value, ast.Call | ast.Await):
            self._replace(node, "pass", "call removed")

    # ---------------------------------------------------------------- its bytes

    def _replace(self, node: ast.expr | ast.stmt, by: str | ast.AST, what: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[node.end_lineno - 1] + node.end_col_offset
        if isinstance(by, str):
            text = by
        else:
            text = ast.unparse(ast.fix_missing_locations(by))
            if isinstance(node, ast.expr) and not isinstance(node, ast.Constant) and what != "bound":
                text = f"({text})"
        if self._source[start:end] != text.encode():
            body = bool(self._depth) and self._name is None
            site = Site(self._path, node.lineno, start, end, text, what, self._name, body)
            self.found.append(site)


def _logs(node: ast.expr) -> bool:
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id in LOGS


def _is_type(node: ast.expr) -> bool:
    """Whether a value of a module is an alias of a type: it has names in brackets, or alternatives."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return True
    return isinstance(node, ast.Subscript)
