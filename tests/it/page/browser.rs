//! A headless Chromium, spoken to over two pipes in the `DevTools` protocol.
//!
//! Owns the process, the messages and the input of a mouse; refuses to know what a page should be like.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::Scratch;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whether its script may run.
    pub scripts: bool,
    /// Whether the reader prefers dark colours.
    pub dark: bool,
    /// Width of the window in CSS pixels.
    pub width: u32,
}

/// What most people have.
pub const DESKTOP: Look = Look { scripts: true, dark: false, width: 1_280 };

/// A browser with one page.
pub struct Browser {
    process: Child,
    to: File,
    from: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    events: Vec<Value>,
    folder: Scratch,
}

impl Browser {
    /// Starts one with nothing in it and without a network.
    pub fn start(program: &str) -> Self {
        let folder = Scratch::new();
        let [input, output] = ["in", "out"].map(|name| folder.at(name));
        let made = Command::new("mkfifo").args([&input, &output]).status().expect("mkfifo");
        assert!(made.success(), "mkfifo: {made}");
        let profile = format!("--user-data-dir={}", folder.at("profile"));
        let log = File::create(folder.path().join("log")).expect("log");
        // Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        let process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3< \"$IN\" 4> \"$OUT\"", "sh", program, &profile])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-pipe", "--no-first-run", "--disable-background-networking"])
            .envs([("IN", &input), ("OUT", &output), ("HOME", &folder.at("home"))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let to = OpenOptions::new().write(true).open(&input).expect("the browser's input");
        let answers = BufReader::new(File::open(&output).expect("the browser's output"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("the browser answers in JSON");
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { process, to, from, session: None, sent: 0, events: Vec::new(), folder };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a file, without a network, and waits until it is there.
    pub fn open(&mut self, page: &Path, look: Look) {
        let Look { scripts, dark, width } = look;
        self.events.clear();
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
        self.call("Emulation.setScriptExecutionDisabled", &json!({"value": !scripts}));
        let scheme = json!({"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }});
        self.call("Emulation.setEmulatedMedia", &json!({"media": "", "features": [scheme]}));
        let offline =
            json!({"offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", &offline);
        let navigated = self.call("Page.navigate", &json!({"url": url(page)}));
        assert!(navigated.get("errorText").is_none(), "{navigated}");
        let deadline = Instant::now() + PATIENCE;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive(deadline, "the page to load");
            self.events.push(event);
        }
    }

    /// What the page did that a page should not do: messages, exceptions, requests, violations of its policy.
    pub fn complaints(&mut self, page: &Path) -> Vec<String> {
        // Whatever was still on its way comes before the answer.
        std::thread::sleep(Duration::from_millis(200));
        self.evaluate("0");
        let (mut complaints, mut seen) = (Vec::new(), 0);
        for event in &self.events {
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" if event["params"]["request"]["url"] == url(page) => seen += 1,
                "Network.requestWillBeSent"
                | "Runtime.consoleAPICalled"
                | "Runtime.exceptionThrown"
                | "Log.entryAdded"
                | "Audits.issueAdded" => complaints.push(event["params"].to_string()),
                _ => {}
            }
        }
        if seen != 1 {
            complaints.push(format!("the page itself was requested {seen} times"));
        }
        complaints
    }

    /// The value of an expression; a promise is waited for.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", &asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression:.200}: {answer}");
        answer["result"]["value"].take()
    }

    /// A list of texts that an expression gives.
    #[track_caller]
    pub fn texts(&mut self, expression: &str) -> Vec<String> {
        let value = self.evaluate(expression);
        let list = value.as_array().unwrap_or_else(|| panic!("no list: {expression}: {value}"));
        list.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Presses the mouse button in the middle of an element.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let quoted = json!(selector);
        let place = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{block: 'center', behavior: 'instant'}});
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Types into what has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Sends a command to the page and gives its result.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap_or_else(|error| panic!("{method}: {error}\n{}", self.log()));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut message = self.receive(deadline, method);
            if message["id"] == self.sent {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    #[track_caller]
    fn receive(&self, deadline: Instant, what: &str) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        self.from.recv_timeout(left).unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.log()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it ends its own helpers; waited for, it writes nothing more into the folder.
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn url(page: &Path) -> String {
    format!("file://{}", page.display())
}
