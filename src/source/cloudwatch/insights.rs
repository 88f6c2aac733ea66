//! One slice of a log group of class Infrequent Access, which only Logs Insights reads: a query that stays below the most
//! rows it may answer, or the slice is asked for in halves.
//!
//! Facts: CloudWatch Logs API reference, `StartQuery` and `GetQueryResults`; User Guide, "Log classes". Such groups have
//! no discovered fields, so queries use the message alone. A query costs by the bytes of the stretch of time it reads,
//! whatever it answers: slices are no dearer than the whole, and asking again in halves reads a slice twice.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::operation::get_query_results::GetQueryResultsOutput;
use aws_sdk_cloudwatchlogs::types::{QueryStatistics, QueryStatus, ResultField};

use super::Sampled;
use super::call::Cut;
use super::feed::Feed;
use super::filter::{Events, Repeated, Tokens, line};
use super::span::TimeRange;
use super::target::{Group, Target};
use super::wanted::{Request, Wanted};
use crate::aws::Action;

/// The most rows of one page of results.
const PAGE_ROWS: usize = 10_000;
/// The longest pause between two looks at a running query.
const LONGEST_POLL: Duration = Duration::from_secs(2);
/// Queries end after 60 minutes by themselves; one that has not is not waited for any longer.
const LONGEST_QUERY: Duration = Duration::from_mins(65);
/// How long a query that is not needed any more may take to be stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Rows that a sample asks for.
const SAMPLE_ROWS: i32 = 100;

/// What a query answered.
enum Answer {
    /// All there is, as lines.
    Whole(Vec<u8>),
    /// As much as it may: there can be more.
    Full,
}

impl Group {
    /// Fetches what is wanted of a slice and hands it on query by query.
    pub(super) async fn query(
        &self,
        target: &Target,
        slice: TimeRange,
        wanted: &Wanted,
        feed: &Feed,
    ) -> Result<(), Cut> {
        let rows = self.service.limits().query_rows;
        for request in wanted.requests(target.class, slice) {
            let mut waiting = vec![slice];
            while let Some(part) = waiting.pop() {
                match self.ask(target, part, wanted, &request, rows).await? {
                    Answer::Whole(text) => feed.push(text).await?,
                    Answer::Full => {
                        let (early, late) = part.halves().ok_or_else(|| self.too_many(part, rows))?;
                        waiting.extend([late, early]);
                    }
                }
            }
        }
        Ok(())
    }

    /// The first events of a range that are wanted.
    pub(super) async fn first_rows(
        &self,
        target: &Target,
        range: TimeRange,
        wanted: &Wanted,
    ) -> Result<Vec<Sampled>, Cut> {
        let requests = wanted.requests(target.class, range);
        let Some(request) = requests.first() else { return Ok(Vec::new()) };
        let mut events = Vec::new();
        self.run(target, range, request, SAMPLE_ROWS, |row| {
            if range.holds(row.milliseconds) && wanted.keeps(request, row.milliseconds, row.message) {
                events.push(Sampled::new(row.milliseconds, row.message));
            }
        })
        .await?;
        events.truncate(SAMPLE_ROWS.unsigned_abs() as usize);
        Ok(events)
    }

    fn too_many(&self, second: TimeRange, rows: i32) -> Cut {
        let problem = format!(
            "more than {rows} matching events in the one second {}, which is the most that Logs Insights answers\n\
             hint: leave that second out with --since and --until",
            second.from
        );
        Cut::Failed(self.failure(Action::GetQueryResults, problem))
    }

