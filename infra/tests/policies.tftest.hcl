# Least privilege: no action has a *, and no resource is * except for actions that support none.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "aggregator" {
  module {
    source = "./modules/aggregator"
  }
  variables {
    name                 = "test"
    account_id           = "123456789012"
    stream_arn           = "arn:aws:kinesis:us-east-1:123456789012:stream/posts"
    table                = "windows"
    table_arn            = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    zip                  = "tests/fixtures/function.zip"
    architecture         = "arm64"
    memory_mb            = 256
    batch_size           = 1000
    batching_window_secs = 5
    parallelization      = 2
    max_retries          = -1
    reserved_concurrency = null
    environment          = {}
    log_retention_days   = 30
    deletion_protection  = true
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : !strcontains(jsonencode(s.Action), "*")])
    error_message = "an action of the aggregator has a *"
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : !contains(flatten([s.Resource]), "*")])
    error_message = "a resource of the aggregator is *"
  }
  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Action[0] => try(s.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"], null)
      if startswith(jsonencode(s.Action), "[\"dynamodb:")
      } == {
      "dynamodb:GetItem"    = null
      "dynamodb:PutItem"    = ["*#????-??-??", "*#days", "_live", "_meta"]
      "dynamodb:UpdateItem" = ["_live"]
    }
    error_message = "the aggregator writes windows and what leads to them, deletes nothing and does not scan"
  }
  assert {
    condition = flatten([
      for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if contains(s.Action, "s3:PutObject")
    ]) == ["${module.quarantine.arn}/quarantine/*", "${module.quarantine.arn}/aws/lambda/*"]
    error_message = "the aggregator and its trigger write dead letters, and nothing else in the bucket"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.this.maximum_retry_attempts == -1 && aws_lambda_event_source_mapping.this.maximum_record_age_in_seconds == -1
    error_message = "nothing in the log is given up, however long the table is away"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.this.destination_config[0].on_failure[0].destination_arn == module.quarantine.arn
    error_message = "with a limit on retries, batches that reach it go to the bucket"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.this.batch_size == 1000 && aws_lambda_event_source_mapping.this.parallelization_factor == 2
    error_message = "batches and their number at the same time are the caller's"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.this.starting_position == "TRIM_HORIZON"
    error_message = "a new mapping reads the whole log; fences skip what is stored"
  }
  assert {
    condition     = contains(aws_lambda_event_source_mapping.this.function_response_types, "ReportBatchItemFailures") && aws_lambda_event_source_mapping.this.bisect_batch_on_function_error
    error_message = "one bad record must not fail its batch"
  }
  assert {
    condition     = aws_lambda_function.this.environment[0].variables["BIRDSONG_QUARANTINE_BUCKET"] == module.quarantine.name
    error_message = "the function has the name of its bucket"
  }
  assert {
    condition     = aws_lambda_function.this.environment[0].variables["BIRDSONG_METRICS"] == var.name
    error_message = "metrics are written where the alarms look"
  }
}

