//! Secrets of AWS Secrets Manager, by the names of the environment variables that they stand for.

use std::collections::HashMap;
use std::fmt;

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use birdsong_alerts::Secret;

/// The secrets of a function.
#[derive(Clone, Default)]
pub struct Secrets(HashMap<String, Secret>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// Reads the secrets of `arns`, a JSON object with the ARN of each, such as `{"ALERT_URL":"arn:…"}`. One that cannot be
    /// read, such as one without a value, is logged and left out.
    ///
    /// # Errors
    /// When `arns` is no such object.
    pub async fn read(config: &SdkConfig, arns: &str) -> Result<Self> {
        let arns: HashMap<String, String> =
            serde_json::from_str(arns).context("BIRDSONG_SECRET_ARNS is no JSON object of names and ARNs")?;
        let (client, mut secrets) = (Client::new(config), HashMap::new());
        for (name, arn) in arns {
            match client.get_secret_value().secret_id(&arn).send().await {
                Ok(answer) => {
                    secrets.extend(answer.secret_string.map(|value| (name, Secret::new(value))));
                }
                Err(error) => {
                    let code = error.code().unwrap_or("no answer");
                    tracing::error!(name, arn, "a secret of the alerts cannot be read: {code}");
                }
            }
        }
        Ok(Self(secrets))
    }

    /// The environment variable, else the secret of this name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Secret> {
        let from_environment = std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new);
        from_environment.or_else(|| self.0.get(name).cloned())
    }
}
