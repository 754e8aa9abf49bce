//! A network and services with scripted faults.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_sdk_kinesis::config::http::{HttpRequest, HttpResponse};
use aws_sdk_kinesis::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde_json::{Value, json};

use crate::emulators::plain_http;

/// What happens to one try of a call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    Pass,
    /// It times out on the way there.
    Lost,
    /// It is carried out, and the answer times out.
    AnswerLost,
    /// The service answers this status and body, and does nothing.
    Answer(u16, Value),
    /// The service answers 200 and what is made of the request, and does nothing.
    Reply(fn(&Value) -> Value),
}

impl Fault {
    /// An error of this status and code.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::Answer(status, json!({"__type": code, "message": "from the test"}))
    }
}

#[derive(Debug, Default)]
struct Script {
    faults: HashMap<&'static str, VecDeque<Fault>>,
    calls: Vec<String>,
}

/// An HTTP client that carries calls out, but for the faults that a test scripts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Script>>);

impl Faults {
    /// What happens to the next tries of an operation; those beyond them pass.
    pub(crate) fn script(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults.insert(operation, faults.into_iter().collect());
    }

    /// How often an operation was tried since the last time this was asked of any.
    pub(crate) fn take_calls(&self, operation: &str) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().calls).iter().filter(|call| *call == operation).count()
    }

    /// The client.
    pub(crate) fn http(&self) -> SharedHttpClient {
        SharedHttpClient::new(Faulty { inner: plain_http(), faults: self.clone() })
    }

    fn next(&self, operation: &str) -> Fault {
        let mut script = self.0.lock().unwrap();
        script.calls.push(operation.to_owned());
        script.faults.get_mut(operation).and_then(VecDeque::pop_front).unwrap_or(Fault::Pass)
    }
}

#[derive(Debug)]
struct Faulty {
    inner: SharedHttpClient,
    faults: Faults,
}

impl HttpClient for Faulty {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { inner, faults: self.faults.clone() })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    inner: SharedHttpConnector,
    faults: Faults,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let timed_out = || ConnectorError::timeout("the test's network timed out".into());
        let answer = |status: u16, body: Value| HttpResponse::new(status.try_into().unwrap(), body.to_string().into());
        match self.faults.next(&operation) {
            Fault::Pass => self.inner.call(request),
            Fault::Lost => HttpConnectorFuture::ready(Err(timed_out())),
            Fault::AnswerLost => {
                let call = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    call.await?;
                    Err(timed_out())
                })
            }
            Fault::Answer(status, body) => HttpConnectorFuture::ready(Ok(answer(status, body))),
            Fault::Reply(reply) => {
                let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                HttpConnectorFuture::ready(Ok(answer(200, reply(&body))))
            }
        }
    }
}