run "api" {
  module {
    source = "./modules/api"
  }
  variables {
    name                 = "test"
    table                = "windows"
    table_arn            = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    zip                  = "tests/fixtures/function.zip"
    architecture         = "arm64"
    memory_mb            = 512
    timeout_secs         = 15
    reserved_concurrency = 10
    require_key          = true
    rate                 = 20
    burst                = 50
    environment          = {}
    log_retention_days   = 30
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : !strcontains(jsonencode(s.Action), "*")])
    error_message = "an action of the api has a *"
  }
  assert {
    condition     = flatten([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Action if contains(flatten([s.Resource]), "*")]) == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    error_message = "only X-Ray's actions, which support no resource, may have *"
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Action if s.Sid == "ReadWindows"][0] == ["dynamodb:GetItem", "dynamodb:Query"]
    error_message = "the api only reads"
  }
  assert {
    condition     = aws_api_gateway_method_settings.all.settings[0].throttling_rate_limit == 20 && aws_api_gateway_method_settings.all.settings[0].throttling_burst_limit == 50
    error_message = "the stage throttles"
  }
  assert {
    condition     = sort([for method in aws_api_gateway_method.proxy : method.http_method]) == tolist(["GET", "HEAD", "OPTIONS"])
    error_message = "the API only reads, so no other method reaches the function"
  }
  assert {
    condition     = keys(aws_api_gateway_integration.proxy) == keys(aws_api_gateway_method.proxy)
    error_message = "each method reaches the function"
  }
  assert {
    condition     = alltrue([for method in aws_api_gateway_method.proxy : method.api_key_required]) && aws_api_gateway_rest_api.this.api_key_source == "HEADER"
    error_message = "each method requires the key of CloudFront, in a header"
  }
  assert {
    condition = (
      length(aws_api_gateway_usage_plan_key.cloudfront) == 1
      && aws_api_gateway_usage_plan_key.cloudfront[0].key_id == aws_api_gateway_api_key.cloudfront[0].id
      && one(aws_api_gateway_usage_plan.cloudfront[0].api_stages).api_id == aws_api_gateway_rest_api.this.id
      && one(aws_api_gateway_usage_plan.cloudfront[0].api_stages).stage == "live"
    )
    error_message = "the key is valid for the stage"
  }
  assert {
    condition     = aws_api_gateway_gateway_response.throttled.response_type == "THROTTLED" && aws_api_gateway_gateway_response.throttled.status_code == "503"
    error_message = "a throttled request fails in a way in which CloudFront serves its stale copy"
  }
  assert {
    condition     = keys(jsondecode(aws_api_gateway_gateway_response.throttled.response_templates["application/json"]).error) == ["code", "message", "parameter"]
    error_message = "a throttled request has an error of the API's form"
  }
  assert {
    condition     = aws_lambda_function.this.memory_size == 512 && aws_lambda_function.this.timeout == 15 && aws_lambda_function.this.reserved_concurrent_executions == 10
    error_message = "memory, time limit and concurrency are the caller's"
  }
  assert {
    condition     = aws_lambda_permission.api.source_arn == "arn:aws:execute-api:us-east-1:123456789012:abc123/*/*"
    error_message = "only our REST API may call the function"
  }
}

run "access_logs_have_no_addresses" {
  module {
    source = "./modules/api"
  }
  variables {
    name                 = "test"
    table                = "windows"
    table_arn            = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    zip                  = "tests/fixtures/function.zip"
    architecture         = "arm64"
    memory_mb            = 512
    timeout_secs         = 15
    reserved_concurrency = null
    require_key          = true
    rate                 = 20
    burst                = 50
    environment          = {}
    log_retention_days   = 30
    permissions_boundary = "arn:aws:iam::123456789012:policy/limits"
  }
  assert {
    condition     = aws_api_gateway_stage.this.access_log_settings[0].destination_arn == aws_cloudwatch_log_group.access[0].arn
    error_message = "requests are logged"
  }
  assert {
    condition = alltrue([
      for value in values(jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format)) :
      can(regex("^[$]context[.][a-zA-Z.]+$", value)) && !can(regex("identity|authorizer|(?i)query|requestOverride|apiKey|domain", value))
    ])
    error_message = "an access log says who called"
  }
  assert {
    condition     = aws_api_gateway_account.this[0].cloudwatch_role_arn == aws_iam_role.account[0].arn && jsondecode(aws_iam_role.account[0].assume_role_policy).Statement[0].Principal.Service == "apigateway.amazonaws.com"
    error_message = "API Gateway writes with the role"
  }
  assert {
    condition     = alltrue([for role in concat([aws_iam_role.this], aws_iam_role.account) : role.permissions_boundary == "arn:aws:iam::123456789012:policy/limits"])
    error_message = "each role has the boundary"
  }
}

run "the_account_has_a_role_already" {
  module {
    source = "./modules/api"
  }
  variables {
    name                 = "test"
    table                = "windows"
    table_arn            = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    zip                  = "tests/fixtures/function.zip"
    architecture         = "arm64"
    memory_mb            = 512
    timeout_secs         = 15
    reserved_concurrency = null
    require_key          = true
    rate                 = 20
    burst                = 50
    environment          = {}
    log_retention_days   = 30
    account_role         = false
  }
  assert {
    condition     = length(aws_api_gateway_stage.this.access_log_settings) == 1 && length(aws_api_gateway_account.this) + length(aws_iam_role.account) == 0
    error_message = "the account's setting must not change"
  }
}

