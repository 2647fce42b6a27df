"""Exercise 14: a module of your own, counting, Xavier's width, freezing, sharing."""

import torch

from scratchnet import nn, optim
from scratchnet.course import drawn, task
from scratchnet.course.calls import names_in


def what_the_module_knows(Stretch):
    layer = Stretch(3)
    facts = {"its parameters and their shapes": {name: tuple(p.shape) for name, p in sorted(layer.named_parameters())}}
    x = drawn(torch.arange(6.0).reshape(2, 3))
    facts["its output at the start for x = 0 to 5 in two rows"] = layer(x).detach().clone()
    facts["its output wants a gradient"] = layer(x).requires_grad
    with torch.no_grad():
        for name, start in (("gain", 2.0), ("shift", 1.0)):
            if getattr(getattr(layer, name, None), "shape", None) == (3,):
                getattr(layer, name).copy_(drawn(torch.tensor([start, start + 1, start + 2])))
    return facts | {"its output for the gain 2, 3, 4 and the shift 1, 2, 3": layer(x).detach().clone()}


@task(
    facts=what_the_module_knows,
    hints=(
        "A number is learned if it is an nn.Parameter that was assigned to self, after super().__init__().",
        "self.gain = nn.Parameter(torch.ones(features)), and likewise self.shift.",
        "forward is one line: return x * self.gain + self.shift",
    ),
)
class Stretch(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x):
        return x * self.gain + self.shift


@Stretch.mistake
class PlainTensors(nn.Module):
    """gain and shift are plain tensors, so the module does not list them and nothing will train them: wrap them in
    nn.Parameter."""

    def __init__(self, features):
        super().__init__()
        self.gain, self.shift = torch.ones(features), torch.zeros(features)

    def forward(self, x):
        return x * self.gain + self.shift


@Stretch.mistake
class Unprepared(nn.Module):
    """The first line of __init__ must be super().__init__(): it makes the list that the parameters are written into."""

    def __init__(self, features):
        self.gain = nn.Parameter(torch.ones(features))

    def forward(self, x):
        return x * self.gain


@Stretch.mistake
class InAList(nn.Module):
    """A Python list hides the parameters in it. Give each an attribute of its own: self.gain and self.shift."""

    def __init__(self, features):
        super().__init__()
        self.numbers = [nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))]

    def forward(self, x):
        return x * self.numbers[0] + self.numbers[1]


@Stretch.mistake
class StartsSwapped(Stretch.solution):
    """gain starts as zeros and shift as ones, so every output is 1 at the start. A layer should begin by changing nothing: gain
    1, shift 0."""

    def __init__(self, features):
        super().__init__(features)
        self.gain, self.shift = self.shift, self.gain


@Stretch.mistake
class OneForAll(Stretch.solution):
    """gain and shift are one number each. Every feature has its own: torch.ones(features), torch.zeros(features)."""

    def __init__(self, features):
        super().__init__(1)


@Stretch.mistake
class ShiftForgotten(Stretch.solution):
    """shift is learned but not used: x * self.gain + self.shift."""

    def forward(self, x):
        return x * self.gain


@Stretch.mistake
class ShiftedFirst(Stretch.solution):
    """The shift was added before the gain, so it is stretched too: x * gain first, then + shift."""

    def forward(self, x):
        return (x + self.shift) * self.gain


def three_counts(count):
    frozen = nn.Sequential(nn.Linear(10, 5), nn.Linear(5, 2))
    frozen[0].requires_grad_(False)
    shared = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    shared[1].weight = shared[0].weight
    return {
        "Linear(10, 5) and Linear(5, 2), the first one frozen": count(frozen),
        "two Linear(5, 5) with one weight between them": count(shared),
    }


