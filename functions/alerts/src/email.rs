//! Mail by SMTP, over TLS by rustls.

use birdsong_domain::alert::Email;
use lettre::message::{Mailbox, header};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::channel::{Channels, Secret, TIMEOUT, failed};
use crate::state::Tried;

pub(crate) async fn send(channels: &Channels, config: &Email, delivery: &str, subject: &str, text: &str) -> Tried {
    let message = match message(config, delivery, subject, text) {
        Ok(message) => message,
        Err(reason) => return failed(reason),
    };
    let transport = match channels.value(&config.smtp).and_then(|url| transport(&url)) {
        Ok(transport) => transport,
        Err(reason) => return failed(reason),
    };
    match tokio::time::timeout(TIMEOUT, transport.send(message)).await {
        Ok(Ok(_)) => Tried::Delivered,
        Ok(Err(error)) => failed(reason(&error)),
        Err(_) => failed("the mail server did not answer in time"),
    }
}

fn transport(url: &Secret) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose());
    // The error could repeat the address.
    let builder = builder.map_err(|_| "the address of the mail server cannot be read".to_owned())?;
    Ok(builder.timeout(Some(TIMEOUT)).build())
}

fn message(config: &Email, delivery: &str, subject: &str, text: &str) -> Result<Message, String> {
    let mailbox =
        |address: &String| address.parse::<Mailbox>().map_err(|_| format!("{address:?} is no address of mail"));
    let from = mailbox(&config.from)?;
    // The same at each try, so that a mail that came twice is shown once.
    let id = format!("<{delivery}@{}>", from.email.domain());
    let subject: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let mut message = Message::builder().from(from).subject(subject).message_id(Some(id));
    for to in &config.to {
        message = message.to(mailbox(to)?);
    }
    // No automatic answers, such as of people on holiday (RFC 3834).
    message = message.header(AutoSubmitted).header(header::ContentType::TEXT_PLAIN);
    message.body(text.to_owned()).map_err(|error| format!("the mail cannot be written: {error}"))
}

#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".into())
    }
}

/// Why, without what the server said, which may repeat the user's name.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    let code = error.status().map(|code| format!(" ({code})")).unwrap_or_default();
    let what = if error.is_timeout() {
        "the mail server did not answer in time"
    } else if error.is_tls() {
        "TLS with the mail server failed"
    } else if error.is_permanent() {
        "the mail server refused it"
    } else if error.is_transient() {
        "the mail server cannot accept it now"
    } else if error.is_response() {
        "the mail server gave an answer that is not understood"
    } else if error.is_client() {
        "the mail server does not support what its address asks for, such as TLS or a password"
    } else {
        "there is no connection to the mail server"
    };
    format!("{what}{code}")
}
