"""The sample incident in an account of moto: the network, its flow log and what the flow log delivered.

    incident.py ENDPOINT ACCOUNT REGION cloudwatch|s3|s3-remade SAMPLE_FOLDER OUT_FOLDER

The ids are moto's own, and the times are moved to end a few minutes ago, because CloudWatch Logs refuses old events. The
records as delivered are also written below OUT_FOLDER, as AWS delivers them to S3. Prints one JSON object: credentials of
the account, the name of the log group or bucket, the first and last second, and the moto id of every id in the sample.
"""

import calendar
import gzip
import json
import pathlib
import re
import sys
import time

import boto3

FIVE_MINUTES = 300
# 2026-11-20T16:00:00Z, where the sample's two hours end.
SAMPLE_END = 1_795_190_400
SAMPLE_LENGTH = 7200
NAME = re.compile(r"\d{12}_vpcflowlogs_[a-z0-9-]+_fl-[0-9a-f]+_(\d{8}T\d{4})Z_([0-9a-f]+)\.log\.gz")
# PutLogEvents takes 10 000 events and 1 MB, an event counted as its text and 26 bytes.
EVENTS_A_CALL = 5_000


def main(endpoint, account, region, destination, sample, out):
    connect = connection(endpoint, account, region)
    network = json.loads((pathlib.Path(sample) / "snapshot.json").read_text())
    ids = create_network(connect("ec2"), network)
    if destination == "cloudwatch":
        place = "/vpc/flow-logs"
        connect("logs").create_log_group(logGroupName=place)
        flow_log = create_flow_log(connect("ec2"), ids, account, LogGroupName=place)
    else:
        place = f"flow-logs-{account}"
        connect("s3").create_bucket(Bucket=place, CreateBucketConfiguration={"LocationConstraint": region})
        arn = f"arn:aws:s3:::{place}"
        flow_log = create_flow_log(connect("ec2"), ids, account, LogDestinationType="s3", LogDestination=arn)

    shift = int(time.time()) // FIVE_MINUTES * FIVE_MINUTES - FIVE_MINUTES - SAMPLE_END
    # A flow log that was made anew has another id than the one that delivered before it.
    author = "fl-0be40e00000000000" if destination == "s3-remade" else flow_log
    objects = delivered(sample, ids, shift, account, region, author)
    for key, lines in objects.items():
        path = pathlib.Path(out) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    if destination == "cloudwatch":
        put_events(connect("logs"), place, objects)
    else:
        for key in objects:
            connect("s3").put_object(Bucket=place, Key=key, Body=(pathlib.Path(out) / key).read_bytes())

    end = SAMPLE_END + shift
    print(json.dumps({"credentials": connect.keys, "place": place, "flow_log": flow_log, "ids": ids,
                      "first": end - SAMPLE_LENGTH, "end": end}))


def connection(endpoint, account, region):
    """A factory of clients of that account. moto gives an account to whoever assumes a role in it."""
    sts = boto3.client("sts", endpoint_url=endpoint, region_name=region,
                       aws_access_key_id="test", aws_secret_access_key="test")
    role = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/flowcheck", RoleSessionName="fixture")
    keys = {
        "aws_access_key_id": role["Credentials"]["AccessKeyId"],
        "aws_secret_access_key": role["Credentials"]["SecretAccessKey"],
        "aws_session_token": role["Credentials"]["SessionToken"],
    }
    clients = {}

    def connect(service):
        if service not in clients:
            clients[service] = boto3.client(service, endpoint_url=endpoint, region_name=region, **keys)
        return clients[service]

    connect.keys = keys
    return connect


def create_network(ec2, network):
    """Every VPC, subnet, ACL and interface of the snapshot. Answers {id in the sample: id in moto}."""
    ids = {}
    for vpc in network["Vpcs"]:
        made = ec2.create_vpc(CidrBlock=vpc["CidrBlock"])["Vpc"]["VpcId"]
        ids[vpc["VpcId"]] = made
        for block in vpc["CidrBlockAssociationSet"]:
            if block["CidrBlock"] != vpc["CidrBlock"]:
                ec2.associate_vpc_cidr_block(VpcId=made, CidrBlock=block["CidrBlock"])
        tag(ec2, made, vpc)
    for subnet in network["Subnets"]:
        made = ec2.create_subnet(
            VpcId=ids[subnet["VpcId"]], CidrBlock=subnet["CidrBlock"], AvailabilityZone=subnet["AvailabilityZone"]
        )["Subnet"]["SubnetId"]
        ids[subnet["SubnetId"]] = made
        tag(ec2, made, subnet)
    for acl in network["NetworkAcls"]:
        ids[acl["NetworkAclId"]] = create_network_acl(ec2, acl, ids)
    for interface in network["NetworkInterfaces"]:
        made = ec2.create_network_interface(
            SubnetId=ids[interface["SubnetId"]],
            PrivateIpAddress=interface["PrivateIpAddress"],
            Ipv6Addresses=[{"Ipv6Address": own["Ipv6Address"]} for own in interface["Ipv6Addresses"]],
            Description=interface.get("Description", ""),
        )["NetworkInterface"]["NetworkInterfaceId"]
        ids[interface["NetworkInterfaceId"]] = made
        tag(ec2, made, interface, "TagSet")
    return ids