    async fn ask(
        &self,
        target: &Target,
        part: TimeRange,
        wanted: &Wanted,
        request: &Request,
        rows: i32,
    ) -> Result<Answer, Cut> {
        let (mut text, mut kept, mut events) = (Vec::new(), 0, Events::default());
        let mut is_passed = false;
        let take = |row: Row<'_>| {
            is_passed |= row.milliseconds > part.milliseconds().1;
            if part.holds(row.milliseconds)
                && wanted.keeps(request, row.milliseconds, row.message)
                && events.is_new(row.pointer)
            {
                text.extend(line(row.message));
                kept += 1;
            }
        };
        let whole = self.run(target, part, request, rows, take).await?;
        // Rows come by time. Of a single second all was answered when rows of the next one, which is asked for as
        // well, were.
        let is_all = whole || (is_passed && part.halves().is_none());
        if !is_all {
            return Ok(Answer::Full);
        }
        self.service.traffic().kept(kept);
        Ok(Answer::Whole(text))
    }

    /// Runs one query to its end and shows its rows to `take`. `false` when there can be more
    /// than were answered.
    async fn run(
        &self,
        target: &Target,
        range: TimeRange,
        request: &Request,
        rows: i32,
        take: impl FnMut(Row<'_>),
    ) -> Result<bool, Cut> {
        let query_id = self.start(target, range, request, rows).await?;
        let result = self.results(&query_id, rows, take).await;
        if result.is_err() {
            // It would go on at the user's cost. If it has ended, or this fails, nothing is lost.
            let stop = self.service.client.stop_query().query_id(query_id).send();
            let _ = tokio::time::timeout(STOP_TIMEOUT, stop).await;
        }
        result
    }

    async fn start(
        &self,
        target: &Target,
        range: TimeRange,
        request: &Request,
        rows: i32,
    ) -> Result<String, Cut> {
        // By time, so that what is handed on comes in an order that does not change from run to run.
        let query = format!("fields @timestamp, @message {} | sort @timestamp asc", request.filter);
        let started = self
            .service
            .call(Action::StartQuery, &self.name, || {
                let start = self.service.client.start_query();
                let start = match &target.identifier {
                    Some(arn) => start.log_group_identifiers(arn),
                    None => start.log_group_name(&self.id.name),
                };
                // One more second, as the end is the beginning of its second: what is of the next slice is left out here.
                let (from, to) = (range.from.0, range.to.0.saturating_add(1));
                start.start_time(from).end_time(to).query_string(&query).limit(rows).send()
            })
            .await?;
        started
            .query_id
            .ok_or_else(|| Cut::Failed(self.failure(Action::StartQuery, "the service sent no query id")))
    }

    async fn results(&self, query_id: &str, rows: i32, mut take: impl FnMut(Row<'_>)) -> Result<bool, Cut> {
        let mut page = self.completed(query_id).await?;
        let matched = page.statistics().map_or(0.0, QueryStatistics::records_matched);
        let (mut received, mut tokens) = (0_usize, Tokens::default());
        loop {
            self.show(&page, &mut take)?;
            let in_page = page.results().len();
            received += in_page;
            match tokens.next(page.next_token.take()) {
                Ok(Some(token)) => page = self.results_page(query_id, Some(token)).await?,
                Ok(None) => {
                    let most = usize::try_from(rows).unwrap_or(usize::MAX);
                    // A full page without a token: from a service that knows no further pages.
                    let cut_off = in_page == PAGE_ROWS && received < most;
                    return Ok(received < most && !cut_off && matched <= count_as_float(received));
                }
                Err(Repeated) => return Err(self.token_loop(Action::GetQueryResults)),
            }
        }
    }

    fn show(&self, page: &GetQueryResultsOutput, take: &mut impl FnMut(Row<'_>)) -> Result<(), Cut> {
        let mut bytes = 0;
        for fields in page.results() {
            let Some(row) = Row::read(fields) else {
                let problem = "the service sent a row without a time that can be read";
                return Err(Cut::Failed(self.failure(Action::GetQueryResults, problem)));
            };
            bytes += row.message.len();
            take(row);
        }
        self.service.traffic().page(page.results().len(), bytes);
        Ok(())
    }

    /// The first page of a query that has ended well.
    async fn completed(&self, query_id: &str) -> Result<GetQueryResultsOutput, Cut> {
        let (mut poll, mut waited) = (self.service.limits().first_poll, Duration::ZERO);
        while waited < LONGEST_QUERY {
            let page = self.results_page(query_id, None).await?;
            match page.status() {
                Some(QueryStatus::Complete) => return Ok(page),
                Some(status @ (QueryStatus::Failed | QueryStatus::Cancelled | QueryStatus::Timeout)) => {
                    let problem = format!("the query ended as {status}");
                    return Err(Cut::Failed(self.failure(Action::GetQueryResults, problem)));
                }
                _ => {}
            }
            self.service.pause(poll).await?;
            waited += poll;
            poll = poll.mul_f64(1.5).min(LONGEST_POLL);
        }
        Err(Cut::Failed(self.failure(Action::GetQueryResults, "the query does not end")))
    }

    async fn results_page(
        &self,
        query_id: &str,
        token: Option<String>,
    ) -> Result<GetQueryResultsOutput, Cut> {
        self.service
            .call(Action::GetQueryResults, &self.name, || {
                let request = self.service.client.get_query_results().query_id(query_id);
                request.set_next_token(token.clone()).send()
            })
            .await
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count_as_float(count: usize) -> f64 {
    count as f64
}

/// One row of results.
struct Row<'a> {
    milliseconds: i64,
    message: &'a str,
    /// `@ptr`, by which the service tells events apart.
    pointer: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn read(fields: &'a [ResultField]) -> Option<Self> {
        let value = |name| fields.iter().find(|field| field.field() == Some(name))?.value();
        Some(Self {
            milliseconds: milliseconds(value("@timestamp")?)?,
            message: value("@message").unwrap_or_default(),
            pointer: value("@ptr"),
        })
    }
}

/// `2026-11-23 10:00:00.000`, UTC; or, from servers that stand in for the service, milliseconds.
fn milliseconds(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let moment: jiff::civil::DateTime = text.parse().ok()?;
    Some(moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_insights_writes_them() {
        assert_eq!(milliseconds("2023-11-14 22:13:20.000"), Some(1_700_000_000_000));
        assert_eq!(milliseconds("2023-11-14 22:13:20.999"), Some(1_700_000_000_999));
        assert_eq!(milliseconds("1700000000001"), Some(1_700_000_000_001));
        assert_eq!(milliseconds("yesterday"), None);
    }
}
