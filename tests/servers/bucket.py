"""Puts a folder into a new bucket of an S3 server: bucket.py ENDPOINT BUCKET FOLDER [PREFIX].

Credentials come from the environment. Owns nothing but the upload; what the objects mean is for the tests to know.
"""

import pathlib
import sys

import boto3
import botocore.config


def main(endpoint, bucket, folder, prefix=""):
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        config=botocore.config.Config(s3={"addressing_style": "path"}),
    )
    s3.create_bucket(Bucket=bucket)
    root = pathlib.Path(folder)
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        s3.put_object(Bucket=bucket, Key=prefix + path.relative_to(root).as_posix(), Body=path.read_bytes())


main(*sys.argv[1:])
