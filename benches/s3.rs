//! The diagnosis of a window from S3 over loopback, beside the same objects on local disk and beside copying them.
//!
//! `cargo bench --bench s3` (options after `--`: `--records N`, default 41000000; `--objects N` in each five minutes,
//! default 84; `--runs N`, default 5). Makes about 2 000 gzip objects of half a megabyte under `target/` once and asks for
//! the second of their two hours. `aws s3 cp --recursive` of the window's objects is measured where `FLOWCHECK_BENCH_AWS`
//! or PATH has an `aws`. Prints medians and ratios, and the server's processor time: it has a process of its own, but not
//! a machine, so what it takes is taken from the programs that are measured.

#[path = "s3/server.rs"]
mod server;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The second half of what the `load` example makes.
const WINDOW: [&str; 2] = ["2026-11-20T15:00:00Z", "2026-11-20T16:00:00Z"];
/// Every object.
const ALL: &str = "all";
/// Those that the window needs.
const NEEDED: &str = "needed";

struct Options {
    records: u64,
    objects: u32,
    runs: usize,
}

/// What is run, and what the table calls it.
struct Contender<'a> {
    name: &'static str,
    command: Box<dyn Fn() -> Command + 'a>,
    runs: Vec<Run>,
}

struct Run {
    wall: Duration,
    server: Duration,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).skip_while(|argument| argument == "--bench");
    if arguments.next().as_deref() == Some("serve") {
        return server::serve(Path::new(&arguments.next().unwrap_or_default()));
    }
    let options = options();
    let place = Place::prepare(&options)?;
    let server = Server::start(&place.buckets)?;
    let needed = place.keep_needed(&server)?;
    let mut contenders = contenders(&place, &server);
    // Turn by turn, so that a machine that slows down slows everyone.
    for _ in 0..options.runs {
        for contender in &mut contenders {
            contender.run(&server)?;
        }
    }
    report(&options, &place, needed, contenders)
}

fn options() -> Options {
    let mut options = Options { records: 41_000_000, objects: 84, runs: 5 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--records" => options.records = value().parse().unwrap_or(options.records),
            "--objects" => options.objects = value().parse().unwrap_or(options.objects),
            "--runs" => options.runs = value().parse().unwrap_or(options.runs).max(1),
            _ => {}
        }
    }
    options
}

/// Where the data lies: `all/` and `needed/` below `buckets`, beside the snapshot.
struct Place {
    buckets: PathBuf,
    snapshot: PathBuf,
    copies: PathBuf,
    home: PathBuf,
}

impl Place {
    /// The input, made by the `load` example unless it is there already.
    fn prepare(options: &Options) -> io::Result<Self> {
        let name = format!("bench-data/s3-{}-{}", options.records, options.objects);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name);
        let place = Self {
            buckets: folder.join("buckets"),
            snapshot: folder.join("buckets").join(ALL).join("snapshot.json"),
            copies: folder.join("copies"),
            home: folder.join("home"),
        };
        if !folder.join("complete").exists() {
            let status = Command::new(env!("CARGO"))
                .args(["run", "--release", "--quiet", "--example", "load", "--"])
                .arg(place.buckets.join(ALL))
                .args(["--records", &options.records.to_string(), "--objects", &options.objects.to_string()])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()?;
            if !status.success() {
                return Err(io::Error::other("making the data failed"));
            }
            fs::write(folder.join("complete"), "")?;
        }
        fs::create_dir_all(&place.home)?;
        Ok(place)
    }

    /// Finds out which objects the window is read from, and links those into a folder of their own, so that disk and copy
    /// have the same to do. Answers how many they are, and fails when the same objects give another answer from disk.
    fn keep_needed(&self, server: &Server) -> io::Result<usize> {
        let from_s3 = document(server.flowcheck(self, &format!("s3://{ALL}")))?;
        let needed = from_s3["input"]["objects"].as_u64().and_then(|objects| usize::try_from(objects).ok());
        let needed = needed.ok_or_else(|| io::Error::other("the number of objects is not in the answer"))?;
        let mut objects = objects(&self.buckets.join(ALL))?;
        // The window is the end of what there is: the objects read are the last ones by the time in their names.
        objects.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        let folder = self.buckets.join(NEEDED);
        fs::remove_dir_all(&folder).or_else(absent)?;
        for path in objects.split_off(objects.len().saturating_sub(needed)) {
            let inside = path.strip_prefix(self.buckets.join(ALL)).map_err(io::Error::other)?;
            let link = folder.join(inside);
            fs::create_dir_all(link.parent().unwrap_or(&folder))?;
            fs::hard_link(&path, link)?;
        }
        let from_disk = document(self.flowcheck(&folder.display().to_string()))?;
        for member in ["input", "findings", "other_rejects", "summary"] {
            if from_s3[member] != from_disk[member] {
                return Err(io::Error::other(format!("{member} differs between S3 and disk")));
            }
        }
        Ok(needed)
    }

    /// The diagnosis of the window from a source, with nothing in the environment but the server's credentials.
    fn flowcheck(&self, source: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowcheck"));
        command.arg(source).arg("--snapshot").arg(&self.snapshot).args(["--format", "json"]);
        command.args(["--since", WINDOW[0], "--until", WINDOW[1]]);
        self.signed(&mut command);
        command
    }

    fn signed(&self, command: &mut Command) {
        command
            .env("HOME", &self.home)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", server::KEY).env("AWS_SECRET_ACCESS_KEY", server::SECRET);
    }
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn contenders<'a>(place: &'a Place, server: &'a Server) -> Vec<Contender<'a>> {
    let contender =
        |name, command: Box<dyn Fn() -> Command + 'a>| Contender { name, command, runs: Vec::new() };
    let disk = place.buckets.join(NEEDED).display().to_string();
    let mut contenders = vec![
        contender("flowcheck, S3", Box::new(|| server.flowcheck(place, &format!("s3://{ALL}")))),
        contender("flowcheck, local disk", Box::new(move || place.flowcheck(&disk))),
    ];
    let aws = std::env::var("FLOWCHECK_BENCH_AWS").unwrap_or_else(|_| "aws".to_owned());
    let version = Command::new(&aws).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if version.is_ok_and(|status| status.success()) {
        let copy = move || {
            // Each time into an empty folder: what an earlier run left would be overwritten, which takes its own time.
            let _ = fs::remove_dir_all(&place.copies);
            let mut command = Command::new(&aws);
            command.args(["s3", "cp", "--recursive", "--quiet", "--endpoint-url", &server.endpoint]);
            command.arg(format!("s3://{NEEDED}/")).arg(&place.copies);
            place.signed(&mut command);
            command
        };
        contenders.push(contender("aws s3 cp --recursive", Box::new(copy)));
    }
    contenders
}