run "api_without_a_key" {
  module {
    source = "./modules/api"
  }
  variables {
    name                 = "test"
    table                = "windows"
    table_arn            = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    zip                  = "tests/fixtures/function.zip"
    architecture         = "arm64"
    memory_mb            = 512
    timeout_secs         = 15
    reserved_concurrency = null
    require_key          = false
    rate                 = 20
    burst                = 50
    environment          = {}
    log_retention_days   = 30
  }
  assert {
    condition     = !anytrue([for method in aws_api_gateway_method.proxy : method.api_key_required])
    error_message = "nobody has a key to send"
  }
  assert {
    condition     = length(aws_api_gateway_api_key.cloudfront) + length(aws_api_gateway_usage_plan.cloudfront) == 0
    error_message = "there is no key that nobody needs"
  }
}

run "digest" {
  module {
    source = "./modules/digest"
  }
  variables {
    name                 = "test"
    account_id           = "123456789012"
    table                = "windows"
    table_arn            = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    zip                  = "tests/fixtures/function.zip"
    architecture         = "arm64"
    memory_mb            = 256
    timeout_secs         = 30
    reserved_concurrency = 2
    environment          = { BIRDSONG_WINDOW_SECS = "300" }
    log_retention_days   = 30
    public_url           = "https://birds.example"
    alert_email          = ""
    alert_secrets = {
      ALERT_URL = "new"
      ALERT_KEY = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf"
    }
    deletion_protection = true
  }
  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.this.policy).Statement : join(" ", s.Action) => try(s.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"], null)
      if startswith(jsonencode(s.Action), "[\"dynamodb:")
      } == {
      "dynamodb:GetItem dynamodb:Query"      = null
      "dynamodb:DeleteItem dynamodb:PutItem" = ["*#hours#????-??", "*#days#????", "_live", "_meta", "*#alert#????", "*#events#????", "*#series#????", "*#watch#????"]
    }
    error_message = "the digest reads everything, writes no window, and does not scan"
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "SendAlerts"] == [aws_sns_topic.alerts.arn]
    error_message = "the digest publishes to the topic of alerts, and to no other"
  }
  assert {
    condition = (
      [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : toset(s.Resource) if s.Sid == "ReadSecretsOfAlerts"][0]
      == toset([aws_secretsmanager_secret.alert["ALERT_URL"].arn, "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf"])
    )
    error_message = "the digest reads the secrets of alerts, and no others"
  }
  assert {
    condition     = aws_sns_topic.alerts.kms_master_key_id == "alias/aws/sns" && length(aws_sns_topic_subscription.email) == 0
    error_message = "alerts are encrypted, and nobody is subscribed unasked"
  }
  assert {
    condition = (
      jsondecode(aws_lambda_function.this.environment[0].variables["BIRDSONG_SECRET_ARNS"])["ALERT_KEY"] == "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf"
      && aws_lambda_function.this.environment[0].variables["BIRDSONG_ALERT_TOPIC"] == aws_sns_topic.alerts.arn
      && aws_lambda_function.this.environment[0].variables["BIRDSONG_PUBLIC_URL"] == "https://birds.example"
    )
    error_message = "the function knows the topic, the ARNs of the secrets and the address of the dashboard"
  }
  assert {
    condition = alltrue([
      for s in concat(jsondecode(aws_iam_role_policy.this.policy).Statement, jsondecode(aws_iam_role_policy.schedule.policy).Statement) :
      !strcontains(jsonencode(s.Action), "*") && !contains(flatten([s.Resource]), "*")
    ])
    error_message = "an action or a resource of the digest has a *"
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.schedule.policy).Statement : [s.Action, s.Resource]] == [[["lambda:InvokeFunction"], aws_lambda_alias.live.arn]]
    error_message = "the schedule may invoke the digest, and nothing else"
  }
  assert {
    condition = [for s in jsondecode(aws_iam_role.schedule.assume_role_policy).Statement : [s.Principal.Service, s.Condition.StringEquals]] == [[
      "scheduler.amazonaws.com",
      { "aws:SourceAccount" = "123456789012", "aws:SourceArn" = "arn:aws:scheduler:us-east-1:123456789012:schedule-group/digest" },
    ]]
    error_message = "only our schedules may use the role"
  }
  assert {
    condition = (
      aws_scheduler_schedule.this.schedule_expression == "rate(1 minute)" && aws_scheduler_schedule.this.flexible_time_window[0].mode == "OFF"
      && aws_scheduler_schedule.this.group_name == aws_scheduler_schedule_group.this.name
      && aws_scheduler_schedule.this.target[0].arn == aws_lambda_alias.live.arn
      && aws_scheduler_schedule.this.target[0].role_arn == aws_iam_role.schedule.arn
    )
    error_message = "the digest runs each minute"
  }
  assert {
    condition = (
      aws_scheduler_schedule.this.target[0].retry_policy[0].maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.this.maximum_event_age_in_seconds == 60
    )
    error_message = "the retry of a failed run is the run of the next minute"
  }
  assert {
    condition     = [for name in ["METRICS", "TABLE", "WINDOW_SECS"] : aws_lambda_function.this.environment[0].variables["BIRDSONG_${name}"]] == ["test", "windows", "300"]
    error_message = "the function has the table, and metrics are written where the alarms look"
  }
  assert {
    condition     = aws_lambda_function.this.memory_size == 256 && aws_lambda_function.this.timeout == 30 && aws_lambda_function.this.reserved_concurrent_executions == 2
    error_message = "memory, time limit and concurrency are the caller's"
  }
}

