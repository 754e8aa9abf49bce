//! The least that a Lambda function can be: what the others' cold starts are compared with by the
//! example `cold_start`.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| Ok::<_, Error>(event.payload))).await
}
