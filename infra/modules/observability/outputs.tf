output "topic_arn" {
  description = "ARN of the SNS topic for alarms and the budget."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarms" {
  description = "Names of all alarms, those that send mail and those that only take part in others."
  value = concat(
    [for alarm in aws_cloudwatch_metric_alarm.above : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.not_connected : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.dropped : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.waiting : alarm.alarm_name],
    aws_cloudwatch_metric_alarm.idle[*].alarm_name,
    aws_cloudwatch_metric_alarm.silent[*].alarm_name,
    [aws_cloudwatch_metric_alarm.no_windows.alarm_name, aws_cloudwatch_metric_alarm.digest_stale.alarm_name],
    [for alarm in aws_cloudwatch_composite_alarm.this : alarm.alarm_name],
  )
}
