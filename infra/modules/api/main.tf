# The function that answers, and the REST API in front of it. The function handles paths, parameters and CORS, as it does
# on one machine; the REST API throttles, and admits only CloudFront.

locals {
  function = "${var.name}-api"
  # The API only reads. Other methods are rejected before they cost an invocation.
  methods = toset(["GET", "HEAD", "OPTIONS"])
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; they hold no posts and no addresses.
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
  #checkov:skip=CKV_AWS_290:X-Ray's two actions support no resource; the others name theirs.
  #checkov:skip=CKV_AWS_355:X-Ray's two actions support no resource; the others name theirs.
  name = "api"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadWindows"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:Query"]
        Resource = var.table_arn
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      },
      {
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource = "*"
      },
    ]
  })
}

# Terraform deploys the code when the zip changes, and publishes each change as a version.
resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:The stage's throttle limits it; a reservation can fail in a new account.
  #checkov:skip=CKV_AWS_116:It is invoked synchronously only, so there are no dead letters.
  #checkov:skip=CKV_AWS_117:It calls AWS services only; a VPC would need endpoints or a NAT gateway.
  #checkov:skip=CKV_AWS_173:The environment holds names, not secrets.
  #checkov:skip=CKV_AWS_272:The zip comes from the build that runs Terraform.
  function_name                  = local.function
  description                    = "Answers requests for windows"
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
      BIRDSONG_TABLE                       = var.table
      AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH = "true"
    })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.this]
}

# The version that the REST API invokes: the newest one, unless `make rollback` went back from it.
resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The version that runs"
  function_name    = aws_lambda_function.this.function_name
  function_version = var.rollback.from == aws_lambda_function.this.version ? var.rollback.to : aws_lambda_function.this.version
}

resource "aws_api_gateway_rest_api" "this" {
  name        = local.function
  description = "Birdsong: metrics of posts by region"
  # The gateway compresses responses of at least this many bytes if the client accepts it.
  minimum_compression_size = "1024"
  api_key_source           = "HEADER"

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_resource" "proxy" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "{proxy+}"
}

resource "aws_api_gateway_method" "proxy" {
  #checkov:skip=CKV_AWS_59:CloudFront decides who may look; the key admits CloudFront alone.
  #checkov:skip=CKV2_AWS_53:The function validates every parameter and returns a clear error.
  #checkov:skip=CKV2_AWS_70:CloudFront decides who may look; the key admits CloudFront alone.
  for_each = local.methods

  rest_api_id      = aws_api_gateway_rest_api.this.id
  resource_id      = aws_api_gateway_resource.proxy.id
  http_method      = each.value
  authorization    = "NONE"
  api_key_required = var.require_key
}

resource "aws_api_gateway_integration" "proxy" {
  for_each = aws_api_gateway_method.proxy

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = aws_api_gateway_resource.proxy.id
  http_method             = each.value.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_alias.live.invoke_arn
}

resource "aws_lambda_permission" "api" {
  statement_id  = "rest-api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/*/*"
}

# The answer to a request above the throttle is a 503 instead of a 429: CloudFront then serves its stale copy, if it has
# one (stale-if-error), and retries it less often.
resource "aws_api_gateway_gateway_response" "throttled" {
  rest_api_id   = aws_api_gateway_rest_api.this.id
  response_type = "THROTTLED"
  status_code   = "503"

  response_parameters = {
    "gatewayresponse.header.Cache-Control" = "'no-store'"
    "gatewayresponse.header.Retry-After"   = "'5'"
  }
  response_templates = {
    # The form of the api's own errors.
    "application/json" = jsonencode({
      error = { code = "overloaded", message = "Too many requests. Try again in a few seconds.", parameter = null }
    })
  }
}

# Who called is not logged: no address, no user agent, no query. Behind CloudFront they would be CloudFront's anyway.
locals {
  access_log = jsonencode({
    time            = "$context.requestTimeEpoch"
    request_id      = "$context.requestId"
    trace_id        = "$context.xrayTraceId"
    method          = "$context.httpMethod"
    path            = "$context.path"
    status          = "$context.status"
    response_type   = "$context.error.responseType"
    bytes           = "$context.responseLength"
    latency_ms      = "$context.responseLatency"
    function_ms     = "$context.integration.latency"
    function_status = "$context.integration.status"
  })
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; they hold paths, no addresses.
  #checkov:skip=CKV_AWS_338:Operational logs need not be kept for a year.
  count = var.access_logs ? 1 : 0

  name              = "/aws/apigateway/${local.function}"
  retention_in_days = var.log_retention_days
}

