# Alarms and graphs of the streamer's sources.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                 = "test"
  account_id           = "123456789012"
  aws_region           = "us-east-1"
  stream               = "posts"
  table                = "windows"
  aggregator           = "aggregator"
  event_source_mapping = "trigger"
  digest               = "digest"
  schedule_group       = "digest-group"
  streamer             = { cluster = "test", service = "streamer" }
  api_function         = "api"
  rest_api             = "api"
  api_stage            = "live"
  sources              = { "x" = "5/day", "mastodon:mastodon.example" = null }
  email                = ""
  enable_budget        = false
  budget_usd           = 50
}

run "sources" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = alltrue([
      for source in keys(var.sources) :
      aws_cloudwatch_metric_alarm.dropped[source].dimensions == tomap({ service = "streamer", source = source })
      && aws_cloudwatch_metric_alarm.waiting[source].dimensions == tomap({ service = "streamer", source = source })
    ])
    error_message = "the dimensions are those of the streamer's metrics"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.not_connected["mastodon:mastodon.example"].metric_name == "connected"
      && aws_cloudwatch_metric_alarm.not_connected["mastodon:mastodon.example"].period == 300
      && aws_cloudwatch_metric_alarm.not_connected["mastodon:mastodon.example"].statistic == "Maximum"
      && aws_cloudwatch_metric_alarm.not_connected["mastodon:mastodon.example"].dimensions == tomap({ service = "streamer", source = "mastodon:mastodon.example" })
    )
    error_message = "a source without a budget is connected or not"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.not_connected["x"].metric_name == null
      && { for query in aws_cloudwatch_metric_alarm.not_connected["x"].metric_query : query.id => try(query.metric[0].metric_name, query.expression) if query.id != "available" } == { connected = "connected", paused = "paused" }
      && [for query in aws_cloudwatch_metric_alarm.not_connected["x"].metric_query : query.expression if query.return_data == true] == ["connected + paused"]
      && alltrue([for query in aws_cloudwatch_metric_alarm.not_connected["x"].metric_query : query.metric[0].dimensions == tomap({ service = "streamer", source = "x" }) && query.metric[0].period == 300 if length(query.metric) > 0])
    )
    error_message = "a budget that is used up is no outage"
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.not_connected :
      alarm.evaluation_periods == 3 && alarm.threshold == 1 && alarm.comparison_operator == "LessThanThreshold"
    ])
    error_message = "15 minutes without any connection raise an alarm, a reconnect does not"
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.not_connected : alarm.treat_missing_data == "ignore"])
    error_message = "a streamer that is down has no data about its sources: the alarms keep their state"
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.dropped :
      alarm.statistic == "Sum" && alarm.threshold == 0 && alarm.treat_missing_data == "notBreaching"
    ])
    error_message = "one lost post raises an alarm"
  }
  assert {
    # The metrics that `metrics_line` in functions/birdsong/src/stream.rs writes, except those of a budget.
    condition = alltrue([
      for source in keys(var.sources) : sort(flatten([
        for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
          for metric in widget.properties.metrics : metric[1]
          if try(slice(metric, 2, 6), []) == ["service", "streamer", "source", source] && !contains(["spent_dollars", "paused"], try(metric[1], ""))
        ]
        ])) == tolist(sort([
        "received", "sent", "filtered", "unreadable", "duplicates", "dropped", "reconnects", "gaps", "waiting_bytes",
        "connected", "sampled", "lag_ms",
      ]))
    ])
    error_message = "each metric of a source is drawn once"
  }
  assert {
    condition = flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets :
      [for metric in widget.properties.metrics : try(metric[0].expression, metric[1])] if startswith(widget.properties.title, "Spent on x ")
    ]) == ["spent_dollars", "5 * DATE(spent)", "paused"]
    error_message = "spending is drawn beside the budget of the days so far"
  }
}

run "another_deployment_has_other_metrics" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = sort(distinct([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.above), [for alarm in aws_cloudwatch_metric_alarm.not_connected : alarm if alarm.namespace != null],
        values(aws_cloudwatch_metric_alarm.dropped), values(aws_cloudwatch_metric_alarm.waiting), aws_cloudwatch_metric_alarm.silent,
        [aws_cloudwatch_metric_alarm.no_windows, aws_cloudwatch_metric_alarm.digest_stale],
      ) : alarm.namespace if !startswith(alarm.namespace, "AWS/")
    ])) == tolist(["test"])
    error_message = "alarms watch this deployment's metrics, which the streamer and the aggregator write under its name"
  }
  assert {
    condition = distinct(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets :
      [for metric in widget.properties.metrics : metric[0] if try(metric[2], "") == "service"]
    ])) == tolist(["test"])
    error_message = "graphs draw this deployment's metrics"
  }
}

run "a_budget_by_month" {
  module {
    source = "./modules/observability"
  }
  variables {
    sources = { "x" = "100/month" }
  }
  assert {
    condition     = strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "TIME_SERIES(100)") && !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "DATE(")
    error_message = "a month has one budget"
  }
}

