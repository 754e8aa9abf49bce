output "name" {
  description = "Name of the deployment. `make deploy` refuses a state that has another one."
  value       = var.name
}

output "site_url" {
  description = "Address of the dashboard. On an emulator the host may need a mapping to its address."
  value       = local.site_url
}

output "cdn_domain" {
  description = "Domain of CloudFront, for records of `aliases` that are made elsewhere; null without CloudFront."
  value       = module.site.domain
}

output "api_url" {
  description = "Address of the API without CloudFront; add a path such as /api/regions. It answers 403 without the key of CloudFront, unless api_requires_key is false."
  value       = local.api_url
}

output "stream" {
  description = "Name of the Kinesis stream, which is the post log (BIRDSONG_STREAM)."
  value       = module.stream.name
}

output "table" {
  description = "Name of the DynamoDB table, which is the window store (BIRDSONG_TABLE)."
  value       = module.store.table
}

output "quarantine_bucket" {
  description = "Bucket for unreadable lines and records, and for batches that failed too often."
  value       = module.aggregator.quarantine_bucket
}

output "archive_bucket" {
  description = "Bucket for days of the log (birdsong archive write s3://BUCKET); null without archive_days."
  value       = one(module.archive[*].name)
}

output "site_bucket" {
  description = "Bucket with the dashboard's files."
  value       = module.site.bucket
}

output "aggregator_function" {
  description = "Name of the Lambda function that folds posts into windows."
  value       = module.aggregator.function
}

output "digest_function" {
  description = "Name of the Lambda function that rolls windows up and writes the overview, invoked each minute."
  value       = module.digest.function
}

output "api_function" {
  description = "Name of the Lambda function that answers the API."
  value       = module.api.function
}

output "ecr_repository" {
  description = "Address of the image repository of the streamer; null without a streamer."
  value       = one(module.streamer[*].repository_url)
}

output "streamer_image" {
  description = "Image of the streamer; empty before there is one, or without a streamer."
  value       = local.streamer_image
}

output "streamer_task_definition" {
  description = "ARN of the task definition of the streamer; null before there is an image, or without a streamer."
  value       = one(module.streamer[*].task_definition)
}

output "ecs_cluster" {
  description = "Cluster of the streamer; null without a streamer."
  value       = one(module.streamer[*].cluster)
}

output "secrets" {
  description = "The streamer's secrets: name of the environment variable => name of the secret, or its ARN if var.secrets has it. The key of author hashes (BIRDSONG_AUTHOR_KEY) is set once and kept: with another key the same authors have other hashes. Null without a streamer."
  value       = one(module.streamer[*].secrets)
}

output "alert_topic" {
  description = "ARN of the SNS topic for alerts with sns = true in the regions file."
  value       = module.digest.alert_topic
}

output "alert_secrets" {
  description = "The secrets of alerts: name of the variable => name of the secret, or its ARN if var.alert_secrets has it."
  value       = module.digest.alert_secrets
}

output "alarm_topic" {
  description = "ARN of the SNS topic for alarms and the budget."
  value       = module.observability.topic_arn
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard."
  value       = module.observability.dashboard
}
