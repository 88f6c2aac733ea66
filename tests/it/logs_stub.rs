//! A stand-in for CloudWatch Logs on this machine's loopback: the calls that flow logs are read with, in JSON 1.1, with
//! the faults that tests ask for. It answers as the API reference says unless told otherwise.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use serde_json::{Value, json};

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct Event {
    /// Milliseconds.
    pub at: i64,
    pub message: String,
}

/// A log group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// `STANDARD`, `INFREQUENT_ACCESS` or `DELIVERY`; empty for a group that says none.
    pub class: &'static str,
    pub events: Vec<Event>,
}

/// How it behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Ignores filter patterns, queries' conditions and time bounds, as other servers do to a degree.
    pub ignores_filters: bool,
    /// Events in one page.
    pub page: usize,
    /// Empty pages with a token before each page.
    pub empty_pages: usize,
    /// Requests that are throttled before the first is answered.
    pub throttled: usize,
    /// The same token for ever.
    pub loops: bool,
    /// Sends each event of a page's end once more at the beginning of the next.
    pub repeats: bool,
    /// An error for an action: `AccessDeniedException`, `ExpiredTokenException` …
    pub errors: BTreeMap<&'static str, &'static str>,
    /// An action that is never answered.
    pub hangs: Option<&'static str>,
    /// How a query ends.
    pub query_status: &'static str,
    /// How often a query is still running when it is looked at.
    pub polls: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ignores_filters: false,
            page: 10_000,
            empty_pages: 0,
            throttled: 0,
            loops: false,
            repeats: false,
            errors: BTreeMap::new(),
            hangs: None,
            query_status: "Complete",
            polls: 0,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<String, Group>,
    behaviour: Behaviour,
    requests: Vec<(String, Value)>,
    queries: Vec<Query>,
    is_over: bool,
}

#[derive(Debug)]
struct Query {
    rows: Vec<Value>,
    matched: usize,
    polls: usize,
    is_stopped: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test has failed in here")
    }
}

/// What it answers, without a server of its own: for one that answers for other services too.
pub struct Logs(Arc<Shared>);

