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
      aws_cloudwatch_metric_alarm.not_connected[source].dimensions == tomap({ service = "streamer", source = source })
      && aws_cloudwatch_metric_alarm.dropped[source].dimensions == tomap({ service = "streamer", source = source })
    ])
    error_message = "the dimensions are those of the streamer's metrics"
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.not_connected :
      alarm.period * alarm.evaluation_periods == 900 && alarm.statistic == "Maximum" && alarm.threshold == 1
      && alarm.comparison_operator == "LessThanThreshold"
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
    # The metrics that `metrics_line` in functions/birdsong/src/stream.rs writes, except spent_dollars, which needs a budget.
    condition = alltrue([
      for source in keys(var.sources) : sort(flatten([
        for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
          for metric in widget.properties.metrics : metric[1]
          if try(slice(metric, 2, 6), []) == ["service", "streamer", "source", source] && try(metric[1], "") != "spent_dollars"
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
    ]) == ["spent_dollars", "5 * DAY(spent)"]
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
        values(aws_cloudwatch_metric_alarm.above), values(aws_cloudwatch_metric_alarm.not_connected), values(aws_cloudwatch_metric_alarm.dropped),
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
    condition     = strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "TIME_SERIES(100)") && !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "DAY(")
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
    sources = {}
  }
  assert {
    condition     = length(output.alarms) == 13 && !strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "streamer")
    error_message = "without a streamer there are no alarms and graphs of its sources"
  }
}

run "the_digest_is_watched" {
  module {
    source = "./modules/observability"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.digest_silent.metric_name == "Invocations"
      && aws_cloudwatch_metric_alarm.digest_silent.dimensions == tomap({ FunctionName = "digest" })
      && aws_cloudwatch_metric_alarm.digest_silent.comparison_operator == "LessThanThreshold"
      && aws_cloudwatch_metric_alarm.digest_silent.threshold == 1
      && aws_cloudwatch_metric_alarm.digest_silent.period * aws_cloudwatch_metric_alarm.digest_silent.evaluation_periods == 600
    )
    error_message = "ten minutes without a run of the digest raise an alarm"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.digest_silent.treat_missing_data == "breaching"
    error_message = "a function that nobody invokes has no data"
  }
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.above["digest-errors"].dimensions == tomap({ FunctionName = "digest" })
      && aws_cloudwatch_metric_alarm.above["digest-errors"].metric_name == "Errors"
      && aws_cloudwatch_metric_alarm.above["digest-errors"].threshold == 2
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
    error_message = "one throttled read or write raises an alarm, whatever the cause"
  }
}
