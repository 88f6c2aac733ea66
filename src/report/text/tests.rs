//! What the text format prints: whole, at every width, with and without colours.

use insta::assert_snapshot;
use unicode_width::UnicodeWidthStr;

use super::super::sample;
use super::super::view::InputSummary;
use super::*;

fn printed(diagnosis: &Diagnosis, style: TextStyle) -> String {
    let mut out = Vec::new();
    write_text(diagnosis, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn wide(width: usize) -> TextStyle {
    TextStyle { width, ..TextStyle::default() }
}

#[test]
fn an_incident_at_a_glance() {
    assert_snapshot!(printed(&sample::incident(), wide(100)), @r"
    flowcheck · 2026-11-20 14:00–16:00 UTC · 19 interfaces · 2 network ACLs · 1 204 331 records
      (52 SKIPDATA, 3 malformed)
    3 causes of rejected return traffic · 4 850 conversations · 22 009 packets

    ✗ acl-0abc1234def567890 (private) ingress *  (default deny)  drops replies to ports 1024–65535/tcp
      4 812 connections timed out · 17 interfaces in 3 subnets · since 14:24:02, still going
      likely: the rules are those of the snapshot, and their earlier changes are not known
      affects  eni-0a1b2c3d4e5f60700 (Lambda checkout)
               eni-0a1b2c3d4e5f60701 (NAT gateway nat-0fedcba9876543210) · eni-0a1b2c3d4e5f60702
               eni-0a1b2c3d4e5f60703 · +13 more
      subnets  subnet-0aa11bb22cc33dd4a (private-a) · subnet-0aa11bb22cc33dd4b
               subnet-0aa11bb22cc33dd4c
      request  10.0.1.23:64214 → 52.94.5.1:443   ACCEPT egress   SYN ×8
      reply    52.94.5.1:443 → 10.0.1.23:64214   REJECT ingress  SYN-ACK ×8
      also     52.94.5.1:443 → 10.0.1.24:50112  SYN-ACK ×6
               10.9.0.15:5432 → 10.0.2.7:41002  SYN-ACK ×5
      rules    100 TCP 80 0.0.0.0/0 ALLOW       port
               110 TCP 443 0.0.0.0/0 ALLOW      port
               120 TCP 5432 10.8.0.0/16 ALLOW   port, source
                 * ALL ALL 0.0.0.0/0 DENY       ← matched
      services 443/tcp 4 101 · 5432/tcp 655 · 6379/tcp 56
      rejects  14:00 ▁▁▁▁▁▁▁▁▂▄▅▆██▇█▇█▇▇▇█▇▇▇█▇▇█▇▇▇▇▇██▇▇█▇ 16:00  peak 312/min · 21 934 packets
      onset    last reply accepted 14:23:41, first rejected 14:24:02 (21 s later)
      SKIPDATA eni-0a1b2c3d4e5f60701 14:30:00–14:31:00
               AWS lost records there: the counts above are a lower bound
      fix      130 TCP 1024-65535 10.9.0.0/24 ALLOW · 140 TCP 1024-65535 52.94.5.1/32 ALLOW
               restores 4 812 of 4 812, admits none of the other rejects
      or       130 TCP 1024-65535 0.0.0.0/0 ALLOW
               restores 4 812 of 4 812, would also admit 212 other rejected flows (command with -v)
      run      aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130 --protocol tcp --port-range From=1024,To=65535 --cidr-block 10.9.0.0/24 --rule-action allow
               aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 140 --protocol tcp --port-range From=1024,To=65535 --cidr-block 52.94.5.1/32 --rule-action allow
      undo     for n in 140 130; do aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number $n; done

    ✗ acl-0ffe9876543210fed egress 90 TCP 32768-61000 2001:db8:77::/48 DENY
      drops replies to ports 33012–60991/tcp
      37 connections timed out · 1 interface in 1 subnet · 14:24:02–14:50:10 (26 min 8 s)
      affects  eni-0a1b2c3d4e5f60700 (Lambda checkout)
      subnets  subnet-0aa11bb22cc33dd4a (private-a)
      request  [2001:db8:77:1:a:b:c:d]:41002 → [2001:db8:12:3456:789a:bcde:f012:3456]:8443
               ACCEPT ingress  SYN ×2
      reply    [2001:db8:12:3456:789a:bcde:f012:3456]:8443 → [2001:db8:77:1:a:b:c:d]:41002
               REJECT egress  SYN-ACK ×2
      rules    80 TCP 443 2001:db8:77::/48 ALLOW          port
               90 TCP 32768-61000 2001:db8:77::/48 DENY   ← matched
      services 8443/tcp 37
      rejects  14:00 ▁▁▇█▂ 14:05  peak 40/min · 74 packets
      fix      130 TCP 1024-65535 10.9.0.0/24 ALLOW
               restores 37 of 37, admits none of the other rejects
               goes in front of 90 TCP 32768-61000 2001:db8:77::/48 DENY, which also dropped 3 other
               flows here: was it put there on purpose?
      run      aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130 --protocol tcp --port-range From=1024,To=65535 --cidr-block 10.9.0.0/24 --rule-action allow
      undo     aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130

    ? acl-0ffe9876543210fed ingress  rule undetermined  something drops icmp replies
      1 conversation got no answer · 1 interface in 1 subnet · 14:24:02–14:50:10 (26 min 8 s)
      rule 95 tests the ICMP type, which these records do not carry
      affects  eni-0a1b2c3d4e5f60700 (Lambda checkout)
      subnets  subnet-0aa11bb22cc33dd4a (private-a)
      request  not in these logs
      reply    9.9.9.9 → 10.0.1.23   REJECT ingress  icmp ×1
      could be acl-0ffe9876543210fed ingress  95 ICMP 0 0.0.0.0/0 DENY
               acl-0ffe9876543210fed ingress  * ALL ALL 0.0.0.0/0 DENY
      services icmp 1
      rejects  1 packet

    not the network ACL
      31 conversations, 40 reply packets: late packet after close (FIN or RST seen before it)
        eni-0a1b2c3d4e5f60700 (Lambda checkout)
        eni-0a1b2c3d4e5f60701 (NAT gateway nat-0fedcba9876543210) · eni-0a1b2c3d4e5f60702
        14:24:02–15:59:59 (1 h 35 min)

    other rejects  1 204 records, 2 408 packets  requests and scans, not return traffic
      900  acl-0abc1234def567890 (private) ingress  * ALL ALL 0.0.0.0/0 DENY
      304  acl-0abc1234def567890 (private) ingress  the network ACL allows them: a security group

    ! no flow-direction field in logs/default.log.gz: direction taken from the interfaces' addresses
    ! incomplete  logs/fl-0abc_20261120T1455Z.log.gz: unexpected end of gzip stream
    ! malformed  logs/fl-0abc_20261120T1410Z.log.gz:1207  srcport=70000 not a port number
      +2 more malformed
    ");
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a picture")]
fn a_narrow_terminal_breaks_between_ids() {
    assert_snapshot!(printed(&sample::incident(), wide(60)), @r"
    flowcheck · 2026-11-20 14:00–16:00 UTC · 19 interfaces
      2 network ACLs · 1 204 331 records
      (52 SKIPDATA, 3 malformed)
    3 causes of rejected return traffic · 4 850 conversations
      22 009 packets

    ✗ acl-0abc1234def567890 (private) ingress *  (default deny)
      drops replies to ports 1024–65535/tcp
      4 812 connections timed out · 17 interfaces in 3 subnets
      since 14:24:02, still going
      likely: the rules are those of the snapshot, and their
      earlier changes are not known
      affects  eni-0a1b2c3d4e5f60700 (Lambda checkout)
               eni-0a1b2c3d4e5f60701
               (NAT gateway nat-0fedcba9876543210)
               eni-0a1b2c3d4e5f60702 · eni-0a1b2c3d4e5f60703
               +13 more
      subnets  subnet-0aa11bb22cc33dd4a (private-a)
               subnet-0aa11bb22cc33dd4b
               subnet-0aa11bb22cc33dd4c
      request  10.0.1.23:64214 → 52.94.5.1:443   ACCEPT egress
               SYN ×8
      reply    52.94.5.1:443 → 10.0.1.23:64214   REJECT ingress
               SYN-ACK ×8
      also     52.94.5.1:443 → 10.0.1.24:50112  SYN-ACK ×6
               10.9.0.15:5432 → 10.0.2.7:41002  SYN-ACK ×5
      rules    100 TCP 80 0.0.0.0/0 ALLOW       port
               110 TCP 443 0.0.0.0/0 ALLOW      port
               120 TCP 5432 10.8.0.0/16 ALLOW   port, source
                 * ALL ALL 0.0.0.0/0 DENY       ← matched
      services 443/tcp 4 101 · 5432/tcp 655 · 6379/tcp 56
      rejects  14:00 ▁▁▁▁▁▁▃▅▆█████████████▇███████ 16:00
               peak 312/min · 21 934 packets
      onset    last reply accepted 14:23:41, first rejected
               14:24:02 (21 s later)
      SKIPDATA eni-0a1b2c3d4e5f60701 14:30:00–14:31:00
               AWS lost records there: the counts above are a
               lower bound
      fix      130 TCP 1024-65535 10.9.0.0/24 ALLOW
               140 TCP 1024-65535 52.94.5.1/32 ALLOW
               restores 4 812 of 4 812
               admits none of the other rejects
      or       130 TCP 1024-65535 0.0.0.0/0 ALLOW
               restores 4 812 of 4 812
               would also admit 212 other rejected flows
               (command with -v)
      run      aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130 --protocol tcp --port-range From=1024,To=65535 --cidr-block 10.9.0.0/24 --rule-action allow
               aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 140 --protocol tcp --port-range From=1024,To=65535 --cidr-block 52.94.5.1/32 --rule-action allow
      undo     for n in 140 130; do aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number $n; done

    ✗ acl-0ffe9876543210fed egress
      90 TCP 32768-61000 2001:db8:77::/48 DENY
      drops replies to ports 33012–60991/tcp
      37 connections timed out · 1 interface in 1 subnet
      14:24:02–14:50:10 (26 min 8 s)
      affects  eni-0a1b2c3d4e5f60700 (Lambda checkout)
      subnets  subnet-0aa11bb22cc33dd4a (private-a)
      request  [2001:db8:77:1:a:b:c:d]:41002
               → [2001:db8:12:3456:789a:bcde:f012:3456]:8443
               ACCEPT ingress  SYN ×2
      reply    [2001:db8:12:3456:789a:bcde:f012:3456]:8443
               → [2001:db8:77:1:a:b:c:d]:41002   REJECT egress
               SYN-ACK ×2
      rules    80 TCP 443 2001:db8:77::/48 ALLOW   port
               90 TCP 32768-61000 2001:db8:77::/48 DENY
               ← matched
      services 8443/tcp 37
      rejects  14:00 ▁▁▇█▂ 14:05  peak 40/min · 74 packets
      fix      130 TCP 1024-65535 10.9.0.0/24 ALLOW
               restores 37 of 37
               admits none of the other rejects
               goes in front of 90 TCP 32768-61000
               2001:db8:77::/48 DENY, which also dropped 3 other
               flows here: was it put there on purpose?
      run      aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130 --protocol tcp --port-range From=1024,To=65535 --cidr-block 10.9.0.0/24 --rule-action allow
      undo     aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130

    ? acl-0ffe9876543210fed ingress  rule undetermined
      something drops icmp replies
      1 conversation got no answer · 1 interface in 1 subnet
      14:24:02–14:50:10 (26 min 8 s)
      rule 95 tests the ICMP type, which these records do not
      carry
      affects  eni-0a1b2c3d4e5f60700 (Lambda checkout)
      subnets  subnet-0aa11bb22cc33dd4a (private-a)
      request  not in these logs
      reply    9.9.9.9 → 10.0.1.23   REJECT ingress  icmp ×1
      could be acl-0ffe9876543210fed ingress
               95 ICMP 0 0.0.0.0/0 DENY
               acl-0ffe9876543210fed ingress
               * ALL ALL 0.0.0.0/0 DENY
      services icmp 1
      rejects  1 packet

    not the network ACL
      31 conversations, 40 reply packets: late packet after
        close (FIN or RST seen before it)
        eni-0a1b2c3d4e5f60700 (Lambda checkout)
        eni-0a1b2c3d4e5f60701
        (NAT gateway nat-0fedcba9876543210)
        eni-0a1b2c3d4e5f60702 · 14:24:02–15:59:59 (1 h 35 min)

    other rejects  1 204 records, 2 408 packets
      requests and scans, not return traffic
      900  acl-0abc1234def567890 (private) ingress
           * ALL ALL 0.0.0.0/0 DENY
      304  acl-0abc1234def567890 (private) ingress
           the network ACL allows them: a security group

    ! no flow-direction field in logs/default.log.gz: direction
      taken from the interfaces' addresses
    ! incomplete  logs/fl-0abc_20261120T1455Z.log.gz: unexpected
      end of gzip stream
    ! malformed  logs/fl-0abc_20261120T1410Z.log.gz:1207
      srcport=70000 not a port number
      +2 more malformed
    ");
}

#[test]
fn nothing_found_says_what_was_looked_at() {
    assert_snapshot!(printed(&sample::healthy(), wide(100)), @r"
    flowcheck · 2026-11-20 14:00–16:00 UTC · 19 interfaces · 2 network ACLs · 1 204 331 records
      (0 SKIPDATA, 0 malformed)

    ✓ No rejected return traffic found: of 1 204 331 records, 42 rejected, none in reply to a request
      seen here.
      If something still times out here, look at where its request goes: security groups, routes, or an
      interface without a flow log.
    ");
    assert_snapshot!(printed(&sample::empty(), wide(100)), @r"
    flowcheck · 2026-11-20 14:00–16:00 UTC · 2 network ACLs · 0 records (0 SKIPDATA, 0 malformed)

    ? Nothing to judge: the input holds no ACCEPT or REJECT record.
      Check the paths, the window (--since, --until) and the filters.
    ");
    let mut blind = sample::healthy();
    blind.network_config.network_acls = 0;
    blind.summary.complete = false;
    blind.input = InputSummary { accepted: 0, records: 42, skip_data: 2, filtered: 9, ..blind.input };
    assert_snapshot!(printed(&blind, wide(100)), @r"
    flowcheck · 2026-11-20 14:00–16:00 UTC · 19 interfaces · no network ACLs known · 42 records
      (2 SKIPDATA, 0 malformed, 9 filtered out)

    ? No rejected return traffic found: of 42 records, 42 rejected, none in reply to a request seen
      here.
      There is no ACCEPT record, so replies can be told from requests only by their TCP flags.
      The input was not read whole: what is missing may hold rejected replies.
      2 SKIPDATA records: AWS lost traffic there, rejected replies perhaps too.
      9 records left out by the window or a filter.
      No network ACL is known (--snapshot), so no rule was checked either.
    ");
}

#[test]
fn requests_without_an_answer_stand_apart() {
    let text = printed(&sample::silent(), wide(100));
    let (_, block) = text.split_once("\n\nno reply").expect("a block of its own");
    assert_snapshot!(format!("no reply{block}"), @r"
    no reply  1 042 requests (3 126 packets) went out and nothing came back, neither accepted nor
      rejected
      1 041  eni-0a1b2c3d4e5f60700 (Lambda checkout) → 203.0.113.7:443  14:01:00–14:05:00
             eni-0a1b2c3d4e5f60701 dropped them
          1  eni-0a1b2c3d4e5f60702 → 203.0.113.7:443  14:01:00–14:05:00  no other interface here
             recorded them
    ");
    let verbose = printed(&sample::silent(), TextStyle { verbose: true, ..wide(100) });
    assert!(verbose.contains("2 requests too late to know yet"), "{verbose}");
    let unknown = Diagnosis { no_reply_unknown: Some("not known".to_owned()), ..sample::healthy() };
    assert!(!printed(&unknown, wide(100)).contains("not known"));
    assert!(printed(&unknown, TextStyle { verbose: true, ..wide(100) }).contains("\n\nnot known\n"));
}

#[test]
fn only_replies_that_the_acl_let_through() {
    let mut diagnosis = sample::incident();
    diagnosis.findings.retain(|finding| finding.cause == "not_nacl");
    diagnosis.summary.complete = true;
    let text = printed(&diagnosis, wide(100));
    assert!(
        text.contains("\n✓ No network ACL rule was found to drop return traffic.\nnot the network ACL\n"),
        "{text}"
    );
    assert!(!text.contains('✗'), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 72, 80, 100, 120, 160] {
        for verbose in [false, true] {
            for diagnosis in [sample::incident(), sample::silent(), sample::healthy(), sample::empty()] {
                let text = printed(&diagnosis, TextStyle { verbose, ..wide(width) });
                // A command that is broken cannot be copied.
                for line in text.lines().filter(|line| !line.contains("aws ec2 ")) {
                    assert!(line.width() <= width, "{} > {width}: {line}", line.width());
                    assert_eq!(line, line.trim_end());
                }
            }
        }
    }
    for line in printed(&sample::hostile(), wide(160)).lines().filter(|line| !line.contains("aws ec2 ")) {
        assert!(line.width() <= 160, "{line}");
    }
}

#[test]
fn ids_stay_whole_on_the_narrowest_terminal() {
    let diagnosis = sample::incident();
    let text = printed(&diagnosis, TextStyle { verbose: true, ..wide(0) });
    for finding in &diagnosis.findings {
        for id in finding.interface_ids.iter().chain(&finding.subnet_ids).chain(&finding.network_acl_id) {
            assert!(text.contains(id.as_str()), "{id}\n{text}");
        }
    }
}

#[test]
fn colours_change_nothing_but_the_look() {
    for diagnosis in [sample::incident(), sample::hostile(), sample::healthy(), sample::empty()] {
        let plain = printed(&diagnosis, wide(100));
        assert!(!plain.contains(|c: char| c.is_control() && c != '\n'), "{plain}");
        let mut colored = printed(&diagnosis, TextStyle { color: true, ..wide(100) });
        assert!(colored.contains("\x1b["));
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            colored = colored.replace(code, "");
        }
        assert_eq!(colored, plain);
    }
}

#[test]
fn hostile_text_stays_inside_its_line() {
    let text = printed(&sample::hostile(), wide(160));
    assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{9b}', '\x1b']), "{text}");
    assert!(text.contains("acl-\\x1b[31m0|`x`") && text.contains("subnet-\\n|0"), "{text}");
}

#[test]
fn top_limits_the_examples() {
    let one = printed(&sample::incident(), TextStyle { top: 1, ..wide(100) });
    assert!(!one.contains("  also ") && one.contains("reply "), "{one}");
    let all = printed(&sample::incident(), TextStyle { top: 0, ..wide(100) });
    assert_eq!(all, printed(&sample::incident(), wide(100)));
}

#[test]
fn several_days_are_said_with_their_dates() {
    let mut diagnosis = sample::incident();
    diagnosis.window.last_record = Some(sample::at(2 * 86_400));
    let text = printed(&diagnosis, wide(120));
    assert!(text.starts_with("flowcheck · 2026-11-20 14:00 – 2026-11-22 14:00 UTC · "), "{text}");
    assert!(text.contains("since 2026-11-20 14:24:02, still going"), "{text}");
}

#[test]
fn a_long_acl_is_cut_to_the_entries_next_to_the_decision() {
    let mut diagnosis = sample::incident();
    let miss = diagnosis.findings[0].near_misses[0].clone();
    diagnosis.findings[0].near_misses = vec![miss; 40];
    let text = printed(&diagnosis, wide(100));
    assert!(text.contains("  rules    +31 more that did not match either\n"), "{text}");
    assert!(text.contains("  * ALL ALL 0.0.0.0/0 DENY   ← matched\n"), "{text}");
}
