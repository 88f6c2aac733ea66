//! An HTTP proxy that breaks answers in chosen ways, and the little HTTP that it and the servers of these tests speak.
//!
//! One thread a connection, one request a connection: what a test sees is in the order in which it happened.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request without its body; none of those here has one.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Reads one; `None` when the connection was closed instead.
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let line = lines.next()?.ok()?;
            if line.is_empty() {
                return Some(Self { method, target, headers });
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is for an object's content.
    pub fn is_download(&self) -> bool {
        self.query("x-id").as_deref() == Some("GetObject")
    }

    /// The path, decoded.
    pub fn path(&self) -> String {
        decode(self.target.split('?').next().unwrap_or_default())
    }

    /// A parameter of the query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| decode(value))
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%');
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).expect("UTF-8 in a request")
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Without `content-length` and `connection`, which are written as they are needed.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// An error as S3 writes it.
    pub fn s3_error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let headers = vec![("content-type".to_owned(), "application/xml".to_owned())];
        Self { status, headers, body: body.into_bytes() }
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reads one from a server that closes the connection after it.
    fn read(stream: &TcpStream, method: &str) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut body = Vec::new();
        reader.read_to_end(&mut body).ok()?;
        if method != "HEAD" {
            headers.retain(|(name, _)| name != "content-length");
        }
        headers.retain(|(name, _)| name != "connection");
        Some(Self { status, headers, body })
    }

    /// Writes the head as if the body had `length` bytes.
    fn write_head(&self, stream: &mut TcpStream, length: usize) -> std::io::Result<()> {
        let mut head = Vec::new();
        write!(head, "HTTP/1.1 {} x\r\nconnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        if !self.headers.iter().any(|(name, _)| name == "content-length") {
            write!(head, "content-length: {length}\r\n")?;
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head)
    }

    /// Writes it whole.
    pub fn write(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        self.write_head(stream, self.body.len())?;
        stream.write_all(&self.body)?;
        stream.flush()
    }
}

/// What happens to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is answered with this and goes no further.
    Answer(Answer),
    /// The connection is closed after so many bytes of the body.
    CutAfter(usize),
    /// The body has only so many bytes, and its length says so.
    Shorten(usize),
    /// Nothing comes after so many bytes of the body; the connection stays open until the client closes it.
    HangAfter(usize),
    /// The answer has one more header.
    Header(&'static str, &'static str),
    /// The body comes in pieces of so many bytes.
    Trickle(usize),
}

/// A proxy before one server.
pub struct Proxy {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Proxy {
    /// Asks `faults` what to do with each request.
    pub fn start(upstream: SocketAddr, faults: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (seen, faults) = (Arc::clone(&requests), Arc::new(faults));
        let address = serve(move |request, stream| {
            seen.lock().expect("requests").push(request.clone());
            // A client that went away is no fault of the test.
            let _ = pass_on(upstream, request, stream, faults(request));
        });
        Self { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("requests").clone()
    }
}

/// Listens on a port of the system's choice and answers each connection on its own thread, as long as the process lives.
pub fn serve(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                if let Some(request) = Request::read(&stream) {
                    answer(&request, &mut stream);
                }
            });
        }
    });
    address
}

fn pass_on(
    upstream: SocketAddr,
    request: &Request,
    stream: &mut TcpStream,
    fault: Fault,
) -> std::io::Result<()> {
    if let Fault::Answer(answer) = fault {
        return answer.write(stream);
    }
    let mut server = TcpStream::connect(upstream)?;
    let mut head = Vec::new();
    write!(head, "{} {} HTTP/1.1\r\n", request.method, request.target)?;
    for (name, value) in &request.headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    head.extend_from_slice(b"\r\n");
    server.write_all(&head)?;
    let Some(answer) = Answer::read(&server, &request.method) else { return Ok(()) };
    let body = answer.body.clone();
    match fault {
        Fault::None | Fault::Answer(_) => answer.write(stream),
        Fault::Header(name, value) => answer.with_header(name, value).write(stream),
        Fault::CutAfter(bytes) => {
            answer.write_head(stream, body.len())?;
            stream.write_all(&body[..bytes.min(body.len())])
        }
        Fault::Shorten(bytes) => {
            Answer { body: body[..bytes.min(body.len())].to_vec(), ..answer }.write(stream)
        }
        Fault::HangAfter(bytes) => {
            answer.write_head(stream, body.len())?;
            stream.write_all(&body[..bytes.min(body.len())])?;
            stream.flush()?;
            stream.read_to_end(&mut Vec::new()).map(drop)
        }
        Fault::Trickle(bytes) => {
            stream.set_nodelay(true)?;
            answer.write_head(stream, body.len())?;
            body.chunks(bytes).try_for_each(|piece| stream.write_all(piece))
        }
    }
}
