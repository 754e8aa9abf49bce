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
    batch_size           = 100
    batching_window_secs = 5
    reserved_concurrency = -1
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
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Action if s.Sid == "FoldWindows"][0] == ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]
    error_message = "the aggregator reads and writes windows, and neither deletes nor scans"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.this.maximum_retry_attempts > 0 && aws_lambda_event_source_mapping.this.maximum_record_age_in_seconds > 0
    error_message = "a batch that never succeeds must not block its shard forever"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.this.destination_config[0].on_failure[0].destination_arn == module.quarantine.arn
    error_message = "batches that fail too often go to the bucket"
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
    reserved_concurrency = -1
    rate                 = 50
    burst                = 100
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
    condition     = aws_api_gateway_method_settings.all.settings[0].throttling_rate_limit == 50 && aws_api_gateway_method_settings.all.settings[0].throttling_burst_limit == 100
    error_message = "the stage throttles"
  }
  assert {
    condition     = aws_lambda_permission.api.source_arn == "arn:aws:execute-api:us-east-1:123456789012:abc123/*/*"
    error_message = "only our REST API may call the function"
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
    condition     = length(aws_security_group.this.ingress) == 0 && length(aws_default_security_group.this.ingress) == 0
    error_message = "the streamer must have no inbound rule"
  }
  assert {
    condition     = [for rule in aws_security_group.this.egress : [rule.from_port, rule.to_port]] == [[443, 443]]
    error_message = "the streamer may only call with HTTPS"
  }
  assert {
    condition     = aws_ecs_service.this.desired_count == 1 && aws_ecs_service.this.deployment_maximum_percent == 100
    error_message = "one task reads the sources, also during a deployment"
  }
  assert {
    condition = [
      for s in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : s.value if s.name == "BIRDSONG_METRICS"
    ] == [var.name]
    error_message = "metrics are written where the alarms look"
  }
  assert {
    condition     = sort([for s in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets : s.name]) == tolist(["BIRDSONG_AUTHOR_KEY", "BIRDSONG_REGIONS_TOML", "MASTODON_TOKEN", "X_BEARER_TOKEN"])
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
      for s in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : s.value if s.name == "BIRDSONG_SOURCE"
    ] == [var.sources]
    error_message = "the streamer gets the addresses as they are"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].command == ["stream", "--to", "kinesis"]
    error_message = "options of sources are in their addresses"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].readonlyRootFilesystem && jsondecode(aws_ecs_task_definition.this.container_definitions)[0].user != "0"
    error_message = "the container is not root and writes to /data only"
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
    reader                = "trigger"
    regions_toml          = "# none"
    window_secs           = 300
    image                 = ""
    architecture          = "arm64"
    log_retention_days    = 30
    deletion_protection   = true
  }
  assert {
    condition     = aws_ecs_service.this.desired_count == 0
    error_message = "there is no image to run"
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
    name                = "test"
    pitr                = true
    deletion_protection = true
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
}
