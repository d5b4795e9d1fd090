//! Objects of a bucket that speaks the S3 API: Amazon's, MinIO, Ceph and others. What changed is told by its ETag.
//! Left out: credentials of machines and roles, versions of objects, and all writing.

mod names;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use globset::GlobSet;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectMeta, ObjectStore, RetryConfig,
};

use self::names::Names;
use crate::config::S3Config;
use crate::glob::path_globs;
use crate::{Content, Entry, Listing, Locator, Place, Run, Source, SourceError, media};

/// Objects between two reports of progress.
const REPORT_EVERY: usize = 1000;

/// Tries of one request after the first.
const RETRIES: usize = 3;

/// A bucket.
pub(crate) struct S3 {
    config: S3Config,
    store: AmazonS3,
    choice: Arc<Choice>,
    names: Names,
}

/// Which objects are read.
#[derive(Debug)]
struct Choice {
    paths: Option<GlobSet>,
    exclude: GlobSet,
}

impl Choice {
    fn new(config: &S3Config) -> Result<Self, SourceError> {
        let set = |list: &[String]| {
            path_globs(list).map_err(|e| SourceError::settings(e.to_string(), "mend the glob"))
        };
        Ok(Self {
            paths: (!config.paths.is_empty())
                .then(|| set(&config.paths))
                .transpose()?,
            exclude: set(&config.exclude)?,
        })
    }

    fn takes(&self, key: &str) -> bool {
        !self.exclude.is_match(key)
            && match &self.paths {
                Some(paths) => paths.is_match(key),
                None => !media::is_other(key),
            }
    }
}

impl S3 {
    /// # Errors
    /// A key that is not set, a glob that is none, an endpoint that cannot be.
    pub fn new(config: S3Config, place: Place) -> Result<Self, SourceError> {
        // Whoever comes first installs it; an error means that someone did.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let allow_http = config
            .endpoint
            .as_ref()
            .is_some_and(|e| e.starts_with("http://"));
        let options = ClientOptions::new()
            .with_timeout(config.timeout.0)
            .with_connect_timeout(config.timeout.0.min(Duration::from_secs(15)))
            .with_allow_http(allow_http);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: config.timeout.0.saturating_mul(2),
        };
        let choice = Arc::new(Choice::new(&config)?);
        let names = Names::new(Arc::clone(&choice));
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(names.clone())
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        builder = match (&config.access_key, &config.secret_key) {
            (Some(access), Some(secret)) => builder
                .with_access_key_id(place.secret("access_key", access)?.expose())
                .with_secret_access_key(place.secret("secret_key", secret)?.expose()),
            _ => builder.with_skip_signature(true),
        };
        Ok(Self {
            store: builder.build().map_err(|e| {
                SourceError::settings(e.to_string(), "check `endpoint`, `bucket` and `region`")
            })?,
            choice,
            names,
            config,
        })
    }

    fn entry(&self, object: &ObjectMeta) -> Entry {
        let key = object.location.as_ref();
        let modified = object
            .last_modified
            .timestamp_nanos_opt()
            .unwrap_or_default();
        Entry {
            uri: format!("s3://{}/{key}", self.config.bucket),
            version: object
                .e_tag
                .clone()
                .or_else(|| Some(format!("{}-{modified}", object.size))),
            size: object.size,
            modified,
            locator: Locator::Name(key.to_owned()),
        }
    }
}

#[async_trait]
impl Source for S3 {
    async fn list(&self, run: &Run<'_>) -> Result<Listing, SourceError> {
        let prefix = Path::parse(self.config.prefix.trim_matches('/')).map_err(|e| {
            SourceError::settings(e.to_string(), "write `prefix` as folders: reports/2026")
        })?;
        // What a pass before this one did not come to tell is not of this one.
        let _ = self.names.told();
        let mut objects = self.store.list(Some(&prefix));
        let (mut entries, mut notes, mut seen) = (Vec::new(), Vec::new(), 0usize);
        let mut complete = true;
        while let Some(object) = tokio::select! {
            object = objects.next() => object,
            () = run.cancel.cancelled() => return Err(SourceError::Cancelled),
        } {
            let object = object.map_err(|e| unlisted(&e))?;
            seen += 1;
            if seen % REPORT_EVERY == 0 {
                (run.progress)(seen);
            }
            if object.size == 0 || !self.choice.takes(object.location.as_ref()) {
                continue;
            }
            if entries.len() >= self.config.max_objects {
                complete = false;
                notes.push(format!(
                    "there are more than {} objects: raise `max_objects`; nothing is removed until then",
                    self.config.max_objects
                ));
                break;
            }
            entries.push(self.entry(&object));
        }
        notes.extend(self.names.told());
        (run.progress)(seen);
        Ok(Listing::new(entries, complete, notes))
    }

    async fn fetch(&self, entry: &Entry) -> Result<Content, SourceError> {
        let Locator::Name(key) = &entry.locator else {
            return Err(SourceError::Gone(entry.uri.clone()));
        };
        let path = Path::parse(key).map_err(SourceError::unavailable)?;
        // What is read is what was listed.
        let options = GetOptions {
            if_match: entry.version.clone().filter(|v| v.starts_with('"')),
            ..GetOptions::default()
        };
        let object = self
            .store
            .get_opts(&path, options)
            .await
            .map_err(|e| told(&e))?;
        let (size, limit) = (object.meta.size, self.config.max_file_bytes);
        if size > limit {
            return Err(SourceError::TooLarge { size, limit });
        }
        let bytes = object.bytes().await.map_err(|e| told(&e))?;
        Ok(Content {
            name: key.rsplit('/').next().unwrap_or_default().to_owned(),
            bytes: bytes.to_vec(),
            title: None,
        })
    }
}

/// What a server says that lists nothing.
fn unlisted(error: &object_store::Error) -> SourceError {
    match error {
        object_store::Error::NotFound { .. } => SourceError::settings(
            format!("the bucket is not there: {}", short(error)),
            "check `bucket`, `endpoint` and `region`",
        ),
        _ => told(error),
    }
}

/// What a server says, sorted by what can be done.
fn told(error: &object_store::Error) -> SourceError {
    use object_store::Error;
    match error {
        Error::NotFound { .. } | Error::Precondition { .. } => SourceError::Gone(short(error)),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => SourceError::settings(
            format!("the server refuses: {}", short(error)),
            "check `access_key` and `secret_key`, and that they may list and read the bucket",
        ),
        _ => SourceError::Unavailable(short(error)),
    }
}

/// The beginning of an error: some hold whole pages.
fn short(error: &object_store::Error) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect()
}

#[cfg(test)]
mod tests;
