# The alarms. Each metric alarm is a cause or a symptom. A cause sends mail by itself. Symptoms of one part are behind a
# composite alarm, which sends mail only if none of their causes does: one cause is one mail.
#
# Causes need two periods of half an hour, so they outlast the symptoms, which clear within one period: a repaired cause does not
# end in a mail about its symptoms.
#
# Each description ends with its section of docs/runbook.md, whose table has the alarm: scripts/tests/test_runbook.py compares them.

locals {
  runbook = "docs/runbook.md#"

  lambda  = "AWS/Lambda"
  trigger = { EventSourceMappingUUID = var.event_source_mapping }
  in_api  = { ApiName = var.rest_api, Stage = var.api_stage }
  in_task = try({ ClusterName = var.streamer.cluster, ServiceName = var.streamer.service }, {})

  # Alarms that watch one metric of AWS or of a function. Defaults: Sum > above in two of six periods of five minutes, no data is
  # fine, and mail.
  alarms = merge({
    aggregator-errors = {
      section     = "windows"
      description = "The aggregator ends without an answer: memory, time limit or a record that stops it. Its shard waits."
      namespace   = local.lambda
      metric      = "Errors"
      dimensions  = { FunctionName = var.aggregator }
      above       = 0
    }
    aggregator-retries = {
      section     = "windows"
      description = "The aggregator cannot store windows or dead letters and repeats its batches: table or bucket is away, or its role lacks a permission."
      namespace   = local.lambda
      metric      = "FailedInvokeEventCount"
      dimensions  = local.trigger
      above       = 0
    }
    aggregator-throttles = {
      section     = "windows"
      description = "The aggregator is throttled by aggregator_reserved_concurrency, or by the concurrency of the account."
      namespace   = local.lambda
      metric      = "Throttles"
      dimensions  = { FunctionName = var.aggregator }
      above       = 0
    }
    iterator-age = {
      section     = "windows"
      description = "The aggregator is more than a minute behind the log."
      namespace   = local.lambda
      metric      = "IteratorAge"
      dimensions  = { FunctionName = var.aggregator }
      statistic   = "Maximum"
      above       = 60000
      datapoints  = 3
      periods     = 3
      mails       = false
    }
    # One number is enough, and it comes once, so one period decides. No metric math: FILL in an alarm of one period can hold an old state.
    given-up-to-bucket = {
      section     = "lost-and-damaged"
      description = "A batch was given up and is in the quarantine bucket, below aws/lambda/: its posts are in no window."
      namespace   = local.lambda
      metric      = "OnFailureDestinationDeliveredEventCount"
      dimensions  = local.trigger
      above       = 0
      datapoints  = 1
      periods     = 1
    }
    given-up-dropped = {
      section     = "lost-and-damaged"
      description = "A batch was given up and is in no bucket: its posts are in the log only."
      namespace   = local.lambda
      metric      = "DroppedEventCount"
      dimensions  = local.trigger
      above       = 0
      datapoints  = 1
      periods     = 1
    }
    given-up-undelivered = {
      section     = "lost-and-damaged"
      description = "A batch was given up and could not be written to the quarantine bucket: its posts are in the log only."
      namespace   = local.lambda
      metric      = "DestinationDeliveryFailures"
      dimensions  = { FunctionName = var.aggregator }
      above       = 0
      datapoints  = 1
      periods     = 1
    }
    quarantined = {
      section     = "lost-and-damaged"
      description = "Damaged records or windows were quarantined: quarantine/ in the bucket has them, with reasons."
      namespace   = var.name
      metric      = "quarantined"
      dimensions  = { service = "aggregator" }
      above       = 0
      datapoints  = 1
      periods     = 1
    }
    stream-throttles = {
      section     = "stream-and-table"
      description = "The stream throttles records: it needs more shards, or one lane is too busy."
      namespace   = "AWS/Kinesis"
      metric      = "WriteProvisionedThroughputExceeded"
      dimensions  = { StreamName = var.stream }
      above       = 0
    }
    table-throttles = {
      section     = "stream-and-table"
      description = "The table throttles writes: the load is above table_max_write_request_units, or one partition is too busy."
      namespace   = "AWS/DynamoDB"
      metric      = "WriteThrottleEvents"
      dimensions  = { TableName = var.table }
      above       = 0
    }
    table-read-throttles = {
      section     = "stream-and-table"
      description = "The table throttles reads: the load is above table_max_read_request_units, or one partition is too busy."
      namespace   = "AWS/DynamoDB"
      metric      = "ReadThrottleEvents"
      dimensions  = { TableName = var.table }
      above       = 0
    }
    digest-errors = {
      section     = "digest"
      description = "Three or more runs of the digest failed in five minutes: its log names the error."
      namespace   = local.lambda
      metric      = "Errors"
      dimensions  = { FunctionName = var.digest }
      above       = 2
      mails       = false
    }
    digest-not-invoked = {
      section     = "digest"
      description = "The schedule could not invoke the digest three or more times in five minutes."
      namespace   = "AWS/Scheduler"
      metric      = "InvocationDroppedCount"
      dimensions  = { ScheduleGroup = var.schedule_group }
      above       = 2
      mails       = false
    }
    api-throttles = {
      section     = "api"
      description = "The api function is throttled by api_reserved_concurrency, or by the concurrency of the account."
      namespace   = local.lambda
      metric      = "Throttles"
      dimensions  = { FunctionName = var.api_function }
      above       = 0
    }
    api-errors = {
      section     = "api"
      description = "More than five answers of the API in five minutes are server errors."
      namespace   = "AWS/ApiGateway"
      metric      = "5XXError"
      dimensions  = local.in_api
      above       = 5
      datapoints  = 2
      periods     = 3
      mails       = false
    }
    api-refusals = {
      section     = "api"
      description = "More than 500 requests in five minutes are refused: wrong parameters, no key, or throttled."
      namespace   = "AWS/ApiGateway"
      metric      = "4XXError"
      dimensions  = local.in_api
      above       = 500
      datapoints  = 3
      periods     = 3
    }
    api-slow = {
      section     = "api"
      description = "One of a hundred requests to the API waits for more than three seconds."
      namespace   = "AWS/ApiGateway"
      metric      = "Latency"
      dimensions  = local.in_api
      statistic   = "p99"
      above       = 3000
      datapoints  = 3
      periods     = 3
      mails       = false
    }
    }, var.streamer == null ? {} : {
    streamer-memory = {
      section     = "streamer-and-sources"
      description = "The streamer's task uses more than 85 % of its memory: ECS ends it at 100 %."
      namespace   = "AWS/ECS"
      metric      = "MemoryUtilization"
      dimensions  = local.in_task
      statistic   = "Maximum"
      above       = 85
      datapoints  = 3
      periods     = 3
    }
    streamer-cpu = {
      section     = "streamer-and-sources"
      description = "The streamer's task uses more than 90 % of its processor for 15 minutes: posts wait in the source's connection."
      namespace   = "AWS/ECS"
      metric      = "CPUUtilization"
      dimensions  = local.in_task
      statistic   = "Average"
      above       = 90
      datapoints  = 3
      periods     = 3
    }
  })
}

