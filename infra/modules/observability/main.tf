# Who is told, and when: alarms and a budget on one topic.

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot use the AWS managed key, and a key of one's own costs more than the alarms; messages hold names and numbers.
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndBudgetsTell"
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
  # Alarms on one metric, looked at every five minutes.
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
      description = "The aggregator fails: look for a damaged window in its log"
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = var.aggregator }
      above       = 0
    }
    aggregator-throttles = {
      description = "The aggregator is refused by the account's concurrency"
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = var.aggregator }
      above       = 0
    }
    quarantined = {
      description = "Records that are no frames were put aside: see quarantine/ in the bucket"
      namespace   = var.name
      metric      = "quarantined"
      dimensions  = { service = "aggregator" }
      above       = 0
    }
    stream-throttles = {
      description = "The stream refuses records: it needs more shards"
      namespace   = "AWS/Kinesis"
      metric      = "WriteProvisionedThroughputExceeded"
      dimensions  = { StreamName = var.stream }
      above       = 0
    }
    table-throttles = {
      description = "The table refuses writes"
      namespace   = "AWS/DynamoDB"
      metric      = "WriteThrottleEvents"
      dimensions  = { TableName = var.table }
      above       = 0
    }
    api-errors = {
      description = "The API answers with errors of its own"
      namespace   = "AWS/ApiGateway"
      metric      = "5XXError"
      dimensions  = { ApiName = var.rest_api, Stage = var.api_stage }
      above       = 5
    }
    api-throttles = {
      description = "The api function is refused by the account's concurrency"
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

# Without word from the streamer the state stays as it was: streamer-silent tells of that, and a new task is
# no proof that the source is there again.
resource "aws_cloudwatch_metric_alarm" "not_connected" {
  for_each = toset(keys(var.sources))

  alarm_name          = "${var.name}-${replace(each.key, ":", "-")}-not-connected"
  alarm_description   = "${each.key} was not connected for 15 minutes: /api/status tells why, and what to do about it"
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
  alarm_description   = "Posts of ${each.key} are lost: the log was away for longer than the streamer's disk can hold what comes"
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

# The streamer sends a heartbeat when there are no posts, so silence is an outage.
resource "aws_cloudwatch_metric_alarm" "silent" {
  alarm_name          = "${var.name}-streamer-silent"
  alarm_description   = "No record reached the log for five minutes: the streamer is down or cut off"
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

# However the trigger counts them: dropped, delivered to the bucket, or not even that.
resource "aws_cloudwatch_metric_alarm" "given_up" {
  alarm_name          = "${var.name}-given-up"
  alarm_description   = "A batch was given up: see aws/lambda/ in the quarantine bucket, mend the cause, then birdsong reprocess"
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
