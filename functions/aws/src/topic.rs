//! A topic of SNS, which sends messages on to its subscribers.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::MessageAttributeValue;
use birdsong_alerts::Publish;
use birdsong_alerts::channel::Published;

/// Name of the attribute with the id of a delivery, which is the same when it is published again.
const DELIVERY: &str = "delivery";

/// A topic for alerts.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic with this ARN. Nothing is called before the first use.
    #[must_use]
    pub fn new(config: &SdkConfig, arn: String) -> Self {
        Self { client: Client::new(config), arn }
    }
}

impl Publish for Topic {
    fn publish<'a>(&'a self, delivery: &'a str, subject: &'a str, text: &'a str) -> Published<'a> {
        Box::pin(async move {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(delivery).build();
            let attribute = attribute.map_err(|error| error.to_string())?;
            let publish = self.client.publish().topic_arn(&self.arn).subject(subject).message(text);
            match publish.message_attributes(DELIVERY, attribute).send().await {
                Ok(_) => Ok(()),
                Err(error) => {
                    let code = error.code().map_or_else(String::new, |code| format!(" ({code})"));
                    Err(format!("SNS did not accept it{code}"))
                }
            }
        })
    }
}
