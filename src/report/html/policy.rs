//! What the browser may do with the page: run this script, apply this stylesheet, and load nothing at all.
//!
//! Owns the Content-Security-Policy (<https://www.w3.org/TR/CSP3/>); refuses to know what the script and the stylesheet do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The policy for a page with this one stylesheet and this one script.
pub(super) fn policy(style: &str, script: &str) -> String {
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        source(style),
        source(script)
    )
}

/// `'sha256-…'` of the text between the tags, byte for byte.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_by_the_hash_of_its_text() {
        // SHA-256 of nothing, as FIPS 180-4 has it.
        assert_eq!(source(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
    }
}
