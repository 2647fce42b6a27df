"""A small change of a solution is noticed: the facts leave no room for it.

Every operator, comparison, number, keyword, last argument and call in the text of a solution is changed in turn. What still
passes is a right answer in another form, and listed.
"""

import ast
import copy

import pytest

from scratchnet import course

OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.USub: ast.UAdd,
}  # fmt: skip
EQUAL = {  # task -> changes that leave it right
    "to_array": {"t.detach().cpu() -> t.detach()"},  # no GPU here
    "scatter_add": {"0 -> -1"},  # the only axis
    "logsumexp": {"0.0 -> 1.0", "0.0 -> -1.0"},  # any finite shift
    "class_bias": {  # softmax forgets a factor, and every class occurs
        "torch.bincount(labels, minlength=classes) / len(labels) -> torch.bincount(labels, minlength=classes) * len(labels)",
        "torch.bincount(labels, minlength=classes) -> torch.bincount(labels)",
    },
    "recover": {"0 -> -1"},  # the only column
    "train_step": {"F.softmax(x @ W.T + b, dim=1) -> F.softmax(x @ W.T + b)"},  # the last axis by itself
    "both_or_none": {"2 -> 1"},  # two equal columns, or one that broadcasts
    "learn": {"150 -> 151", "150 -> 149", "2 -> 3", "1.0 -> 2.0"},  # it still learns
    "dead_share": {"(z <= 0).all(dim=0).double().mean().item() -> (z <= 0).all(dim=0).double().mean()"},
    "dropout": {"torch.rand_like(x) >= p -> torch.rand_like(x) > p"},  # p itself is never drawn
    "accuracy": {"(model(x).argmax(dim=1) == y).sum().item() -> (model(x).argmax(dim=1) == y).sum()"},  # a share all the same
    "conv2d_backward": {"2 -> 3"},  # filters are square
    "bigram_loss": {"p[new[:, 0], new[:, 1]].log().mean().item() -> p[new[:, 0], new[:, 1]].log().mean()"},
    "least_seconds": {"memory > arithmetic -> memory >= arithmetic"},  # of a tie nothing is said
    "vanishes": {"weight.float() -> weight"},  # 16 bits and float32 add up in float32
}


def changes(node):
    """Copies of a node with one thing changed."""
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.UnaryOp)) and type(node.op) in OPERATORS:
        yield _with(node, "op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare):
        yield _with(node, "ops", [OPERATORS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _with(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield _with(node, "value", node.value + 1)
        yield _with(node, "value", node.value - 1)
    elif isinstance(node, ast.Call):
        for i in range(len(node.keywords)):
            yield _with(node, "keywords", node.keywords[:i] + node.keywords[i + 1 :])
        if len(node.args) > 1:
            yield _with(node, "args", node.args[:-1])
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) not in ("torch", "np", "math", "nn"):
            yield node.func.value


def _with(node, field, value):
    changed = copy.deepcopy(node)
    setattr(changed, field, value)
    return changed


class Replace(ast.NodeTransformer):
    """Puts `new` in the place of the node with the given number, counted as ast.walk goes."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def mutants(task):
    """Pairs of what was changed and the changed function."""
    source = task.source().replace(", strict=True", "")  # no task has factors of different lengths
    for place, node in enumerate(ast.walk(ast.parse(source))):
        for new in changes(node):
            tree = ast.parse(source)
            old = list(ast.walk(tree))[place]
            change = f"{ast.unparse(old)} -> {ast.unparse(new)}"
            tree = ast.fix_missing_locations(Replace(old, new).visit(tree))
            names = dict(vars(__import__(task.solution.__module__, fromlist=[""])))
            exec(compile(tree, "<mutant>", "exec"), names)
            yield change, names[task.name]


LESSONS = [
    pytest.param(lesson, id=lesson.name, marks=() if i < 15 else pytest.mark.full)
    for i, lesson in enumerate(course.all_lessons())
]


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_small_change_of_a_solution_is_noticed(lesson):
    predictions = {task.name for task in course.tasks(lesson) if task._apart}  # computed from the question itself
    survivors = {
        task.name: {change for change, mutant in mutants(task) if task.grade(mutant) is None}
        for task in course.tasks(lesson)
        if task.name not in predictions
    }
    assert {name: left - EQUAL.get(name, set()) for name, left in survivors.items()} == dict.fromkeys(survivors, set())
