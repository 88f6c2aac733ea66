//! What was put is what is read, and bytes of nobody end the rows.

use proptest::prelude::*;

use super::*;

fn part_of(reject: &UnpairedReject) -> UnpairedPart<'_> {
    let UnpairedReject { interface, flow, packet, flow_direction, kind, ref rejected } = *reject;
    UnpairedPart { interface, flow, packet, flow_direction, kind, rejected }
}

fn an_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).to_ipv6_mapped().into()),
    ]
}

fn a_tuple() -> impl Strategy<Value = FiveTuple> {
    (an_address(), an_address(), any::<u16>(), any::<u16>(), any::<u8>()).prop_map(
        |(srcaddr, dstaddr, srcport, dstport, protocol)| FiveTuple {
            srcaddr,
            dstaddr,
            srcport,
            dstport,
            protocol: Protocol(protocol),
        },
    )
}

fn a_number() -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(prop_oneof![
        0..100_u64,
        (0..3_u64).prop_map(|n| u64::from(u32::MAX) - 1 + n),
        any::<u64>()
    ])
}

fn a_record() -> impl Strategy<Value = RejectedRecord> {
    let start = prop_oneof![0..1_i64 << 31, any::<i64>()];
    let end = prop_oneof![(0..100_000_i64).prop_map(Ok), any::<i64>().prop_map(Err)];
    (start, end, a_number(), a_number(), any::<Option<u8>>(), 0..4_usize).prop_map(
        |(start, end, packets, bytes, flags, reason)| RejectedRecord {
            span: Span {
                start: Timestamp(start),
                end: Timestamp(end.map_or_else(|end| end, |seconds| start.saturating_add(seconds))),
            },
            packets,
            bytes,
            tcp_flags: flags.map(TcpFlags),
            reject_reason: [
                None,
                Some(RejectReason::BlockPublicAccess),
                Some(RejectReason::EncryptionControls),
                Some(RejectReason::Other),
            ][reason],
        },
    )
}

fn evidence() -> impl Strategy<Value = Option<RequestEvidence>> {
    proptest::option::of((a_record(), any::<Option<u32>>()).prop_map(|(record, other)| RequestEvidence {
        span: record.span,
        packets: record.packets,
        bytes: record.bytes,
        tcp_flags: record.tcp_flags,
        other_interface: other.map(InterfaceIndex),
    }))
}