run "streamer" {
  module {
    source = "./modules/streamer"
  }
  variables {
    name                  = "test"
    account_id            = "123456789012"
    aws_region            = "us-east-1"
    stream                = "posts"
    stream_arn            = "arn:aws:kinesis:us-east-1:123456789012:stream/posts"
    table                 = "windows"
    table_arn             = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    quarantine_bucket     = "quarantine"
    quarantine_bucket_arn = "arn:aws:s3:::quarantine"
    sources               = "bluesky,x:?budget=5/day&price=0.005,mastodon:mastodon.example?feed=local"
    secrets = {
      BIRDSONG_AUTHOR_KEY = null
      MASTODON_TOKEN      = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf"
      X_BEARER_TOKEN      = null
    }
    created_secrets     = ["BIRDSONG_AUTHOR_KEY", "X_BEARER_TOKEN"]
    reader              = "trigger"
    regions_toml        = "# none"
    window_secs         = 300
    image               = "registry.example/streamer:1"
    architecture        = "arm64"
    log_retention_days  = 30
    deletion_protection = true
  }
  assert {
    condition = alltrue([
      for s in concat(jsondecode(aws_iam_role_policy.execution.policy).Statement, jsondecode(aws_iam_role_policy.task.policy).Statement) :
      !strcontains(jsonencode(s.Action), "*")
    ])
    error_message = "an action of the streamer has a *"
  }
  assert {
    condition = flatten([
      for s in concat(jsondecode(aws_iam_role_policy.execution.policy).Statement, jsondecode(aws_iam_role_policy.task.policy).Statement) :
      s.Action if contains(flatten([s.Resource]), "*")
    ]) == ["ecr:GetAuthorizationToken"]
    error_message = "only signing in to the registry, which supports no resource, may have *"
  }
  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : join(" ", s.Action) => s.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
      if startswith(jsonencode(s.Action), "[\"dynamodb:")
    } == { "dynamodb:GetItem dynamodb:PutItem" = ["_meta"] }
    error_message = "the streamer keeps settings, and no window"
  }
  assert {
    condition     = length(aws_security_group.this.ingress) == 0 && length(aws_default_security_group.this[0].ingress) == 0
    error_message = "the streamer must have no inbound rule"
  }
  assert {
    condition     = [for rule in aws_security_group.this.egress : [rule.from_port, rule.to_port]] == [[443, 443]]
    error_message = "the streamer may only call with HTTPS"
  }
  assert {
    condition     = aws_ecs_service.this[0].desired_count == 1 && aws_ecs_service.this[0].deployment_maximum_percent == 100
    error_message = "one task reads the sources, also during a deployment"
  }
  assert {
    condition = [
      for s in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment : s.value if s.name == "BIRDSONG_METRICS"
    ] == [var.name]
    error_message = "metrics are written where the alarms look"
  }
  assert {
    condition     = sort([for s in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].secrets : s.name]) == tolist(["BIRDSONG_AUTHOR_KEY", "BIRDSONG_REGIONS_TOML", "MASTODON_TOKEN", "X_BEARER_TOKEN"])
    error_message = "keys and tokens are secrets"
  }
  assert {
    # The mock gives all new secrets one ARN.
    condition = [for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : s.Resource if s.Sid == "ReadSecrets"] == [[
      "arn:aws:secretsmanager:us-east-1:123456789012:secret:secret",
      "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf",
      "arn:aws:secretsmanager:us-east-1:123456789012:secret:secret",
    ]]
    error_message = "ECS may read each secret of the task, and no other"
  }
  assert {
    condition     = { for name, secret in aws_secretsmanager_secret.this : name => secret.name } == { BIRDSONG_AUTHOR_KEY = "test/author-key", X_BEARER_TOKEN = "test/x-bearer-token" }
    error_message = "secrets keep their names, because they hold values, and an existing one is not created again"
  }
  assert {
    condition = [
      for s in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment : s.value if s.name == "BIRDSONG_SOURCE"
    ] == [var.sources]
    error_message = "the streamer gets the addresses as they are"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].command == ["stream", "--to", "kinesis"]
    error_message = "options of sources are in their addresses"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].readonlyRootFilesystem && jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].user != "0"
    error_message = "the container is not root and writes to /data only"
  }
}

