//! One diagnosis from beginning to end: find the inputs, read them, learn the configuration, attribute, present.
//!
//! A run that follows does so again and again with the same connections.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::interrupt::before_anything_is_known;
use super::live_network::Network;
use super::present;
use super::selection::selection;
use super::sources::{Found, Sources, Window};
use super::watch::{FINDINGS_SHOWN, Watch};
use crate::attribute::{
    Fixes, Places, admittable, blamed, findings, judge_conversations, judge_unpaired, no_reply, visit_others,
};
use crate::config::{Diagnose, HistorySource};
use crate::correlate::{CONVERSATION_BYTES, Options};
use crate::decode::Limits;
use crate::network::NetworkConfig;
use crate::pipeline::{ReadOptions, Reading, read};
use crate::report::{brief, view::Diagnosis};
use crate::source::cloudwatch::LogGroup;
use crate::source::{Stop, is_live};
use crate::survey::Survey;

/// What stays between diagnoses.
pub(super) struct Session<'a> {
    config: &'a Diagnose,
    stop: Stop,
    sources: Sources<'a>,
    network: Network,
    watch: Watch,
    /// Some of the time holds accepted records: a part without any is no REJECT-only log.
    accepted_elsewhere: bool,
    /// Nothing is read after the next reading.
    is_last: bool,
    /// Said when an interrupt comes before there is anything to show; nothing once something was shown.
    last_words: Option<&'static str>,
}

impl<'a> Session<'a> {
    pub(super) fn new(config: &'a Diagnose, stop: &Stop) -> anyhow::Result<Self> {
        let last_words = Some("interrupted before anything was read");
        let mut sources = Sources::new(config, stop);
        // Finding credentials can take a while: a login that is renewed, a role that is assumed.
        let network = before_anything_is_known(stop, last_words, || {
            let network = if config.live_network {
                let aws = sources.aws()?;
                let regions = aws.regions().to_vec();
                Network::live(aws, regions)
            } else {
                Network::of_snapshots(config)?
            };
            network.with_history(config)
        })?;
        let watch = Watch::new(&config.output);
        Ok(Self {
            config,
            stop: stop.clone(),
            sources,
            network,
            watch,
            accepted_elsewhere: false,
            is_last: false,
            last_words,
        })
    }

    /// Takes note that the next reading is the only one.
    pub(super) fn ends_after_next(&mut self) {
        self.is_last = true;
    }

    /// Reads what there is of `window` and says what it means. Before there is anything to show, an interrupt ends
    /// the process.
    pub(super) fn diagnose(&mut self, window: Window) -> anyhow::Result<Diagnosis> {
        self.read_and_judge(window, |material| material.diagnosis())
    }

    /// Reads what was found, for the sums that a report needs too.
    pub(super) fn survey_found(&mut self, window: Window, found: Found) -> anyhow::Result<Survey> {
        let survey = self.judge(window, found, present::survey);
        self.watch.clear();
        self.last_words = None;
        survey
    }

    /// The account that live sources are of, where it can be asked for.
    pub(super) fn account_id(&mut self) -> Option<String> {
        let sources = &self.config.sources;
        let is_live = sources.is_empty() || sources.iter().any(|source| is_live(source));
        if is_live { self.sources.aws().ok()?.account_id().ok() } else { None }
    }

    /// Takes note that a time put together of several parts holds accepted records. Whether parts of it were judged as
    /// if there were none, and have to be read again.
    pub(super) fn learn_of_accepted(&mut self, survey: &Survey) -> bool {
        let input = &survey.diagnosis.input;
        let is_news = !self.accepted_elsewhere && (input.accepted > 0 || input.accepted_unread);
        self.accepted_elsewhere |= is_news;
        is_news && is_guessed(survey)
    }

    /// Whether that is known.
    pub(super) fn knows_of_accepted(&self) -> bool {
        self.accepted_elsewhere
    }