# API Gateway writes logs with one role for the whole account and region, of all its APIs.
resource "aws_iam_role" "account" {
  count = var.access_logs && var.account_role ? 1 : 0

  name                 = "${local.function}-gateway"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "apigateway.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "account" {
  #checkov:skip=CKV_AWS_290:API Gateway accepts a role for its logs only with these actions on all groups.
  #checkov:skip=CKV_AWS_355:API Gateway accepts a role for its logs only with these actions on all groups.
  count = length(aws_iam_role.account)

  name = "logs"
  role = aws_iam_role.account[0].id

  # The actions of AWS's managed policy AmazonAPIGatewayPushToCloudWatchLogs.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "WriteLogsOfAllApis"
      Effect = "Allow"
      Action = [
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogGroups",
        "logs:DescribeLogStreams",
        "logs:FilterLogEvents",
        "logs:GetLogEvents",
        "logs:PutLogEvents",
      ]
      Resource = "*"
    }]
  })
}

resource "aws_api_gateway_account" "this" {
  count = length(aws_iam_role.account)

  cloudwatch_role_arn = aws_iam_role.account[0].arn

  depends_on = [aws_iam_role_policy.account]
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # A deployment is a snapshot: list here everything that is in it.
  triggers = {
    definition = sha256(jsonencode([
      aws_api_gateway_rest_api.this.minimum_compression_size,
      aws_api_gateway_resource.proxy.id,
      [for method in aws_api_gateway_method.proxy : [method.id, method.authorization, method.api_key_required]],
      [for integration in aws_api_gateway_integration.proxy : [integration.type, integration.uri]],
      [
        aws_api_gateway_gateway_response.throttled.status_code,
        aws_api_gateway_gateway_response.throttled.response_parameters,
        aws_api_gateway_gateway_response.throttled.response_templates,
      ],
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV_AWS_76:Access logs are on unless access_logs = false.
  #checkov:skip=CKV_AWS_120:A cache of the stage is paid for by the hour; CloudFront and the function keep answers for seconds.
  #checkov:skip=CKV2_AWS_4:The access log has status and latency of each request, and the function logs its errors.
  #checkov:skip=CKV2_AWS_29:A web ACL with a rule costs 6 US dollars a month before the first request; the stage throttles.
  #checkov:skip=CKV2_AWS_51:Clients are public browsers without certificates.
  rest_api_id          = aws_api_gateway_rest_api.this.id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = "live"
  xray_tracing_enabled = true

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.access
    content {
      destination_arn = access_log_settings.value.arn
      format          = local.access_log
    }
  }

  depends_on = [aws_api_gateway_account.this]
}

resource "aws_api_gateway_method_settings" "all" {
  #checkov:skip=CKV_AWS_225:CloudFront caches for as long as the function allows.
  #checkov:skip=CKV_AWS_308:There is no cache to encrypt.
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.rate
    throttling_burst_limit = var.burst
  }
}

# The key of CloudFront: 122 random bits, made once. It is in the state, in API Gateway and in the distribution's settings,
# and nowhere else.
resource "aws_api_gateway_api_key" "cloudfront" {
  count = var.require_key ? 1 : 0

  name        = "${var.name}-cloudfront"
  description = "Sent by CloudFront with each request to the API"
  value       = uuid()

  lifecycle {
    ignore_changes = [value]
  }
}

# A key is valid for the stages of a usage plan. The stage throttles, so the plan does not.
resource "aws_api_gateway_usage_plan" "cloudfront" {
  count = var.require_key ? 1 : 0

  name        = "${var.name}-cloudfront"
  description = "Admits CloudFront"

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }
}

resource "aws_api_gateway_usage_plan_key" "cloudfront" {
  count = var.require_key ? 1 : 0

  key_id        = aws_api_gateway_api_key.cloudfront[0].id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.cloudfront[0].id
}
