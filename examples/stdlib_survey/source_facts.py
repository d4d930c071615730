"""Owns what is found out about one Python source file. Knows nothing of tasks and runs."""

from __future__ import annotations

import ast
import threading
import warnings
from collections import Counter
from typing import Final

from pydantic import BaseModel

#: Statements that make a path through a function fork.
_BRANCHES: Final = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.BoolOp, ast.match_case)
_BLOCKS: Final = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_PARSER: Final = threading.Lock()


class FunctionFacts(BaseModel):
    """One function: its place, its length in lines, and how often it forks."""

    name: str
    line: int
    lines: int
    branches: int


class SourceFacts(BaseModel):
    """One file. Where it does not parse, `problem` says why and the counts are 0."""

    path: str
    lines: int
    functions: int = 0
    classes: int = 0
    undocumented: int = 0
    deepest_nesting: int = 0
    longest_function: FunctionFacts | None = None
    most_branching_function: FunctionFacts | None = None
    imports: dict[str, int] = {}
    problem: str = ""


def examine(path: str, source: bytes) -> SourceFacts:
    """Find out what there is to say about `source`; never fails on bad source."""
    lines = source.count(b"\n") + (not source.endswith(b"\n"))
    try:
        tree = _parse(source)
    except (SyntaxError, ValueError) as error:
        return SourceFacts(path=path, lines=lines, problem=f"{type(error).__name__}: {error}")
    nodes = list(ast.walk(tree))
    defined = [node for node in nodes if isinstance(node, (*_FUNCTIONS, ast.ClassDef))]
    functions = [_function_facts(node) for node in defined if not isinstance(node, ast.ClassDef)]
    return SourceFacts(
        path=path,
        lines=lines,
        functions=len(functions),
        classes=len(defined) - len(functions),
        undocumented=sum(ast.get_docstring(node, clean=False) is None for node in defined),
        deepest_nesting=_deepest_nesting(tree),
        longest_function=max(functions, key=lambda each: each.lines, default=None),
        most_branching_function=max(functions, key=lambda each: each.branches, default=None),
        imports=dict(_imports(nodes)),
    )


def _parse(source: bytes) -> ast.Module:
    # One at a time: Python 3.11 mixes up its recursion depths when threads parse at once, and
    # warnings are switched off for the whole process.
    with _PARSER, warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.parse(source)


def _function_facts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> FunctionFacts:
    return FunctionFacts(
        name=function.name,
        line=function.lineno,
        lines=(function.end_lineno or function.lineno) - function.lineno + 1,
        branches=sum(isinstance(node, _BRANCHES) for node in ast.walk(function)),
    )


def _deepest_nesting(tree: ast.AST) -> int:
    deepest = 0
    rest: list[tuple[ast.AST, int]] = [(tree, 0)]
    while rest:
        node, depth = rest.pop()
        depth += isinstance(node, _BLOCKS)
        deepest = max(deepest, depth)
        rest.extend((child, depth) for child in ast.iter_child_nodes(node))
    return deepest


def _imports(nodes: list[ast.AST]) -> Counter[str]:
    """Count the top-level packages that a file imports."""
    found: Counter[str] = Counter()
    for node in nodes:
        match node:
            case ast.Import(names=names):
                found.update(each.name.partition(".")[0] for each in names)
            case ast.ImportFrom(module=str(module), level=0):
                found[module.partition(".")[0]] += 1
            case _:
                pass
    return found
