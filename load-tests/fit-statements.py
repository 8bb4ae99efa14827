#!/usr/bin/env python3
"""Fits the classifier of statements (shared/memory-core/src/extract/judge.rs) and writes its two tables.

    cargo run --release -p load-tests --example statement-signs -- CASES.jsonl… > signs.jsonl
    fit-statements.py signs.jsonl [--measure] [--write]                           needs numpy and scipy

CASES are the files `extract-dev`, `extract-more` and `extract-fit-*` of shared/memory-core/testdata; never `extract-unseen`
and `extract-paraphrases`, which are there to measure. Each line of the signs is a case with its sentences. With --measure a
fifth of the writers of the files named `fit` is left out and the rest is fitted, five times: the figures printed are those of
sentences by somebody the classifier has not read. With --write all is fitted and written.

The model is a multinomial logistic regression with a quadratic penalty. A sign is there or not. Words have, besides, the mean
of their vectors (shared/embedding/table.bin), so that a word nobody used here leans as its neighbours do; for the table the
256 dimensions are multiplied out to a leaning for each act, of the commonest words. Of the signs only those are kept that
decide most (greatest weight times the root of how often), and the model is fitted again with these.
"""
import argparse, collections, json, re, struct
from pathlib import Path
import numpy as np
import scipy.sparse as sparse
from scipy.optimize import minimize

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "shared/memory-core/src/extract"
DATA = ROOT / "shared/memory-core/testdata"
MEASURED = ["extract-paraphrases.jsonl", "extract-unseen.jsonl"]
CLASSES = "preference fact change negation commitment correction none".split()
RIDGE = 3.0
SIGN_MIN = 3          # sentences in which a sign must be
SIGNS = 20000         # signs in the table
WORDS = 7000          # words in the table
WORD_GROUPS = 1000    # words that lean nearly alike are made to lean alike
ROUNDS = 12
VECTOR_SCALE = 6.0    # the penalty is to press the vectors less than single signs
UNIT, LEANING_UNIT = 16, 4  # as in judge.rs
STATE_AT = 24         # as in together.rs


def read_vectors():
    """The words of the embedding's table, commonest first, and their vectors of one length (layout: embedding/src/table.rs)."""
    table = (ROOT / "shared/embedding/table.bin").read_bytes()
    dimension, = struct.unpack("<H", table[10:12])
    tokens, beginnings, slots, ranges, folds, pool, _ = struct.unpack("<7I", table[12:40])
    at = 40 + ranges * 12 + folds * 16
    ends = np.frombuffer(table, "<u4", tokens + 1, at)
    at += 4 * (tokens + 1) + 2 * slots + 2 * tokens
    rows = np.frombuffer(table, "i1", tokens * dimension, at).reshape(tokens, dimension)[:beginnings].astype(float)
    at += tokens * dimension
    words = [table[at + ends[i]:at + ends[i + 1]].decode() for i in range(beginnings)]
    return words, rows / np.linalg.norm(rows, axis=1, keepdims=True)


def stripped(words):
    return {re.sub("['’]s$", "", word) for word in words}


def plain(said):
    return re.sub(r"\W+", " ", said.lower()).strip()


def read_cases(path):
    cases = [json.loads(line) for line in open(path, encoding="utf-8")]
    measured = {plain(json.loads(line)["say"]) for file in MEASURED for line in open(DATA / file, encoding="utf-8")}
    for case in cases:
        if plain(case["case"]["say"]) in measured:
            raise SystemExit(f"also in {' or '.join(MEASURED)}, which measure: {case['file']}: {case['case']['say']}")
        case["writer"] = re.sub(r".*extract-(.*)\.jsonl", r"\1", case["file"])
        case["wanted"] = stripped(case["wanted"])
    return cases


