//! Buckets: the quarantine, the archive of the log, and the one that regions are read from.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use birdsong_domain::ports::PortError;

/// An object, as a list of the bucket names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// When it was put last, in milliseconds since 1970.
    pub put_ms: i64,
}

/// A bucket of objects.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket of this name. Nothing is called before the first use.
    #[must_use]
    pub fn new(config: &SdkConfig, name: String) -> Self {
        // Emulators serve buckets by path.
        let is_path = config.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(config).force_path_style(is_path).build();
        Self { client: Client::from_conf(config), name }
    }

    /// Puts an object.
    ///
    /// # Errors
    /// When the bucket rejects it.
    pub async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        let put = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
        put.body(ByteStream::from(bytes)).send().await.map(drop).map_err(unavailable)
    }

    /// Reads an object of at most `limit` bytes.
    ///
    /// # Errors
    /// When the object is missing, may not be read, or is larger.
    pub async fn get(&self, key: &str, limit: usize) -> Result<Vec<u8>, PortError> {
        self.find(key, limit).await?.ok_or_else(|| failed(format!("there is no {key}")))
    }

    /// Reads an object of at most `limit` bytes; `None` when there is no such object. S3 only shows that an object is missing
    /// to those who may list the bucket.
    ///
    /// # Errors
    /// When the object may not be read, or is larger.
    pub async fn find(&self, key: &str, limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        let object = self.client.get_object().bucket(&self.name).key(key).send().await;
        let mut object = match object {
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
            object => object.map_err(unavailable)?,
        };
        let mut bytes = vec![];
        while let Some(part) = object.body.next().await {
            bytes.extend_from_slice(&part.map_err(|error| failed(DisplayErrorContext(&error).to_string()))?);
            if bytes.len() > limit {
                return Err(failed(format!("{key} has more than {limit} bytes")));
            }
        }
        Ok(Some(bytes))
    }

    /// Removes an object. One that is not there is no error.
    ///
    /// # Errors
    /// When it may not be removed, or the bucket does not answer.
    pub async fn remove(&self, key: &str) -> Result<(), PortError> {
        self.client.delete_object().bucket(&self.name).key(key).send().await.map(drop).map_err(unavailable)
    }

    /// Up to 1,000 objects whose keys start with `prefix`, in the order of their keys, behind `after`.
    ///
    /// # Errors
    /// When the bucket may not be listed, or does not answer.
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Object>, PortError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let found = list.set_start_after(after.map(str::to_owned)).send().await.map_err(unavailable)?;
        let object = |object: aws_sdk_s3::types::Object| {
            let put_ms = object.last_modified.and_then(|time| time.to_millis().ok()).unwrap_or(0);
            object.key.map(|key| Object { key, put_ms })
        };
        Ok(found.contents.unwrap_or_default().into_iter().filter_map(object).collect())
    }
}

fn failed(reason: String) -> PortError {
    PortError::Unavailable { what: "the bucket", reason }
}

fn unavailable(error: impl std::error::Error) -> PortError {
    failed(DisplayErrorContext(&error).to_string())
}
