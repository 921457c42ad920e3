"""The national dependency books (GeoDep C1 to C4) of all importers, by Polars."""

import os

import common

args = common.arguments(__doc__)
os.environ.setdefault("POLARS_MAX_THREADS", str(args.threads))
try:
    import polars as pl
except ImportError:
    common.missing("polars")

SCHEMA = {"t": pl.UInt16, "i": pl.UInt16, "j": pl.UInt16, "k": pl.UInt32, "v": pl.Float64, "q": pl.Float64}


def read():
    return pl.concat([pl.scan_csv(file, schema=SCHEMA, null_values="NA", quote_char=None) for file in args.files])


trade = None
if args.input == "memory":
    trade = read().with_columns(pl.col("v", "q").cast(pl.Float32).cast(pl.Float64)).collect()


def run():
    rows = trade if args.input == "memory" else read().collect(engine="streaming")
    v, q = pl.col("v"), pl.col("q")
    imports = rows.lazy().group_by("t", "j", "k").agg(
        pl.len().alias("rows"), v.sum().alias("m"), (v * v).sum().alias("m2"),
        q.sum().alias("w"), (q * q).sum().alias("w2"))
    exports = rows.lazy().group_by("t", "i", "k").agg(v.sum().alias("x"))
    x = pl.col("x")
    world = exports.group_by("t", "k").agg(((x * x).sum() / (x.sum() * x.sum())).alias("world"))
    ratio = pl.when(x > 0).then(pl.col("m") / x).otherwise(common.WITHOUT_EXPORTS)
    judged = (
        imports.filter(pl.col("m") > 0)
        .join(exports, left_on=["t", "j", "k"], right_on=["t", "i", "k"], how="left")
        .join(world, on=["t", "k"])
        .with_columns(
            (pl.col("m2") / (pl.col("m") * pl.col("m"))).alias("hhi"),
            pl.when(pl.col("w") > 0).then(pl.col("w2") / (pl.col("w") * pl.col("w"))).alias("hhi_weight"))
        .select(
            "t", "j", "k", "rows", "hhi", "hhi_weight",
            (pl.col("hhi") > common.HHI).alias("c1"), (pl.col("world") > common.HHI).alias("c2"),
            (ratio > common.RATIO).alias("c3"))
        .collect(engine="streaming")
    )
    held = pl.col("c1") & pl.col("c2") & pl.col("c3")
    totals = judged.group_by("t").agg(
        pl.col("rows").sum(), pl.len().alias("groups"), pl.col("hhi").sum().alias("hhi_sum"),
        pl.col("hhi_weight").count().alias("weight_groups"), pl.col("hhi_weight").sum().alias("hhi_weight_sum"),
        pl.col("c1").sum(), (pl.col("hhi_weight") > common.HHI).sum().alias("c1_weight"),
        pl.col("c2").sum(), pl.col("c3").sum(), held.sum().alias("all")).rename({"t": "year"}).sort("year")
    dependent = (
        judged.filter(held).group_by("j", "k")
        .agg(pl.len().alias("years"), pl.col("hhi").sort_by("t").last())
        .filter(pl.col("years") >= common.YEARS_NEEDED).sort("j", "k"))
    return {
        "years": totals.to_dicts(),
        "dependent": dependent.height,
        "dependent_hhi_sum": dependent["hhi"].sum(),
    }


common.measure(f"polars {pl.__version__} {args.input}", args.threads, args.runs, run)
