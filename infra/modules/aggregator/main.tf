# The function that folds records into windows, its trigger, and the bucket for dead letters.

locals {
  function = "${var.name}-aggregator"
}

# We write quarantine/ (records that are not frames) and unreadable/ (lines of a source). The event source mapping
# writes aws/lambda/: batches that failed too often, with all their records.
module "quarantine" {
  source = "../bucket"

  bucket              = "${var.name}-quarantine-${var.account_id}"
  expire_days         = 30
  deletion_protection = var.deletion_protection
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; they hold counts, no posts.
  #checkov:skip=CKV_AWS_338:Operational logs need not be kept for a year.
  name              = "/aws/lambda/${local.function}"
  retention_in_days = var.log_retention_days
}

resource "aws_iam_role" "this" {
  name                 = local.function
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "aggregator"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "ReadLog"
        Effect = "Allow"
        # What the event source mapping requires.
        Action = [
          "kinesis:DescribeStream",
          "kinesis:DescribeStreamSummary",
          "kinesis:GetRecords",
          "kinesis:GetShardIterator",
          "kinesis:ListShards",
        ]
        Resource = var.stream_arn
      },
      {
        Sid      = "LoadWindows"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem"]
        Resource = var.table_arn
      },
      {
        # Windows of a day, the list of a region's days, marks of changed hours, the format of the table. No roll-ups and documents.
        Sid      = "StoreWindows"
        Effect   = "Allow"
        Action   = ["dynamodb:PutItem"]
        Resource = var.table_arn
        Condition = {
          "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["*#????-??-??", "*#days", "_live", "_meta"] }
        }
      },
      {
        Sid       = "ShowNewestWindows"
        Effect    = "Allow"
        Action    = ["dynamodb:UpdateItem"]
        Resource  = var.table_arn
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["_live"] } }
      },
      {
        # The account is named because another account could take the name of a deleted bucket.
        Sid       = "WriteDeadLetters"
        Effect    = "Allow"
        Action    = ["s3:PutObject"]
        Resource  = ["${module.quarantine.arn}/quarantine/*", "${module.quarantine.arn}/aws/lambda/*"]
        Condition = { StringEquals = { "s3:ResourceAccount" = var.account_id } }
      },
      {
        # What the event source mapping requires of its failure destination, besides PutObject.
        Sid       = "ListDeadLetters"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = module.quarantine.arn
        Condition = { StringEquals = { "s3:ResourceAccount" = var.account_id } }
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      },
    ]
  })
}

# Terraform deploys the code when the zip changes, and publishes each change as a version.
resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:The shards limit the concurrency; a reservation can fail in a new account.
  #checkov:skip=CKV_AWS_116:The failure destination is on the event source mapping; nothing invokes it asynchronously.
  #checkov:skip=CKV_AWS_117:It calls AWS services only; a VPC would need endpoints or a NAT gateway.
  #checkov:skip=CKV_AWS_173:The environment holds names, not secrets.
  #checkov:skip=CKV_AWS_272:The zip comes from the build that runs Terraform.
  function_name                  = local.function
  description                    = "Folds records of the post log into windows"
  role                           = aws_iam_role.this.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  filename                       = var.zip
  publish                        = var.publish_versions
  source_code_hash               = filebase64sha256(var.zip)
  memory_size                    = var.memory_mb
  timeout                        = 60
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = merge(var.environment, {
      BIRDSONG_METRICS           = var.name
      BIRDSONG_TABLE             = var.table
      BIRDSONG_QUARANTINE_BUCKET = module.quarantine.name
    })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  # The trigger starts no trace, and sampling one invocation a second would cost more than the function.
  tracing_config {
    mode = "PassThrough"
  }
}

# The version that the trigger invokes: the newest one, unless `make rollback` went back from it.
resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The version that runs"
  function_name    = aws_lambda_function.this.function_name
  function_version = var.rollback.from == aws_lambda_function.this.version ? var.rollback.to : aws_lambda_function.this.version
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn = var.stream_arn
  function_name    = aws_lambda_alias.live.arn
  # A new mapping reads the whole log. Fences skip what was folded before; LATEST would lose records that arrive
  # while the mapping is created.
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window_secs
  parallelization_factor             = var.parallelization
  function_response_types            = ["ReportBatchItemFailures"]

  # The function itself removes poison: it puts damaged records and windows into the bucket and answers without a failure.
  # What remains fails for all records alike (store or bucket away, no permission), and it returns the first record of the
  # batch, so Lambda repeats the whole batch. Such a batch must never be given up: -1 retries it for as long as the log has
  # it, and alarms show its age. A record that ends the function itself (memory, time limit, panic) fails without an
  # answer. Then Lambda bisects its batch, so that the records before it are stored, and its shard waits there.
  # docs/runbook.md, "Skip a record", sets max_retries for as long as it takes to move that record to the bucket.
  maximum_retry_attempts = var.max_retries
  # -1 is infinite. Any other value would discard old records after an outage without trying them.
  maximum_record_age_in_seconds  = -1
  bisect_batch_on_function_error = true

  destination_config {
    on_failure {
      destination_arn = module.quarantine.arn
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  depends_on = [aws_iam_role_policy.this]
}
