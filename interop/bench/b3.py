"""B3 by the usual Python tools: robust z, CUSUM, change points, STL, and z alone by Polars.

Prints one line of JSON for each: `engine`, `does`, `series` measured, `seconds_per_series` on one
thread. The series are few; what all 480,000 would take is the product, said as such.
"""

import json
import os
import sys
import time

os.environ["POLARS_MAX_THREADS"] = "1"

import numpy as np
import polars as pl
import statsmodels
from scipy.special import gammaln
from statsmodels.tsa.seasonal import STL

MONTHS = 180
SERIES = int(sys.argv[1]) if len(sys.argv) > 1 else 100


def series(rng):
    t = np.arange(MONTHS)
    return np.exp(10 + 0.2 * np.sin(2 * np.pi * t / 12) + rng.normal(0, 0.3, MONTHS))


def robust_z(v, window=36, floor=0.12):
    y = np.log(v + 1.0)
    w = np.lib.stride_tricks.sliding_window_view(y, window)[:-1]
    m = np.median(w, axis=1)
    s = np.maximum(1.4826 * np.median(np.abs(w - m[:, None]), axis=1), floor)
    return (y[window:] - m) / s


def cusum(x, k=0.5, h=5.0):
    up = down = 0.0
    out = []
    for v in x:
        if up > h or down > h:
            up = down = 0.0
        up, down = max(0.0, up + v - k), max(0.0, down - v - k)
        out.append((up, down))
    return out


def bocpd(x, lam=200.0):
    """Adams and MacKay 2007, without pruning."""
    p, mu, kappa, alpha, beta = (np.array([v]) for v in (1.0, 0.0, 1.0, 1.0, 1.0))
    out = []
    for v in x:
        nu, scale = 2 * alpha, beta * (kappa + 1) / (alpha * kappa)
        logpdf = (gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(np.pi * nu * scale)
                  - (nu + 1) / 2 * np.log1p((v - mu) ** 2 / (nu * scale)))
        joint = p * np.exp(logpdf)
        p = np.append(joint.sum() / lam, joint * (1 - 1 / lam))
        p /= p.sum()
        beta = np.append(1.0, beta + kappa * (v - mu) ** 2 / (2 * (kappa + 1)))
        mu = np.append(0.0, (kappa * mu + v) / (kappa + 1))
        kappa, alpha = np.append(1.0, kappa + 1), np.append(1.0, alpha + 0.5)
        out.append(p[:2].sum())
    return out


def all_tests(v):
    z = robust_z(v)
    cusum(z)
    bocpd(z)


def polars_z(frame, window=36, floor=0.12):
    """The deviation of each month from the rolling median: its own rolling median stands for the MAD."""
    y = (pl.col("v") + 1.0).log()
    median = y.rolling_median(window).shift(1).over("s")
    away = (y - median).abs()
    spread = (away.rolling_median(window).shift(1).over("s") * 1.4826).clip(floor)
    return frame.with_columns(((y - median) / spread).alias("z"))


def report(engine, does, count, work):
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    print(json.dumps({"engine": engine, "does": does, "series": count, "seconds_per_series": took / count}))


rng = np.random.default_rng(1)
some = [series(rng) for _ in range(SERIES)]
report(f"numpy {np.__version__}", "robust z, CUSUM and change points", SERIES, lambda: [all_tests(v) for v in some])
report(f"statsmodels {statsmodels.__version__}", "STL alone", SERIES,
       lambda: [STL(np.log(v), period=12).fit() for v in some])
many = 20 * SERIES
frame = pl.DataFrame({"s": np.repeat(np.arange(many), MONTHS), "v": np.tile(np.concatenate(some), 20)})
report(f"polars {pl.__version__}", "rolling z alone", many, lambda: polars_z(frame))