def create_network_acl(ec2, acl, ids):
    """One ACL with its numbered entries and subnets. The default ACL is there already, with its rule 100."""
    vpc = {"Name": "vpc-id", "Values": [ids[acl["VpcId"]]]}
    if acl["IsDefault"]:
        default = {"Name": "default", "Values": ["true"]}
        made = ec2.describe_network_acls(Filters=[vpc, default])["NetworkAcls"][0]
    else:
        made = ec2.create_network_acl(VpcId=ids[acl["VpcId"]])["NetworkAcl"]
    there = {(entry["Egress"], entry["RuleNumber"]) for entry in made["Entries"]}
    made = made["NetworkAclId"]
    for entry in acl["Entries"]:
        if entry["RuleNumber"] < 32767 and (entry["Egress"], entry["RuleNumber"]) not in there:
            ec2.create_network_acl_entry(NetworkAclId=made, **entry)
    if not acl["IsDefault"]:
        associate(ec2, made, {ids[one["SubnetId"]] for one in acl["Associations"]})
    if named(acl) == "app-private":
        remove_allow_all(ec2, made)
    tag(ec2, made, acl)
    return made


def associate(ec2, acl, subnets):
    """A subnet has exactly one ACL: its association is replaced, as in AWS."""
    by_subnet = {"Name": "association.subnet-id", "Values": sorted(subnets)}
    for other in ec2.describe_network_acls(Filters=[by_subnet])["NetworkAcls"]:
        for one in other["Associations"]:
            if one["SubnetId"] in subnets:
                association = one["NetworkAclAssociationId"]
                ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)


def remove_allow_all(ec2, acl):
    """The incident itself."""
    entry = {"NetworkAclId": acl, "RuleNumber": 32000, "Egress": False}
    ec2.create_network_acl_entry(**entry, Protocol="-1", RuleAction="allow", CidrBlock="0.0.0.0/0")
    ec2.delete_network_acl_entry(**entry)


def create_flow_log(ec2, ids, account, **destination):
    vpc = next(made for known, made in ids.items() if known.startswith("vpc-"))
    if "LogGroupName" in destination:
        destination["DeliverLogsPermissionArn"] = f"arn:aws:iam::{account}:role/flow-logs"
    made = ec2.create_flow_logs(
        ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", MaxAggregationInterval=60, **destination
    )
    if made.get("Unsuccessful"):
        sys.exit(f"no flow log: {made['Unsuccessful']}")
    return made["FlowLogIds"][0]


def delivered(sample, ids, shift, account, region, flow_log):
    """{key: lines} of the sample's objects, with moto's ids and at their new times."""
    objects = {}
    for path in sorted(pathlib.Path(sample).rglob("*.log.gz")):
        bucket, suffix = NAME.fullmatch(path.name).groups()
        begin = seconds(bucket) + shift
        folder = time.strftime(f"AWSLogs/{account}/vpcflowlogs/{region}/%Y/%m/%d", time.gmtime(begin))
        stamp = time.strftime("%Y%m%dT%H%MZ", time.gmtime(begin))
        key = f"{folder}/{account}_vpcflowlogs_{region}_{flow_log}_{stamp}_{suffix}.log.gz"
        with gzip.open(path, "rt") as text:
            objects[key] = [moved(line, ids, shift, account) for line in text]
    return objects


def seconds(stamp):
    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M"))


def moved(line, ids, shift, account):
    """A record of the default format of that interface, account and time; a header as it is."""
    fields = line.split()
    if fields[0] == "version":
        return line
    fields[1], fields[2] = account, ids[fields[2]]
    fields[10], fields[11] = str(int(fields[10]) + shift), str(int(fields[11]) + shift)
    return " ".join(fields) + "\n"


def put_events(logs, group, objects):
    """One stream for each interface and one event for each record, dated by its start."""
    streams = {}
    for lines in objects.values():
        for line in lines:
            fields = line.split()
            if fields[0] != "version":
                event = {"timestamp": int(fields[10]) * 1000, "message": line.rstrip("\n")}
                streams.setdefault(f"{fields[2]}-all", []).append(event)
    for stream, events in streams.items():
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events.sort(key=lambda event: event["timestamp"])
        for at in range(0, len(events), EVENTS_A_CALL):
            part = events[at : at + EVENTS_A_CALL]
            answer = logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=part)
            if answer.get("rejectedLogEventsInfo"):
                sys.exit(f"events refused: {answer['rejectedLogEventsInfo']}")


def tag(ec2, made, described, member="Tags"):
    if described.get(member):
        ec2.create_tags(Resources=[made], Tags=described[member])


def named(described):
    return next((tag["Value"] for tag in described.get("Tags", []) if tag["Key"] == "Name"), None)


main(*sys.argv[1:])
