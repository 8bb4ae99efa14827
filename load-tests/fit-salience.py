#!/usr/bin/env python3
"""Fits the weights of salience (Weights in shared/memory-core/src/rules.rs).

usage: fit-salience.py SIGNS.jsonl [--ridge 3] [--keep 75]        needs numpy and scipy

SIGNS is what `cargo run --release -p load-tests --example salience -- DATA.json --signs SIGNS.jsonl` writes: a line for
each turn with its parts and whether a question names it as its evidence. Prints how well the turns are told apart, with
the weights as they are and leaving out one conversation at a time, then weights for all of them and the threshold that
keeps so many percent. The likelihood is that of a logistic regression; no part weighs less than nothing, and small talk
only takes off. What is explicit, about safety or felt is too rare in such data, or too common in praise, to be fitted:
those weights are set by hand and left as they are.
"""
import argparse, json
import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

FITTED = "disclosure concreteness answer substance small_talk".split()
MEDIAN = 400                           # where the middle of the gold turns shall be


def fit(rows, gold, ridge):
    scale = rows.std(0) + 1e-9
    rows = rows / scale

    def loss(w):
        score = rows @ w[1:] + w[0]
        rest = 1 / (1 + np.exp(-score)) - gold
        value = (np.logaddexp(0, score) - gold * score).sum() + ridge * w[1:] @ w[1:]
        return value, np.r_[rest.sum(), rows.T @ rest + 2 * ridge * w[1:]]

    bounds = [(None, None)] + [(None, 0) if name == "small_talk" else (0, None) for name in FITTED]
    return minimize(loss, np.zeros(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B").x[1:] / scale


def auc(score, gold):
    n, m = gold.sum(), len(gold) - gold.sum()
    return (rankdata(score)[gold > 0].sum() - n * (n + 1) / 2) / (n * m)


def best_half(score, gold):
    return 100 * gold[np.argsort(-score, kind="stable")[:len(gold) // 2]].sum() / gold.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signs")
    parser.add_argument("--ridge", type=float, default=3)
    parser.add_argument("--keep", type=float, default=75)
    arguments = parser.parse_args()
    data = {}
    for line in open(arguments.signs, encoding="utf-8"):
        turn = json.loads(line)
        if turn["user"]:
            data.setdefault(turn["conversation"], []).append(
                ([turn["parts"][name] for name in FITTED], turn["gold"], turn["total"]))
    data = {name: [np.array(column, float) for column in zip(*turns)] for name, turns in data.items()}
    print(f"{'':16}  as it is        leaving it out   (AUC, % of the evidence in the best half)")
    figures = []
    for left_out, (rows, gold, total) in data.items():
        others = [data[name] for name in data if name != left_out]
        weights = fit(np.concatenate([o[0] for o in others]), np.concatenate([o[1] for o in others]), arguments.ridge)
        figures.append([auc(total, gold), best_half(total, gold), auc(rows @ weights, gold), best_half(rows @ weights, gold)])
        print(f"{left_out:16}  {figures[-1][0]:.3f} {figures[-1][1]:5.1f}     {figures[-1][2]:.3f} {figures[-1][3]:5.1f}")
    mean = np.mean(figures, 0)
    print(f"{'mean':16}  {mean[0]:.3f} {mean[1]:5.1f}     {mean[2]:.3f} {mean[3]:5.1f}")
    rows, gold = (np.concatenate([d[k] for d in data.values()]) for k in (0, 1))
    weights = fit(rows, gold, arguments.ridge)
    score = rows @ weights
    score_scale = MEDIAN / np.median(score[gold > 0])
    for name, weight in zip(FITTED, np.round(np.abs(weights) * score_scale * 1000)):
        print(f"{name}: {weight:.0f},")
    print(f"keeping {arguments.keep:.0f} %: {np.percentile(score * score_scale, 100 - arguments.keep):.0f} (without the parts that are set by hand)")


if __name__ == "__main__":
    main()
