"""The Model2Vec recipe, in numpy: what a sentence encoder says about each token alone, made small.

Every token of the vocabulary goes through the encoder by itself, as `[CLS] token [SEP]`; the mean of the three outputs
is the token's vector. PCA keeps the directions in which the tokens differ most, and a weight that grows with a token's
rank (smooth inverse frequency; the vocabulary is ordered by frequency) takes the place of counting. This is what
`model2vec.distill` 0.10 does with its defaults, without the gigabytes of a deep learning framework: for three positions
and six layers numpy is enough, and takes about a minute.
"""

import json
import struct

import numpy as np
from scipy.special import erf

HEADS = 12
LAYERS = 6
EPSILON = 1e-12
BATCH = 512


def read_safetensors(path):
    """Every float tensor of the file by its name."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(raw[start:end], "<f4").reshape(entry["shape"])
    return tensors


class Encoder:
    """A BERT of the shape of MiniLM-L6, for sequences that need neither padding nor a mask."""

    def __init__(self, tensors):
        self.tensors = tensors

    def linear(self, name, x):
        # One product of two matrices: a stack of small ones would not reach the fast path.
        flat = x.reshape(-1, x.shape[-1]) @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]
        return flat.reshape(*x.shape[:-1], -1)

    def layer_norm(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(EPSILON))
        return scaled * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def attention(self, name, x):
        batch, length, width = x.shape
        size = width // HEADS

        def heads(part):
            return self.linear(f"{name}.self.{part}", x).reshape(batch, length, HEADS, size).swapaxes(1, 2)

        scores = heads("query") @ heads("key").swapaxes(2, 3) / np.float32(np.sqrt(size))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ heads("value")).swapaxes(1, 2).reshape(batch, length, width)
        return self.linear(f"{name}.output.dense", mixed)

    def mean(self, ids):
        """The mean of the last layer over all positions, for a batch of sequences of one length."""
        x = (
            self.tensors["embeddings.word_embeddings.weight"][ids]
            + self.tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + self.tensors["embeddings.token_type_embeddings.weight"][0]
        )
        x = self.layer_norm("embeddings.LayerNorm", x)
        for index in range(LAYERS):
            name = f"encoder.layer.{index}"
            x = self.layer_norm(f"{name}.attention.output.LayerNorm", x + self.attention(f"{name}.attention", x))
            inner = self.linear(f"{name}.intermediate.dense", x)
            inner = inner * (1 + erf(inner / np.float32(np.sqrt(2)))) / 2
            x = self.layer_norm(f"{name}.output.LayerNorm", x + self.linear(f"{name}.output.dense", inner))
        return x.mean(1)


def encode(encoder, ids, first, last):
    """One vector per token id, each encoded between `first` and `last`."""
    ids = np.asarray(ids)
    parts = []
    for start in range(0, len(ids), BATCH):
        inner = ids[start : start + BATCH]
        sequence = np.stack([np.full_like(inner, first), inner, np.full_like(inner, last)], axis=1)
        parts.append(encoder.mean(sequence))
    return np.concatenate(parts).astype(np.float64)


def reduce(vectors, dimension):
    """PCA in the order of variance; the sign of each direction is that of its greatest score."""
    centred = vectors - vectors.mean(axis=0)
    covariance = centred.T @ centred / (len(vectors) - 1)
    _, directions = np.linalg.eigh(covariance)
    scores = centred @ directions[:, ::-1][:, :dimension]
    greatest = np.argmax(np.abs(scores), axis=0)
    return scores * np.sign(scores[greatest, range(dimension)])


def weights(count, coefficient):
    """Smooth inverse frequency by rank, frequencies being taken to follow Zipf's law."""
    frequency = 1 / np.arange(2, count + 2)
    frequency /= frequency.sum()
    return coefficient / (coefficient + frequency)
