//! The words of the machine outputs, read back: one that this version does not use is an error.

use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A word of the machine outputs. A name of its own, since the reading of a borrowed text would be asked for else.
pub type Word = &'static str;

/// Causes, confidences, kinds, origins, histories, actions, variants and outcomes.
const WORDS: [&str; 31] = [
    "nacl_rule",
    "nacl_default",
    "not_nacl",
    "vpc_block_public_access",
    "encryption_controls",
    "undetermined",
    "proven",
    "likely",
    "possible",
    "new_request",
    "request_side",
    "unsolicited",
    "unpaired",
    "snapshot",
    "live",
    "none",
    "cloudtrail",
    "config",
    "snapshots",
    "cloudtrail+config",
    "cloudtrail+snapshots",
    "config+snapshots",
    "cloudtrail+config+snapshots",
    "ACCEPT",
    "REJECT",
    "narrow",
    "conventional",
    "accepted",
    "rejected",
    "previous_period",
    "baseline",
];

fn of_this_version<E: Error>(text: &str) -> Result<Word, E> {
    let known = WORDS.iter().find(|word| **word == text).copied();
    known.ok_or_else(|| E::custom(format_args!("this version knows no word `{text}` here")))
}

/// Reads a word.
pub(super) fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    of_this_version(&<Cow<'de, str>>::deserialize(deserializer)?)
}

/// Reads a word or `null`.
pub(super) fn known_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
    let text = <Option<Cow<'de, str>>>::deserialize(deserializer)?;
    text.map(|text| of_this_version(&text)).transpose()
}
