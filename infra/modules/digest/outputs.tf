output "function" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "newest_version" {
  description = "Newest version of the function."
  value       = aws_lambda_function.this.version
}

output "version" {
  description = "Version of the function that runs."
  value       = aws_lambda_alias.live.function_version
}

output "alert_topic" {
  description = "ARN of the topic of the alerts."
  value       = aws_sns_topic.alerts.arn
}

output "alert_secrets" {
  description = "Name of the variable => name of the secret that was created for it, or ARN of the existing one."
  value       = tomap({ for name, arn in var.alert_secrets : name => arn == "new" ? aws_secretsmanager_secret.alert[name].name : arn })
}

output "schedule_group" {
  description = "Group of the schedule that invokes the function."
  value       = aws_scheduler_schedule_group.this.name
}
