//! Network ACLs and the only evaluator of them.
