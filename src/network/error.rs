//! What can go wrong while loading a saved configuration, and what it may turn out not to hold.

use std::path::PathBuf;

/// Why a saved configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file or directory cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The document is larger than [`MAX_DOCUMENT_BYTES`](super::MAX_DOCUMENT_BYTES).
    #[error("{}: larger than {limit} bytes; hint: save one kind of resource per file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes after decompression.
        limit: u64,
    },
    /// The file is not JSON, or its JSON breaks off.
    #[error("{}: not a JSON document: {source}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A file named by the user, or every file of a directory, holds none of the known keys.
    #[error(
        "{}: holds none of the keys {known}; hint: save the whole output of `aws ec2 describe-network-acls` and its like, \
         without --query", path.display()
    )]
    NoKnownKey {
        /// The file or directory.
        path: PathBuf,
        /// The known keys, listed.
        known: String,
    },
    /// A member that decides which ACL or rule applies is missing or malformed.
    #[error("{}: {}: {member} {problem}", path.display(), place(resource, rule.as_deref()))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The id of the ACL, interface or subnet, or its position.
        resource: String,
        /// For an entry of an ACL: direction and number, or its position.
        rule: Option<String>,
        /// The member, as AWS spells it.
        member: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// `acl-1, ingress rule 110`.
fn place(resource: &str, rule: Option<&str>) -> String {
    rule.map_or_else(|| resource.to_owned(), |rule| format!("{resource}, {rule}"))
}

/// Why the snapshot cannot say which ACL applies. Prints as a fragment that names the missing fact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[expect(missing_docs, reason = "the members are ids; the variant says what is missing about them")]
pub enum MissingFact {
    /// The interface is unknown, and with it its subnet.
    #[error("{interface_id} is not in the network configuration")]
    Interface { interface_id: String },
    /// The interface is known, its subnet is not.
    #[error("the snapshot does not say in which subnet {interface_id} is")]
    SubnetOfInterface { interface_id: String },
    /// No ACL at all.
    #[error("no network ACL known for {subnet_id}: the network configuration holds no network ACLs")]
    NoNetworkAcls { subnet_id: String },
    /// No ACL names the subnet, and which VPC's default ACL applies is unknown.
    #[error("no network ACL known for {subnet_id}: its VPC is not in the network configuration")]
    VpcOfSubnet { subnet_id: String },
    /// No ACL names the subnet, and the default ACL of its VPC is unknown.
    #[error(
        "no network ACL known for {subnet_id}: the default network ACL of {vpc_id} is not in the network configuration"
    )]
    DefaultNetworkAcl { subnet_id: String, vpc_id: String },
    /// No ACL on the first page names the subnet, and the other pages are missing.
    #[error(
        "no network ACL known for {subnet_id}: the network configuration holds only the first page of network ACLs"
    )]
    NextPages { subnet_id: String },
    /// One document associates the subnet with two ACLs.
    #[error(
        "no network ACL known for {subnet_id}: the snapshot associates it with both {network_acl_id} and {other_id}"
    )]
    OneAssociation { subnet_id: String, network_acl_id: String, other_id: String },
    /// The history names the subnet, and not the ACL that it had then.
    #[error("no network ACL known for {subnet_id}: the history does not say which one it had then")]
    AssociationThen { subnet_id: String },
    /// The history names the ACL, and no state of it is known.
    #[error(
        "the entries of {network_acl_id} are not known: neither the history nor the network configuration holds a state of it"
    )]
    EntriesThen { network_acl_id: String },
}
