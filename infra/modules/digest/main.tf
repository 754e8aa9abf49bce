# The function that keeps roll-ups and the overview current and sends alerts, and the schedule that invokes it each minute.

locals {
  function = "${var.name}-digest"
}

# Alerts with `sns = true`. Who subscribes gets what happened, in words.
resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = "alias/aws/sns"
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alert_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = var.alert_email
}

# A person or a script sets the values, once, so no state file has them.
resource "aws_secretsmanager_secret" "alert" {
  #checkov:skip=CKV_AWS_149:The AWS managed key encrypts at no cost; readers are limited by their roles.
  #checkov:skip=CKV2_AWS_57:The receivers of alerts issue the addresses and keys: AWS cannot rotate them.
  for_each = toset([for name, arn in var.alert_secrets : name if arn == "new"])

  name                    = "${var.name}/${replace(lower(each.key), "_", "-")}"
  description             = "${each.key} of the alerts"
  recovery_window_in_days = var.deletion_protection ? 7 : 0
}

locals {
  secret_arns = { for name, arn in var.alert_secrets : name => arn == "new" ? aws_secretsmanager_secret.alert[name].arn : arn }
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
  name = "digest"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "ReadWindows"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:Query"]
        Resource = var.table_arn
      },
      {
        # Roll-ups, documents, the overview, and marks of changes. No windows.
        Sid      = "StoreRollUps"
        Effect   = "Allow"
        Action   = ["dynamodb:DeleteItem", "dynamodb:PutItem"]
        Resource = var.table_arn
        Condition = {
          "ForAllValues:StringLike" = {
            "dynamodb:LeadingKeys" = concat(
              ["*#hours#????-??", "*#days#????", "_live", "_meta"],
              [for kind in ["alert", "events", "series", "watch"] : "*#${kind}#????"],
            )
          }
        }
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      },
      {
        Sid      = "SendAlerts"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = aws_sns_topic.alerts.arn
      },
      ],
      [
        for arns in [values(local.secret_arns)] : {
          Sid      = "ReadSecretsOfAlerts"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = arns
        } if length(arns) > 0
    ])
  })
}

# Terraform deploys the code when the zip changes, and publishes each change as a version.
resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:One run a minute needs no more than two at once; a reservation can fail in a new account.
  #checkov:skip=CKV_AWS_116:The next run does what a failed one left, so there are no dead letters.
  #checkov:skip=CKV_AWS_117:It calls AWS services and the webhooks of alerts; a VPC would need a NAT gateway.
  #checkov:skip=CKV_AWS_173:The environment holds names, not secrets.
  #checkov:skip=CKV_AWS_272:The zip comes from the build that runs Terraform.
  function_name                  = local.function
  description                    = "Rolls windows up into hours and days, writes the overview, and sends alerts"
  role                           = aws_iam_role.this.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  filename                       = var.zip
  publish                        = var.publish_versions
  source_code_hash               = filebase64sha256(var.zip)
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_secs
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = merge(var.environment, {
      BIRDSONG_ALERT_TOPIC = aws_sns_topic.alerts.arn
      BIRDSONG_METRICS     = var.name
      BIRDSONG_PUBLIC_URL  = var.public_url
      BIRDSONG_SECRET_ARNS = jsonencode(local.secret_arns)
      BIRDSONG_TABLE       = var.table
    })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  # The schedule starts no trace.
  tracing_config {
    mode = "PassThrough"
  }

  depends_on = [aws_iam_role_policy.this]
}

# The version that the schedule invokes: the newest one, unless `make rollback` went back from it.
resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The version that runs"
  function_name    = aws_lambda_function.this.function_name
  function_version = var.rollback.from == aws_lambda_function.this.version ? var.rollback.to : aws_lambda_function.this.version
}

# The scheduler invokes asynchronously, and Lambda would retry a failed run twice. The next minute's run is that retry.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_iam_role" "schedule" {
  name                 = "${local.function}-schedule"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      # A schedule group, because the scheduler does not name the schedule.
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = var.account_id
          "aws:SourceArn"     = aws_scheduler_schedule_group.this.arn
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name = "schedule"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "InvokeDigest"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = aws_lambda_alias.live.arn
    }]
  })
}

resource "aws_scheduler_schedule_group" "this" {
  name = local.function
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:The key that AWS owns encrypts at no cost; the schedule holds no data.
  name                = local.function
  group_name          = aws_scheduler_schedule_group.this.name
  description         = "Runs the digest each minute"
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.live.arn
    role_arn = aws_iam_role.schedule.arn
    # The function ignores its payload.
    input = "{}"

    # An invocation that is a minute late is the next one.
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }

  depends_on = [aws_iam_role_policy.schedule, aws_lambda_function_event_invoke_config.this]
}
