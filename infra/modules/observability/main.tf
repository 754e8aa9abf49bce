# Alarms and a budget, which notify one SNS topic.

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot use the AWS managed key, and a customer key costs more than the alarms; messages hold names and numbers.
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndBudgetsPublish"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  count = var.email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.email
}

locals {
  # Alarms on one metric, evaluated every five minutes.
  alarms = {
    iterator-age = {
      description = "The aggregator is more than a minute behind the log"
      namespace   = "AWS/Lambda"
      metric      = "IteratorAge"
      dimensions  = { FunctionName = var.aggregator }
      statistic   = "Maximum"
      above       = 60000
    }
    aggregator-errors = {
      description = "The aggregator fails: its log names the error, such as a damaged window"
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = var.aggregator }
      above       = 0
    }
    aggregator-throttles = {
      description = "The aggregator is throttled by aggregator_reserved_concurrency, or by the concurrency of the account"
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = var.aggregator }
      above       = 0
    }
    quarantined = {
      description = "Records that are not frames were quarantined: see quarantine/ in the bucket"
      namespace   = var.name
      metric      = "quarantined"
      dimensions  = { service = "aggregator" }
      above       = 0
    }
    stream-throttles = {
      description = "The stream throttles records: it needs more shards"
      namespace   = "AWS/Kinesis"
      metric      = "WriteProvisionedThroughputExceeded"
      dimensions  = { StreamName = var.stream }
      above       = 0
    }
    table-throttles = {
      description = "The table throttles writes: the load is above table_max_write_request_units, or one partition is too busy"
      namespace   = "AWS/DynamoDB"
      metric      = "WriteThrottleEvents"
      dimensions  = { TableName = var.table }
      above       = 0
    }
    table-read-throttles = {
      description = "The table throttles reads: the load is above table_max_read_request_units, or one partition is too busy; see API requests on the dashboard"
      namespace   = "AWS/DynamoDB"
      metric      = "ReadThrottleEvents"
      dimensions  = { TableName = var.table }
      above       = 0
    }
    digest-errors = {
      description = "Three runs of the digest failed in five minutes: its log names the error; the overview and long ranges grow old"
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = var.digest }
      above       = 2
    }
    api-errors = {
      description = "The API returns server errors"
      namespace   = "AWS/ApiGateway"
      metric      = "5XXError"
      dimensions  = { ApiName = var.rest_api, Stage = var.api_stage }
      above       = 5
    }
    api-throttles = {
      description = "The api function is throttled by api_reserved_concurrency, or by the concurrency of the account"
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = var.api_function }
      above       = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "above" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = lookup(each.value, "statistic", "Sum")
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# Without data from the streamer the alarm keeps its state: streamer-silent covers that case, and a new task does not
# prove that the source is connected again.
resource "aws_cloudwatch_metric_alarm" "not_connected" {
  for_each = toset(keys(var.sources))

  alarm_name          = "${var.name}-${replace(each.key, ":", "-")}-not-connected"
  alarm_description   = "${each.key} was not connected for 15 minutes: /api/status has the reason and what to do"
  namespace           = var.name
  metric_name         = "connected"
  dimensions          = { service = "streamer", source = each.key }
  statistic           = "Maximum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "dropped" {
  for_each = toset(keys(var.sources))

  alarm_name          = "${var.name}-${replace(each.key, ":", "-")}-dropped"
  alarm_description   = "Posts of ${each.key} were lost: the log was unavailable until the streamer's disk was full"
  namespace           = var.name
  metric_name         = "dropped"
  dimensions          = { service = "streamer", source = each.key }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# The streamer sends a heartbeat even without posts, so silence is an outage.
resource "aws_cloudwatch_metric_alarm" "silent" {
  alarm_name          = "${var.name}-streamer-silent"
  alarm_description   = "No record reached the log for five minutes: the streamer is down or cannot reach the log"
  namespace           = "AWS/Kinesis"
  metric_name         = "IncomingRecords"
  dimensions          = { StreamName = var.stream }
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# The schedule invokes it each minute.
resource "aws_cloudwatch_metric_alarm" "digest_silent" {
  alarm_name          = "${var.name}-digest-silent"
  alarm_description   = "The digest was not invoked for ten minutes: its schedule is disabled, may not invoke it, or it is throttled"
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = var.digest }
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 2
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# In whichever way the trigger counts them: dropped, delivered to the bucket, or not delivered.
resource "aws_cloudwatch_metric_alarm" "given_up" {
  alarm_name          = "${var.name}-given-up"
  alarm_description   = "A batch failed too often: see aws/lambda/ in the quarantine bucket, fix the cause, then run birdsong reprocess"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "given_up"
    label       = "given up"
    expression  = "FILL(dropped, 0) + FILL(delivered, 0) + FILL(undelivered, 0)"
    return_data = true
  }

  metric_query {
    id = "dropped"
    metric {
      namespace   = "AWS/Lambda"
      metric_name = "DroppedEventCount"
      dimensions  = { EventSourceMappingUUID = var.event_source_mapping }
      stat        = "Sum"
      period      = 300
    }
  }

  metric_query {
    id = "delivered"
    metric {
      namespace   = "AWS/Lambda"
      metric_name = "OnFailureDestinationDeliveredEventCount"
      dimensions  = { EventSourceMappingUUID = var.event_source_mapping }
      stat        = "Sum"
      period      = 300
    }
  }

  metric_query {
    id = "undelivered"
    metric {
      namespace   = "AWS/Lambda"
      metric_name = "DestinationDeliveryFailures"
      dimensions  = { FunctionName = var.aggregator }
      stat        = "Sum"
      period      = 300
    }
  }
}

resource "aws_budgets_budget" "this" {
  count = var.enable_budget ? 1 : 0

  name         = var.name
  budget_type  = "COST"
  limit_amount = var.budget_usd
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }
}
