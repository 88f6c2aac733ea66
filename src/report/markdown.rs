//! The `md` format: for a ticket or a chat. Headline, one section per finding, tables that stay tables.
//!
//! Every foreign text goes through `escape`, in a code block too.

mod fix;
mod report;
mod silent;

use std::io::{self, Write};

use super::escape::{markdown, markdown_code, terminal};
use super::phrase::{counted, counted_len, grouped, service, window};
use super::view::{Diagnosis, Finding};
pub use report::write_report_markdown;

use super::wording::{Wording, doubt, effect, flow, impact, other_cause, other_kind, rules, scope, subject};

/// Items of a list before `+n more`.
const LISTED: usize = 10;

/// Writes the diagnosis as Markdown, with at most `top` examples per finding (0 for all there are).
pub fn write_markdown(diagnosis: &Diagnosis, top: usize, out: &mut dyn Write) -> io::Result<()> {
    let wording = Wording::new(diagnosis);
    let (findings, asides) = wording.findings();
    let mut document = Document { wording, top, out };
    document.headline(&findings, &asides)?;
    for (at, finding) in findings.iter().enumerate() {
        document.finding(at + 1, finding)?;
    }
    document.not_the_acl(&asides)?;
    document.no_reply()?;
    document.other_rejects()?;
    document.input()?;
    document.notes()?;
    document.warnings()
}

struct Document<'a> {
    wording: Wording<'a>,
    top: usize,
    out: &'a mut dyn Write,
}