@task(
    facts=three_counts,
    hints=(
        "model.parameters() yields each parameter once, even a shared one. How many numbers does one hold?",
        "A frozen parameter has requires_grad False.",
        "sum(p.numel() for p in model.parameters() if p.requires_grad)",
    ),
)
def count(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@count.mistake
def frozen_too(model):
    """Frozen parameters were counted too. Training does not change them: leave out those with requires_grad False."""
    return sum(p.numel() for p in model.parameters())


@count.mistake
def tensors(model):
    """That is how many tensors there are. numel() says how many numbers each of them holds."""
    return sum(1 for p in model.parameters() if p.requires_grad)


@count.mistake
def shared_twice(model):
    """The shared weight was counted in each of its layers. model.parameters() and named_parameters() yield it once;
    state_dict() and a walk through the layers do not know."""
    return sum(p.numel() for layer in model.children() for p in layer.parameters() if p.requires_grad)


@count.mistake
def first_axis_only(model):
    """len(p) is the size of the first axis. numel() is the product of all sizes."""
    return sum(len(p) for p in model.parameters() if p.requires_grad)


@count.mistake
def weights_only(model):
    """The biases were left out. They are learned as well."""
    return sum(p.numel() for name, p in model.named_parameters() if p.requires_grad and "weight" in name)


def the_drawn_weight(xavier_):
    weight = nn.Parameter(torch.zeros(600, 1800))
    filled = xavier_(weight)
    xavier = (2 / 2400) ** 0.5
    return {
        "the standard deviation of a weight (600, 1800) over Xavier's": float(f"{filled.std().item() / xavier:.2g}"),
        "the mean of its entries over that": round(abs(filled.mean().item()) / xavier, 2),
        "it is the parameter that was given": filled is weight,
        "it still wants a gradient": weight.requires_grad,
        "it takes something from nn.init": not {"init", "xavier_normal_", "xavier_uniform_"}.isdisjoint(names_in(xavier_)),
    }


@task(
    facts=the_drawn_weight,
    hints=(
        "Xavier's standard deviation takes fan_in and fan_out; which axis of (out, in) is which?",
        "A parameter may only be written into inside `with torch.no_grad():`.",
        "fan_out, fan_in = weight.shape, then weight.normal_(0, (2 / (fan_in + fan_out)) ** 0.5) under no_grad.",
    ),
)
def xavier_(weight):
    fan_out, fan_in = weight.shape
    with torch.no_grad():
        weight.normal_(0, (2 / (fan_in + fan_out)) ** 0.5)
    return weight


@xavier_.mistake
def tracked(weight):
    """Autograd watches every parameter and refuses to let it be overwritten. Tell it to look away: with torch.no_grad()."""
    return weight.normal_(0, (2 / sum(weight.shape)) ** 0.5)


@xavier_.mistake
def variance(weight):
    """normal_ wants the standard deviation. 2 / (fan_in + fan_out) is its square, the variance: take the root."""
    with torch.no_grad():
        return weight.normal_(0, 2 / sum(weight.shape))


@xavier_.mistake
def kaiming(weight):
    """sqrt(2 / fan_in) is Kaiming's. Xavier divides by fan_in + fan_out: a compromise between forward and backward."""
    with torch.no_grad():
        return weight.normal_(0, (2 / weight.shape[1]) ** 0.5)


@xavier_.mistake
def another_tensor(weight):
    """The numbers are right, but in a new tensor; the module still holds the old one. Fill the parameter in place."""
    return nn.Parameter(torch.randn_like(weight) * (2 / sum(weight.shape)) ** 0.5)


@xavier_.mistake
def borrowed(weight):
    """The numbers are right, but nn.init drew them. The task is to do it by hand, with weight.normal_(mean, std)."""
    return nn.init.xavier_normal_(weight)


@xavier_.mistake
def for_the_uniform(weight):
    """sqrt(6 / (fan_in + fan_out)) is half the width of the uniform distribution. The standard deviation has a 2 in place of
    the 6."""
    with torch.no_grad():
        return weight.normal_(0, (6 / sum(weight.shape)) ** 0.5)


@xavier_.mistake
def one_over(weight):
    """1 / (fan_in + fan_out) under the root is too little by a factor of 2: 2 over their sum is 1 over their mean."""
    with torch.no_grad():
        return weight.normal_(0, (1 / sum(weight.shape)) ** 0.5)


@xavier_.mistake
def mean_and_std_swapped(weight):
    """normal_ takes the mean first, then the standard deviation. The numbers are around 0: normal_(0, std)."""
    with torch.no_grad():
        return weight.normal_((2 / sum(weight.shape)) ** 0.5, 0)


@xavier_.mistake
def left_at_zero(weight):
    """Nothing was filled in: weight.normal(...) and torch.normal without _ do not write into the parameter."""
    return weight


@xavier_.mistake
def frozen(weight):
    """requires_grad_(False) freezes the parameter for good. To write into it once, use torch.no_grad()."""
    weight.requires_grad_(False)
    return weight.normal_(0, (2 / sum(weight.shape)) ** 0.5)


@xavier_.mistake
def product_of_the_fans(weight):
    """The fans were multiplied: numel() is fan_in * fan_out. Xavier adds them."""
    with torch.no_grad():
        return weight.normal_(0, (2 / weight.numel()) ** 0.5)


@xavier_.mistake
def fan_out_only(weight):
    """sqrt(2 / fan_out) keeps the size of what flows backward. Xavier divides by fan_in + fan_out, for both ways."""
    with torch.no_grad():
        return weight.normal_(0, (2 / weight.shape[0]) ** 0.5)


@xavier_.mistake
def standard_normal(weight):
    """The standard deviation is 1, as normal_() draws it without arguments. Give it a mean and a standard deviation."""
    with torch.no_grad():
        return weight.normal_()


def what_training_moves(freeze):
    model = nn.Sequential()
    layers = {"body": nn.Linear(3, 4), "dropout": nn.Dropout(0.5), "antibody": nn.Linear(4, 4), "head": nn.Linear(4, 2)}
    for name, layer in layers.items():
        model.add_module(name, layer)
    facts = {}
    for frozen in ("body", "head.w"):
        freeze(model, frozen)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(5, 3)).square().mean().backward()
        optimizer.step()
        moved = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
        facts[f"what a step of training moves after freeze(model, {frozen!r})"] = moved
        for parameter in model.parameters():
            parameter.requires_grad_(True)
            parameter.grad = None
    return facts | {"the model still trains": model.training}


