"""Right answers to exercise 22, each in a style of its own."""

import torch
import torch.nn.functional as F


def embed_by_product__eye(ids, table):
    """Rows of the identity matrix."""
    return torch.eye(len(table))[ids] @ table


def embed_by_product__one_hot(ids, table):
    """F.one_hot and einsum."""
    return torch.einsum("bsv,vd->bsd", F.one_hot(ids, table.shape[0]).to(table.dtype), table)


def embed_by_product__compared(ids, table):
    """The ids compared with every place of the vocabulary."""
    one_hot = (ids[..., None] == torch.arange(len(table))).float()
    return torch.matmul(one_hot, table)


def embed_by_product__loops(ids, table):
    """A 1 for each word, written in loops."""
    one_hot = torch.zeros(*ids.shape, len(table))
    for b in range(ids.shape[0]):
        for s in range(ids.shape[1]):
            one_hot[b, s, ids[b, s]] = 1
    return one_hot @ table


def pad__lists(sentences, padding=0):
    """Lists that are made longer first."""
    longest = max(len(sentence) for sentence in sentences)
    return torch.tensor([sentence + [padding] * (longest - len(sentence)) for sentence in sentences])


def pad__torch(sentences, padding=0):
    """torch's pad_sequence."""
    rows = [torch.tensor(sentence) for sentence in sentences]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=padding)


def pad__ones(sentences, padding=0):
    """ones times padding, then one word after the other."""
    ids = torch.ones(len(sentences), len(max(sentences, key=len)), dtype=torch.long) * padding
    for i, sentence in enumerate(sentences):
        for j, word in enumerate(sentence):
            ids[i, j] = word
    return ids


def mean_vector__sentence_by_sentence(ids, table, padding):
    """The words of each sentence, picked by a mask."""
    return torch.stack([table[sentence[sentence != padding]].mean(dim=0) for sentence in ids])


def mean_vector__product(ids, table, padding):
    """Shares that sum to 1, times the rows."""
    shares = (ids != padding).float()
    shares = shares / shares.sum(dim=1, keepdim=True)
    return torch.bmm(shares[:, None, :], table[ids])[:, 0]


def mean_vector__filled(ids, table, padding):
    """masked_fill, then sum over count."""
    nothing = ids == padding
    rows = F.embedding(ids, table).masked_fill(nothing[:, :, None], 0)
    return rows.sum(1) / (ids.shape[1] - nothing.sum(1))[:, None]


def table_gradient__product(ids, g, size, padding):
    """The transposed one-hot rows times g."""
    one_hot = F.one_hot(ids.flatten(), size).float()
    one_hot[:, padding] = 0
    return one_hot.T @ g.reshape(-1, g.shape[-1])


def table_gradient__loop(ids, g, size, padding):
    """Place by place."""
    dtable = torch.zeros(size, g.shape[2])
    for b in range(len(ids)):
        for s in range(len(ids[b])):
            if ids[b, s] != padding:
                dtable[ids[b, s]] += g[b, s]
    return dtable


def table_gradient__index_put(ids, g, size, padding):
    """index_put_ that accumulates, with a mask in front."""
    real = ids != padding
    return torch.zeros(size, g.shape[-1]).index_put_((ids[real],), g[real], accumulate=True)


def table_gradient__autograd(ids, g, size, padding):
    """Asks torch's layer."""
    layer = torch.nn.Embedding(size, g.shape[2], padding_idx=padding)
    layer(ids).backward(g)
    return layer.weight.grad