impl Contender<'_> {
    fn run(&mut self, server: &Server) -> io::Result<()> {
        let mut command = (self.command)();
        let (begin, busy) = (Instant::now(), server.busy());
        let status = command.stdout(Stdio::null()).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{} failed: {status}", self.name)));
        }
        self.runs.push(Run { wall: begin.elapsed(), server: server.busy().saturating_sub(busy) });
        Ok(())
    }
}

/// The server's process; it ends when its standard input does, with this one.
struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    fn start(root: &Path) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut port)?;
        }
        Ok(Self { process, endpoint: format!("http://127.0.0.1:{}", port.trim()) })
    }

    fn flowcheck(&self, place: &Place, source: &str) -> Command {
        let mut command = place.flowcheck(source);
        command.args(["--endpoint-url", &self.endpoint]);
        command
    }

    /// Its processor time so far; nothing where there is no `/proc`. The kernel counts in hundredths of a second.
    fn busy(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn document(mut command: Command) -> io::Result<Value> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("flowcheck failed: {}", output.status)));
    }
    let mut document: Value = serde_json::from_slice(&output.stdout).map_err(io::Error::other)?;
    // Only S3 is asked in requests.
    document["input"].as_object_mut().and_then(|input| input.remove("requests"));
    Ok(document)
}

/// Every gzip object below a folder.
fn objects(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = walkdir::WalkDir::new(folder).into_iter().collect::<Result<Vec<_>, _>>()?;
    let paths = entries.into_iter().map(walkdir::DirEntry::into_path);
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "gz")).collect())
}

#[expect(clippy::cast_precision_loss, reason = "figures for a person")]
fn report(options: &Options, place: &Place, needed: usize, contenders: Vec<Contender<'_>>) -> io::Result<()> {
    let bytes = |bucket: &str| -> io::Result<(usize, u64)> {
        let paths = objects(&place.buckets.join(bucket))?;
        let sizes = paths.iter().map(|path| Ok(fs::metadata(path)?.len())).collect::<io::Result<Vec<_>>>()?;
        Ok((paths.len(), sizes.iter().sum()))
    };
    let ((objects, all), (_, window)) = (bytes(ALL)?, bytes(NEEDED)?);
    println!(
        "{objects} objects of {:.2} MB; the window needs {needed}, {:.0} MB; {} runs each",
        all as f64 / objects as f64 / 1e6,
        window as f64 / 1e6,
        options.runs
    );
    println!(
        "{:<24} {:>9} {:>9} {:>9} {:>9} {:>16}",
        "", "min s", "median s", "max s", "MB/s", "server's CPU s"
    );
    let mut medians = Vec::new();
    for Contender { name, mut runs, .. } in contenders {
        runs.sort_by_key(|run| run.wall);
        let median = &runs[runs.len() / 2];
        let seconds = median.wall.as_secs_f64();
        println!(
            "{name:<24} {:>9.3} {seconds:>9.3} {:>9.3} {:>9.0} {:>16.2}",
            runs[0].wall.as_secs_f64(),
            runs[runs.len() - 1].wall.as_secs_f64(),
            window as f64 / 1e6 / seconds,
            median.server.as_secs_f64()
        );
        medians.push((name, seconds));
    }
    let (own, from_s3) = medians[0];
    for (name, median) in &medians[1..] {
        println!("{own}: {:.2} times as long as {name}", from_s3 / median);
    }
    Ok(())
}