proptest! {
    #[test]
    fn conversations_are_kept_whole(
        interface in any::<u32>(), packet in a_tuple(), reply in proptest::option::of(a_tuple()),
        rejected in proptest::collection::vec(a_record(), 1..4), direction in 0..3_usize,
        request in evidence(), accepted_reply in evidence(),
        closing in any::<Option<i64>>(), idle_seconds in any::<Option<i64>>(), times in 1..40_usize,
    ) {
        let conversation = Conversation {
            interface: InterfaceIndex(interface),
            reply: reply.unwrap_or(packet),
            packet,
            flow_direction: [None, Some(Direction::Ingress), Some(Direction::Egress)][direction],
            rejected,
            request,
            accepted_reply,
            closing_since: closing.map(Timestamp),
            idle_seconds,
        };
        let mut out = Vec::new();
        (0..times).for_each(|_| put_conversation(&mut out, &conversation));
        let mut encoded = Encoded(&out);
        for _ in 0..times {
            prop_assert_eq!(encoded.conversation(), Some(conversation.clone()));
        }
        prop_assert_eq!((encoded.0.len(), encoded.conversation()), (0, None));
    }

    #[test]
    fn what_was_put_is_what_is_read(
        interface in any::<u32>(), packet in a_tuple(), flow in proptest::option::of(a_tuple()),
        records in proptest::collection::vec(a_record(), 1..4), direction in 0..3_usize, kind in 0..3_usize,
        context in any::<bool>(), identity in any::<u64>(),
    ) {
        let interface = InterfaceIndex(interface);
        let flow_direction = [None, Some(Direction::Ingress), Some(Direction::Egress)][direction];
        let flow = flow.unwrap_or(packet);
        let record = records[0];
        let row = WideRow {
            interface, packet, span: record.span, packets: record.packets, bytes: record.bytes,
            tcp_flags: record.tcp_flags, flow_direction, context,
        };
        let rejected =
            RejectedRow { interface, flow, packet, flow_direction, record, identity, is_request: context };
        let kind = [UnpairedKind::Request, UnpairedKind::RequestSide, UnpairedKind::Unsolicited][kind];
        let unpaired = UnpairedReject { interface, flow, packet, flow_direction, kind, rejected: records };
        let mut out = Vec::new();
        put_row(&mut out, &row);
        put_rejected(&mut out, &rejected);
        put_unpaired(&mut out, &part_of(&unpaired));
        let mut encoded = Encoded(&out);
        prop_assert_eq!(encoded.row(), Some(row));
        prop_assert_eq!(encoded.rejected(), Some(rejected));
        let mut passed = encoded;
        prop_assert!(passed.pass_unpaired().is_some());
        prop_assert_eq!(encoded.unpaired(), Some(unpaired));
        prop_assert_eq!(passed.0, encoded.0);
        prop_assert_eq!((encoded.0.len(), encoded.row()), (0, None));
    }

    #[test]
    fn bytes_of_nobody_end_the_rows(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut encoded = Encoded(&bytes);
        let mut passed = encoded;
        while passed.pass_unpaired().is_some() {}
        while encoded.unpaired().is_some() {}
        while encoded.conversation().is_some() {}
        while encoded.rejected().is_some() || encoded.row().is_some() {}
    }
}

#[test]
fn an_ordinary_conversation_takes_no_more_than_80_bytes() {
    let packet = FiveTuple {
        srcaddr: Ipv4Addr::new(198, 51, 100, 7).into(),
        dstaddr: Ipv4Addr::new(10, 0, 0, 7).into(),
        srcport: 443,
        dstport: 40_000,
        protocol: Protocol::TCP,
    };
    let span = Span { start: Timestamp(1_700_000_000), end: Timestamp(1_700_000_059) };
    let conversation = Conversation {
        interface: InterfaceIndex(7),
        reply: packet,
        packet,
        flow_direction: None,
        rejected: vec![RejectedRecord {
            span,
            packets: Some(4),
            bytes: Some(240),
            tcp_flags: None,
            reject_reason: None,
        }],
        request: Some(RequestEvidence {
            span,
            packets: Some(4),
            bytes: Some(240),
            tcp_flags: None,
            other_interface: None,
        }),
        accepted_reply: None,
        closing_since: None,
        idle_seconds: Some(0),
    };
    let mut out = Vec::new();
    put_conversation(&mut out, &conversation);
    assert!(out.len() <= 80, "{}", out.len());
}

#[test]
fn an_ordinary_scan_packet_takes_no_more_than_64_bytes() {
    let packet = FiveTuple {
        srcaddr: Ipv4Addr::new(198, 51, 100, 7).into(),
        dstaddr: Ipv4Addr::new(10, 0, 0, 7).into(),
        srcport: 40_000,
        dstport: 22,
        protocol: Protocol::TCP,
    };
    let span = Span { start: Timestamp(1_700_000_000), end: Timestamp(1_700_000_059) };
    let record = RejectedRecord {
        span,
        packets: Some(1),
        bytes: Some(44),
        tcp_flags: Some(TcpFlags(2)),
        reject_reason: None,
    };
    let reject = UnpairedReject {
        interface: InterfaceIndex(7),
        flow: packet,
        packet,
        flow_direction: Some(Direction::Ingress),
        kind: UnpairedKind::Request,
        rejected: vec![record],
    };
    let mut out = Vec::new();
    put_unpaired(&mut out, &part_of(&reject));
    assert!(out.len() <= 64, "{}", out.len());
}