def sentences_of(cases):
    """(sentence, its class) for each sentence. The one meant holds most of the value's words; the others state nothing.

    What a case may be called too is for measuring only: fitted on as well, it made everything a fact.
    """
    for case in cases:
        said = case["sentences"]
        meant = max(range(len(said)), key=lambda i: (len(case["wanted"] & stripped(said[i]["said"])), i), default=None)
        for place, sentence in enumerate(said):
            yield sentence, CLASSES.index(case["case"]["category"] if place == meant else "none")


class Model:
    def __init__(self, cases, vectors, signs=SIGNS):
        words, self.rows = vectors
        self.vector_of = {word: i for i, word in enumerate(words)}
        said, classes = zip(*sentences_of(cases))
        shares = np.eye(len(CLASSES))[list(classes)]
        count = collections.Counter(sign for sentence in said for sign in set(sentence["signs"]))
        self.signs = sorted(sign for sign, n in count.items() if n >= SIGN_MIN)
        self.fit(said, shares)
        if len(self.signs) > signs:
            often = np.array([count[sign] for sign in self.signs])
            spread = self.weights - self.weights.mean(1, keepdims=True)
            decisive = np.argsort(-np.abs(spread).max(1) * np.sqrt(often), kind="stable")[:signs]
            self.signs = sorted(self.signs[i] for i in decisive)
            self.fit(said, shares)

    def matrix(self, said):
        place_of = {sign: i for i, sign in enumerate(self.signs)}
        places, ends = [], [0]
        means = np.zeros((len(said), self.rows.shape[1]))
        for n, sentence in enumerate(said):
            places += sorted(place_of[sign] for sign in set(sentence["signs"]) if sign in place_of)
            ends.append(len(places))
            known = [self.vector_of[word] for word in set(sentence["words"]) if word in self.vector_of]
            if known:
                means[n] = self.rows[known].mean(0)
        signs = sparse.csr_matrix((np.ones(len(places)), places, ends), shape=(len(said), len(self.signs)))
        return sparse.hstack([signs, sparse.csr_matrix(means * VECTOR_SCALE), np.ones((len(said), 1))]).tocsr()

    def fit(self, said, shares):
        matrix = self.matrix(said)
        turned = matrix.T.tocsr()
        penalty = np.full((matrix.shape[1], 1), RIDGE)
        penalty[-1] = 0

        def loss(flat):
            weights = flat.reshape(-1, len(CLASSES))
            score = matrix @ weights
            score -= score.max(1, keepdims=True)
            chance = np.exp(score)
            total = chance.sum(1, keepdims=True)
            value = -(shares * (score - np.log(total))).sum() + (penalty * weights * weights).sum() / 2
            return value, (turned @ (chance / total - shares) + penalty * weights).ravel()

        start = np.zeros(matrix.shape[1] * len(CLASSES))
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
        found = found.reshape(-1, len(CLASSES))
        n = len(self.signs)
        self.weights, self.vectors, self.start = found[:n], found[n:-1] * VECTOR_SCALE, found[-1]

    def tables(self, words):
        """What judge.rs reads, by sign and by word: whole numbers, of which rows that are nearly alike are made alike."""
        signs = dict(zip(self.signs + ["start"], units(np.vstack([self.weights, self.start]), UNIT)))
        common = [i for i, word in enumerate(words) if re.fullmatch("[a-z]{2,}|[ai]", word)][:WORDS]
        leanings = grouped((self.rows @ self.vectors)[common], WORD_GROUPS, LEANING_UNIT)
        return signs, {words[i]: row for i, row in zip(common, leanings)}


def units(rows, unit):
    """Whole numbers. What all classes have alike decides nothing."""
    return np.clip(np.rint((rows - rows.mean(1, keepdims=True)) * unit), -46, 47).astype(int)


