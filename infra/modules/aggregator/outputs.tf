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

output "event_source_mapping" {
  description = "UUID of the trigger."
  value       = aws_lambda_event_source_mapping.this.uuid
}

output "quarantine_bucket" {
  description = "Name of the bucket for dead letters."
  value       = module.quarantine.name
}

output "quarantine_bucket_arn" {
  description = "ARN of the bucket for dead letters."
  value       = module.quarantine.arn
}
