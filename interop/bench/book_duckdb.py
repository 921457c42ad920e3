"""The national dependency books (GeoDep C1 to C4) of all importers, by DuckDB."""

import common

args = common.arguments(__doc__)
try:
    import duckdb
except ImportError:
    common.missing("duckdb")

COLUMNS = ("{'t': 'USMALLINT', 'i': 'USMALLINT', 'j': 'USMALLINT', 'k': 'UINTEGER', "
           "'v': 'DOUBLE', 'q': 'DOUBLE'}")

BOOK = f"""
WITH imports AS (
    SELECT t, j, k, count(*) AS rows_read, sum(v) AS m, sum(v * v) AS m2, sum(q) AS w, sum(q * q) AS w2
    FROM trade GROUP BY t, j, k),
exports AS (SELECT t, i, k, sum(v) AS x FROM trade GROUP BY t, i, k),
world AS (SELECT t, k, sum(x * x) / (sum(x) * sum(x)) AS world_hhi FROM exports GROUP BY t, k),
judged AS (
    SELECT imports.t, imports.j, imports.k, rows_read, m2 / (m * m) AS hhi, CASE WHEN w > 0 THEN w2 / (w * w) END AS hhi_weight,
        m2 / (m * m) > {common.HHI} AS c1, world_hhi > {common.HHI} AS c2,
        CASE WHEN x > 0 THEN m / x ELSE {common.WITHOUT_EXPORTS} END > {common.RATIO} AS c3
    FROM imports LEFT JOIN exports ON imports.t = exports.t AND imports.j = exports.i AND imports.k = exports.k
    JOIN world ON imports.t = world.t AND imports.k = world.k
    WHERE m > 0)
"""

# `judged` is kept, because both the list and the sums are read from it, as the other engines do.
KEEP = "CREATE OR REPLACE TEMP TABLE judged AS " + BOOK + " SELECT * FROM judged"
TOTALS = f"""
SELECT t, sum(rows_read)::BIGINT, count(*), sum(hhi), count(hhi_weight), sum(hhi_weight),
    count(*) FILTER (c1), count(*) FILTER (hhi_weight > {common.HHI}), count(*) FILTER (c2),
    count(*) FILTER (c3), count(*) FILTER (c1 AND c2 AND c3)
FROM judged GROUP BY t ORDER BY t
"""
DEPENDENT = f"""
SELECT j, k, count(*) AS years, arg_max(hhi, t) AS hhi FROM judged WHERE c1 AND c2 AND c3
GROUP BY j, k HAVING count(*) >= {common.YEARS_NEEDED} ORDER BY j, k
"""
NAMES = ["year", "rows", "groups", "hhi_sum", "weight_groups", "hhi_weight_sum", "c1", "c1_weight", "c2", "c3", "all"]

database = duckdb.connect()
database.execute(f"SET threads = {args.threads}")
database.execute("SET preserve_insertion_order = false")


def source(files):
    return (f"SELECT t, i, j, k, v, q FROM read_csv({files!r}, header = true, auto_detect = false, "
            f"delim = ',', quote = '', escape = '', nullstr = 'NA', columns = {COLUMNS})")


if args.input == "memory":
    database.execute("CREATE TABLE trade AS SELECT t, i, j, k, v::FLOAT::DOUBLE AS v, q::FLOAT::DOUBLE AS q "
                     f"FROM ({source(args.files)})")


def run():
    if args.input == "csv":
        database.execute("CREATE OR REPLACE TEMP TABLE trade AS " + source(args.files))
    database.execute(KEEP)
    totals = database.execute(TOTALS).fetchall()
    dependent = database.execute(DEPENDENT).fetchall()
    return {
        "years": [dict(zip(NAMES, row)) for row in totals],
        "dependent": len(dependent),
        "dependent_hhi_sum": sum(row[3] for row in dependent),
    }


common.measure(f"duckdb {duckdb.__version__} {args.input}", args.threads, args.runs, run)
