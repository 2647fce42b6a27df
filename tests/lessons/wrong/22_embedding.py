"""Wrong answers to exercise 22, each with words of what it must be told."""

import torch
import torch.nn.functional as F

import scratchnet


def embed_by_product__lookup(ids, table):
    """embedding"""
    return F.embedding(ids, table)


def embed_by_product__layer(ids, table):
    """embedding"""
    return torch.nn.Embedding.from_pretrained(table)(ids)


def embed_by_product__gathered(ids, table):
    """nothing was multiplied"""
    index = ids.flatten()[:, None].expand(-1, table.shape[1])
    return scratchnet.gather(table, 0, index).reshape(*ids.shape, -1)


def mean_vector__zero(ids, table, padding):
    """The argument `padding` was not used"""
    mask = ids.bool().float()
    return torch.einsum("bs,bsd->bd", mask, table[ids]) / mask.sum(1)[:, None]
