"""Right answers to exercise 02, in other styles than ours."""

import numpy as np
import torch


def shared__as_tensor(a):
    """as_tensor copies only if it must"""
    return torch.as_tensor(a)


def shared__asarray(a):
    """asarray, the name of the array API"""
    return torch.asarray(a)


def shared__dlpack(a):
    """the protocol that all array libraries share"""
    return torch.from_dlpack(a)


def own__cast_in_numpy(a):
    """astype always copies"""
    return torch.from_numpy(a.astype(np.float32))


def own__cloned(a):
    """a cast and a clone"""
    return torch.from_numpy(a).float().clone()


def own__to_with_copy(a):
    """to with copy=True"""
    return torch.as_tensor(a).to(torch.float32, copy=True)


def own__through_a_list(a):
    """a list of numbers becomes float32"""
    return torch.tensor(a.tolist(), dtype=torch.float32)


def to_array__forced(t):
    """numpy(force=True)"""
    return t.numpy(force=True)


def to_array__asarray(t):
    """np.asarray of the detached tensor"""
    return np.asarray(t.detach())


def to_array__copied(t):
    """a copy"""
    return np.array(t.detach().numpy())


def to_array__list_with_a_dtype(t):
    """a list, and the dtype named"""
    return np.array(t.tolist(), dtype=np.float32)


def dtypes__written_down():
    """names of torch"""
    return {
        "torch.tensor([0.5])": torch.float32,
        "torch.tensor(n)": torch.float64,
        "torch.from_numpy(n).float()": torch.float32,
        "t + torch.from_numpy(n)": torch.float64,
        "t * 0.5": torch.float32,
        "torch.tensor(n.tolist())": torch.float32,
    }


def dtypes__other_names():
    """float and double"""
    names = {torch.float32: torch.float, torch.float64: torch.double}
    return {expression: names[dtype] for expression, dtype in dtypes__written_down().items()}


def dtypes__run():
    """looked up in torch"""
    names = {"torch": torch, "n": np.zeros(3), "t": torch.zeros(3)}
    return {expression: eval(expression, names).dtype for expression in dtypes__written_down()}