impl Document<'_> {
    fn headline(&mut self, findings: &[&Finding], asides: &[&Finding]) -> io::Result<()> {
        writeln!(self.out, "# Rejected return traffic\n")?;
        match findings {
            [] if asides.is_empty() => {
                let (verdict, limits) = self.wording.nothing_found();
                writeln!(self.out, "**{}** {}", markdown(&verdict), markdown(&limits.join(" ")))?;
            }
            [] => writeln!(self.out, "**No network ACL rule was found to drop return traffic.**")?,
            [first, more @ ..] => {
                let others = match more.len() {
                    0 => String::new(),
                    others => format!(" {} below.", counted_len(others, "more cause")),
                };
                writeln!(
                    self.out,
                    "{} {}: **{}**, {}.{others}",
                    self.title(first),
                    effect(first),
                    impact(first),
                    self.wording.when(first)
                )?;
            }
        }
        let Diagnosis { window: time, network_config, input, .. } = self.wording.diagnosis;
        let mut facts = Vec::new();
        facts.extend(window(time));
        facts.push(counted_len(input.interfaces, "interface"));
        facts.push(counted_len(network_config.network_acls, "network ACL"));
        facts.push(format!("{} ({})", counted(input.records, "record"), self.wording.set_apart()));
        writeln!(self.out, "\n{}", facts.join(" · "))
    }

    fn finding(&mut self, number: usize, finding: &Finding) -> io::Result<()> {
        writeln!(self.out, "\n## {number}. {}\n", self.title(finding))?;
        let effect = effect(finding);
        let mut capital = effect.chars();
        let first = capital.next().map(|c| c.to_ascii_uppercase()).into_iter();
        writeln!(self.out, "- {}", first.chain(capital).collect::<String>())?;
        writeln!(
            self.out,
            "- **{}** ({}), {}, {}",
            impact(finding),
            counted(finding.packets, "packet"),
            scope(finding),
            self.wording.when(finding)
        )?;
        let remarks = [doubt(finding), finding.detail.clone(), self.wording.onset(finding)];
        for change in self.wording.changes(finding) {
            writeln!(self.out, "- {}", markdown(&change))?;
        }
        for remark in remarks.into_iter().flatten() {
            writeln!(self.out, "- {}", markdown(&remark))?;
        }
        self.item("affects", finding.interface_ids.iter().map(|id| self.named(id)).collect())?;
        let clients = self.wording.clients(finding);
        let clients = clients.iter().map(|client| markdown(client));
        self.item("clients behind the NAT gateway", clients.collect())?;
        self.item("subnets", finding.subnet_ids.iter().map(|id| self.named(id)).collect())?;
        let services = finding.services.iter();
        let services = services.map(|one| format!("{} {}", service(one), grouped(one.conversations)));
        self.item("services", services.collect())?;
        let skipped = finding.skip_data.iter().map(|skip| {
            format!(
                "{} {}",
                markdown_code(&skip.interface_id),
                self.wording.calendar.span(skip.start, skip.end)
            )
        });
        self.item("SKIPDATA (AWS lost records: the counts are a lower bound)", skipped.collect())?;
        self.rules(finding)?;
        self.candidates(finding)?;
        self.examples(finding)?;
        self.fix(finding)
    }

    fn rules(&mut self, finding: &Finding) -> io::Result<()> {
        let rows = rules(finding, false);
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n| rule | why it did not match |\n|---|---|")?;
        for row in rows {
            let rule = markdown_code(row.rule);
            let line = match row.mismatch {
                Some(mismatch) => format!("| {rule} | {} |", markdown(mismatch)),
                None => format!("| **{rule}** | **← matched** |"),
            };
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    fn candidates(&mut self, finding: &Finding) -> io::Result<()> {
        if finding.candidates.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n| could be | direction | rule |\n|---|---|---|")?;
        for candidate in &finding.candidates {
            let (acl, rule) = (self.named(&candidate.network_acl_id), markdown_code(&candidate.rule));
            writeln!(self.out, "| {acl} | {} | {rule} |", candidate.direction)?;
        }
        Ok(())
    }

    /// A code block: lines begin with our own words, so no text from a log can close its fence.
    fn examples(&mut self, finding: &Finding) -> io::Result<()> {
        let most = if self.top == 0 { finding.examples.len() } else { self.top };
        if finding.examples.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n```text")?;
        for example in finding.examples.iter().take(most) {
            for (label, one) in [("request", example.request.as_ref()), ("reply  ", Some(&example.reply))] {
                let Some(one) = one else {
                    writeln!(self.out, "{label}  not in these logs")?;
                    continue;
                };
                let words = flow(one);
                let line = format!(
                    "{} → {}   {}  {}",
                    words.source, words.destination, words.verdict, words.packets
                );
                writeln!(self.out, "{label}  {}", terminal(&line))?;
            }
        }
        writeln!(self.out, "```")
    }

    fn not_the_acl(&mut self, findings: &[&Finding]) -> io::Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n## Not the network ACL\n")?;
        writeln!(
            self.out,
            "| reply packets | conversations | what is left | interfaces | when |\n|--:|--:|---|---|---|"
        )?;
        for finding in findings {
            writeln!(
                self.out,
                "| {} | {} | {} | {} | {} |",
                grouped(finding.packets),
                grouped(finding.conversations),
                markdown(finding.detail.as_deref().unwrap_or("the network ACL allows them")),
                listed(finding.interface_ids.iter().map(|id| self.named(id)).collect()),
                self.wording.when(finding)
            )?;
        }
        Ok(())
    }

    fn other_rejects(&mut self) -> io::Result<()> {
        let others = &self.wording.diagnosis.other_rejects;
        if others.records == 0 {
            return Ok(());
        }
        writeln!(self.out, "\n## Other rejects\n")?;
        writeln!(
            self.out,
            "{}, {}: requests and scans, not return traffic.",
            counted(others.records, "record"),
            counted(others.packets, "packet")
        )?;
        if others.by_cause.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "\n| records | packets | network ACL | direction | what denied | kind |\n|--:|--:|---|---|---|---|"
        )?;
        for other in &others.by_cause {
            let what = match (&other.rule, &other.reason) {
                (Some(rule), _) => markdown_code(rule),
                (None, Some(reason)) => markdown(reason),
                (None, None) => other_cause(other).to_owned(),
            };
            writeln!(
                self.out,
                "| {} | {} | {} | {} | {what} | {} |",
                grouped(other.records),
                grouped(other.packets),
                other.network_acl_id.as_deref().map_or_else(String::new, |id| self.named(id)),
                other.direction.map_or("", |direction| direction.as_str()),
                other_kind(other),
            )?;
        }
        Ok(())
    }

    fn input(&mut self) -> io::Result<()> {
        let input = &self.wording.diagnosis.input;
        writeln!(
            self.out,
            "\n## Input\n\n| objects | lines | ACCEPT | REJECT | NODATA | SKIPDATA | malformed | filtered |"
        )?;
        writeln!(self.out, "|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        let numbers = [
            input.objects,
            input.lines,
            input.accepted,
            input.rejected,
            input.no_data,
            input.skip_data,
            input.malformed,
            input.filtered,
        ];
        writeln!(self.out, "| {} |", numbers.map(grouped).join(" | "))?;
        if !input.incomplete.is_empty() || !input.malformed_examples.is_empty() {
            writeln!(self.out)?;
        }
        for incomplete in &input.incomplete {
            let (source, error) = (markdown_code(&incomplete.source), markdown(&incomplete.error));
            writeln!(self.out, "- incomplete: {source}: {error}")?;
        }
        for example in &input.malformed_examples {
            let place = markdown_code(&format!("{}:{}", example.source, example.line));
            let value = markdown_code(&format!("{}={}", example.field, example.value));
            writeln!(self.out, "- malformed: {place}: {value}: {}", markdown(&example.error))?;
        }
        Ok(())
    }

    fn notes(&mut self) -> io::Result<()> {
        let notes: Vec<_> =
            self.wording.diagnosis.notes.iter().cloned().chain(self.wording.requests()).collect();
        for note in notes {
            writeln!(self.out, "- read: {}", markdown(&note))?;
        }
        Ok(())
    }

    fn warnings(&mut self) -> io::Result<()> {
        if self.wording.diagnosis.warnings.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n## Warnings\n")?;
        for warning in &self.wording.diagnosis.warnings {
            writeln!(self.out, "- {}", markdown(warning))?;
        }
        Ok(())
    }

    /// `` `acl-…` (name) ingress `*` (default deny) ``
    fn title(&self, finding: &Finding) -> String {
        let subject = subject(finding);
        let mut parts = Vec::new();
        parts.extend(subject.network_acl_id.map(|id| self.named(id)));
        parts.extend(subject.direction.map(str::to_owned));
        parts.push(match finding.cause {
            "nacl_default" | "nacl_rule" => markdown_code(&subject.rule),
            _ => subject.rule,
        });
        parts.extend(subject.note.map(str::to_owned));
        parts.join(" ")
    }

    fn named(&self, id: &str) -> String {
        match self.wording.name(id) {
            Some(name) => format!("{} ({})", markdown_code(id), markdown(name)),
            None => markdown_code(id),
        }
    }

    fn item(&mut self, label: &str, items: Vec<String>) -> io::Result<()> {
        if items.is_empty() { Ok(()) } else { writeln!(self.out, "- {label}: {}", listed(items)) }
    }
}

