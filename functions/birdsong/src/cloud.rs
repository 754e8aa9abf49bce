//! Kinesis and DynamoDB in place of the data folder's log and store, when built with `aws`.

use clap::{Args, ValueEnum};

/// Where frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// The log in the data folder
    Embedded,
    /// A Kinesis stream (--stream), with its table (--table)
    Kinesis,
}

/// Names on AWS. Credentials, region and endpoint come from the environment as everywhere
/// (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL` …).
#[derive(Debug, Args)]
pub(crate) struct CloudArgs {
    /// Kinesis stream
    #[arg(long, value_name = "NAME", env = "BIRDSONG_STREAM", requires = "table")]
    pub(crate) stream: Option<String>,
    /// DynamoDB table
    #[arg(long, value_name = "NAME", env = "BIRDSONG_TABLE")]
    pub(crate) table: Option<String>,
    /// Bucket for what cannot be read from a live source [default: the data folder]
    #[arg(long, value_name = "NAME", env = "BIRDSONG_QUARANTINE_BUCKET")]
    pub(crate) quarantine_bucket: Option<String>,
}

#[cfg(not(feature = "aws"))]
pub(crate) fn missing() -> anyhow::Result<()> {
    anyhow::bail!("this birdsong was built without AWS: build it with `cargo build --release --features aws`")
}

/// The store in a table, for commands that need no stream.
///
/// # Errors
/// When the table cannot be read, or is of another release.
#[cfg(feature = "aws")]
pub(crate) async fn store(table: String) -> anyhow::Result<birdsong_aws::DynamoStore> {
    use anyhow::Context;

    let (_, store) = birdsong_aws::connect(String::new(), table.clone()).await;
    birdsong_domain::format::claim(&store).await.with_context(|| format!("the table {table} cannot be used"))?;
    Ok(store)
}

#[cfg(feature = "aws")]
mod connected {
    use std::path::Path;

    use anyhow::{Context, Result};
    use birdsong_aws::{Bucket, DynamoStore, KinesisLog};
    use birdsong_domain::format;
    use birdsong_domain::ports::PortError;
    use birdsong_domain::time::rfc3339;
    use birdsong_streamer::unreadable::Unreadable;
    use birdsong_streamer::unreadable::UnreadableStore;

    use super::CloudArgs;
    use crate::{data, now_ms};

    impl CloudArgs {
        pub(crate) async fn connect(&self) -> Result<(KinesisLog, DynamoStore)> {
            let name = |name: &Option<String>, option| {
                name.clone()
                    .with_context(|| format!("name the {option} with --{option}, as `terraform output` shows it"))
            };
            let table = name(&self.table, "table")?;
            let (log, store) = birdsong_aws::connect(name(&self.stream, "stream")?, table.clone()).await;
            format::claim(&store).await.with_context(|| format!("the table {table} cannot be used"))?;
            Ok((log, store))
        }

        pub(crate) async fn unreadable(&self, dir: &Path, run: &str) -> CloudUnreadable {
            match &self.quarantine_bucket {
                Some(bucket) => {
                    let bucket = Bucket::new(&birdsong_aws::sdk_config().await, bucket.clone());
                    CloudUnreadable::Bucket { bucket, run: run.to_owned(), objects: 0 }
                }
                None => CloudUnreadable::Folder(data::Quarantine::new(Some(dir), run)),
            }
        }
    }

    /// Where unreadable lines go.
    pub(crate) enum CloudUnreadable {
        Folder(data::Quarantine),
        /// One object for each batch that has any: `unreadable/YYYY/MM/DD/RUN-N.ndjson`.
        Bucket {
            bucket: Bucket,
            run: String,
            objects: u64,
        },
    }

    impl UnreadableStore for CloudUnreadable {
        async fn keep(&mut self, lines: &[Unreadable]) -> Result<(), PortError> {
            match self {
                Self::Folder(folder) => folder.keep(lines).await,
                Self::Bucket { bucket, run, objects } => {
                    *objects += 1;
                    let day = rfc3339(now_ms())[..10].replace('-', "/");
                    let key = format!("unreadable/{day}/{run}-{objects:06}.ndjson");
                    bucket.put(&key, "application/x-ndjson", data::ndjson(lines)).await
                }
            }
        }
    }
}
