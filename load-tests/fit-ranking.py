#!/usr/bin/env python3
"""Fits the weights of the ranking's signs (shared/memory-core/src/rank/weights.rs).

usage: fit-ranking.py SIGNS.jsonl [--ridge 5]        needs numpy and scipy

One line per question: {"conversation": "...", "signs": [[...], ...], "gold": [0, 1, ...]}, a row of weighted signs for
each memory of the bank (memory_core::rank::weighed) and whether it is evidence. Prints recall leaving out one
conversation at a time, with the weights as they are and as fitted, and the factor for each weight. The likelihood is
that of a multinomial logit: each gold memory against all that are not gold (so several of one question do not compete),
and each question counts as much, however many it has.
"""
import argparse, json
import numpy as np
from scipy.optimize import minimize

NAMES = "window words meaning kind rarity speaker date answers form role salience recency reinforcement".split()
FITTED = [*range(9), 10]               # role and the tie-breakers are set by hand
FIXED = [9, 11, 12]
HARD, SAMPLED = 60, 40


def candidates(signs, gold, rng):
    """The hardest rows, all gold ones and a sample of the rest, with the logarithm of what each stands for."""
    order = np.argsort(-signs.sum(1), kind="stable")
    keep = gold > 0
    keep[order[:HARD]] = True
    rest = np.flatnonzero(~keep)
    pick = rng.choice(rest, min(SAMPLED, len(rest)), replace=False)
    weight = np.ones(len(gold))
    weight[pick] = len(rest) / max(len(pick), 1)
    keep[pick] = True
    return signs[keep], gold[keep] / gold.sum(), np.log(weight[keep])


def fit(questions, ridge):
    rows = np.concatenate([q[0] for q in questions])[:, FITTED]
    fixed = np.concatenate([q[0][:, FIXED].sum(1) + q[2] for q in questions])
    gold = np.concatenate([q[1] for q in questions])
    lengths = [len(q[1]) for q in questions]
    start, owner = np.cumsum([0] + lengths[:-1]), np.repeat(np.arange(len(lengths)), lengths)
    scale = rows.std(0) + 1e-9
    rows = rows / scale

    golden = np.flatnonzero(gold)
    asked, share = owner[golden], gold[golden]

    def loss(w):
        score = rows @ w + fixed
        power = np.exp(score - np.maximum.reduceat(score, start)[owner])
        others = np.add.reduceat(np.where(gold > 0, 0, power), start)
        total = others[asked] + power[golden]
        value = share @ np.log(total / power[golden]) + ridge * w @ w
        slope = np.where(gold > 0, 0, power) * np.bincount(asked, share / total, len(start))[owner]
        slope[golden] += share * (power[golden] / total - 1)
        return value, rows.T @ slope + 2 * ridge * w

    return minimize(loss, scale, jac=True, method="L-BFGS-B").x / scale


def recall(signs, gold, factors):
    order = np.argsort(-(signs[:, FITTED] @ factors + signs[:, FIXED].sum(1)), kind="stable")
    return [100 * gold[order[:k]].sum() / gold.sum() for k in (1, 5, 10, 20)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signs")
    parser.add_argument("--ridge", type=float, default=5)
    arguments = parser.parse_args()
    rng, data = np.random.default_rng(1), {}
    for line in open(arguments.signs, encoding="utf-8"):
        question = json.loads(line)
        gold = np.array(question["gold"], float)
        if gold.any():
            signs = np.array(question["signs"], float) / 1e6
            data.setdefault(question["conversation"], []).append((signs, gold, candidates(signs, gold, rng)))
    before, after = [], []
    for left_out in data:
        factors = fit([q[2] for name in data if name != left_out for q in data[name]], arguments.ridge)
        before += [recall(s, g, np.ones(len(FITTED))) for s, g, _ in data[left_out]]
        after += [recall(s, g, factors) for s, g, _ in data[left_out]]
    print("recall@1/5/10/20 as it is        ", np.mean(before, 0).round(1))
    print("recall@1/5/10/20 leaving one out ", np.mean(after, 0).round(1))
    factors = fit([q[2] for name in data for q in data[name]], arguments.ridge)
    for place, factor in zip(FITTED, factors):
        print(f"{NAMES[place]:10} x {factor:.3f}")


if __name__ == "__main__":
    main()
