"""The same question asked of flowlogs-reader's records: its FlowRecord for each line, read as its S3 reader does, and its
aggregation by interface, five-tuple and action; rejected flows whose reverse was accepted are counted. It knows no match
window. Reads some of the files, evenly spread, and prints its own time as JSON. Usage: flowlogs_reader_join.py FOLDER RECORDS
"""

import csv
import gzip
import io
import json
import pathlib
import sys
import time

from flowlogs_reader import FlowRecord, aggregation

KEY = ("interface_id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "action")

folder, limit = pathlib.Path(sys.argv[1]), int(sys.argv[2])
files = sorted(folder.rglob("*.gz"))
# Gzip objects of one flow log are alike: the share of the records is that of the bytes.
with gzip.open(files[0], "rt") as first:
    lines = sum(1 for _ in first) - 1
step = max(1, len(files) * max(lines, 1) // limit)
count = 0


def records():
    global count
    for path in files[::step]:
        with gzip.open(path, "rb") as text:
            reader = csv.DictReader(io.TextIOWrapper(text, encoding="ascii"), delimiter=" ")
            reader.fieldnames = [name.replace("-", "_") for name in reader.fieldnames]
            for row in reader:
                count += 1
                yield FlowRecord(row)


begin = time.perf_counter()
flows = {tuple(flow[name] for name in KEY) for flow in aggregation.aggregated_records(records(), key_fields=KEY)}
replies = 0
for interface, srcaddr, dstaddr, srcport, dstport, protocol, action in flows:
    request = (interface, dstaddr, srcaddr, dstport, srcport, protocol, "ACCEPT")
    replies += action == "REJECT" and request in flows
seconds = time.perf_counter() - begin
print(json.dumps({"rejected_conversations": replies, "records": count, "seconds": seconds}))
