output "topic_arn" {
  description = "ARN of the SNS topic for alarms and the budget."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarms" {
  description = "Names of all alarms."
  value = concat(
    [for alarm in aws_cloudwatch_metric_alarm.above : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.not_connected : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.dropped : alarm.alarm_name],
    [
      aws_cloudwatch_metric_alarm.silent.alarm_name,
      aws_cloudwatch_metric_alarm.digest_silent.alarm_name,
      aws_cloudwatch_metric_alarm.given_up.alarm_name,
    ],
  )
}