resource "aws_cloudwatch_metric_alarm" "above" {
  for_each = local.alarms

  alarm_name                            = "${var.name}-${each.key}"
  alarm_description                     = "${each.value.description} ${local.runbook}${each.value.section}"
  namespace                             = each.value.namespace
  metric_name                           = each.value.metric
  dimensions                            = each.value.dimensions
  statistic                             = startswith(lookup(each.value, "statistic", "Sum"), "p") ? null : lookup(each.value, "statistic", "Sum")
  extended_statistic                    = startswith(lookup(each.value, "statistic", "Sum"), "p") ? each.value.statistic : null
  evaluate_low_sample_count_percentiles = startswith(lookup(each.value, "statistic", "Sum"), "p") ? "ignore" : null
  comparison_operator                   = "GreaterThanThreshold"
  threshold                             = each.value.above
  period                                = 300
  evaluation_periods                    = lookup(each.value, "periods", 6)
  datapoints_to_alarm                   = lookup(each.value, "datapoints", 2)
  treat_missing_data                    = "notBreaching"
  alarm_actions                         = lookup(each.value, "mails", true) ? [aws_sns_topic.alarms.arn] : []
  ok_actions                            = lookup(each.value, "mails", true) ? [aws_sns_topic.alarms.arn] : []
}

