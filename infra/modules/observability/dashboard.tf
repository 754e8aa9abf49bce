locals {
  # Title, statistic and metrics (namespace, metric, dimension, value …) of each graph.
  graphs = [
    ["Records and posts", "Sum", [
      ["Birdsong", "records", "service", "aggregator"],
      ["Birdsong", "posts", "service", "aggregator"],
    ]],
    ["Late, repeated and put aside", "Sum", [
      ["Birdsong", "late", "service", "aggregator"],
      ["Birdsong", "conflicts", "service", "aggregator"],
      ["Birdsong", "quarantined", "service", "aggregator"],
    ]],
    ["From the log into the window, ms", "p99", [
      ["Birdsong", "lag_ms", "service", "aggregator"],
      ["AWS/Lambda", "IteratorAge", "FunctionName", var.aggregator],
      ["AWS/Lambda", "Duration", "FunctionName", var.aggregator],
    ]],
    ["Windows written", "Sum", [
      ["Birdsong", "partials", "service", "aggregator"],
      ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", var.table],
    ]],
    ["Bytes written", "Sum", [
      ["Birdsong", "item_bytes", "service", "aggregator"],
      ["AWS/Kinesis", "IncomingBytes", "StreamName", var.stream],
    ]],
    ["Log", "Maximum", [
      ["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", var.stream],
      ["AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", var.stream],
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
    widgets = [for n, graph in local.graphs : {
      type   = "metric"
      x      = n % 2 * 12
      y      = floor(n / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = graph[0]
        stat    = graph[1]
        metrics = graph[2]
        period  = 60
        region  = var.aws_region
        view    = "timeSeries"
      }
    }]
  })
}
