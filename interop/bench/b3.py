"""B3 by the usual Python tools: seconds per series for robust z, CUSUM, change points and STL.

Prints JSON. The series are few; what all 480,000 would take is the product, said as such.
"""

import json
import sys
import time

import numpy as np

MONTHS = 180
SERIES = int(sys.argv[1]) if len(sys.argv) > 1 else 40


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
    """Adams and MacKay 2007 with numpy, without pruning."""
    from scipy.special import gammaln

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


def timed(work, items):
    start = time.perf_counter()
    for item in items:
        work(item)
    return (time.perf_counter() - start) / len(items)


rng = np.random.default_rng(1)
all_series = [series(rng) for _ in range(SERIES)]
scores = [robust_z(v) for v in all_series]
report = {
    "series_measured": SERIES,
    "seconds_per_series": {
        "robust_z": timed(robust_z, all_series),
        "cusum": timed(cusum, scores),
        "bocpd": timed(bocpd, scores),
    },
}
try:
    from statsmodels.tsa.seasonal import STL

    report["seconds_per_series"]["stl"] = timed(lambda v: STL(np.log(v), period=12).fit(), all_series)
except ImportError:
    report["stl"] = "statsmodels is not installed"
per_series = sum(report["seconds_per_series"][k] for k in ("robust_z", "cusum", "bocpd"))
report["seconds_for_480000_on_2_cores_extrapolated"] = per_series * 480_000 / 2
print(json.dumps(report))