def grouped(rows, count, unit):
    """Each row in units, as the centre of its group (k-means, Lloyd 1982)."""
    centres = rows[np.random.default_rng(1).choice(len(rows), min(count, len(rows)), replace=False)]
    for _ in range(ROUNDS):
        near = [((part[:, None] - centres) ** 2).sum(2).argmin(1) for part in np.array_split(rows, len(rows) // 500 + 1)]
        nearest = np.concatenate(near)
        for group in np.unique(nearest):
            centres[group] = rows[nearest == group].mean(0)
    return units(centres, unit)[nearest]


def scores(tables, sentence):
    """As judge.rs has them, in 1/16 of a logit."""
    signs, leanings = tables
    known = [leanings[word] for word in set(sentence["words"]) if word in leanings]
    total = signs["start"] + sum((signs[sign] for sign in set(sentence["signs"]) if sign in signs), np.zeros(len(CLASSES), int))
    if known:
        total = total + np.trunc(np.sum(known, 0) * (UNIT / LEANING_UNIT) / len(known)).astype(int)
    return total


def stated_as(tables, sentence):
    """What most speaks for, if it is far enough ahead of nothing."""
    score = scores(tables, sentence)
    return CLASSES[score.argmax()] if score.max() - score[-1] >= STATE_AT else "none"


def measure(tables, cases):
    """Cases found per category by the classifier alone, as it speaks where the rules find nothing; right and all statements."""
    found, all_, right, stated = collections.Counter(), collections.Counter(), 0, 0
    for case in cases:
        category = case["case"]["category"]
        accepted = {category, *case["case"].get("also", [])} - {"none"}
        said = [(stated_as(tables, s), stripped(s["whole"])) for s in case["sentences"]]
        said = [(act, words) for act, words in said if act != "none"]
        good = sum(act in accepted and case["wanted"] <= words for act, words in said)
        all_[category] += 1
        found[category] += good > 0 if category != "none" else not said
        right, stated = right + good, stated + len(said)
    return found, all_, right, stated


def show(name, figures):
    found, all_, right, stated = figures
    parts = "  ".join(f"{c} {100 * found[c] / all_[c]:.0f}" for c in CLASSES if all_[c])
    print(f"{name:10} {parts}  precision {right}/{stated} = {100 * right / stated:.1f} %", flush=True)


def write(tables):
    """The two tables: in weights.txt a line for each sign, in leanings.txt one for all words that lean alike."""
    head = ("# {what} By load-tests/fit-statements.py of the cases in testdata (extract-dev, extract-more, extract-fit-*);\n"
            "# to fit again see there. How a line is read: judge.rs.\n")
    signs, leanings = tables
    letters = lambda row: "".join(chr(79 + unit) for unit in row)
    groups = collections.defaultdict(list)
    for word, row in sorted(leanings.items()):
        groups[letters(row)].append(word)
    texts = {
        "weights.txt": head.format(what="What each sign says of the act of a sentence.")
        + "".join(f"{letters(row)} {sign}\n" for sign, row in sorted(signs.items()) if row.any()),
        "leanings.txt": head.format(what="How words lean, from their vectors in shared/embedding (its NOTICE applies).")
        + "".join(f"{row} {' '.join(words)}\n" for row, words in sorted(groups.items())),
    }
    for name, text in texts.items():
        (CORE / name).write_text(text, encoding="utf-8")
        print(name, len(text.encode()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signs")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--without", nargs="*", default=[], help="writers who are left out of what is written, to measure on them")
    arguments = parser.parse_args()
    cases, vectors = read_cases(arguments.signs), read_vectors()
    writers = sorted({case["writer"] for case in cases if case["writer"].startswith("fit")})
    sums = [collections.Counter(), collections.Counter(), 0, 0]
    for fifth in range(5) if arguments.measure else []:
        left_out = writers[fifth::5]
        tables = Model([case for case in cases if case["writer"] not in left_out], vectors).tables(vectors[0])
        for writer in left_out:
            figures = measure(tables, [case for case in cases if case["writer"] == writer])
            show(writer, figures)
            sums = [one + other for one, other in zip(sums, figures)]
    if arguments.measure:
        show("all", sums)
    if arguments.write:
        write(Model([case for case in cases if case["writer"] not in arguments.without], vectors).tables(vectors[0]))


if __name__ == "__main__":
    main()