run "reference_counts_are_documents" {
  module {
    source = "./modules/streamer"
  }
  variables {
    name                  = "test"
    account_id            = "123456789012"
    aws_region            = "us-east-1"
    stream                = "posts"
    stream_arn            = "arn:aws:kinesis:us-east-1:123456789012:stream/posts"
    table                 = "windows"
    table_arn             = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    quarantine_bucket     = "quarantine"
    quarantine_bucket_arn = "arn:aws:s3:::quarantine"
    sources               = "demo"
    reference             = "x-counts:?budget=1/day"
    secrets               = { BIRDSONG_AUTHOR_KEY = null }
    created_secrets       = ["BIRDSONG_AUTHOR_KEY"]
    reader                = "trigger"
    regions_toml          = "# none"
    window_secs           = 300
    image                 = "registry.example/streamer:1"
    architecture          = "arm64"
    log_retention_days    = 30
    deletion_protection   = true
  }
  assert {
    condition = [
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : [s.Action, s.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]] if s.Sid == "KeepReferenceCounts"
    ] == [[["dynamodb:PutItem", "dynamodb:Query"], ["*#reference#????"]]]
    error_message = "counts of X are read and written as documents"
  }
}

run "days_are_archived" {
  module {
    source = "./modules/streamer"
  }
  variables {
    name                  = "test"
    account_id            = "123456789012"
    aws_region            = "us-east-1"
    stream                = "posts"
    stream_arn            = "arn:aws:kinesis:us-east-1:123456789012:stream/posts"
    table                 = "windows"
    table_arn             = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    quarantine_bucket     = "quarantine"
    quarantine_bucket_arn = "arn:aws:s3:::quarantine"
    archive_bucket        = "archive"
    archive_bucket_arn    = "arn:aws:s3:::archive"
    sources               = "demo"
    secrets               = { BIRDSONG_AUTHOR_KEY = null }
    created_secrets       = ["BIRDSONG_AUTHOR_KEY"]
    reader                = "trigger"
    regions_toml          = "# none"
    window_secs           = 300
    image                 = "registry.example/streamer:1"
    architecture          = "arm64"
    log_retention_days    = 30
    deletion_protection   = true
  }
  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.task.policy).Statement : join(" ", s.Action) => join(" ", sort(flatten([s.Resource])))
      if strcontains(jsonencode(s.Resource), ":archive")
      } == {
      "s3:ListBucket" = "arn:aws:s3:::archive"
      "s3:GetObject"  = "arn:aws:s3:::archive/manifests/*"
      "s3:PutObject"  = "arn:aws:s3:::archive/manifests/* arn:aws:s3:::archive/region=*"
    }
    error_message = "the streamer writes days and reads manifests, and reads and removes no day"
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment, { name = "BIRDSONG_ARCHIVE", value = "s3://archive" })
    error_message = "the task is told where days go"
  }
}