fn listed(mut items: Vec<String>) -> String {
    if items.len() > LISTED + 1 {
        let hidden = items.len() - LISTED;
        items.truncate(LISTED);
        items.push(format!("+{hidden} more"));
    }
    items.join(" · ")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::sample;
    use super::*;

    fn written(diagnosis: &Diagnosis) -> String {
        let mut out = Vec::new();
        write_markdown(diagnosis, 2, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_incident_for_a_ticket() {
        assert_snapshot!(written(&sample::incident()), @r"
        # Rejected return traffic

        `acl-0abc1234def567890` (private) ingress `*` (default deny) drops replies to ports 1024–65535/tcp: **4 812 connections timed out**, since 14:24:02, still going. 2 more causes below.

        2026-11-20 14:00–16:00 UTC · 19 interfaces · 2 network ACLs · 1 204 331 records (52 SKIPDATA, 3 malformed)

        ## 1. `acl-0abc1234def567890` (private) ingress `*` (default deny)

        - Drops replies to ports 1024–65535/tcp
        - **4 812 connections timed out** (21 934 packets), 17 interfaces in 3 subnets, since 14:24:02, still going
        - likely: the rules are those of the snapshot, and their earlier changes are not known
        - last reply accepted 14:23:41, first rejected 14:24:02 (21 s later)
        - affects: `eni-0a1b2c3d4e5f60700` (Lambda checkout) · `eni-0a1b2c3d4e5f60701` (NAT gateway nat-0fedcba9876543210) · `eni-0a1b2c3d4e5f60702` · `eni-0a1b2c3d4e5f60703` · `eni-0a1b2c3d4e5f60704` · `eni-0a1b2c3d4e5f60705` · `eni-0a1b2c3d4e5f60706` · `eni-0a1b2c3d4e5f60707` · `eni-0a1b2c3d4e5f60708` · `eni-0a1b2c3d4e5f60709` · +7 more
        - subnets: `subnet-0aa11bb22cc33dd4a` (private-a) · `subnet-0aa11bb22cc33dd4b` · `subnet-0aa11bb22cc33dd4c`
        - services: 443/tcp 4 101 · 5432/tcp 655 · 6379/tcp 56
        - SKIPDATA (AWS lost records: the counts are a lower bound): `eni-0a1b2c3d4e5f60701` 14:30:00–14:31:00

        | rule | why it did not match |
        |---|---|
        | `100 TCP 80 0.0.0.0/0 ALLOW` | port |
        | `110 TCP 443 0.0.0.0/0 ALLOW` | port |
        | `120 TCP 5432 10.8.0.0/16 ALLOW` | port, source |
        | **`* ALL ALL 0.0.0.0/0 DENY`** | **← matched** |

        ```text
        request  10.0.1.23:64214 → 52.94.5.1:443   ACCEPT egress  SYN ×8
        reply    52.94.5.1:443 → 10.0.1.23:64214   REJECT ingress  SYN-ACK ×8
        request  10.0.1.24:50112 → 52.94.5.1:443   ACCEPT egress  SYN ×6
        reply    52.94.5.1:443 → 10.0.1.24:50112   REJECT ingress  SYN-ACK ×6
        ```

        ### Fix

        - `130 TCP 1024-65535 10.9.0.0/24 ALLOW` · `140 TCP 1024-65535 52.94.5.1/32 ALLOW` (ingress): **restores 4 812 of 4 812**, admits none of the other rejects
        - or `130 TCP 1024-65535 0.0.0.0/0 ALLOW` (ingress): **restores 4 812 of 4 812**, would also admit 212 other rejected flows

        ```sh
        # narrow
        aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130 --protocol tcp --port-range From=1024,To=65535 --cidr-block 10.9.0.0/24 --rule-action allow
        aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 140 --protocol tcp --port-range From=1024,To=65535 --cidr-block 52.94.5.1/32 --rule-action allow
        # undo
        aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 140
        aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130
        ```

        ```sh
        # conventional
        aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130 --protocol tcp --port-range From=1024,To=65535 --cidr-block 0.0.0.0/0 --rule-action allow
        # undo
        aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130
        ```

        ## 2. `acl-0ffe9876543210fed` egress `90 TCP 32768-61000 2001:db8:77::/48 DENY`

        - Drops replies to ports 33012–60991/tcp
        - **37 connections timed out** (74 packets), 1 interface in 1 subnet, 14:24:02–14:50:10 (26 min 8 s)
        - affects: `eni-0a1b2c3d4e5f60700` (Lambda checkout)
        - subnets: `subnet-0aa11bb22cc33dd4a` (private-a)
        - services: 8443/tcp 37

        | rule | why it did not match |
        |---|---|
        | `80 TCP 443 2001:db8:77::/48 ALLOW` | port |
        | **`90 TCP 32768-61000 2001:db8:77::/48 DENY`** | **← matched** |

        ```text
        request  [2001:db8:77:1:a:b:c:d]:41002 → [2001:db8:12:3456:789a:bcde:f012:3456]:8443   ACCEPT ingress  SYN ×2
        reply    [2001:db8:12:3456:789a:bcde:f012:3456]:8443 → [2001:db8:77:1:a:b:c:d]:41002   REJECT egress  SYN-ACK ×2
        ```

        ### Fix

        - `130 TCP 1024-65535 10.9.0.0/24 ALLOW` (ingress): **restores 37 of 37**, admits none of the other rejects
          - goes in front of 90 TCP 32768-61000 2001:db8:77::/48 DENY, which also dropped 3 other flows here: was it put there on purpose?

        ```sh
        # narrow
        aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130 --protocol tcp --port-range From=1024,To=65535 --cidr-block 10.9.0.0/24 --rule-action allow
        # undo
        aws ec2 delete-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress --rule-number 130
        ```

        ## 3. `acl-0ffe9876543210fed` ingress rule undetermined

        - Something drops icmp replies
        - **1 conversation got no answer** (1 packet), 1 interface in 1 subnet, 14:24:02–14:50:10 (26 min 8 s)
        - rule 95 tests the ICMP type, which these records do not carry
        - affects: `eni-0a1b2c3d4e5f60700` (Lambda checkout)
        - subnets: `subnet-0aa11bb22cc33dd4a` (private-a)
        - services: icmp 1

        | could be | direction | rule |
        |---|---|---|
        | `acl-0ffe9876543210fed` | ingress | `95 ICMP 0 0.0.0.0/0 DENY` |
        | `acl-0ffe9876543210fed` | ingress | `* ALL ALL 0.0.0.0/0 DENY` |

        ```text
        request  not in these logs
        reply    9.9.9.9 → 10.0.1.23   REJECT ingress  icmp ×1
        ```

        ## Not the network ACL

        | reply packets | conversations | what is left | interfaces | when |
        |--:|--:|---|---|---|
        | 40 | 31 | late packet after close (FIN or RST seen before it) | `eni-0a1b2c3d4e5f60700` (Lambda checkout) · `eni-0a1b2c3d4e5f60701` (NAT gateway nat-0fedcba9876543210) · `eni-0a1b2c3d4e5f60702` | 14:24:02–15:59:59 (1 h 35 min) |

        ## Other rejects

        1 204 records, 2 408 packets: requests and scans, not return traffic.

        | records | packets | network ACL | direction | what denied | kind |
        |--:|--:|---|---|---|---|
        | 900 | 1 800 | `acl-0abc1234def567890` (private) | ingress | `* ALL ALL 0.0.0.0/0 DENY` |  |
        | 304 | 608 | `acl-0abc1234def567890` (private) | ingress | the network ACL allows them: a security group |  |

        ## Input

        | objects | lines | ACCEPT | REJECT | NODATA | SKIPDATA | malformed | filtered |
        |--:|--:|--:|--:|--:|--:|--:|--:|
        | 24 | 1 204 389 | 1 180 000 | 24 331 | 0 | 52 | 3 | 0 |

        - incomplete: `logs/fl-0abc_20261120T1455Z.log.gz`: unexpected end of gzip stream
        - malformed: `logs/fl-0abc_20261120T1410Z.log.gz:1207`: `srcport=70000`: not a port number

        ## Warnings

        - no flow-direction field in logs/default.log.gz: direction taken from the interfaces' addresses
        ");
    }

    #[test]
    fn nothing_found() {
        assert_snapshot!(written(&sample::healthy()), @r"
        # Rejected return traffic

        **No rejected return traffic found: of 1 204 331 records, 42 rejected, none in reply to a request seen here.** If something still times out here, look at where its request goes: security groups, routes, or an interface without a flow log.

        2026-11-20 14:00–16:00 UTC · 19 interfaces · 2 network ACLs · 1 204 331 records (0 SKIPDATA, 0 malformed)

        ## Input

        | objects | lines | ACCEPT | REJECT | NODATA | SKIPDATA | malformed | filtered |
        |--:|--:|--:|--:|--:|--:|--:|--:|
        | 24 | 1 204 389 | 1 180 000 | 42 | 0 | 0 | 0 | 0 |
        ");
    }

    #[test]
    fn requests_without_an_answer_have_a_table() {
        let text = written(&sample::silent());
        let (_, section) = text.split_once("## Requests without a reply").expect("a section");
        let (section, _) = section.split_once("\n## ").expect("another one");
        assert_snapshot!(section.trim(), @r"
        1 042 requests (3 126 packets) went out and nothing came back, neither accepted nor rejected. They are not among the rejected replies.

        | conversations | from | to | when | what is left |
        |--:|---|---|---|---|
        | 1 041 | `eni-0a1b2c3d4e5f60700` (Lambda checkout) | `203.0.113.7:443` | 14:01:00–14:05:00 | eni-0a1b2c3d4e5f60701 dropped them |
        | 1 | `eni-0a1b2c3d4e5f60702` | `203.0.113.7:443` | 14:01:00–14:05:00 | no other interface here recorded them |
        ");
    }

    #[test]
    fn hostile_text_is_neither_markup_nor_a_table_cell() {
        let text = written(&sample::hostile());
        assert!(!text.contains("<script") && !text.contains("<b>") && !text.contains("http://"), "{text}");
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n') && !text.contains('\u{202e}'),
            "{text}"
        );
        let fences = text.lines().filter(|line| line.trim_start().starts_with("```"));
        assert_eq!(fences.count(), 12, "{text}");
        // A cell begins at every bar that no backslash escapes.
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut columns = 0;
        for line in text.lines() {
            if !line.starts_with('|') {
                columns = 0;
            } else if columns == 0 {
                columns = cells(line);
            } else {
                assert_eq!(cells(line), columns, "{line}");
            }
        }
    }
}
