"""The same question asked of DuckDB: which rejected flows are replies to accepted ones, on one interface, within the
match window. Prints their number as JSON. Usage: duckdb_join.py FOLDER"""

import gzip
import json
import pathlib
import sys

import duckdb

MATCH_WINDOW = 300
NUMBERS = {"srcport", "dstport", "protocol", "start", "end", "tcp-flags"}

files = sorted(str(path) for path in pathlib.Path(sys.argv[1]).rglob("*.gz"))
with gzip.open(files[0], "rt") as first:
    columns = first.readline().split()
# Told what the columns are, it reads nothing twice.
types = {name: "BIGINT" if name in NUMBERS else "VARCHAR" for name in columns}
# A SYN without ACK is a request, where the format tells.
is_request = 'coalesce(("tcp-flags" & 18) = 2, false)' if "tcp-flags" in columns else "false"
connection = duckdb.connect()
connection.execute(
    f"""
    CREATE TEMP TABLE log AS
    SELECT "interface-id" AS interface, srcaddr, dstaddr, srcport, dstport, protocol, start, "end", action,
           {is_request} AS is_request
    FROM read_csv({files}, delim = ' ', header = true, quote = '', escape = '', nullstr = '-', auto_detect = false,
                  columns = {types})
    WHERE "log-status" = 'OK'
    """
)
(replies,) = connection.execute(
    f"""
    SELECT count(*) FROM (
        SELECT DISTINCT reply.interface, reply.srcaddr, reply.dstaddr, reply.srcport, reply.dstport, reply.protocol
        FROM log AS reply JOIN log AS request
          ON request.interface = reply.interface AND request.protocol = reply.protocol
         AND request.srcaddr = reply.dstaddr AND request.dstaddr = reply.srcaddr
         AND request.srcport = reply.dstport AND request.dstport = reply.srcport
         AND request.start <= reply."end" + {MATCH_WINDOW} AND reply.start <= request."end" + {MATCH_WINDOW}
        WHERE reply.action = 'REJECT' AND request.action = 'ACCEPT' AND NOT reply.is_request
    )
    """
).fetchone()
print(json.dumps({"rejected_conversations": replies}))