    /// The network configuration around the findings of surveys that may have been read from files.
    pub(super) fn network_around(&mut self, survey: &Survey) -> anyhow::Result<&NetworkConfig> {
        let vpcs = survey.sums.iter().flat_map(|sums| &sums.cells).filter_map(|cell| cell.vpc_id.clone());
        self.network.cover_vpcs(&vpcs.collect())?;
        self.watch.clear();
        Ok(self.network.config())
    }

    /// What there is to read of `window`.
    pub(super) fn find(&mut self, window: Window) -> anyhow::Result<Found> {
        let (stop, last_words) = (self.stop.clone(), self.last_words);
        before_anything_is_known(&stop, last_words, || {
            let takes_regions_from_inputs = self.config.aws.regions.is_empty();
            if takes_regions_from_inputs {
                self.network.set_regions(&regions_named(&self.config.sources));
            }
            self.cover_what_filters_need()?;
            let options = self.read_options(window);
            let found = self.sources.find(window, &options, &mut self.watch)?;
            if takes_regions_from_inputs {
                self.network.set_regions(&found.regions);
                // In other regions the places that are filtered by are others.
                self.cover_what_filters_need()?;
            }
            Ok::<_, anyhow::Error>(found)
        })
    }

    fn read_and_judge<T>(
        &mut self,
        window: Window,
        present: impl FnOnce(present::Material<'_>) -> T,
    ) -> anyhow::Result<T> {
        let result = self.find(window).and_then(|found| self.judge(window, found, present));
        // Whatever is said next begins on a line of its own.
        self.watch.clear();
        self.last_words = None;
        result
    }

    /// Reads what was found, and has it judged and presented.
    fn judge<T>(
        &mut self,
        window: Window,
        mut found: Found,
        present: impl FnOnce(present::Material<'_>) -> T,
    ) -> anyhow::Result<T> {
        let options = self.read_options(window);
        let Self { config, network, watch, .. } = self;
        let config = *config;
        watch.begin();
        let so_far = Found::while_reading();
        let reading = read(&found.discovery.objects, &options, &mut |progress, join| {
            watch.show(progress, || {
                let reading = Reading::so_far(join.so_far());
                // What cannot be learned now is told with the result.
                let _ = network.cover(&reading.correlated.interfaces);
                let diagnosis =
                    attribute(config, network, &so_far, window, reading, |material| material.diagnosis());
                diagnosis
                    .findings
                    .iter()
                    .take(FINDINGS_SHOWN)
                    .map(|finding| brief(&diagnosis, finding))
                    .collect()
            });
        });
        watch.say("asking EC2 for the network configuration");
        network.cover(&reading.correlated.interfaces)?;
        if config.history.contains(&HistorySource::Live)
            && let Some(span) = reading.correlated.span.filter(|_| reading.correlated.rejected > 0)
        {
            watch.say("asking CloudTrail and AWS Config for changes of network ACLs");
            let aws = self.sources.aws()?;
            network.ask_history(&aws, span.start.plus_seconds(-config.match_window_seconds))?;
        }
        found.accepted_elsewhere = self.accepted_elsewhere;
        (found.requests, found.events) = (self.sources.requests(), self.sources.events());
        Ok(attribute(config, network, &found, window, reading, present))
    }

    /// Asks for the network configuration anew from now on.
    pub(super) fn forget_network(&mut self) {
        self.network.refresh();
    }

    /// Filters by place go by the configuration: then it has to be there first.
    fn cover_what_filters_need(&mut self) -> anyhow::Result<()> {
        let filters = &self.config.filters;
        if !(filters.subnet_ids.is_empty() && filters.network_acl_ids.is_empty()) {
            self.network.cover_all()
        } else if !filters.vpc_ids.is_empty() {
            let vpcs: BTreeSet<_> = filters.vpc_ids.iter().cloned().collect();
            self.network.cover_vpcs(&vpcs)
        } else {
            Ok(())
        }
    }

    fn read_options(&self, window: Window) -> ReadOptions {
        let config = self.config;
        ReadOptions {
            threads: config.threads,
            limits: Limits::default(),
            log_formats: config.log_formats.clone(),
            selection: selection(config, window, self.network.config()),
            correlate: Options {
                match_window_seconds: config.match_window_seconds,
                memory_limit_bytes: config.memory_limit_bytes,
            },
            gateways: Arc::new(self.network.nat_gateway_interfaces()),
            coverage: config.keep.coverage,
            is_last: self.is_last,
            stop: self.stop.clone(),
        }
    }
}

/// Whether a survey was made as if there were no accepted record at all: findings may rest on the shape of rejects alone.
pub(super) fn is_guessed(survey: &Survey) -> bool {
    survey.diagnosis.warnings.iter().any(|warning| warning.starts_with(present::NO_ACCEPT))
}

/// Regions that log groups are named with, where all sources are such.
fn regions_named(sources: &[String]) -> BTreeSet<String> {
    let region = |source: &String| LogGroup::parse(source)?.region;
    sources.iter().map(region).collect::<Option<_>>().unwrap_or_default()
}

/// Says that rejects are missing from the sums, once.
fn note_unread(known: &mut Vec<(String, String)>, read: std::io::Result<()>) {
    let Err(error) = read else { return };
    let incomplete = ("temporary file".to_owned(), format!("rejects could not be read back: {error}"));
    if !known.contains(&incomplete) {
        known.push(incomplete);
    }
}

/// Judges what was read, and has it presented.
fn attribute<T>(
    config: &Diagnose,
    network: &Network,
    found: &Found,
    window: Window,
    mut reading: Reading,
    present: impl FnOnce(present::Material<'_>) -> T,
) -> T {
    // What was rejected from the end of the window on does not count, however far a record before it reaches.
    let last_read = reading.correlated.span.map(|span| span.end).unwrap_or_default();
    let last_read = window.until.map_or(last_read, |until| last_read.min(until));
    let span = &mut reading.correlated.span;
    *span = span.map(|read| found.times_known(read, window));
    let mut conversations = std::mem::take(&mut reading.correlated.conversations);
    let places = Places::over_time(&reading.correlated.interfaces, network.config(), network.history());
    let mut judged = judge_conversations(&conversations, &places);
    // Only input without a single accepted record leaves nothing but the shape of a reject to go by.
    let accepted_somewhere =
        reading.correlated.accepted > 0 || found.accepted_unread || found.accepted_elsewhere;
    let reject_only = !accepted_somewhere && reading.correlated.counts.filtered_accepted == 0;
    let most = (config.memory_limit_bytes / CONVERSATION_BYTES).saturating_sub(conversations.len());
    let (unpaired, read) = judge_unpaired(&reading.correlated.unpaired, reject_only, most, &places);
    note_unread(&mut reading.incomplete, read);
    reading.correlated.cut_conversations += unpaired.possible_cut;
    for (conversation, mut one) in unpaired.possible {
        one.index = conversations.len();
        conversations.push(conversation);
        judged.push(one);
    }
    let findings = findings(&judged, &conversations, &places);
    let blamed = blamed(&findings, &judged, &conversations, &places);
    // Of a part of the time only what fixes are proven by is kept: they are made for all of it.
    let (mut fixes, mut evidence) = if config.keep.evidence {
        (Fixes::new(findings.iter().map(|_| None).collect()), Some(present::Evidence::of(&blamed)))
    } else {
        (Fixes::new(blamed), None)
    };
    if fixes.wants_others() || evidence.is_some() {
        let unpaired = &reading.correlated.unpaired;
        let read = visit_others(unpaired, reject_only, &places, |other| match &mut evidence {
            Some(evidence) => evidence.meet(admittable(other), other),
            None => fixes.meet(other),
        });
        note_unread(&mut reading.incomplete, read);
    }
    let no_reply = no_reply(&reading.correlated, last_read, config.match_window_seconds, &places);
    present(present::Material {
        config,
        window,
        network,
        found,
        reading: &reading,
        places: &places,
        conversations,
        judged,
        findings,
        fixes,
        evidence,
        no_reply,
        others: unpaired.others.rows(),
    })
}
