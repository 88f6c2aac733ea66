//! An S3 server for the benchmark, in a process of its own: s3s with files below a folder, a folder a bucket.
//!
//! Listing is s3s-fs's own. Its `GetObject` hashes every object and reads it in pieces of 4 KiB, which on a machine that the
//! measured program shares would measure the server; here a whole object is read in one call and not hashed.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    ETag, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, ListObjectsV2Input,
    ListObjectsV2Output, StreamingBlob,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// What a client signs with.
pub const KEY: &str = "benchmark";
/// What goes with it.
pub const SECRET: &str = "benchmark-secret";

/// Serves `root` on a free port of 127.0.0.1, printed on standard output, until standard input ends.
pub fn serve(root: &Path) -> io::Result<()> {
    let files = FileSystem::new(root).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut builder = S3ServiceBuilder::new(Served { root: root.to_owned(), files });
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    std::thread::spawn(|| {
        let ended = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(i32::from(ended.is_err()));
    });
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(accept(service))
}

async fn accept(service: S3Service) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            // A client that goes away in the middle is its own affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

struct Served {
    root: PathBuf,
    files: FileSystem,
}

#[async_trait::async_trait]
impl S3 for Served {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let mut listed = self.files.list_objects_v2(request).await?;
        // As in S3; without it `aws s3 cp` asks for the head of every object that it copies.
        for object in listed.output.contents.iter_mut().flatten() {
            object.e_tag = Some(e_tag(object.size.unwrap_or_default()));
        }
        Ok(listed)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        if request.input.range.is_some() {
            return self.files.get_object(request).await;
        }
        let content = fs::read(self.root.join(&request.input.bucket).join(&request.input.key))
            .map_err(|error| s3_error!(error, NoSuchKey))?;
        let size = i64::try_from(content.len()).map_err(|error| s3_error!(error, InternalError))?;
        let output = GetObjectOutput {
            content_length: Some(size),
            e_tag: Some(e_tag(size)),
            body: Some(StreamingBlob::from(Body::from(content))),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }
}

/// Enough here, where nobody writes: an object's content never changes.
fn e_tag(size: i64) -> ETag {
    ETag::Strong(format!("{size:x}"))
}