# ---- Dead man's switches: no data is the alarm -----------------------------------------------------

# On the whole path: a source that is connected sends at least heartbeats, so its lanes are written every few seconds.
resource "aws_cloudwatch_metric_alarm" "no_windows" {
  alarm_name          = "${var.name}-no-windows"
  alarm_description   = "No window was written for 15 minutes. ${local.runbook}windows"
  namespace           = var.name
  metric_name         = "partials"
  dimensions          = { service = "aggregator" }
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
}

# The streamer reports each minute, whether its sources are connected or not. It has one report for each source, so one source's is enough.
resource "aws_cloudwatch_metric_alarm" "silent" {
  count = length(var.sources) == 0 ? 0 : 1

  alarm_name          = "${var.name}-streamer-silent"
  alarm_description   = "The streamer has not reported for ten minutes: its task does not run, or its log lines do not arrive. ${local.runbook}streamer-and-sources"
  namespace           = var.name
  metric_name         = "connected"
  dimensions          = { service = "streamer", source = sort(keys(var.sources))[0] }
  statistic           = "SampleCount"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 4
  datapoints_to_alarm = 2
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# A run that succeeds reports its duration. The schedule starts one each minute.
resource "aws_cloudwatch_metric_alarm" "digest_stale" {
  alarm_name          = "${var.name}-digest-stale"
  alarm_description   = "No run of the digest has succeeded for 15 minutes: overview, roll-ups, events and alerts are as old. ${local.runbook}digest"
  namespace           = var.name
  metric_name         = "digest_ms"
  dimensions          = { service = "digest" }
  statistic           = "SampleCount"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
}

# ---- Sources ---------------------------------------------------------------------------------------

# A source that waits because its budget is used up is no outage. Without data from the streamer the alarm keeps its
# state: streamer-silent covers that case, and a new task does not prove that the source is connected again.
resource "aws_cloudwatch_metric_alarm" "not_connected" {
  for_each = var.sources

  alarm_name          = "${var.name}-${replace(each.key, ":", "-")}-not-connected"
  alarm_description   = "${each.key} was not connected for 15 minutes, and not because of its budget: /api/status has the reason. ${local.runbook}streamer-and-sources"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 3
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  # With a budget: connected or paused. Without one there is one metric.
  namespace   = each.value == null ? var.name : null
  metric_name = each.value == null ? "connected" : null
  dimensions  = each.value == null ? { service = "streamer", source = each.key } : null
  statistic   = each.value == null ? "Maximum" : null
  period      = each.value == null ? 300 : null

  dynamic "metric_query" {
    for_each = each.value == null ? [] : ["connected", "paused"]
    content {
      id = metric_query.value
      metric {
        namespace   = var.name
        metric_name = metric_query.value
        dimensions  = { service = "streamer", source = each.key }
        stat        = "Maximum"
        period      = 300
      }
    }
  }
  dynamic "metric_query" {
    for_each = each.value == null ? [] : ["connected + paused"]
    content {
      id          = "available"
      label       = "connected, or paused by its budget"
      expression  = metric_query.value
      return_data = true
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "dropped" {
  for_each = var.sources

  alarm_name          = "${var.name}-${replace(each.key, ":", "-")}-dropped"
  alarm_description   = "Posts of ${each.key} were lost: the log was unavailable until the streamer's disk was full. ${local.runbook}lost-and-damaged"
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

resource "aws_cloudwatch_metric_alarm" "waiting" {
  for_each = var.sources

  alarm_name          = "${var.name}-${replace(each.key, ":", "-")}-waiting"
  alarm_description   = "More than 10 MB of ${each.key} wait on the streamer's disk for ten minutes: the log does not accept them. ${local.runbook}streamer-and-sources"
  namespace           = var.name
  metric_name         = "waiting_bytes"
  dimensions          = { service = "streamer", source = each.key }
  statistic           = "Minimum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 10000000
  period              = 300
  evaluation_periods  = 4
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# Without a connected source there is nothing to write. It sends no mail: not-connected does, and a budget that is used up needs none.
# An alarm has at most ten metrics.
resource "aws_cloudwatch_metric_alarm" "idle" {
  count = ceil(length(var.sources) / 10)

  alarm_name          = "${var.name}-idle-${count.index}"
  alarm_description   = "None of these sources is connected, so there are no records. It only holds back windows-late. ${local.runbook}streamer-and-sources"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 4
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching"

  dynamic "metric_query" {
    for_each = { for n, source in chunklist(sort(keys(var.sources)), 10)[count.index] : "source${n}" => source }
    content {
      id = metric_query.key
      metric {
        namespace   = var.name
        metric_name = "connected"
        dimensions  = { service = "streamer", source = metric_query.value }
        stat        = "Maximum"
        period      = 300
      }
    }
  }
  metric_query {
    id          = "any"
    label       = "any of them connected"
    expression  = "MAX(METRICS())"
    return_data = true
  }
}

# ---- Composite alarms: mail about symptoms without a cause that mails -------------------------------

locals {
  composites = {
    windows-late = {
      section     = "windows"
      description = "Windows are not written, or more than a minute late, and no other alarm says why."
      symptoms    = [aws_cloudwatch_metric_alarm.no_windows, aws_cloudwatch_metric_alarm.above["iterator-age"]]
      causes = concat(
        [for name in ["aggregator-errors", "aggregator-retries", "aggregator-throttles", "table-throttles"] : aws_cloudwatch_metric_alarm.above[name]],
        aws_cloudwatch_metric_alarm.silent[*],
        values(aws_cloudwatch_metric_alarm.waiting),
      )
      # All of them: one group of sources that is connected is enough for windows.
      all_idle = aws_cloudwatch_metric_alarm.idle[*]
    }
    digest-failing = {
      section     = "digest"
      description = "The digest is not invoked, fails, or has not succeeded for 15 minutes, and the table does not throttle."
      symptoms    = [aws_cloudwatch_metric_alarm.digest_stale, aws_cloudwatch_metric_alarm.above["digest-errors"], aws_cloudwatch_metric_alarm.above["digest-not-invoked"]]
      causes      = [for name in ["table-throttles", "table-read-throttles"] : aws_cloudwatch_metric_alarm.above[name]]
      all_idle    = []
    }
    api-failing = {
      section     = "api"
      description = "The API returns server errors or is slow, and neither the function nor the table is throttled."
      symptoms    = [aws_cloudwatch_metric_alarm.above["api-errors"], aws_cloudwatch_metric_alarm.above["api-slow"]]
      causes      = [for name in ["api-throttles", "table-read-throttles"] : aws_cloudwatch_metric_alarm.above[name]]
      all_idle    = []
    }
  }
}

resource "aws_cloudwatch_composite_alarm" "this" {
  for_each = local.composites

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.description} ${local.runbook}${each.value.section}"
  alarm_rule = join(" AND NOT ", concat(
    ["(${join(" OR ", [for alarm in each.value.symptoms : "ALARM(\"${alarm.alarm_name}\")"])})"],
    ["(${join(" OR ", [for alarm in each.value.causes : "ALARM(\"${alarm.alarm_name}\")"])})"],
    [for all in [each.value.all_idle] : "(${join(" AND ", [for alarm in all : "ALARM(\"${alarm.alarm_name}\")"])})" if length(all) > 0],
  ))
  alarm_actions = [aws_sns_topic.alarms.arn]
  ok_actions    = [aws_sns_topic.alarms.arn]
}