run "no_image_no_task" {
  module {
    source = "./modules/streamer"
  }
  variables {
    name                  = "test"
    account_id            = "123456789012"
    aws_region            = "us-east-1"
    stream                = "posts"
    stream_arn            = "arn:aws:kinesis:us-east-1:123456789012:stream/posts"
    table                 = "windows"
    table_arn             = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    quarantine_bucket     = "quarantine"
    quarantine_bucket_arn = "arn:aws:s3:::quarantine"
    sources               = "demo"
    secrets               = { BIRDSONG_AUTHOR_KEY = null }
    created_secrets       = ["BIRDSONG_AUTHOR_KEY"]
    reader                = "trigger"
    regions_toml          = "# none"
    window_secs           = 300
    image                 = ""
    architecture          = "arm64"
    log_retention_days    = 30
    deletion_protection   = true
  }
  assert {
    condition     = length(aws_ecs_service.this) == 0 && length(aws_ecs_task_definition.this) == 0 && output.task_definition == null
    error_message = "a deployment without an image could be one that the circuit breaker rolls back to"
  }
}

run "stream" {
  module {
    source = "./modules/stream"
  }
  variables {
    name            = "test"
    mode            = "ON_DEMAND"
    shard_count     = 1
    retention_hours = 168
  }
  assert {
    condition     = aws_kinesis_stream.this.encryption_type == "KMS"
    error_message = "the log is encrypted"
  }
}

run "store" {
  module {
    source = "./modules/store"
  }
  variables {
    name                    = "test"
    pitr                    = true
    max_read_request_units  = 500
    max_write_request_units = 200
    deletion_protection     = true
  }
  assert {
    condition     = one(aws_dynamodb_table.this.on_demand_throughput).max_read_request_units == 500 && one(aws_dynamodb_table.this.on_demand_throughput).max_write_request_units == 200
    error_message = "what the table may cost is bounded"
  }
  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    error_message = "the caps are of a table that is billed per request"
  }
  assert {
    condition     = aws_dynamodb_table.this.point_in_time_recovery[0].enabled && aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "windows can be restored, and their table is protected from deletion"
  }
  assert {
    condition     = aws_dynamodb_table.this.ttl[0].attribute_name == "ttl" && aws_dynamodb_table.this.ttl[0].enabled
    error_message = "windows expire after their time to live"
  }
}

run "bucket" {
  module {
    source = "./modules/bucket"
  }
  variables {
    bucket              = "test"
    deletion_protection = true
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "buckets are encrypted"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "buckets are private"
  }
  assert {
    condition     = [for s in jsondecode(aws_s3_bucket_policy.this.policy).Statement : s.Condition.Bool["aws:SecureTransport"] if s.Effect == "Deny"] == ["false"]
    error_message = "plain HTTP is denied"
  }
}

run "bucket_of_days" {
  module {
    source = "./modules/bucket"
  }
  variables {
    bucket                = "test"
    expire_days_by_prefix = { "manifests/" = 400, "region=" = 401 }
    deletion_protection   = true
  }
  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix => rule.expiration[0].days if length(rule.expiration) > 0
    } == { "manifests/" = 400, "region=" = 401 }
    error_message = "a day loses its manifest before its files"
  }
}

