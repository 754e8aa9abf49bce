locals {
  # Each graph has a line per source and metric: title, statistic, names of the metrics, axis.
  graphs_of_sources = [
    ["Sources: connected (1) or not (0)", "Minimum", ["connected"], { left = { min = 0, max = 1 } }],
    ["Sources: age of the newest post, ms", "Maximum", ["lag_ms"], {}],
    ["Sources: received, sent and filtered", "Sum", ["received", "sent", "filtered"], {}],
    ["Sources: dropped, unreadable and duplicate", "Sum", ["dropped", "unreadable", "duplicates"], {}],
    ["Sources: share of posts requested", "Minimum", ["sampled"], { left = { min = 0, max = 1 } }],
    ["Sources: bytes waiting for the log", "Maximum", ["waiting_bytes"], { left = { min = 0 } }],
    ["Sources: reconnects and gaps since the streamer started", "Maximum", ["reconnects", "gaps"], { left = { min = 0 } }],
  ]

  source_graphs = [for graph in local.graphs_of_sources : [
    graph[0], graph[1],
    [for pair in setproduct(keys(var.sources), graph[2]) : [
      var.name, pair[1], "service", "streamer", "source", pair[0], { label = "${pair[0]} ${pair[1]}" }
    ]],
    graph[3],
  ] if length(var.sources) > 0]

  # Spending adds up from the first of the month, so the limit of a daily budget grows with the days. DATE is the day
  # of the month; DAY would be the day of the week.
  spending_graphs = [for source, budget in var.sources : [
    "Spent on ${source} since the first of the month, US dollars", "Maximum",
    [
      [var.name, "spent_dollars", "service", "streamer", "source", source, { id = "spent", label = "spent" }],
      [{
        expression = endswith(budget, "/day") ? "${split("/", budget)[0]} * DATE(spent)" : "TIME_SERIES(${split("/", budget)[0]})"
        id         = "allowed"
        label      = "budget so far"
      }],
      [var.name, "paused", "service", "streamer", "source", source, { label = "paused, because it is used up", yAxis = "right" }],
    ],
    { left = { min = 0 }, right = { min = 0, max = 1 } },
  ] if budget != null]

  # Title, statistic and metrics (namespace, metric, dimension, value …) of each graph.
  graphs = [
    ["Records and posts", "Sum", [
      [var.name, "records", "service", "aggregator"],
      [var.name, "posts", "service", "aggregator"],
    ]],
    ["Late, conflicting and quarantined", "Sum", [
      [var.name, "late", "service", "aggregator"],
      [var.name, "conflicts", "service", "aggregator"],
      [var.name, "quarantined", "service", "aggregator"],
    ]],
    ["From log to window, ms", "p99", [
      [var.name, "lag_ms", "service", "aggregator"],
      ["AWS/Lambda", "IteratorAge", "FunctionName", var.aggregator],
      ["AWS/Lambda", "Duration", "FunctionName", var.aggregator],
    ]],
    ["Windows written", "Sum", [
      [var.name, "partials", "service", "aggregator"],
      ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", var.table],
    ]],
    ["Bytes written", "Sum", [
      [var.name, "item_bytes", "service", "aggregator"],
      ["AWS/Kinesis", "IncomingBytes", "StreamName", var.stream],
    ]],
    ["Log", "Maximum", [
      ["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", var.stream],
      ["AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", var.stream],
    ]],
    ["Table: units read and written, requests throttled", "Sum", [
      ["AWS/DynamoDB", "ConsumedReadCapacityUnits", "TableName", var.table],
      ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", var.table],
      ["AWS/DynamoDB", "ReadThrottleEvents", "TableName", var.table],
      ["AWS/DynamoDB", "WriteThrottleEvents", "TableName", var.table],
    ]],
    ["Digest, ms", "Maximum", [
      ["AWS/Lambda", "Duration", "FunctionName", var.digest],
    ]],
    ["API latency, ms", "p95", [
      ["AWS/ApiGateway", "Latency", "ApiName", var.rest_api, "Stage", var.api_stage],
      ["AWS/Lambda", "Duration", "FunctionName", var.api_function],
    ]],
    ["API requests and errors", "Sum", [
      ["AWS/ApiGateway", "Count", "ApiName", var.rest_api, "Stage", var.api_stage],
      ["AWS/ApiGateway", "4XXError", "ApiName", var.rest_api, "Stage", var.api_stage],
      ["AWS/ApiGateway", "5XXError", "ApiName", var.rest_api, "Stage", var.api_stage],
    ]],
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [for n, graph in concat(local.source_graphs, local.spending_graphs, local.graphs) : {
      type   = "metric"
      x      = n % 2 * 12
      y      = floor(n / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = graph[0]
        stat    = graph[1]
        metrics = graph[2]
        yAxis   = try(graph[3], {})
        period  = 60
        region  = var.aws_region
        view    = "timeSeries"
      }
    }]
  })
}
