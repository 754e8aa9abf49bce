//! Webhooks: a signed POST of JSON.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use sha2::Sha256;

use crate::channel::{Secret, failed};
use crate::state::Tried;

/// Header with the id of the delivery, which is the same at each try.
pub const DELIVERY_HEADER: &str = "Birdsong-Delivery";
/// Header with the time of the try and the signature: `t=SECONDS,v1=HEX`.
pub const SIGNATURE_HEADER: &str = "Birdsong-Signature";

/// The value of [`SIGNATURE_HEADER`]: HMAC-SHA-256 of the time in seconds, a full stop and the body.
#[must_use]
pub fn signature(secret: &Secret, time_secs: i64, body: &[u8]) -> String {
    let mut signature = format!("t={time_secs},v1=");
    // A key of any length is possible.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return signature };
    mac.update(format!("{time_secs}.").as_bytes());
    mac.update(body);
    for byte in mac.finalize().into_bytes() {
        signature.push_str(&format!("{byte:02x}"));
    }
    signature
}

pub(crate) async fn post(
    client: &reqwest::Client,
    url: &Secret,
    secret: Option<&Secret>,
    delivery: &str,
    body: &[u8],
    now_ms: i64,
) -> Tried {
    let url = match reqwest::Url::parse(url.expose()) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) => url,
        _ => return failed("the URL is no address of the web"),
    };
    let mut request =
        client.post(url).header(CONTENT_TYPE, "application/json").header(DELIVERY_HEADER, delivery).body(body.to_vec());
    if let Some(secret) = secret {
        request = request.header(SIGNATURE_HEADER, signature(secret, now_ms.div_euclid(1000), body));
    }
    // What the receiver says is not read: it may be long, and repeat secrets.
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Tried::Delivered,
        Ok(answer) => {
            let status = answer.status();
            let wait_secs =
                answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
            let wait_ms = wait_secs.filter(|secs| (0..=86_400).contains(secs)).map(|secs| secs * 1000);
            let hint = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": it does not accept the address or the signature",
                StatusCode::NOT_FOUND | StatusCode::GONE => ": the address does not exist there any more",
                _ if status.is_redirection() => ": redirects are not followed, so use the final address",
                _ => "",
            };
            Tried::Failed { reason: format!("the receiver answered {status}{hint}"), wait_ms }
        }
        Err(error) if error.is_timeout() => failed("the receiver did not answer in time"),
        Err(error) if error.is_connect() => failed(format!("no connection: {}", causes(&error.without_url()))),
        Err(error) => failed(format!("the request failed: {}", causes(&error.without_url()))),
    }
}

/// The innermost cause, which names neither address nor secret.
fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_other_programs_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let signature = signature(&Secret::new("key".into()), 1_700_000_000, b"{\"a\":1}");
        assert_eq!(signature, EXPECTED);
    }

    const EXPECTED: &str = "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
}