run "site" {
  module {
    source = "./modules/site"
  }
  variables {
    name                = "test"
    account_id          = "123456789012"
    dir                 = "tests/fixtures/site"
    enable_cdn          = true
    api_url             = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    api_domain          = "abc123.execute-api.us-east-1.amazonaws.com"
    api_stage           = "live"
    send_api_key        = true
    api_key             = "the-key"
    viewer_auth         = "none"
    viewer_credentials  = []
    viewer_cidrs        = []
    deletion_protection = true
  }
  assert {
    condition     = { for key, file in aws_s3_object.file : key => file.cache_control } == { "assets/main-1a2b3c.js" = "public, max-age=31536000, immutable", "index.html" = "no-cache" }
    error_message = "names with a hash are cached for a year, others are not"
  }
  assert {
    condition     = jsondecode(aws_s3_object.config.content).apiBase == ""
    error_message = "behind CloudFront the API is the page's own origin, whatever the build has"
  }
  assert {
    condition     = !strcontains(aws_cloudfront_response_headers_policy.this[0].security_headers_config[0].content_security_policy[0].content_security_policy, "unsafe")
    error_message = "nothing inline"
  }
  assert {
    condition     = aws_cloudfront_distribution.this[0].ordered_cache_behavior[0].path_pattern == "/api/*" && length(aws_s3_bucket_website_configuration.this) == 0
    error_message = "CloudFront serves the API beside the site, and the bucket is not a website"
  }
  assert {
    condition = (
      aws_cloudfront_cache_policy.api[0].min_ttl == 0 && aws_cloudfront_cache_policy.api[0].default_ttl == 0
      && aws_cloudfront_cache_policy.api[0].max_ttl == 86400
    )
    error_message = "the API says how long an answer is kept, up to a day"
  }
  assert {
    condition = alltrue([
      for key in aws_cloudfront_cache_policy.api[0].parameters_in_cache_key_and_forwarded_to_origin :
      key.enable_accept_encoding_brotli && key.enable_accept_encoding_gzip && key.query_strings_config[0].query_string_behavior == "all"
      && key.cookies_config[0].cookie_behavior == "none" && key.headers_config[0].header_behavior == "none"
    ])
    error_message = "an answer depends on its path, its query and its compression"
  }
  assert {
    condition = (
      aws_cloudfront_distribution.this[0].ordered_cache_behavior[0].allowed_methods == toset(["GET", "HEAD", "OPTIONS"])
      && aws_cloudfront_distribution.this[0].ordered_cache_behavior[0].cached_methods == toset(["GET", "HEAD", "OPTIONS"])
      && aws_cloudfront_distribution.this[0].ordered_cache_behavior[0].compress
      && aws_cloudfront_distribution.this[0].ordered_cache_behavior[0].cache_policy_id == aws_cloudfront_cache_policy.api[0].id
    )
    error_message = "the API only reads, and is compressed"
  }
  assert {
    condition = { for error in aws_cloudfront_distribution.this[0].custom_error_response : error.error_code => error.error_caching_min_ttl } == {
      500 = 5, 502 = 5, 503 = 5, 504 = 5
    }
    error_message = "an error of the API is kept for as long as an open answer"
  }
  assert {
    condition = [
      for origin in aws_cloudfront_distribution.this[0].origin :
      { for header in origin.custom_header : header.name => header.value } if length(origin.custom_header) > 0
    ] == [{ "x-api-key" = "the-key" }]
    error_message = "the key goes to the API alone"
  }
  assert {
    condition = (
      length(aws_cloudfront_function.viewer_auth) == 0 && length(aws_cloudfront_distribution.this[0].default_cache_behavior[0].function_association) == 0
    )
    error_message = "everybody may look"
  }
}

run "charts_in_frames_of_others" {
  module {
    source = "./modules/site"
  }
  variables {
    frame_ancestors     = ["'self'", "https://news.example"]
    name                = "test"
    account_id          = "123456789012"
    dir                 = "tests/fixtures/site"
    enable_cdn          = true
    api_url             = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    api_domain          = "abc123.execute-api.us-east-1.amazonaws.com"
    api_stage           = "live"
    send_api_key        = true
    api_key             = "the-key"
    viewer_auth         = "none"
    viewer_credentials  = []
    viewer_cidrs        = []
    deletion_protection = true
  }
  assert {
    condition     = endswith(aws_cloudfront_response_headers_policy.this[0].security_headers_config[0].content_security_policy[0].content_security_policy, "frame-ancestors 'self' https://news.example") && length(aws_cloudfront_response_headers_policy.this[0].security_headers_config[0].frame_options) == 0
    error_message = "the origins may show charts in frames"
  }
}

run "site_without_a_key" {
  module {
    source = "./modules/site"
  }
  variables {
    name                = "test"
    account_id          = "123456789012"
    dir                 = "tests/fixtures/site"
    enable_cdn          = true
    api_url             = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    api_domain          = "abc123.execute-api.us-east-1.amazonaws.com"
    api_stage           = "live"
    send_api_key        = false
    api_key             = null
    viewer_auth         = "none"
    viewer_credentials  = []
    viewer_cidrs        = []
    deletion_protection = true
  }
  assert {
    condition     = alltrue([for origin in aws_cloudfront_distribution.this[0].origin : length(origin.custom_header) == 0])
    error_message = "there is no key to send"
  }
}