run "no_budget" {
  module {
    source = "./modules/observability"
  }
  variables {
    sources = { "mastodon:mastodon.example" = null }
  }
  assert {
    condition     = !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "spent_dollars") && !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "expression")
    error_message = "a source without a budget spends nothing"
  }
}

run "widgets_do_not_overlap" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = (
      length(distinct([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [widget.x, widget.y]]))
      == length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets)
    )
    error_message = "a widget covers another one"
  }
}

# It may run elsewhere, where nobody collects its metrics.
run "no_streamer" {
  module {
    source = "./modules/observability"
  }
  variables {
    sources  = {}
    streamer = null
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.silent) + length(aws_cloudwatch_metric_alarm.idle) == 0 && !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "streamer")
    error_message = "without a streamer there are no alarms and graphs of it and its sources"
  }
  assert {
    condition     = length([for name in output.alarms : name if strcontains(name, "streamer")]) == 0
    error_message = "nobody collects the metrics of the task"
  }
  assert {
    condition     = !strcontains(aws_cloudwatch_composite_alarm.this["windows-late"].alarm_rule, "()") && !strcontains(aws_cloudwatch_composite_alarm.this["windows-late"].alarm_rule, "streamer")
    error_message = "the rule names alarms that do not exist, or nothing"
  }
}

run "nothing_is_written" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.no_windows.metric_name == "partials"
      && aws_cloudwatch_metric_alarm.no_windows.dimensions == tomap({ service = "aggregator" })
      && aws_cloudwatch_metric_alarm.no_windows.statistic == "Sum" && aws_cloudwatch_metric_alarm.no_windows.threshold == 1
      && aws_cloudwatch_metric_alarm.no_windows.comparison_operator == "LessThanThreshold"
      && aws_cloudwatch_metric_alarm.no_windows.period * aws_cloudwatch_metric_alarm.no_windows.evaluation_periods == 900
    )
    error_message = "15 minutes without a window raise an alarm"
  }
  assert {
    condition = alltrue([
      for alarm in concat([aws_cloudwatch_metric_alarm.no_windows, aws_cloudwatch_metric_alarm.digest_stale], aws_cloudwatch_metric_alarm.silent) :
      alarm.treat_missing_data == "breaching"
    ])
    error_message = "what does not run has no data"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.silent[0].statistic == "SampleCount" && aws_cloudwatch_metric_alarm.silent[0].metric_name == "connected"
      && contains(keys(var.sources), aws_cloudwatch_metric_alarm.silent[0].dimensions["source"])
    )
    error_message = "the streamer's own report is watched, which it also makes without a connected source"
  }
}

run "one_cause_is_one_mail" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = aws_cloudwatch_composite_alarm.this["windows-late"].alarm_rule == join("", [
      "(ALARM(\"test-no-windows\") OR ALARM(\"test-iterator-age\"))",
      " AND NOT (ALARM(\"test-aggregator-errors\") OR ALARM(\"test-aggregator-retries\") OR ALARM(\"test-aggregator-throttles\")",
      " OR ALARM(\"test-table-throttles\") OR ALARM(\"test-streamer-silent\")",
      " OR ALARM(\"test-mastodon-mastodon.example-waiting\") OR ALARM(\"test-x-waiting\"))",
      " AND NOT (ALARM(\"test-idle-0\"))",
    ])
    error_message = "the rule is ${aws_cloudwatch_composite_alarm.this["windows-late"].alarm_rule}"
  }
  assert {
    # Symptoms: those that a composite alarm has before its first AND NOT.
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.above), values(aws_cloudwatch_metric_alarm.not_connected), values(aws_cloudwatch_metric_alarm.dropped),
        values(aws_cloudwatch_metric_alarm.waiting), aws_cloudwatch_metric_alarm.silent, aws_cloudwatch_metric_alarm.idle,
        [aws_cloudwatch_metric_alarm.no_windows, aws_cloudwatch_metric_alarm.digest_stale],
      ) :
      (length(coalesce(alarm.alarm_actions, [])) == 0) == (startswith(alarm.alarm_name, "test-idle-") || anytrue([
        for composite in aws_cloudwatch_composite_alarm.this : strcontains(split(" AND NOT ", composite.alarm_rule)[0], "\"${alarm.alarm_name}\"")
      ]))
    ])
    error_message = "a symptom sends no mail itself, and everything else does"
  }
  assert {
    condition     = alltrue([for composite in aws_cloudwatch_composite_alarm.this : length(composite.alarm_actions) == 1 && length(composite.ok_actions) == 1])
    error_message = "a composite alarm sends mail"
  }
  assert {
    # A cause that ends before its symptoms would be followed by a mail about them.
    condition = alltrue([
      for name in ["aggregator-errors", "aggregator-retries", "aggregator-throttles", "table-throttles", "table-read-throttles", "api-throttles"] :
      aws_cloudwatch_metric_alarm.above[name].evaluation_periods == 6 && aws_cloudwatch_metric_alarm.above[name].datapoints_to_alarm == 2
    ])
    error_message = "causes outlast their symptoms"
  }
  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.above), values(aws_cloudwatch_metric_alarm.not_connected), values(aws_cloudwatch_metric_alarm.dropped),
        values(aws_cloudwatch_metric_alarm.waiting), aws_cloudwatch_metric_alarm.silent, aws_cloudwatch_metric_alarm.idle,
        [aws_cloudwatch_metric_alarm.no_windows, aws_cloudwatch_metric_alarm.digest_stale],
      ) : can(regex(" docs/runbook[.]md#[a-z-]+$", alarm.alarm_description))
    ])
    error_message = "each description ends with its section of the runbook"
  }
}