@task(
    facts=what_training_moves,
    hints=(
        "model.named_parameters() yields each name with its parameter.",
        "name.startswith(...) tells which ones are meant. The parameter has a method for the rest.",
        "for key, parameter in model.named_parameters(): if key.startswith(name): parameter.requires_grad_(False)",
    ),
)
def freeze(model, name):
    for key, parameter in model.named_parameters():
        if key.startswith(name):
            parameter.requires_grad_(False)


@freeze.mistake
def attribute_of_the_module(model, name):
    """Everything still trains: no parameter was frozen. No parameter is called "body", their names begin so; `requires_grad =
    False` on a module only gives it an attribute, and so does a misspelt name on a parameter. Set it on the parameters
    themselves, or call parameter.requires_grad_(False)."""
    model.requires_grad = False


@freeze.mistake
def eval_mode(model, name):
    """eval() changes how layers such as dropout compute; it stops no gradient. To freeze, use requires_grad_(False)."""
    model.eval()


@freeze.mistake
def the_module_of_that_name(model, name):
    """A module has the name "head", a parameter "head.weight". The task asks for all parameters whose name *begins with* the
    given text, "head.w" too: walk through model.named_parameters()."""
    getattr(model, name).requires_grad_(False)


@freeze.mistake
def contained(model, name):
    """`in` finds the text anywhere: "antibody" contains "body" as well. key.startswith(name) asks how a name begins."""
    for key, parameter in model.named_parameters():
        if name in key:
            parameter.requires_grad_(False)


@freeze.mistake
def the_others(model, name):
    """The others were frozen: freeze those whose name begins with `name`."""
    for key, parameter in model.named_parameters():
        if not key.startswith(name):
            parameter.requires_grad_(False)


@freeze.mistake
def everything(model, name):
    """Every parameter was frozen: ask of each whether its name begins with `name`."""
    model.requires_grad_(False)


class WordModel(nn.Module):
    """A table of words and a head back to words, not yet tied."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(6, 3), nn.Linear(3, 6, bias=False)

    def forward(self, tokens):
        return self.head(self.embed(tokens))


def what_is_shared(tie):
    model = WordModel()
    embedding = model.embed.weight
    tie(model)
    facts = {
        "how many numbers the parameters hold": sum(p.numel() for p in model.parameters()),
        "head and table are equal": torch.equal(model.head.weight, model.embed.weight),
        "the table is still its own Parameter": model.embed.weight is embedding,
    }
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model(drawn(torch.tensor([0, 1, 1]))).square().sum().backward()
    optimizer.step()
    return facts | {"they are still equal after a step of training": torch.equal(model.head.weight, model.embed.weight)}


@task(
    facts=what_is_shared,
    hints=(
        "Sharing is not copying: afterwards there must be one Parameter with two names.",
        "An assignment `a.weight = b.weight` gives the second module the very same Parameter.",
        "model.head.weight = model.embed.weight",
    ),
)
def tie(model):
    model.head.weight = model.embed.weight


@tie.mistake
def copied(model):
    """The numbers were copied: they are equal now, but each weight gets its own gradient and
    goes its own way. Assign the Parameter itself."""
    with torch.no_grad():
        model.head.weight.copy_(model.embed.weight)


@tie.mistake
def same_memory(model):
    """Through .data, or through nn.Parameter(model.embed.weight), the two share memory, but they are still two parameters:
    counted twice, each with its own gradient, and each step writes into the same numbers. Assign the Parameter itself."""
    model.head.weight.data = model.embed.weight.data


@tie.mistake
def the_other_way(model):
    """They are tied, but the table now has the head's numbers. The head is to use the weight of the table:
    model.head.weight = model.embed.weight."""
    model.embed.weight = model.head.weight


@tie.mistake
def whole_module(model):
    """The head was replaced by the table: a module with its forward, which looks words up and does not multiply. Share the
    weight only."""
    model.head = model.embed


@tie.mistake
def untouched(model):
    """Nothing has changed in the model: `==` compares, and `return` hands back. Assign: model.head.weight =
    model.embed.weight."""
    return model.embed.weight


@tie.mistake
def plain_tensor(model):
    """clone() and .data give a plain tensor, and the place of a Parameter takes only a Parameter. Assign the one of the table
    itself."""
    model.head.weight = model.embed.weight.clone()