run "viewers_with_a_password" {
  module {
    source = "./modules/site"
  }
  variables {
    name                = "test"
    account_id          = "123456789012"
    dir                 = "tests/fixtures/site"
    enable_cdn          = true
    api_url             = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    api_domain          = "abc123.execute-api.us-east-1.amazonaws.com"
    api_stage           = "live"
    send_api_key        = true
    api_key             = "the-key"
    viewer_auth         = "basic"
    viewer_credentials  = ["d74ff0ee8da3b9806b18c877dbf29bbde50b5bd8e4dad7a3a725000feb82e8f1"]
    viewer_cidrs        = ["203.0.113.0/24"]
    deletion_protection = true
  }
  assert {
    condition = alltrue([
      for behavior in concat(aws_cloudfront_distribution.this[0].default_cache_behavior, aws_cloudfront_distribution.this[0].ordered_cache_behavior) :
      [for f in behavior.function_association : [f.event_type, f.function_arn]] == [["viewer-request", aws_cloudfront_function.viewer_auth[0].arn]]
    ])
    error_message = "the page and the API ask for the password"
  }
  assert {
    condition     = aws_cloudfront_function.viewer_auth[0].runtime == "cloudfront-js-2.0" && aws_cloudfront_function.viewer_auth[0].publish
    error_message = "the function is published, for the runtime that it is written for"
  }
  assert {
    condition     = startswith(nonsensitive(aws_cloudfront_function.viewer_auth[0].code), "const SETTINGS = {\"credentials\":[\"d74ff0ee8da3b9806b18c877dbf29bbde50b5bd8e4dad7a3a725000feb82e8f1\"]};\n//")
    error_message = "the function has the hashes"
  }
}

run "viewers_of_some_networks" {
  module {
    source = "./modules/site"
  }
  variables {
    name                = "test"
    account_id          = "123456789012"
    dir                 = "tests/fixtures/site"
    enable_cdn          = true
    api_url             = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    api_domain          = "abc123.execute-api.us-east-1.amazonaws.com"
    api_stage           = "live"
    send_api_key        = true
    api_key             = "the-key"
    viewer_auth         = "allowed_cidrs"
    viewer_credentials  = []
    viewer_cidrs        = ["203.0.113.0/24", "2001:db8::/32"]
    deletion_protection = true
  }
  assert {
    condition     = startswith(nonsensitive(aws_cloudfront_function.viewer_auth[0].code), "const SETTINGS = {\"cidrs\":[\"203.0.113.0/24\",\"2001:db8::/32\"]};\n//")
    error_message = "the function has the networks"
  }
}

run "a_function_has_ten_kilobytes" {
  module {
    source = "./modules/site"
  }
  command = plan
  variables {
    name                = "test"
    account_id          = "123456789012"
    dir                 = "tests/fixtures/site"
    enable_cdn          = true
    api_url             = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    api_domain          = "abc123.execute-api.us-east-1.amazonaws.com"
    api_stage           = "live"
    send_api_key        = true
    api_key             = "the-key"
    viewer_auth         = "basic"
    viewer_credentials  = [for n in range(100) : sha256(tostring(n))]
    viewer_cidrs        = []
    deletion_protection = true
  }
  expect_failures = [aws_cloudfront_function.viewer_auth]
}

run "digest_without_secrets" {
  module {
    source = "./modules/digest"
  }
  variables {
    name                 = "test"
    account_id           = "123456789012"
    table                = "windows"
    table_arn            = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
    zip                  = "tests/fixtures/function.zip"
    architecture         = "arm64"
    memory_mb            = 256
    timeout_secs         = 30
    reserved_concurrency = null
    environment          = {}
    log_retention_days   = 30
    public_url           = ""
    alert_email          = "desk@example.org"
    alert_secrets        = {}
    deletion_protection  = false
  }
  assert {
    condition     = !contains([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid], "ReadSecretsOfAlerts")
    error_message = "a policy must not name an empty list of resources"
  }
  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "desk@example.org"
    error_message = "the address is subscribed"
  }
}