run "many_sources" {
  module {
    source = "./modules/observability"
  }
  variables {
    sources = { for n in range(12) : "mastodon:m${n}.example" => null }
  }
  assert {
    condition = (
      length(aws_cloudwatch_metric_alarm.idle) == 2
      && alltrue([for alarm in aws_cloudwatch_metric_alarm.idle : length([for query in alarm.metric_query : query if length(query.metric) > 0]) <= 10])
      && sum([for alarm in aws_cloudwatch_metric_alarm.idle : length([for query in alarm.metric_query : query if length(query.metric) > 0])]) == 12
    )
    error_message = "an alarm has at most ten metrics"
  }
  assert {
    condition     = endswith(aws_cloudwatch_composite_alarm.this["windows-late"].alarm_rule, " AND NOT (ALARM(\"test-idle-0\") AND ALARM(\"test-idle-1\"))")
    error_message = "one connected source is enough for windows"
  }
}

run "what_was_given_up_is_watched_without_arithmetic" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.above : alarm.metric_name => alarm.dimensions
      if startswith(name, "given-up-") && alarm.threshold == 0 && alarm.evaluation_periods == 1 && alarm.treat_missing_data == "notBreaching"
      } == {
      OnFailureDestinationDeliveredEventCount = tomap({ EventSourceMappingUUID = "trigger" })
      DroppedEventCount                       = tomap({ EventSourceMappingUUID = "trigger" })
      DestinationDeliveryFailures             = tomap({ FunctionName = "aggregator" })
    }
    error_message = "in whichever way a batch is given up, one is an alarm"
  }
  assert {
    condition     = length(regexall("expression *= *\"[^\"]*FILL[(]", file("${path.root}/alarms.tf"))) == 0
    error_message = "FILL in an alarm can hold an old state"
  }
}

run "the_digest_is_watched" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.digest_stale.metric_name == "digest_ms" && aws_cloudwatch_metric_alarm.digest_stale.statistic == "SampleCount"
      && aws_cloudwatch_metric_alarm.digest_stale.dimensions == tomap({ service = "digest" })
      && aws_cloudwatch_metric_alarm.digest_stale.comparison_operator == "LessThanThreshold"
      && aws_cloudwatch_metric_alarm.digest_stale.threshold == 1
      && aws_cloudwatch_metric_alarm.digest_stale.period * aws_cloudwatch_metric_alarm.digest_stale.evaluation_periods == 900
    )
    error_message = "15 minutes without a run of the digest that succeeds raise an alarm"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.above["digest-errors"].dimensions == tomap({ FunctionName = "digest" })
      && aws_cloudwatch_metric_alarm.above["digest-errors"].metric_name == "Errors"
      && aws_cloudwatch_metric_alarm.above["digest-errors"].threshold == 2
      && aws_cloudwatch_metric_alarm.above["digest-not-invoked"].namespace == "AWS/Scheduler"
      && aws_cloudwatch_metric_alarm.above["digest-not-invoked"].dimensions == tomap({ ScheduleGroup = "digest-group" })
    )
    error_message = "one failed run is made up for by the next one; three in five minutes raise an alarm"
  }
}

run "throttled_reads_and_writes_are_watched" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = {
      for name in ["table-throttles", "table-read-throttles"] : name => aws_cloudwatch_metric_alarm.above[name].metric_name
      if aws_cloudwatch_metric_alarm.above[name].threshold == 0 && aws_cloudwatch_metric_alarm.above[name].dimensions == tomap({ TableName = "windows" })
    } == { "table-throttles" = "WriteThrottleEvents", "table-read-throttles" = "ReadThrottleEvents" }
    error_message = "throttled reads and writes raise an alarm, whatever the cause"
  }
}

run "the_api_and_the_task_are_watched" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.above["api-slow"].extended_statistic == "p99" && aws_cloudwatch_metric_alarm.above["api-slow"].statistic == null
    error_message = "a mean hides slow answers"
  }
  assert {
    condition = {
      for name in ["streamer-memory", "streamer-cpu"] : name => aws_cloudwatch_metric_alarm.above[name].dimensions
    } == { for name in ["streamer-memory", "streamer-cpu"] : name => tomap({ ClusterName = "test", ServiceName = "streamer" }) }
    error_message = "the dimensions are those of ECS"
  }
}

run "a_budget_has_two_thresholds" {
  module {
    source = "./modules/observability"
  }
  variables {
    enable_budget = true
  }
  assert {
    condition = {
      for notification in aws_budgets_budget.this[0].notification : notification.notification_type => notification.threshold
    } == { ACTUAL = 100, FORECASTED = 100 }
    error_message = "mail comes when the forecast exceeds the budget, and when the amount does"
  }
}
