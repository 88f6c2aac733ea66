//! S3 in this process, on loopback: an independent implementation that serves a folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use hyper::body::Body as _;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::proxy::{Answer, Request, serve};

/// A server with its buckets, which are folders.
pub struct S3Server {
    folder: tempfile::TempDir,
    pub address: SocketAddr,
}

impl S3Server {
    /// Starts one with these empty buckets.
    pub fn start(buckets: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("temporary directory");
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket)).expect("a bucket");
        }
        let files = s3s_fs::FileSystem::new(folder.path()).expect("a file system");
        let service = Arc::new(S3ServiceBuilder::new(files).build());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
        let address = serve(move |request, stream| {
            let answer = runtime.block_on(answer(&service, request));
            // A client that went away is no fault of the test.
            let _ = answer.write(stream);
        });
        Self { folder, address }
    }

    pub fn path(&self, bucket: &str, key: &str) -> PathBuf {
        self.folder.path().join(bucket).join(key)
    }

    pub fn put(&self, bucket: &str, key: &str, content: &[u8]) {
        let path = self.path(bucket, key);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("folders");
        std::fs::write(path, content).expect("an object");
    }
}

async fn answer(service: &S3Service, request: &Request) -> Answer {
    let mut forwarded =
        hyper::Request::builder().method(request.method.as_str()).uri(request.target.as_str());
    // Who asks is not looked at: a signature is for the server that the client believes to speak to.
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "authorization") {
        forwarded = forwarded.header(name, value);
    }
    let forwarded = forwarded.body(s3s::Body::empty()).expect("a request");
    let Ok(answered) = service.call(forwarded).await else {
        return Answer::s3_error(500, "InternalError", "the test's server failed");
    };
    let (head, body) = answered.into_parts();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut bytes = Vec::new();
    let mut body = pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        if let Ok(data) = frame.expect("a body").into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    if request.method != "HEAD" {
        headers.retain(|(name, _)| name != "content-length");
    }
    headers.retain(|(name, _)| name != "transfer-encoding");
    Answer { status: head.status.as_u16(), headers, body: bytes }
}
