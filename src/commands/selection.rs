//! The filters of the command line, made into what the records themselves can be asked.

use std::collections::HashSet;

use super::sources::Window;
use crate::config::{Diagnose, Filters};
use crate::correlate::{PlaceFilter, Selection};
use crate::network::{Interface, NetworkConfig};

/// What counts, with places resolved through the configuration: a record may say less of where it is than that knows.
pub(super) fn selection(config: &Diagnose, window: Window, network: &NetworkConfig) -> Selection {
    let Filters { interface_ids, subnet_ids, vpc_ids, network_acl_ids, cidrs, ports, protocols } =
        &config.filters;
    let interfaces = || PlaceFilter { interface_ids: bytes(interface_ids), ..PlaceFilter::default() };
    let filters = [
        (interface_ids, &interfaces as &dyn Fn() -> PlaceFilter),
        (subnet_ids, &|| in_subnets(network, subnet_ids)),
        (vpc_ids, &|| in_vpcs(network, vpc_ids)),
        (network_acl_ids, &|| in_subnets(network, &subnets_behind(network, network_acl_ids))),
    ];
    Selection {
        since: window.since,
        until: window.until,
        by_start: window.by_start,
        places: filters.into_iter().filter(|(ids, _)| !ids.is_empty()).map(|(_, filter)| filter()).collect(),
        cidrs: cidrs.clone(),
        ports: ports.clone(),
        protocols: protocols.clone(),
    }
}

fn in_subnets(network: &NetworkConfig, subnet_ids: &[String]) -> PlaceFilter {
    let wanted: HashSet<&String> = subnet_ids.iter().collect();
    PlaceFilter {
        subnet_ids: bytes(subnet_ids),
        interface_ids: interfaces_where(network, |interface| {
            interface.subnet_id.as_ref().is_some_and(|id| wanted.contains(id))
        }),
        ..PlaceFilter::default()
    }
}

fn in_vpcs(network: &NetworkConfig, vpc_ids: &[String]) -> PlaceFilter {
    PlaceFilter {
        vpc_ids: bytes(vpc_ids),
        interface_ids: interfaces_where(network, |interface| {
            interface.vpc_id.as_ref().is_some_and(|id| vpc_ids.contains(id))
        }),
        ..PlaceFilter::default()
    }
}

/// The subnets in front of which one of these ACLs stands, by association or as the default of their VPC.
fn subnets_behind(network: &NetworkConfig, network_acl_ids: &[String]) -> Vec<String> {
    let associated = network
        .acls()
        .filter(|acl| network_acl_ids.contains(&acl.network_acl_id))
        .flat_map(|acl| acl.subnet_ids.iter().cloned());
    let by_default = network.subnets().map(|subnet| subnet.subnet_id.clone()).filter(|subnet_id| {
        network.acl_for_subnet(subnet_id, None).is_ok_and(|acl| network_acl_ids.contains(&acl.network_acl_id))
    });
    associated.chain(by_default).collect()
}

fn interfaces_where<C: FromIterator<Vec<u8>>>(
    network: &NetworkConfig,
    keep: impl Fn(&Interface) -> bool,
) -> C {
    let kept = network.interfaces().filter(|interface| keep(interface));
    kept.map(|interface| interface.interface_id.clone().into_bytes()).collect()
}

fn bytes<C: FromIterator<Vec<u8>>>(ids: &[String]) -> C {
    ids.iter().map(|id| id.clone().into_bytes()).collect()
}
