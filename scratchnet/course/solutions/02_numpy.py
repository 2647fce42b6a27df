"""Exercise 02: share on purpose, copy on purpose, leave torch, and foresee float64."""

import numpy as np
import torch

from scratchnet.course import drawn, task


def after_writing_into_the_array(shared):
    a = drawn(np.array([1.0, 2.0, 3.0]))
    t = shared(a)
    dtype = t.dtype
    a[0] = 100
    facts = {"the dtype for an array in float64": dtype, "the tensor after 100 was written into the array": t.detach().clone()}
    if dtype == torch.float64:
        t[1] = 50
    facts["the array after 50 was written into the tensor"] = a
    return facts | {"the dtype for an array of whole numbers": shared(drawn(np.array([1, 2]))).dtype}


@task(
    facts=after_writing_into_the_array,
    hints=(
        "One of the calls in the lesson has the word numpy in its name.",
        "torch.tensor copies. You want the other one, and no cast.",
        "torch.from_numpy(a)",
    ),
)
def shared(a):
    return torch.from_numpy(a)


@shared.mistake
def copied(a):
    """It is a copy, as torch.tensor and clone() always make one: what is written into the array later does not reach the
    tensor."""
    return torch.tensor(a)


@shared.mistake
def cast_by_habit(a):
    """.float() turns float64 into float32, and so does torch.Tensor(a), with a capital T. Different numbers need different
    cells, so it copied, and the sharing was lost."""
    return torch.from_numpy(a).float()


@shared.mistake
def always_double(a):
    """.double() has nothing to do for float64, but it makes a copy of whole numbers, in another dtype. Leave it out."""
    return torch.from_numpy(a).double()


@shared.mistake
def the_array_itself(a):
    """That is the array as it came. A tensor that shares its memory: torch.from_numpy(a)."""
    return a


def own_memory_of_two_arrays(own):
    facts = {}
    for dtype in (np.float64, np.float32, np.int64):
        a = drawn(np.array([1.0, 2.0, 3.0], dtype=dtype))
        t = own(a)
        facts |= {f"the dtype for an array in {a.dtype}": t.dtype}
        facts |= {f"the tensor for an array in {a.dtype}": t.clone()}
        a[0] = 100
        facts |= {f"its first number after 100 was written into the {a.dtype} array": t[0].item()}
    return facts


@task(
    facts=own_memory_of_two_arrays,
    hints=(
        "Two wishes: the dtype is float32, and the memory is its own. Which call always copies?",
        "A cast alone copies only if the dtype changes. torch.tensor takes a dtype as well.",
        "torch.tensor(a, dtype=torch.float32)",
    ),
)
def own(a):
    return torch.tensor(a, dtype=torch.float32)


@own.mistake
def trusts_the_cast(a):
    """For an array in float32, .float(), .to(...) and as_tensor have nothing to do and pass on the same memory. torch.tensor
    always copies."""
    return torch.from_numpy(a).float()


@own.mistake
def forgets_the_dtype(a):
    """The copy is in float64, as NumPy made it. A float32 layer would refuse it: name the dtype."""
    return torch.tensor(a)


@own.mistake
def rounded_down(a):
    """The dtype is int64: the digits behind the point are lost for an array of floats. The task asks for float32 always."""
    return torch.tensor(a, dtype=torch.int64)


def arrays_from_two_tensors(to_array):
    plain, tracked = drawn(torch.tensor([1.0, 2.0])), drawn(torch.tensor([3.0, 4.0], requires_grad=True))
    return {
        "the array from a plain tensor": to_array(plain),
        "the array from a tensor that wants gradients": to_array(tracked),
        "the tensor still wants gradients afterwards": tracked.requires_grad,
    }


@task(
    facts=arrays_from_two_tensors,
    hints=(
        "An array cannot hold gradients, so the tensor has to let go of them first. The lesson shows the idiom.",
        "detach() gives a second tensor without gradients; the first one keeps them.",
        "t.detach().cpu().numpy()",
    ),
)
def to_array(t):
    return t.detach().cpu().numpy()


@to_array.mistake
def without_detach(t):
    """A tensor that wants gradients refuses .numpy(): NumPy could change it unnoticed. Put .detach() before it."""
    return t.cpu().numpy()


@to_array.mistake
def through_a_list(t):
    """A list of Python numbers forgets the dtype, so NumPy chose float64; it is slow besides. Use t.detach().numpy()."""
    return np.array(t.tolist())


@to_array.mistake
def gradients_switched_off(t):
    """requires_grad_(False) and detach_() change the tensor itself: it would never learn again. detach() leaves it as it is."""
    return t.requires_grad_(False).numpy()


@to_array.mistake
def only_detached(t):
    """detach() gives a tensor without gradients, and a tensor is not yet an array: .numpy() is the last step."""
    return t.detach()


@task(
    facts=lambda dtypes: dtypes(),
    hints=(
        "NumPy's default is float64, torch's is float32, and the dtype survives the crossing.",
        "Between two tensors the wider dtype wins. A Python number takes the dtype of the tensor.",
        "A list holds Python numbers: they have forgotten that they came from NumPy, and torch chooses again.",
    ),
    reveal=False,
)
def dtypes():
    n, t = np.zeros(3), torch.zeros(3)
    return {
        "torch.tensor([0.5])": torch.tensor([0.5]).dtype,
        "torch.tensor(n)": torch.tensor(n).dtype,
        "torch.from_numpy(n).float()": torch.from_numpy(n).float().dtype,
        "t + torch.from_numpy(n)": (t + torch.from_numpy(n)).dtype,
        "t * 0.5": (t * 0.5).dtype,
        "torch.tensor(n.tolist())": torch.tensor(n.tolist()).dtype,
    }


@dtypes.mistake
def python_is_wide():
    """A Python number has 64 bits, but torch puts numbers from a list into its own default, float32."""
    return dtypes() | {"torch.tensor([0.5])": torch.float64}


@dtypes.mistake
def torch_narrows():
    """torch.tensor copies an array and keeps its dtype: NumPy made float64, and float64 it stays."""
    return dtypes() | {"torch.tensor(n)": torch.float32}


@dtypes.mistake
def left_side_decides():
    """Where two tensors meet, the wider dtype wins, whichever side it is on: float64 spreads without a word."""
    return dtypes() | {"t + torch.from_numpy(n)": torch.float32}


@dtypes.mistake
def numbers_widen():
    """A Python number takes the dtype of the tensor: t * 0.5 stays float32."""
    return dtypes() | {"t * 0.5": torch.float64}


@dtypes.mistake
def lists_remember():
    """tolist() gives plain Python numbers. They carry no dtype, so torch uses its default, float32."""
    return dtypes() | {"torch.tensor(n.tolist())": torch.float64}


@dtypes.mistake
def arrays_narrow():
    """from_numpy keeps NumPy's float64, but .float() then makes float32 of it, as its name says: float is float32 in torch."""
    return dtypes() | {"torch.from_numpy(n).float()": torch.float64}
