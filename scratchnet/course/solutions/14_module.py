"""Exercise 14: a module of your own, counting, Xavier's width, freezing, sharing."""

import torch

from scratchnet import nn, optim
from scratchnet.course import task


def what_the_module_knows(Stretch):
    layer = Stretch(3)
    facts = {"the names of its parameters": [name for name, _ in layer.named_parameters()]}
    x = torch.arange(6.0).reshape(2, 3)
    facts["its output at the start for x = 0 to 5 in two rows"] = layer(x).detach().clone()
    facts["its output wants a gradient"] = layer(x).requires_grad
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += torch.tensor([1.0, 2.0, 3.0])
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


def the_drawn_weight(xavier_):
    weight = nn.Parameter(torch.zeros(100, 300))
    filled = xavier_(weight)
    return {
        "the standard deviation of a weight (100, 300), to two digits": round(filled.std().item(), 2),
        "the mean of its entries, to two digits": round(abs(filled.mean().item()), 2),
        "it is the parameter that was given": filled is weight,
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


def what_training_moves(freeze):
    model = nn.Sequential()
    for name, layer in (("body", nn.Linear(3, 4)), ("dropout", nn.Dropout(0.5)), ("head", nn.Linear(4, 2))):
        model.add_module(name, layer)
    freeze(model, "body")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(5, 3)).square().mean().backward()
    optimizer.step()
    moved = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    return {"what a step of training moves after freeze(model, 'body')": moved, "the model still trains": model.training}


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
    """requires_grad was set on the module, which only gives it an attribute. Set it on its parameters, or call the module's
    method requires_grad_(False)."""
    getattr(model, name).requires_grad = False


@freeze.mistake
def eval_mode(model, name):
    """eval() changes how layers such as dropout compute; it stops no gradient. To freeze, use requires_grad_(False)."""
    model.eval()


class WordModel(nn.Module):
    """A table of words and a head back to words, not yet tied."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(6, 3), nn.Linear(3, 6, bias=False)

    def forward(self, tokens):
        return self.head(self.embed(tokens))


def what_is_shared(tie):
    model = WordModel()
    tie(model)
    facts = {
        "how many numbers the parameters hold": sum(p.numel() for p in model.parameters()),
        "head and table are equal": torch.equal(model.head.weight, model.embed.weight),
    }
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor([0, 1, 1])).square().sum().backward()
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
    """The numbers were copied: they are equal now, but each weight gets its own gradient and goes its own way. Assign the
    Parameter itself."""
    with torch.no_grad():
        model.head.weight.copy_(model.embed.weight)


@tie.mistake
def same_memory(model):
    """Through .data the two share memory, but they are still two parameters: counted twice, each with its own gradient, and
    each step writes into the same numbers. Assign the Parameter itself."""
    model.head.weight.data = model.embed.weight.data