impl Logs {
    pub fn new(behaviour: Behaviour, groups: Vec<(String, Group)>) -> Self {
        let state = State { groups: groups.into_iter().collect(), behaviour, ..State::default() };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// The answer to a request of this `x-amz-target`.
    pub fn answer(&self, target: &str, body: &[u8]) -> (u16, String) {
        let action = target.split('.').next_back().expect("an action");
        let body = serde_json::from_slice(body).expect("JSON");
        let (status, answer) = answer(&self.0, action, &body).expect("an answer");
        (status, answer.to_string())
    }
}

/// The running server; it ends with its owner.
pub struct LogsStub {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl LogsStub {
    pub fn start(behaviour: Behaviour, groups: &[(&str, Group)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("address");
        let groups = groups.iter().map(|(name, group)| ((*name).to_owned(), group.clone())).collect();
        let state = State { groups, behaviour, ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.lock().is_over {
                    break;
                }
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { shared, address }
    }

    /// `http://127.0.0.1:…`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bodies of the requests of one action so far.
    pub fn requests(&self, action: &str) -> Vec<Value> {
        let state = self.shared.lock();
        state.requests.iter().filter(|(name, _)| name == action).map(|(_, body)| body.clone()).collect()
    }

    /// Waits until a request of that action has come.
    pub fn wait_for(&self, action: &str) {
        let mut state = self.shared.lock();
        while !state.requests.iter().any(|(name, _)| name == action) {
            state = self.shared.changed.wait(state).expect("no test has failed in here");
        }
    }
}

impl Drop for LogsStub {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    while let Some((action, body)) = request(&mut reader) {
        let Some((status, answer)) = answer(shared, &action, &body) else { return };
        let text = answer.to_string();
        // In one piece: two would wait for each other's acknowledgement.
        let whole = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let mut writer = stream;
        if writer.write_all(whole.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, Value)> {
    let (mut action, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => value.split('.').next_back()?.clone_into(&mut action),
                "content-length" => length = value.parse().ok()?,
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((action, serde_json::from_slice(&body).ok()?))
}

/// `None`: the connection ends without an answer.
fn answer(shared: &Shared, action: &str, body: &Value) -> Option<(u16, Value)> {
    let mut state = shared.lock();
    state.requests.push((action.to_owned(), body.clone()));
    shared.changed.notify_all();
    if state.behaviour.hangs == Some(action) {
        while !state.is_over {
            state = shared.changed.wait(state).ok()?;
        }
        return None;
    }
    if let Some(code) = state.behaviour.errors.get(action) {
        return Some(error(code));
    }
    if state.behaviour.throttled > 0 {
        state.behaviour.throttled -= 1;
        return Some(error("ThrottlingException"));
    }
    let result = match action {
        "DescribeLogGroups" => Ok(describe(&state, body)),
        "FilterLogEvents" => filter(&state, body),
        "StartQuery" => start(&mut state, body),
        "GetQueryResults" => results(&mut state, body),
        "StopQuery" => stop(&mut state, body),
        _ => Err("UnknownOperationException"),
    };
    Some(result.map_or_else(error, |answer| (200, answer)))
}

fn error(code: &str) -> (u16, Value) {
    (400, json!({"__type": code, "message": format!("{code} for a test")}))
}

/// One group a page, so that a reader that looks at the first page only is found out.
fn describe(state: &State, body: &Value) -> Value {
    let prefix = body["logGroupNamePrefix"].as_str().unwrap_or_default();
    let mut found = state.groups.iter().filter(|(name, _)| name.starts_with(prefix)).skip(number(body));
    let groups: Vec<_> = found
        .next()
        .map(|(name, group)| {
            let mut described = json!({
                "logGroupName": name,
                "arn": format!("arn:aws:logs:eu-west-1:123456789012:log-group:{name}:*"),
            });
            if !group.class.is_empty() {
                described["logGroupClass"] = json!(group.class);
            }
            described
        })
        .into_iter()
        .collect();
    let next = found.next().map(|_| (number(body) + 1).to_string());
    json!({"logGroups": groups, "nextToken": next})
}

fn group<'a>(state: &'a State, body: &Value) -> Result<&'a Group, &'static str> {
    let identifier = || body["logGroupIdentifier"].as_str().or(body["logGroupIdentifiers"][0].as_str());
    let name = body["logGroupName"].as_str().or_else(|| identifier()?.split(':').next_back());
    state.groups.get(name.unwrap_or_default()).ok_or("ResourceNotFoundException")
}

fn filter(state: &State, body: &Value) -> Result<Value, &'static str> {
    let group = group(state, body)?;
    if group.class != "STANDARD" && !group.class.is_empty() {
        return Err("InvalidParameterException");
    }
    let behaviour = &state.behaviour;
    let pattern = body["filterPattern"].as_str().unwrap_or_default();
    if pattern.len() > 1024 {
        return Err("InvalidParameterException");
    }
    let (from, to) = (body["startTime"].as_i64().unwrap_or(0), body["endTime"].as_i64().unwrap_or(i64::MAX));
    let mut events: Vec<(usize, &Event)> = group
        .events
        .iter()
        .enumerate()
        .filter(|(_, event)| behaviour.ignores_filters || (from..=to).contains(&event.at))
        .filter(|(_, event)| behaviour.ignores_filters || matches(pattern, &event.message))
        .collect();
    events.sort_by_key(|(_, event)| event.at);
    if behaviour.loops {
        return Ok(json!({"events": [], "nextToken": "again"}));
    }
    let size = behaviour.page.min(limit(body));
    let step = number(body);
    let (page, is_empty) =
        (step / (behaviour.empty_pages + 1), step % (behaviour.empty_pages + 1) != behaviour.empty_pages);
    let repeated = usize::from(behaviour.repeats && page > 0);
    let rest = events.get((page * size).saturating_sub(repeated)..).unwrap_or_default();
    let shown = if is_empty { &[] } else { &rest[..rest.len().min(size + repeated)] };
    let is_last = !is_empty && rest.len() <= size + repeated;
    let shown: Vec<_> = shown
        .iter()
        .map(|(index, event)| {
            json!({"eventId": format!("{index:056}"), "timestamp": event.at, "message": event.message,
                   "logStreamName": "eni-0-all", "ingestionTime": event.at + 300_000})
        })
        .collect();
    Ok(json!({"events": shown, "nextToken": (!is_last).then(|| (step + 1).to_string())}))
}

/// Terms, and optional terms, which are ignored beside others.
fn matches(pattern: &str, message: &str) -> bool {
    let (optional, plain): (Vec<_>, Vec<_>) =
        pattern.split_whitespace().partition(|term| term.starts_with('?'));
    let has = |term: &str| message.contains(term.trim_start_matches('?').trim_matches('"'));
    if plain.is_empty() {
        optional.is_empty() || optional.into_iter().any(has)
    } else {
        plain.into_iter().all(has)
    }
}

fn start(state: &mut State, body: &Value) -> Result<Value, &'static str> {
    let query = body["queryString"].as_str().unwrap_or_default();
    let ignores = state.behaviour.ignores_filters;
    let (from, to) = (body["startTime"].as_i64().unwrap_or(0), body["endTime"].as_i64().unwrap_or(0));
    let mut events: Vec<(usize, &Event)> = group(state, body)?
        .events
        .iter()
        .enumerate()
        .filter(|(_, event)| ignores || (from * 1000..=to * 1000).contains(&event.at))
        .filter(|(_, event)| {
            ignores || likes(query).all(|mut any| any.any(|word| event.message.contains(word)))
        })
        .collect();
    events.sort_by_key(|(_, event)| event.at);
    let limit = limit(body);
    let rows = events.iter().take(limit).map(|(index, event)| row(*index, event)).collect();
    let (matched, polls) = (events.len(), state.behaviour.polls);
    state.queries.push(Query { rows, matched, polls, is_stopped: false });
    Ok(json!({"queryId": (state.queries.len() - 1).to_string()}))
}

/// The words of each `like /a|b/`.
fn likes(query: &str) -> impl Iterator<Item = impl Iterator<Item = &str>> {
    query.split("like /").skip(1).filter_map(|rest| rest.split('/').next()).map(|words| words.split('|'))
}

fn row(index: usize, event: &Event) -> Value {
    let (seconds, rest) = (event.at.div_euclid(1000), event.at.rem_euclid(1000));
    let moment = flowcheck::net::Timestamp(seconds).strftime("%Y-%m-%d %H:%M:%S");
    json!([
        {"field": "@timestamp", "value": format!("{moment}.{rest:03}")},
        {"field": "@message", "value": event.message},
        {"field": "@ptr", "value": format!("ptr{index}")},
    ])
}

fn results(state: &mut State, body: &Value) -> Result<Value, &'static str> {
    let (status, page) = (state.behaviour.query_status, state.behaviour.page);
    let query = query(state, body)?;
    if query.polls > 0 {
        query.polls -= 1;
        return Ok(json!({"status": "Running", "results": []}));
    }
    let from = number(body);
    let to = (from + page).min(query.rows.len());
    let next = (to < query.rows.len()).then(|| to.to_string());
    Ok(json!({"status": status, "results": query.rows[from..to], "nextToken": next,
              "statistics": {"recordsMatched": query.matched}}))
}

fn stop(state: &mut State, body: &Value) -> Result<Value, &'static str> {
    let query = query(state, body)?;
    query.is_stopped = true;
    Ok(json!({"success": query.is_stopped}))
}

fn query<'a>(state: &'a mut State, body: &Value) -> Result<&'a mut Query, &'static str> {
    let index: Option<usize> = body["queryId"].as_str().and_then(|id| id.parse().ok());
    index.and_then(|index| state.queries.get_mut(index)).ok_or("ResourceNotFoundException")
}

fn limit(body: &Value) -> usize {
    body["limit"].as_u64().and_then(|limit| limit.try_into().ok()).unwrap_or(10_000)
}

/// The place that a token stands for.
fn number(body: &Value) -> usize {
    body["nextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0)
}
